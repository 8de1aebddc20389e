/** AAAA records made from A records, for clients that have IPv6 only behind a NAT64 (RFC 6147, RFC 6052). */
import type { Middleware, Query, QueryContext, Reply, Responder } from "@sotto/dns/transport";
import {
  type Message,
  type Name,
  type Prefix,
  PrefixTrie,
  parseName,
  type Question,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
  tryParseAddress,
  tryParsePrefix,
  uint32At,
} from "@sotto/dns/wire";
import { queryFor } from "./query-for.ts";

export interface Dns64Options {
  /** Where IPv4 addresses are put: 32, 40, 48, 56, 64 or 96 bits (RFC 6052 §2.2). */
  readonly prefix: string;
  /** AAAA records inside these count as if they were not there (RFC 6147 §5.1.4). */
  readonly exclude: readonly string[];
  /** Names at and below which AAAA records are made although there are real ones. */
  readonly ignoreAaaa: readonly Name[];
  /** Prefixes of those who get them; undefined: everybody. */
  readonly clients: readonly string[] | undefined;
  /** What reverse names of made addresses are: aliases of the IPv4 ones, or names with the same PTR records. */
  readonly reverse: "alias" | "records";
}

/** Makes AAAA records. Throws a RangeError for what is no prefix, or one of a length that RFC 6052 does not have. */
export function dns64(options: Dns64Options | undefined): Middleware {
  if (options === undefined) return (next) => next;
  const translation = new Translation(options);
  return (next) => ({
    respond: (query, context) => {
      const { qtype, dnssecOk, checkingDisabled } = query.view;
      // RFC 6147 §5.5: who sets DO and CD validates, and would find what we make bogus.
      if (qtype !== RRType.AAAA || (dnssecOk && checkingDisabled)) return next.respond(query, context);
      return translation.forClient(query, context, next, () =>
        respondToAaaa(query, context, next, translation),
      );
    },
  });
}

/**
 * Answers for the reverse names of made addresses (RFC 6147 §5.3.1). Comes before local zones: the prefix may lie in a range
 * whose reverse names are answered there (RFC 6303), and what the IPv4 address's name has may be local.
 */
export function dns64Pointers(options: Dns64Options | undefined): Middleware {
  if (options === undefined) return (next) => next;
  const translation = new Translation(options);
  return (next) => ({
    respond: (query, context) => {
      const { qtype, qname } = query.view;
      const target = qtype === RRType.PTR ? translation.reverseOf(qname) : undefined;
      if (target === undefined) return next.respond(query, context);
      return translation.forClient(query, context, next, () =>
        respondToPointer(query, context, next, target, options.reverse),
      );
    },
  });
}

async function respondToAaaa(
  query: Query,
  context: QueryContext,
  next: Responder,
  translation: Translation,
): Promise<Reply> {
  const { qname, question } = query.view;
  const reply = await next.respond(query, context);
  const { message } = reply;
  // RFC 6147 §5.1.2: a name that does not exist has no A either. What is bogus is no answer of any kind (§5.5); other errors
  // may be about AAAA only.
  if (message.rcode === Rcode.NXDomain || reply.security === "bogus") return reply;
  const usable = translation.withoutExcluded(reply);
  const hasAaaa = usable.message.answers.some(({ type }) => type === RRType.AAAA);
  if (hasAaaa && !translation.ignoresAaaaOf(qname)) return usable;
  const other = await next.respond(queryFor(query, qname, RRType.A), context);
  // RFC 6147 §5.5: what validation refused is not translated, and not hidden behind "no AAAA".
  if (other.security === "bogus" && !hasAaaa) return { ...other, message: asked(other.message, question) };
  const addresses = other.message.answers.filter(({ type }) => type === RRType.A);
  const ttlMax = negativeTtlOf(message);
  const made = addresses.flatMap((record) => translation.toAaaa(record, ttlMax));
  if (made.length === 0) return usable;
  // RFC 6147 §5.1.5: the chain of aliases stays; signatures over A say nothing any more.
  const chain = other.message.answers.filter(({ type, rdata }) => {
    const covered = type === RRType.RRSIG ? ((rdata[0] ?? 0) << 8) | (rdata[1] ?? 0) : type;
    return covered === RRType.CNAME || covered === RRType.DNAME;
  });
  const answers = [...chain, ...made];
  return {
    ...other,
    message: { ...asked(other.message, question), answers, authorities: [], additionals: [] },
    // RFC 6147 §5.5 case 2: what is made of two validated answers is as authentic as they are.
    security: reply.security === "secure" && other.security === "secure" ? "secure" : "indeterminate",
  };
}

/** RFC 6147 §5.3.1: the reverse name of a made address is an alias of the IPv4 one, or has what that has. */
async function respondToPointer(
  query: Query,
  context: QueryContext,
  next: Responder,
  target: Name,
  kind: Dns64Options["reverse"],
): Promise<Reply> {
  const { qname, question } = query.view;
  const reply = await next.respond(queryFor(query, target, RRType.PTR), context);
  const { answers } = reply.message;
  const alias: ResourceRecord = {
    owner: qname,
    type: RRType.CNAME,
    class: RRClass.IN,
    ttl: ALIAS_TTL_SECONDS,
    rdata: target.wire,
  };
  // Without an answer to either question there is no alias to tell of.
  const hasAnswer = reply.message.rcode === Rcode.NoError || reply.message.rcode === Rcode.NXDomain;
  const pointers = answers.filter(({ type }) => type === RRType.PTR);
  const shown =
    kind === "records" || !hasAnswer
      ? pointers.map((pointer) => ({ ...pointer, owner: qname }))
      : [alias, ...answers];
  return {
    ...reply,
    message: { ...asked(reply.message, question), answers: shown },
    security: reply.security === "bogus" ? "bogus" : "indeterminate",
  };
}

/** A message as the answer to the client's own question. */
function asked(message: Message, question: Question): Message {
  return { ...message, isAuthoritative: false, questions: [question] };
}

function trieOf(prefixes: readonly string[]): PrefixTrie {
  const trie = new PrefixTrie();
  for (const text of prefixes) {
    const prefix = tryParsePrefix(text);
    if (!prefix.ok) throw new RangeError(prefix.problem);
    trie.set(prefix.value, LISTED);
  }
  return trie;
}

class Translation {
  readonly #prefix: Prefix;
  readonly #excluded: PrefixTrie;
  readonly #ignoreAaaa: readonly Name[];
  readonly #clients: PrefixTrie | undefined;

  constructor({ prefix, exclude, ignoreAaaa, clients }: Dns64Options) {
    this.#clients = clients && trieOf(clients);
    const parsed = tryParsePrefix(prefix);
    if (!parsed.ok) throw new RangeError(parsed.problem);
    if (parsed.value.octets.length !== 16 || !LENGTHS.has(parsed.value.bits))
      throw new RangeError(`a DNS64 prefix has ${[...LENGTHS].join(", ")} bits (RFC 6052 §2.2)`);
    this.#prefix = parsed.value;
    this.#ignoreAaaa = ignoreAaaa;
    this.#excluded = trieOf(exclude);
  }

  /** What is made goes to the clients that are meant, and to nobody else from a cache. */
  async forClient(
    query: Query,
    context: QueryContext,
    next: Responder,
    make: () => Promise<Reply>,
  ): Promise<Reply> {
    if (this.#clients === undefined) return make();
    const address = query.origin.remote && tryParseAddress(query.origin.remote.address);
    const isMeant = address?.ok === true && this.#clients.longest(address.value) === LISTED;
    const reply = await (isMeant ? make() : next.respond(query, context));
    return { ...reply, isPersonal: true };
  }

  ignoresAaaaOf(name: Name): boolean {
    return this.#ignoreAaaa.some((zone) => name.isAtOrBelow(zone));
  }

  /** The reply without AAAA records that do not count, and without the signatures over what they were part of. */
  withoutExcluded(reply: Reply): Reply {
    const { answers } = reply.message;
    const isOut = ({ type, rdata }: ResourceRecord): boolean =>
      type === RRType.AAAA && this.#excluded.longest(rdata) === LISTED;
    if (!answers.some(isOut)) return reply;
    const isOverAaaa = ({ type, rdata }: ResourceRecord): boolean =>
      type === RRType.RRSIG && rdata[0] === 0 && rdata[1] === RRType.AAAA;
    const kept = answers.filter((record) => !isOut(record) && !isOverAaaa(record));
    // What is left is not what its owner signed.
    return { ...reply, message: { ...reply.message, answers: kept }, security: "indeterminate" };
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
const LISTED = 1;
const RESERVED_OCTET = 8;
const WELL_KNOWN = Buffer.from("0064ff9b0000000000000000", "hex");
const REVERSE = /^((?:[0-9a-f]\.){31}[0-9a-f])\.ip6\.arpa\.$/;
const NO_SOA_TTL_SECONDS = 600;
/** What we make does not change while the configuration stays. */
const ALIAS_TTL_SECONDS = 600;
