/** Whether asking an endpoint would come back to one of our own listeners. */
import { networkInterfaces } from "node:os";
import type { Endpoint } from "@sotto/dns/runtime";

/**
 * True for a listener's address and port; for an address of this machine where a listener is on all of them; and for any
 * loopback address with port 53, where stands what asks us, such as systemd-resolved.
 */
export function isOurself(
  { address, port }: Endpoint,
  listeners: readonly { readonly local: Endpoint }[],
  own: readonly string[] = ownAddresses(),
): boolean {
  const isLoopback = address === "::1" || address.startsWith("127.");
  const isOwn = isLoopback || own.includes(address);
  if (isLoopback && port === DNS_PORT) return true;
  return listeners.some(
    ({ local }) =>
      local.port === port &&
      (local.address === address || (isOwn && (local.address === "0.0.0.0" || local.address === "::"))),
  );
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap(
    (addresses) => addresses?.map(({ address }) => address) ?? [],
  );
}

const DNS_PORT = 53;
