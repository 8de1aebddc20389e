/**
 * Rebinding protection: names of the internet must not lead into the own network, because a browser takes everything under
 * one name for one site. The recursor takes such records out of unsigned replies before it believes anything; what was kept
 * for its signatures is removed here, after validation, so that a removal cannot look like a forgery.
 */
import type { Middleware, Reply } from "@sotto/dns/transport";
import {
  decodeRdataOf,
  EdeCode,
  type Name,
  PrefixTrie,
  type ResourceRecord,
  RRType,
  SvcParamKey,
  tryParsePrefix,
  uint16At,
} from "@sotto/dns/wire";

export interface PrivateAddressesOptions {
  /** Prefixes in text form; empty: nothing is removed. */
  readonly prefixes: readonly string[];
  /** Names at and below which such addresses are right. */
  readonly except: readonly Name[];
}

/**
 * Tells which records have private addresses and must not; undefined when all may. Throws a RangeError for a text that is no
 * prefix.
 */
export function privateRecords(
  options: PrivateAddressesOptions,
): ((record: ResourceRecord) => boolean) | undefined {
  const trie = new PrefixTrie();
  for (const text of options.prefixes) {
    const prefix = tryParsePrefix(text);
    if (!prefix.ok) throw new RangeError(prefix.problem);
    trie.set(prefix.value, PRIVATE);
  }
  if (options.prefixes.length === 0) return undefined;
  const isExcepted = (name: Name): boolean => options.except.some((zone) => name.isAtOrBelow(zone));
  return (record) =>
    addressesIn(record).some((address) => trie.longest(address) === PRIVATE) && !isExcepted(record.owner);
}

/** Removes private addresses from what comes from outside. Throws a RangeError for a text that is no prefix. */
export function privateAddresses(options: PrivateAddressesOptions): Middleware {
  const isPrivate = privateRecords(options);
  if (isPrivate === undefined) return (next) => next;
  return (next) => ({
    async respond(query, context) {
      return withoutRecords(await next.respond(query, context), isPrivate);
    },
  });
}

/** Signatures go with the last record of their set: nobody could verify them. */
function withoutRecords(reply: Reply, isRemoved: (record: ResourceRecord) => boolean): Reply {
  const { message } = reply;
  if (!message.answers.some(isRemoved)) return reply;
  const touched = new Set(message.answers.filter(isRemoved).map(({ owner, type }) => `${type} ${owner.key}`));
  const answers = message.answers.filter(
    (record) =>
      !isRemoved(record) &&
      !(record.type === RRType.RRSIG && touched.has(`${uint16At(record.rdata, 0)} ${record.owner.key}`)),
  );
  return {
    ...reply,
    message: { ...message, answers },
    security: "indeterminate",
    extendedErrors: [
      ...reply.extendedErrors,
      { code: EdeCode.Blocked, text: "addresses inside private-addresses were removed" },
    ],
  };
}

/** Addresses that a client would connect to; of both kinds of hints in SVCB and HTTPS, too (RFC 9460 §7.3). */
function addressesIn({ type, rdata }: ResourceRecord): readonly Uint8Array[] {
  switch (type) {
    case RRType.A:
      return [rdata];
    case RRType.AAAA: {
      // ::ffff:0:0/96 leads where the IPv4 address leads.
      const isMapped =
        rdata[10] === 0xff && rdata[11] === 0xff && rdata.subarray(0, 10).every((octet) => octet === 0);
      return isMapped ? [rdata, rdata.subarray(12)] : [rdata];
    }
    case RRType.SVCB:
    case RRType.HTTPS:
      return hintsIn(rdata);
    default:
      return [];
  }
}

function hintsIn(rdata: Uint8Array): Uint8Array[] {
  const decoded = decodeRdataOf("SVCB", rdata);
  const hints: Uint8Array[] = [];
  for (const { key, value } of decoded.ok ? decoded.value.params : []) {
    const octets = key === SvcParamKey.ipv4hint ? 4 : key === SvcParamKey.ipv6hint ? 16 : 0;
    for (let at = 0; octets > 0 && at < value.length; at += octets)
      hints.push(value.subarray(at, at + octets));
  }
  return hints;
}

const PRIVATE = 1;
