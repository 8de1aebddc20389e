/** The servers of the public root (https://www.iana.org/domains/root/servers), the default where to start. */
import { type Name, parseName } from "@sotto/dns/wire";

/** One address of one root server. */
export interface RootHint {
  readonly name: Name;
  readonly address: string;
}

/** As of 2026; b.root-servers.net has its addresses since November 2023. Priming replaces them (RFC 9609). */
const PUBLIC_ROOT: readonly (readonly [letter: string, ipv4: string, ipv6: string])[] = [
  ["a", "198.41.0.4", "2001:503:ba3e::2:30"],
  ["b", "170.247.170.2", "2801:1b8:10::b"],
  ["c", "192.33.4.12", "2001:500:2::c"],
  ["d", "199.7.91.13", "2001:500:2d::d"],
  ["e", "192.203.230.10", "2001:500:a8::e"],
  ["f", "192.5.5.241", "2001:500:2f::f"],
  ["g", "192.112.36.4", "2001:500:12::d0d"],
  ["h", "198.97.190.53", "2001:500:1::53"],
  ["i", "192.36.148.17", "2001:7fe::53"],
  ["j", "192.58.128.30", "2001:503:c27::2:30"],
  ["k", "193.0.14.129", "2001:7fd::1"],
  ["l", "199.7.83.42", "2001:500:9f::42"],
  ["m", "202.12.27.33", "2001:dc3::35"],
];

/** The thirteen servers with both addresses. */
export const ROOT_HINTS: readonly RootHint[] = PUBLIC_ROOT.flatMap(([letter, ipv4, ipv6]) => {
  const name = parseName(`${letter}.root-servers.net.`);
  return [
    { name, address: ipv4 },
    { name, address: ipv6 },
  ];
});
