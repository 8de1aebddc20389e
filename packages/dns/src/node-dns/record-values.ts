/** Records in the shapes that `node:dns` gives: plain objects and strings, names without the final dot. */
import {
  addressToText,
  decodeRdataOf,
  type Name,
  type RdataMnemonic,
  type RdataOf,
  type ResourceRecord,
  RRType,
  type SvcParam,
  SvcParamKey,
} from "@sotto/dns/wire";

/** One kind of question: method `resolve${method}` and system call name `query${syscall}`. */
export interface RecordKind {
  readonly type: RRType;
  readonly syscall: string;
  /** The value of one record; undefined for rdata that cannot be read. */
  readonly read: (rdata: Uint8Array) => unknown;
  /** The value of one record among others (`resolveAny`). */
  readonly tagged: (rdata: Uint8Array, ttl: number) => Readonly<Record<string, unknown>> | undefined;
}

/** Kinds for which Node gives an empty list, not ENODATA, when there is an alias and nothing behind it. */
export const EMPTY_BEHIND_ALIASES: ReadonlySet<string> = new Set([
  "CAA",
  "MX",
  "NAPTR",
  "SRV",
  "TLSA",
  "TXT",
]);

function kind<M extends RdataMnemonic>(
  mnemonic: M,
  syscall: string,
  shape: (fields: RdataOf<M>) => unknown,
  tagged?: (value: unknown, ttl: number) => object,
): RecordKind {
  const read = (rdata: Uint8Array): unknown => {
    const fields = decodeRdataOf(mnemonic, rdata);
    return fields.ok ? shape(fields.value) : undefined;
  };
  const tag = tagged ?? ((value: unknown): object => (typeof value === "object" ? { ...value } : { value }));
  return {
    type: RRType[mnemonic],
    syscall,
    read,
    tagged(rdata, ttl) {
      const value = read(rdata);
      return value === undefined ? undefined : { ...tag(value, ttl), type: mnemonic };
    },
  };
}

/** Nearly all questions are of these kinds: their rdata is not decoded first, it is the address. */
function addressKind(mnemonic: "A" | "AAAA", syscall: string, octets: number): RecordKind {
  const read = (rdata: Uint8Array): unknown => (rdata.length === octets ? addressToText(rdata) : undefined);
  return {
    type: RRType[mnemonic],
    syscall,
    read,
    tagged(rdata, ttl) {
      const address = read(rdata);
      return address === undefined ? undefined : { address, ttl, type: mnemonic };
    },
  };
}

/** By mnemonic as `resolve(name, rrtype)` takes it. */
export const RECORD_KINDS = {
  A: addressKind("A", "queryA", 4),
  AAAA: addressKind("AAAA", "queryAaaa", 16),
  CAA: kind("CAA", "queryCaa", ({ flags, tag, value }) => ({
    critical: flags,
    type: "CAA",
    [latin1(tag)]: latin1(value),
  })),
  CNAME: kind("CNAME", "queryCname", ({ host }) => hostText(host)),
  MX: kind("MX", "queryMx", ({ preference, exchange }) => ({
    exchange: hostText(exchange),
    priority: preference,
    type: "MX",
  })),
  NAPTR: kind("NAPTR", "queryNaptr", ({ flags, service, regexp, replacement, order, preference }) => ({
    flags: latin1(flags),
    service: latin1(service),
    regexp: latin1(regexp),
    replacement: hostText(replacement),
    order,
    preference,
  })),
  NS: kind("NS", "queryNs", ({ host }) => hostText(host)),
  PTR: kind("PTR", "queryPtr", ({ host }) => hostText(host)),
  SOA: kind("SOA", "querySoa", ({ primary, mailbox, serial, refresh, retry, expire, minimum }) => ({
    nsname: hostText(primary),
    hostmaster: hostText(mailbox),
    serial,
    refresh,
    retry,
    expire,
    minttl: minimum,
  })),
  SRV: kind("SRV", "querySrv", ({ target, port, priority, weight }) => ({
    name: hostText(target),
    port,
    priority,
    weight,
    type: "SRV",
  })),
  TLSA: kind("TLSA", "queryTlsa", ({ usage, selector, matchingType, data }) => ({
    certUsage: usage,
    selector,
    match: matchingType,
    data: data.slice().buffer,
  })),
  TXT: kind(
    "TXT",
    "queryTxt",
    ({ strings }) => strings.map(latin1),
    (entries) => ({ entries }),
  ),
  SVCB: kind("SVCB", "querySvcb", serviceBinding),
  HTTPS: kind("HTTPS", "queryHttps", serviceBinding),
} as const satisfies Readonly<Record<string, RecordKind>>;

/** In Node's order. */
const ANY_KINDS = (
  [
    "A",
    "CNAME",
    "AAAA",
    "MX",
    "NS",
    "TXT",
    "SRV",
    "PTR",
    "NAPTR",
    "SOA",
    "TLSA",
    "CAA",
    "SVCB",
    "HTTPS",
  ] as const
).map((mnemonic) => RECORD_KINDS[mnemonic]);

/** The records of an answer to ANY, each with its type; types that have no `resolve*` are left out. */
export function taggedValues(records: readonly ResourceRecord[]): unknown[] {
  return ANY_KINDS.flatMap((one) =>
    records.filter(({ type }) => type === one.type).flatMap(({ rdata, ttl }) => one.tagged(rdata, ttl) ?? []),
  );
}

/** A service binding (RFC 9460), alias form when `priority` is 0. */
export interface ServiceBinding {
  readonly priority: number;
  /** `` is the owner itself (service form) or no service at all (alias form), RFC 9460 §2.5. */
  readonly target: string;
  readonly alpn?: readonly string[];
  readonly noDefaultAlpn?: true;
  readonly port?: number;
  readonly ipv4hint?: readonly string[];
  readonly ipv6hint?: readonly string[];
  /** ECHConfigList, base64 as in presentation form is not used: octets (RFC 9848). */
  readonly ech?: Uint8Array;
  /** Template of DNS over HTTPS (RFC 9461 §5). */
  readonly dohpath?: string;
  /** Keys that a client must understand (RFC 9460 §8), as numbers. */
  readonly mandatory?: readonly number[];
  /** All other parameters by key number. */
  readonly params?: Readonly<Record<number, Uint8Array>>;
}

function serviceBinding({
  priority,
  target,
  params,
}: {
  readonly priority: number;
  readonly target: Name;
  readonly params: readonly SvcParam[];
}): ServiceBinding {
  const binding: Record<string, unknown> = { priority, target: hostText(target) };
  const others: Record<number, Uint8Array> = {};
  for (const { key, value } of params) {
    const known = SERVICE_PARAMS[key];
    if (known === undefined) others[key] = value.slice();
    else binding[known[0]] = known[1](value);
  }
  if (Object.keys(others).length > 0) binding["params"] = others;
  // Every property was written under its own name of the table below, which is that of the interface.
  return binding as unknown as ServiceBinding;
}

/** Values were checked when the record was read: lengths are right. */
const SERVICE_PARAMS: Readonly<Record<number, readonly [string, (value: Uint8Array) => unknown]>> = {
  [SvcParamKey.mandatory]: ["mandatory", uint16s],
  [SvcParamKey.alpn]: ["alpn", (value) => counted(value).map(latin1)],
  [SvcParamKey["no-default-alpn"]]: ["noDefaultAlpn", () => true],
  [SvcParamKey.port]: ["port", (value) => uint16s(value)[0]],
  [SvcParamKey.ipv4hint]: ["ipv4hint", (value) => pieces(value, 4).map(addressToText)],
  [SvcParamKey.ech]: ["ech", (value) => value.slice()],
  [SvcParamKey.ipv6hint]: ["ipv6hint", (value) => pieces(value, 16).map(addressToText)],
  [SvcParamKey.dohpath]: ["dohpath", (value) => new TextDecoder().decode(value)],
};

function uint16s(value: Uint8Array): number[] {
  return pieces(value, 2).map(([high = 0, low = 0]) => (high << 8) | low);
}

function pieces(value: Uint8Array, octets: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < value.length; at += octets) found.push(value.subarray(at, at + octets));
  return found;
}

function counted(value: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < value.length; at += (value[at] ?? 0) + 1)
    found.push(value.subarray(at + 1, at + 1 + (value[at] ?? 0)));
  return found;
}

/** Presentation form without the final dot; the root is empty. */
function hostText(name: Name): string {
  return name.toString().slice(0, -1);
}

function latin1(octets: Uint8Array | string): string {
  return typeof octets === "string" ? octets : Buffer.from(octets).toString("latin1");
}
