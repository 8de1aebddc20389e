/** What must hold for any octets that are given to the codec as a message. */
import {
  ednsOptionToText,
  encodeMessage,
  FrameReader,
  type Message,
  type MessageView,
  octetsEqual,
  type Parsed,
  type ResourceRecord,
  tryDecodeMessage,
  tryFindTtls,
} from "@sotto/dns/wire";

/** What is wrong with the codec's behaviour, undefined when nothing is; an exception is wrong too. */
export function faultOf(octets: Uint8Array, view: MessageView): string | undefined {
  try {
    const decoded = tryDecodeMessage(octets);
    const viewed = view.reset(octets);
    const ttls = tryFindTtls(octets);
    if (decoded.ok && viewed === undefined) {
      const difference = viewDifference(decoded.value, view);
      if (difference !== undefined) return `view and decoding differ: ${difference}`;
    }
    if (decoded.ok && !ttls.ok) return `decoded, but its TTLs are not found: ${ttls.problem}`;
    return decoded.ok ? faultOfDecoded(decoded.value) : faultOfProblem(decoded);
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

function faultOfProblem(read: Parsed<unknown>): string | undefined {
  return read.ok || read.problem.length > 0 ? undefined : "a problem without words";
}

/** Encoding and decoding again must give the same message; this also runs everything over it that prints. */
function faultOfDecoded(message: Message): string | undefined {
  for (const option of message.edns?.options ?? []) ednsOptionToText(option);
  const wire = encodeMessage(message);
  const again = tryDecodeMessage(wire);
  // Names expanded from a message close to 64 kB may not fit any more; then records are left out.
  if (!again.ok) return `its own encoding is refused: ${again.problem}`;
  if (again.value.isTruncated && !message.isTruncated) return undefined;
  if (!isSameMessage(message, again.value)) return "decoding its own encoding gives another message";
  if (!octetsEqual(encodeMessage(again.value), wire)) return "encoding twice gives other octets";
  return undefined;
}

function viewDifference(message: Message, view: MessageView): string | undefined {
  if (view.ednsProblem !== undefined) return view.ednsProblem;
  if (view.id !== message.id || view.opcode !== message.opcode || view.rcode !== message.rcode)
    return "header";
  if (view.questionCount !== message.questions.length) return "number of questions";
  const question = message.questions[0];
  if (question !== undefined) {
    if (!octetsEqual(view.qname.wire, question.name.wire)) return "qname";
    if (view.qtype !== question.type || view.qclass !== question.class) return "question";
  }
  if (view.hasEdns !== (message.edns !== undefined)) return "EDNS";
  const options = view.options();
  const others = message.edns?.options ?? [];
  if (options.length !== others.length) return "number of options";
  return options.every((option, i) => isSameOption(option, others[i])) ? undefined : "options";
}

interface Option {
  readonly code: number;
  readonly data: Uint8Array;
}

function isSameOption(a: Option, b: Option | undefined): boolean {
  return b !== undefined && a.code === b.code && octetsEqual(a.data, b.data);
}

function isSameMessage(a: Message, b: Message): boolean {
  if (a.id !== b.id || a.rcode !== b.rcode || a.questions.length !== b.questions.length) return false;
  for (const [i, question] of a.questions.entries())
    if (!question.name.equals(b.questions[i]?.name ?? question.name)) return false;
  return (
    isSameSection(a.answers, b.answers) &&
    isSameSection(a.authorities, b.authorities) &&
    isSameSection(a.additionals, b.additionals) &&
    a.edns?.udpPayloadOctets === b.edns?.udpPayloadOctets &&
    a.edns?.options.length === b.edns?.options.length
  );
}

/** Compression may change the case of names, in rdata too, so rdata is compared by its lower-case octets. */
function isSameSection(a: readonly ResourceRecord[], b: readonly ResourceRecord[]): boolean {
  if (a.length !== b.length) return false;
  for (const [i, mine] of a.entries()) {
    const other = b[i];
    if (
      other === undefined ||
      mine.type !== other.type ||
      mine.class !== other.class ||
      mine.ttl !== other.ttl
    )
      return false;
    if (!mine.owner.equals(other.owner) || !isSameIgnoringCase(mine.rdata, other.rdata)) return false;
  }
  return true;
}

function isSameIgnoringCase(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? 0;
    const y = b[i] ?? 0;
    if (x !== y && ((x ^ y) !== 0x20 || (x | 0x20) < 0x61 || (x | 0x20) > 0x7a)) return false;
  }
  return true;
}

/** Cuts a stream by its lengths the plain way and compares that with what a {@link FrameReader} gives piece by piece. */
export function faultOfStream(stream: Uint8Array, step: number): string | undefined {
  const lengths: number[] = [];
  for (let at = 0; at + 2 <= stream.length; ) {
    const length = ((stream[at] ?? 0) << 8) | (stream[at + 1] ?? 0);
    at += 2 + length;
    if (at <= stream.length) lengths.push(length);
  }
  const reader = new FrameReader();
  let seen = 0;
  for (let at = 0; at < stream.length; at += step) {
    let fault = false;
    reader.push(stream.subarray(at, at + step), (message) => {
      fault ||= message.length !== lengths[seen++];
      return true;
    });
    if (fault) return `message ${seen} has another length`;
  }
  return seen === lengths.length ? undefined : `${seen} messages instead of ${lengths.length}`;
}
