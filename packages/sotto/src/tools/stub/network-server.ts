/**
 * The resolver that the network's DHCP named, as far as this machine wrote it down. `/etc/resolv.conf` is looked at last: where a
 * stub runs it names this machine, which is never the network's.
 */
import { tryParseAddress } from "@sotto/dns/wire";

export interface NetworkServer {
  readonly address: string;
  /** The file that names it. */
  readonly source: string;
}

/** The first one, or why there is none. `readText` gives undefined for a file that cannot be read. */
export function networkServer(readText: (file: string) => string | undefined): NetworkServer | string {
  for (const source of FILES) {
    const address = serversOf(readText(source) ?? "").find((server) => !isLoopback(server));
    if (address !== undefined) return { address, source };
  }
  return `no file tells which resolver the network gave (looked at ${FILES.join(", ")}); find it with \`resolvectl dns\`, \`nmcli device show\` or in the DHCP lease, and give its address`;
}

function serversOf(resolvConf: string): string[] {
  return resolvConf.split("\n").flatMap((line) => {
    const server = /^\s*nameserver\s+([0-9A-Fa-f:.]+)\s*$/.exec(line)?.[1];
    return server !== undefined && tryParseAddress(server).ok ? [server] : [];
  });
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.") || /^0\.0\.0\.0$|^::$/.test(address);
}

/** Where those who do DHCP write what it said, whoever stands in resolv.conf. */
const FILES: readonly string[] = [
  "/run/systemd/resolve/resolv.conf",
  "/run/NetworkManager/no-stub-resolv.conf",
  "/etc/resolv.conf",
];
