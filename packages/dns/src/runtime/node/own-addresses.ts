/** The addresses by which others reach this machine: they are other ones when it is on another network. */
import { networkInterfaces } from "node:os";

/** In an order that does not depend on the system's. Loopback and link-local addresses stay or come with anything. */
export function ownAddresses(): string {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .map(({ address }) => address)
    .sort()
    .join(" ");
}
