/** The names that a resolver answers by itself: registries of RFC 6303 §4 and RFC 6761, as far as they ask this of resolvers. */

/**
 * How a zone answers. `empty`: SOA and NS at its top, nothing beneath but its pointer, as RFC 6303 §3 describes. `nxdomain`: the name
 * itself does not exist. `nodata`: every name exists and has nothing. `localhost`: every name has the loopback addresses.
 */
export type BuiltinKind = "empty" | "nxdomain" | "nodata" | "localhost";

export interface BuiltinZone {
  /** Absolute, in lower case. */
  readonly name: string;
  readonly kind: BuiltinKind;
  /** A name at or below it that points to localhost; "empty" only. */
  readonly pointer?: string;
}

/** RFC 6303 §4.1, §4.2 and RFC 7793 §3 (100.64.0.0/10), below in-addr.arpa; 127 has more than the others. */
const REVERSE_IPV4 = [
  "10",
  ...Array.from({ length: 16 }, (_, i) => `${16 + i}.172`),
  "168.192",
  "0",
  "254.169",
  "2.0.192",
  "100.51.198",
  "113.0.203",
  "255.255.255.255",
  ...Array.from({ length: 64 }, (_, i) => `${64 + i}.100`),
];

/** RFC 6303 §4.3 to §4.6, below ip6.arpa: `::`, local, link-local and documentation addresses. */
const REVERSE_IPV6 = [
  Array.from({ length: 32 }, () => "0").join("."),
  "d.f",
  "8.e.f",
  "9.e.f",
  "a.e.f",
  "b.e.f",
  "8.b.d.0.1.0.0.2",
];

/** `::1`. */
const LOOPBACK_IPV6 = `1.${"0.".repeat(31)}ip6.arpa.`;

export const BUILTIN_ZONES: readonly BuiltinZone[] = [
  ...REVERSE_IPV4.map((name): BuiltinZone => ({ name: `${name}.in-addr.arpa.`, kind: "empty" })),
  // RFC 1912 §4.1: programs look up who talks to them, and over loopback that is localhost.
  { name: "127.in-addr.arpa.", kind: "empty", pointer: "1.0.0.127.in-addr.arpa." },
  { name: LOOPBACK_IPV6, kind: "empty", pointer: LOOPBACK_IPV6 },
  ...REVERSE_IPV6.map((name): BuiltinZone => ({ name: `${name}.ip6.arpa.`, kind: "empty" })),
  // RFC 6761 §6.3, §6.4, §6.2.
  { name: "localhost.", kind: "localhost" },
  { name: "invalid.", kind: "nxdomain" },
  { name: "test.", kind: "nxdomain" },
  // RFC 7686 §2: to ask for it would tell who is visited.
  { name: "onion.", kind: "nxdomain" },
  // RFC 6762 §22.1, RFC 9476 §2: other systems than DNS.
  { name: "local.", kind: "nxdomain" },
  { name: "alt.", kind: "nxdomain" },
  // RFC 8375 §4.
  { name: "home.arpa.", kind: "empty" },
  // RFC 9462 §6.1.
  { name: "resolver.arpa.", kind: "nodata" },
];
