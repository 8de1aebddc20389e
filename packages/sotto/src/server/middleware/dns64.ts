/** AAAA records made from A records, for clients that have IPv6 only behind a NAT64 (RFC 6147, RFC 6052). */
import type { Middleware, Query, QueryContext, Reply, Responder } from "@sotto/dns/transport";
import {
  encodeMessage,
  type Message,
  MessageView,
  makeEdns,
  makeMessage,
  type Name,
  type Prefix,
  parseName,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
  tryParsePrefix,
  uint32At,
} from "@sotto/dns/wire";
import { PrefixTrie } from "./prefix-trie.ts";

export interface Dns64Options {
  /** Where IPv4 addresses are put: 32, 40, 48, 56, 64 or 96 bits (RFC 6052 §2.2). */
  readonly prefix: string;
  /** AAAA records inside these count as if they were not there (RFC 6147 §5.1.4). */
  readonly exclude: readonly string[];
  /** Names at and below which AAAA records are made although there are real ones. */
  readonly ignoreAaaa: readonly Name[];
}

/** Throws a RangeError for what is no prefix, or one of a length that RFC 6052 does not have. */
export function dns64(options: Dns64Options | undefined): Middleware {
  if (options === undefined) return (next) => next;
  const translation = new Translation(options);
  return (next) => ({
    respond: (query, context) => {
      const { view } = query;
      if (view.qtype === RRType.PTR) return respondToPointer(query, context, next, translation);
      // RFC 6147 §5.5: who sets DO and CD validates, and would find what we make bogus.
      const validates = view.dnssecOk && view.checkingDisabled;
      if (view.qtype !== RRType.AAAA || validates) return next.respond(query, context);
      return respondToAaaa(query, context, next, translation);
    },
  });
}

async function respondToAaaa(
  query: Query,
  context: QueryContext,
  next: Responder,
  translation: Translation,
): Promise<Reply> {
  const reply = await next.respond(query, context);
  const { message } = reply;
  // RFC 6147 §5.1.2: a name that does not exist has no A either; other errors may be about AAAA only.
  if (message.rcode === Rcode.NXDomain) return reply;
  const kept = translation.usable(message.answers, query.view.qname);
  if (kept.some(({ type }) => type === RRType.AAAA))
    return kept.length === message.answers.length
      ? reply
      : { ...reply, message: { ...message, answers: kept } };
  const other = await next.respond(queryFor(query, query.view.qname, RRType.A), context);
  const addresses = other.message.answers.filter(({ type }) => type === RRType.A);
  const ttlMax = negativeTtlOf(message);
  const made = addresses.flatMap((record) => translation.toAaaa(record, ttlMax));
  if (made.length === 0) return reply;
  // RFC 6147 §5.4: the chain of aliases stays; signatures over A say nothing any more.
  const chain = other.message.answers.filter(({ type, rdata }) => {
    const covered = type === RRType.RRSIG ? ((rdata[0] ?? 0) << 8) | (rdata[1] ?? 0) : type;
    return covered === RRType.CNAME || covered === RRType.DNAME;
  });
  const answers = [...chain, ...made];
  const questions = [query.view.question];
  return {
    ...other,
    message: { ...other.message, questions, answers, authorities: [], additionals: [] },
    // RFC 6147 §5.5 case 2: what is made of two validated answers is as authentic as they are.
    security: reply.security === "secure" && other.security === "secure" ? "secure" : "indeterminate",
  };
}

/** RFC 6147 §5.3.1: the reverse name of a made address is an alias of the IPv4 one. */
async function respondToPointer(
  query: Query,
  context: QueryContext,
  next: Responder,
  translation: Translation,
): Promise<Reply> {
  const { qname } = query.view;
  const target = translation.reverseOf(qname);
  if (target === undefined) return next.respond(query, context);
  const reply = await next.respond(queryFor(query, target, RRType.PTR), context);
  const alias: ResourceRecord = {
    owner: qname,
    type: RRType.CNAME,
    class: RRClass.IN,
    ttl: ALIAS_TTL_SECONDS,
    rdata: target.wire,
  };
  const answers = [alias, ...reply.message.answers];
  const message = { ...reply.message, questions: [query.view.question], answers };
  return { ...reply, message, security: "indeterminate" };
}

class Translation {
  readonly #prefix: Prefix;
  readonly #excluded = new PrefixTrie();
  readonly #ignoreAaaa: readonly Name[];

  constructor({ prefix, exclude, ignoreAaaa }: Dns64Options) {
    const parsed = tryParsePrefix(prefix);
    if (!parsed.ok) throw new RangeError(parsed.problem);
    if (parsed.value.octets.length !== 16 || !LENGTHS.has(parsed.value.bits))
      throw new RangeError(`a DNS64 prefix has ${[...LENGTHS].join(", ")} bits (RFC 6052 §2.2)`);
    this.#prefix = parsed.value;
    this.#ignoreAaaa = ignoreAaaa;
    for (const text of exclude) {
      const excluded = tryParsePrefix(text);
      if (!excluded.ok) throw new RangeError(excluded.problem);
      this.#excluded.set(excluded.value, 1);
    }
  }

  /** The answers without AAAA records that do not count, and without the signatures over a set that lost some. */
  usable(answers: readonly ResourceRecord[], qname: Name): readonly ResourceRecord[] {
    const isIgnored = this.#ignoreAaaa.some((zone) => qname.isAtOrBelow(zone));
    const isOut = ({ type, rdata }: ResourceRecord): boolean =>
      type === RRType.AAAA && (isIgnored || this.#excluded.longest(rdata) === 1);
    if (!answers.some(isOut)) return answers;
    return answers.filter(
      (record) =>
        !isOut(record) &&
        !(record.type === RRType.RRSIG && record.rdata[0] === 0 && record.rdata[1] === RRType.AAAA),
    );
  }

  /** None for addresses that the well-known prefix must not carry (RFC 6052 §3.1). */
  toAaaa(record: ResourceRecord, ttlMax: number): ResourceRecord[] {
    if (this.#isWellKnown && isNotGlobal(record.rdata)) return [];
    return [
      { ...record, type: RRType.AAAA, ttl: Math.min(record.ttl, ttlMax), rdata: this.#embed(record.rdata) },
    ];
  }

  get #isWellKnown(): boolean {
    return this.#prefix.bits === 96 && Buffer.from(this.#prefix.octets.subarray(0, 12)).equals(WELL_KNOWN);
  }

  /** RFC 6052 §2.2: octet 8 stays zero. */
  #embed(ipv4: Uint8Array): Uint8Array {
    const octets = this.#prefix.octets.slice();
    octets.fill(0, this.#prefix.bits / 8);
    let at = this.#prefix.bits / 8;
    for (const octet of ipv4) {
      if (at === RESERVED_OCTET) at++;
      octets[at++] = octet;
    }
    return octets;
  }

  /** The in-addr.arpa name for a name in ip6.arpa whose address is ours. */
  reverseOf(qname: Name): Name | undefined {
    const address = addressOfReverse(qname);
    if (address === undefined) return undefined;
    const bytes = this.#prefix.bits / 8;
    for (let i = 0; i < bytes; i++) if (address[i] !== this.#prefix.octets[i]) return undefined;
    const ipv4: number[] = [];
    for (let at = bytes; ipv4.length < 4; at++) if (at !== RESERVED_OCTET) ipv4.push(address[at] ?? 0);
    return parseName(`${ipv4.reverse().join(".")}.in-addr.arpa.`);
  }
}

/** The address that a name of 32 nibbles below ip6.arpa stands for (RFC 3596 §2.5). */
function addressOfReverse(name: Name): Uint8Array | undefined {
  const match = REVERSE.exec(name.toString().toLowerCase());
  if (match === null) return undefined;
  const digits = (match[1] ?? "").split(".").reverse().join("");
  return new Uint8Array(Buffer.from(digits, "hex"));
}

/** The client's query with another name and type. */
function queryFor({ view, origin }: Query, name: Name, type: RRType): Query {
  const octets = encodeMessage(
    makeMessage({
      id: view.id,
      recursionDesired: view.recursionDesired,
      checkingDisabled: view.checkingDisabled,
      authenticData: view.authenticData,
      questions: [{ name, type, class: RRClass.IN }],
      edns: view.hasEdns ? makeEdns({ dnssecOk: view.dnssecOk }) : undefined,
    }),
  );
  const other = new MessageView();
  other.reset(octets);
  return { octets, view: other, origin };
}

/** RFC 6147 §5.1.7: the smaller of the A record's TTL and that of "no AAAA", which is 600 seconds without a SOA. */
function negativeTtlOf({ authorities }: Message): number {
  const soa = authorities.find(({ type }) => type === RRType.SOA);
  return soa === undefined
    ? NO_SOA_TTL_SECONDS
    : Math.min(soa.ttl, uint32At(soa.rdata, soa.rdata.length - 4));
}

/** RFC 6052 §3.1 speaks of non-global addresses; these are the ones that routers would not take either. */
function isNotGlobal([a = 0, b = 0]: Uint8Array): boolean {
  return (
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168)
  );
}

const LENGTHS: ReadonlySet<number> = new Set([32, 40, 48, 56, 64, 96]);
const RESERVED_OCTET = 8;
const WELL_KNOWN = Buffer.from("0064ff9b0000000000000000", "hex");
const REVERSE = /^((?:[0-9a-f]\.){31}[0-9a-f])\.ip6\.arpa\.$/;
const NO_SOA_TTL_SECONDS = 600;
/** What we make does not change while the configuration stays. */
const ALIAS_TTL_SECONDS = 600;
