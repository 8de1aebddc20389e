/**
 * Right answers: names under `test.` are made up, everything else comes from the zones of the fake internet, as from a
 * resolver that has them all. Nothing here is wrong; `make-reply.ts` spoils it.
 */
import { answerQuery, FakeInternet } from "@sotto/dns/testing";
import {
  encodeMessage,
  type Message,
  type MessageView,
  makeEdns,
  makeMessage,
  Opcode,
  parseRecord,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
  recordToText,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { SWITCH_ZONE } from "./name-switches.ts";

export class Answers {
  readonly #internet: FakeInternet;

  /** `wallMs`: milliseconds since 1970, which signatures have to be valid at. */
  constructor(wallMs: number) {
    this.#internet = FakeInternet.build({ wallMs });
  }

  /** The root's DS record, for validators; in zone file form. */
  get trustAnchorText(): string {
    return this.#internet.trustAnchors.map((record) => `${recordToText(record)}\n`).join("");
  }

  /**
   * The right answer to what a client sent; undefined for messages that deserve none, which are responses and those
   * without a whole header. `problem` is what the view found.
   */
  answer(view: MessageView, problem: string | undefined): Message | undefined {
    if (view.octets.length < 12 || view.isResponse) return undefined;
    // Who does not know the kind of request cannot know what follows its header (RFC 8490 §5.1.1).
    if (view.opcode !== Opcode.Query && problem !== undefined)
      return this.#respond(view, { rcode: Rcode.NotImp, questions: [], edns: undefined });
    const isReadable = problem === undefined && view.questionCount === 1 && view.ednsProblem === undefined;
    if (!isReadable) return this.#respond(view, { rcode: Rcode.FormErr, questions: [], edns: undefined });
    if (view.opcode !== Opcode.Query) return this.#respond(view, { rcode: Rcode.NotImp });
    if (view.ednsVersion !== 0) return this.#respond(view, { rcode: Rcode.BadVers });
    if (view.qclass !== RRClass.IN) return this.#respond(view, { rcode: Rcode.Refused });
    return view.qname.isAtOrBelow(SWITCH_ZONE) ? this.#madeUp(view) : this.#fromInternet(view);
  }

  #respond(view: MessageView, parts: Partial<Message>): Message {
    return makeMessage({
      id: view.id,
      isResponse: true,
      opcode: view.opcode,
      recursionDesired: view.recursionDesired,
      recursionAvailable: true,
      checkingDisabled: view.checkingDisabled,
      questions: view.qnameOctets > 0 ? [view.question] : [],
      edns: view.hasEdns ? makeEdns({ dnssecOk: view.dnssecOk }) : undefined,
      ...parts,
    });
  }

  #madeUp(view: MessageView): Message {
    const isAbsent = view.qname.labels().some((label) => String.fromCharCode(...label) === "nxdomain");
    const rdata = isAbsent ? undefined : RDATA.get(view.qtype);
    const isAuthoritative = true;
    if (rdata === undefined) {
      const rcode = isAbsent ? Rcode.NXDomain : Rcode.NoError;
      return this.#respond(view, { isAuthoritative, rcode, authorities: [SOA] });
    }
    const record: ResourceRecord = {
      owner: view.qname,
      type: view.qtype,
      class: RRClass.IN,
      ttl: TTL_SECONDS,
      rdata,
    };
    return this.#respond(view, { isAuthoritative, answers: [record] });
  }

  #fromInternet(view: MessageView): Message {
    const { zones } = this.#internet;
    const octets = answerQuery(zones, view.octets, "tcp");
    const message = octets === undefined ? undefined : tryDecodeMessage(octets);
    if (message?.ok !== true) return this.#respond(view, { rcode: Rcode.ServFail });
    const { id, answers, authorities, additionals, rcode } = message.value;
    return this.#respond(view, { id, answers, authorities, additionals, rcode });
  }
}

/** Short: a client that asks again soon wants to meet the server, not its own cache. */
const TTL_SECONDS = 1;

const SOA = parseRecord("test. 1 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 1");

/** Addresses of RFC 5737 and RFC 3849; one record of each type that clients ask for in tests. */
const RDATA: ReadonlyMap<number, Uint8Array> = new Map(
  [
    "test. 1 IN A 192.0.2.53",
    "test. 1 IN AAAA 2001:db8::53",
    'test. 1 IN TXT "sotto testserver"',
    "test. 1 IN NS ns.test.",
    "test. 1 IN MX 10 mail.test.",
    "test. 1 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 1",
  ].map((text) => {
    const { type, rdata } = parseRecord(text);
    return [type, rdata];
  }),
);

/** A record that fills a message up to `octets`, undefined when there is no room for one. */
export function fillerRecord(message: Message, octets: number): ResourceRecord | undefined {
  const question = message.questions[0];
  if (question === undefined) return undefined;
  // The owner is a pointer to the question: 2 octets, and 10 of type, class, TTL and length.
  const room = octets - encodeMessage(message).length - (question.name.isRoot ? 11 : 12);
  if (room < 1) return undefined;
  const rdata = new Uint8Array(room).fill(FILLER_OCTET);
  for (let at = 0; at < room; at += 256) rdata[at] = Math.min(255, room - at - 1);
  return { owner: question.name, type: RRType.TXT, class: RRClass.IN, ttl: TTL_SECONDS, rdata };
}

/** "x". */
const FILLER_OCTET = 0x78;
