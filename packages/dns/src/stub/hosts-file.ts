/** The hosts file: addresses of names and names of addresses (hosts(5)). */
import { addressToText, tryParseAddress, tryParseName } from "@sotto/dns/wire";

export interface Hosts {
  /** Addresses by name in lower case without final dot. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** Names by address, the canonical one first. */
  readonly names: ReadonlyMap<string, readonly string[]>;
}

export const NO_HOSTS: Hosts = { addresses: new Map(), names: new Map() };

/** Reads the text of a hosts file; lines that make no sense are passed over, as by every system. */
export function parseHosts(text: string): Hosts {
  const addresses = new Map<string, string[]>();
  const names = new Map<string, string[]>();
  let entries = 0;
  for (const line of text.split("\n")) {
    const [literal = "", ...hosts] = line.replace(/#.*/, "").trim().split(/\s+/);
    const octets = tryParseAddress(literal);
    if (!octets.ok) continue;
    const address = addressToText(octets.value);
    for (const host of hosts) {
      if (!tryParseName(host).ok || ++entries > ENTRIES_MAX) continue;
      const name = host.replace(/\.$/, "").toLowerCase();
      push(addresses, name, address);
      push(names, address, name);
    }
  }
  return { addresses, names };
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else if (!known.includes(value)) known.push(value);
}

/** Block lists in hosts form have a million lines. */
const ENTRIES_MAX = 2_000_000;
