/** What resolv.conf(5) tells: servers, search list and options. */
import { type Name, tryParseName, tryParseScopedAddress } from "@sotto/dns/wire";

export interface SystemConfig {
  /** Addresses, in order. */
  readonly servers: readonly string[];
  readonly search: readonly Name[];
  readonly ndots: number;
}

/** Reads the text; what is not known is passed over. Without a server the loopback address is meant. */
export function parseResolvConf(text: string): SystemConfig {
  const servers: string[] = [];
  let search: Name[] = [];
  let ndots = 1;
  for (const line of text.split("\n")) {
    const [key = "", ...values] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    if (key === "nameserver" && servers.length < SERVERS_MAX) {
      const address = tryParseScopedAddress(values[0] ?? "");
      if (address.ok) servers.push(address.value);
    }
    // The last of `domain` and `search` counts.
    if (key === "search" || key === "domain")
      search = values.flatMap((value) => {
        const name = tryParseName(value);
        return name.ok ? [name.value] : [];
      });
    if (key === "options")
      for (const option of values) {
        const given = /^ndots:(\d+)$/.exec(option)?.[1];
        if (given !== undefined) ndots = Math.min(Number(given), NDOTS_MAX);
      }
  }
  return { servers: servers.length === 0 ? ["127.0.0.1"] : servers, search, ndots };
}

/** The C library reads three; nobody has more than a handful. */
const SERVERS_MAX = 8;
/** As in glibc. */
const NDOTS_MAX = 15;
