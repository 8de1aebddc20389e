/** Queries as a prober sends them, and what counts as the reply to one. */
import {
  type Edns,
  encodeMessage,
  HEADER_OCTETS,
  type Message,
  makeEdns,
  makeMessage,
  RRClass,
  RRType,
  rrTypeToText,
  tryDecodeMessage,
  tryParseName,
} from "@sotto/dns/wire";

/** What is asked. */
export interface QueryParts {
  readonly name: string;
  /** Absent: A. */
  readonly type?: number;
  /** Absent: no OPT record. */
  readonly edns?: Partial<Edns> | undefined;
  readonly checkingDisabled?: boolean;
  /** With OPT: padded to a multiple of that. */
  readonly padBlockOctets?: number;
}

/** A query on its way. */
export interface SentQuery {
  readonly id: number;
  readonly octets: Uint8Array;
  /** For people: `www.example. A`. */
  readonly text: string;
  readonly message: Message;
}

/** A query; names that cannot be read are an error of whoever gave them, and are asked as the root. */
export function makeQuery(id: number, parts: QueryParts): SentQuery {
  const { name, type = RRType.A, edns, checkingDisabled = false, padBlockOctets = 0 } = parts;
  const parsedName = tryParseName(name);
  const questions = parsedName.ok ? [{ name: parsedName.value, type, class: RRClass.IN }] : [];
  const message = makeMessage({
    id,
    recursionDesired: true,
    checkingDisabled,
    questions,
    edns: edns === undefined ? undefined : makeEdns(edns),
  });
  const octets = encodeMessage(message, { padBlockOctets }).slice();
  const text = `${name} ${rrTypeToText(type)}${checkingDisabled ? ", CD" : ""}${describeEdns(edns)}`;
  return { id, octets, text, message };
}

function describeEdns(edns: Partial<Edns> | undefined): string {
  if (edns === undefined) return ", no OPT";
  const options = (edns.options ?? []).map(({ code }) => `option ${code}`);
  return [", OPT", ...(edns.dnssecOk === true ? ["DO"] : []), ...options].join(" ");
}

/** A message judged as the reply to a query. */
export type Matched =
  | { readonly kind: "reply"; readonly message: Message }
  | { readonly kind: "stray"; readonly why: string };

/** RFC 7766 §7: id, and the question where there is one. */
export function matchReply(octets: Uint8Array, query: SentQuery): Matched {
  // Who does not know the kind of a request without questions may send what followed its header back.
  const isHeaderEnough = query.message.questions.length === 0 && octets.length >= HEADER_OCTETS;
  const decoded = tryDecodeMessage(isHeaderEnough ? headerOf(octets) : octets);
  if (!decoded.ok)
    return { kind: "stray", why: `${octets.length} octets that are no message: ${decoded.problem}` };
  const message = decoded.value;
  if (!message.isResponse) return { kind: "stray", why: "a message without QR, which is a query" };
  if (message.id !== query.id)
    return { kind: "stray", why: `a reply with id ${message.id} instead of ${query.id}` };
  const [asked] = query.message.questions;
  const [told] = message.questions;
  if (
    told !== undefined &&
    asked !== undefined &&
    !(told.name.equals(asked.name) && told.type === asked.type)
  )
    return {
      kind: "stray",
      why: `a reply to another question: ${told.name.toString()} ${rrTypeToText(told.type)}`,
    };
  return { kind: "reply", message };
}

/** The header alone, with its counts at zero. */
function headerOf(octets: Uint8Array): Uint8Array {
  return octets.slice(0, HEADER_OCTETS).fill(0, 4);
}
