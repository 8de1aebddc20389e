/** From a query, its right answer and a behaviour to the messages that are sent: what they say, not how they lie in the stream. */
import {
  concatOctets,
  type EdnsOption,
  EdnsOptionCode,
  encodeMessage,
  MESSAGE_OCTETS_MAX,
  type Message,
  type MessageView,
  makeEdns,
  makeKeepalive,
  paddingOctets,
  Rcode,
  RRType,
  setUint16,
  uint16At,
} from "@sotto/dns/wire";
import { fillerRecord } from "./answers.ts";
import type { KeepaliveAnswer, PaddingAnswer, ReplyBehaviour } from "./behaviour.ts";
import type { Transport } from "./fixture.ts";
import { spoilMessage } from "./spoil-message.ts";

/** What a reply depends on beside the query. */
export interface ReplyContext {
  readonly transport: Transport;
  /** Of this connection; 0 over UDP. */
  readonly answersBefore: number;
  /** The session's true idle time, milliseconds. */
  readonly idleMs: number;
  /** The reply before this one on the connection. */
  readonly lastReply: Uint8Array | undefined;
}

/** The messages to send in this order; none is silence. */
export function makeReply(
  view: MessageView,
  answer: Message | undefined,
  behaviour: ReplyBehaviour,
  context: ReplyContext,
): Uint8Array[] {
  if (answer === undefined || behaviour.isSilent === true) return [];
  const shaped = shapeAnswer(view, answer, behaviour, context);
  if (shaped === undefined) return [];
  const octets = encodeReply(view, shaped, behaviour, context);
  const spoiled = spoilMessage(behaviour.message, octets, context.lastReply);
  return spoiled.every(fits) ? spoiled : [octets];
}

/** The longest replies have no room for what a defect adds, and go without. */
function fits(octets: Uint8Array): boolean {
  return octets.length <= MESSAGE_OCTETS_MAX;
}

/** Sections, response code and OPT as the behaviour wants them; undefined: no reply. */
function shapeAnswer(
  view: MessageView,
  answer: Message,
  behaviour: ReplyBehaviour,
  context: ReplyContext,
): Message | undefined {
  const { transport } = context;
  const { rcode, extendedError, truncates, octets } = behaviour;
  let message = applyEdns(view, answer, behaviour);
  if (message === undefined) return undefined;
  message = withOptions(message, keepaliveFor(view, behaviour.keepalive, context));
  if (rcode !== undefined) message = { ...message, rcode, answers: [], authorities: [], additionals: [] };
  if (extendedError !== undefined)
    message = withOptions(message, [
      { code: EdnsOptionCode.ExtendedError, data: Uint8Array.of(0, extendedError) },
    ]);
  if (truncates === true && transport === "udp")
    return { ...message, isTruncated: true, answers: [], authorities: [], additionals: [] };
  if (octets === undefined) return message;
  // A TXT question is answered by the filler alone, others have it beside their answer.
  const bare = message.questions[0]?.type === RRType.TXT ? { ...message, answers: [] } : message;
  const filler = fillerRecord(bare, octets);
  if (filler === undefined) return { ...bare, answers: [] };
  return bare.answers.length > 0 ? { ...bare, additionals: [filler] } : { ...bare, answers: [filler] };
}

/** Nothing changes in a message without OPT. */
function withOptions(message: Message, options: readonly EdnsOption[]): Message {
  const { edns } = message;
  return edns === undefined
    ? message
    : { ...message, edns: { ...edns, options: [...edns.options, ...options] } };
}

/** Undefined: the query gets no reply. */
function applyEdns(
  view: MessageView,
  answer: Message,
  { edns: defect }: ReplyBehaviour,
): Message | undefined {
  const empty = { answers: [], authorities: [], additionals: [] };
  if (defect === "unasked") return { ...answer, edns: answer.edns ?? makeEdns() };
  const edns = view.edns;
  if (defect === undefined || edns === undefined || answer.edns === undefined) return answer;
  switch (defect) {
    case "formerr":
      return { ...answer, ...empty, rcode: Rcode.FormErr, edns: undefined };
    case "formerr-with-opt":
      return { ...answer, ...empty, rcode: Rcode.FormErr };
    case "notimp":
      return { ...answer, ...empty, rcode: Rcode.NotImp, edns: undefined };
    case "drop":
      return undefined;
    case "drop-unknown-option":
      return edns.options.some(({ code }) => code > REGISTERED_OPTION_MAX) ? undefined : answer;
    case "badvers":
      return { ...answer, ...empty, rcode: Rcode.BadVers };
    case "echo":
      return edns.options.reduce((octets, { data }) => octets + 4 + data.length, 0) > ECHO_OCTETS_MAX
        ? answer
        : { ...answer, edns: { ...answer.edns, options: edns.options } };
    case "no-opt":
      return { ...answer, rcode: answer.rcode & 0xf, edns: undefined };
    case "do-cleared":
      return { ...answer, edns: { ...answer.edns, dnssecOk: false } };
    case "version-1":
      return { ...answer, edns: { ...answer.edns, version: 1 } };
    case "two-opts":
      // The second one is added to the octets, because a message has only one.
      return answer;
  }
}

/** With padding and the second OPT; fitted to what the transport takes. */
function encodeReply(
  view: MessageView,
  message: Message,
  behaviour: ReplyBehaviour,
  context: ReplyContext,
): Uint8Array {
  const { transport } = context;
  const octetsMax =
    transport === "udp" ? Math.min(view.udpPayloadOctets, UDP_OCTETS_MAX) : MESSAGE_OCTETS_MAX;
  const padding = paddingFor(view, behaviour, transport);
  const edns = message.edns ?? (padding?.when === "always" ? makeEdns() : undefined);
  if (edns === undefined) return encodeMessage(message, { octetsMax });
  const withOpt: Message = { ...message, edns };
  const unpadded = encodeMessage(withOpt, { octetsMax });
  const isWhole = (uint16At(unpadded, 2) & TC_BIT) === 0 || message.isTruncated;
  const padded = padding === undefined || !isWhole ? unpadded : pad(withOpt, unpadded, padding);
  const spoiled = behaviour.edns === "two-opts" ? withSecondOpt(padded) : padded;
  return fits(spoiled) ? spoiled : padded;
}

function paddingFor(
  view: MessageView,
  { padding = PADDING_RIGHT, edns }: ReplyBehaviour,
  transport: Transport,
): PaddingAnswer | undefined {
  if (padding === "none" || edns === "no-opt" || (transport !== "tls" && padding.inClear !== true))
    return undefined;
  const { when = "asked" } = padding;
  if (when === "always" || (when === "edns" && view.hasEdns)) return padding;
  return view.optionOffset(EdnsOptionCode.Padding) >= 0 ? padding : undefined;
}

/** Padding may be wrong in many ways, so that the encoder's own is of no use. Without room for the option there is none. */
function pad(message: Message, unpadded: Uint8Array, padding: PaddingAnswer): Uint8Array {
  const { edns } = message;
  const { copies = 1, fill = 0, isFirst = false, blockOctets } = padding;
  // Further copies are empty: 4 octets each.
  const octets = unpadded.length + (copies - 1) * 4;
  const roomOctets = MESSAGE_OCTETS_MAX - octets - 4;
  if (edns === undefined || roomOctets < 0) return unpadded;
  const dataOctets = padding.dataOctets ?? paddingOctets(octets, blockOctets, MESSAGE_OCTETS_MAX) ?? 0;
  const filled = new Uint8Array(Math.min(dataOctets, roomOctets)).fill(fill);
  const own: EdnsOption[] = Array.from({ length: copies }, (_, i) => ({
    code: EdnsOptionCode.Padding,
    data: i === 0 ? filled : new Uint8Array(0),
  }));
  const options = isFirst ? [...own, ...edns.options] : [...edns.options, ...own];
  return encodeMessage({ ...message, edns: { ...edns, options } });
}

function keepaliveFor(
  view: MessageView,
  keepalive: KeepaliveAnswer = KEEPALIVE_RIGHT,
  { transport, answersBefore, idleMs }: ReplyContext,
): EdnsOption[] {
  if (transport === "udp" && keepalive.alsoUdp !== true) return [];
  const isAsked = view.optionOffset(EdnsOptionCode.TcpKeepalive) >= 0;
  if (!isAsked && !(keepalive.when === "edns" && view.hasEdns)) return [];
  const value = keepalive.values[Math.min(answersBefore, keepalive.values.length - 1)] ?? "absent";
  if (value === "absent") return [];
  if (value === "session") return [makeKeepalive(Math.min(65_535, Math.floor(idleMs / 100)))];
  if (typeof value === "number") return [makeKeepalive(value)];
  return [{ code: EdnsOptionCode.TcpKeepalive, data: Uint8Array.from(value) }];
}

/** One more empty OPT record, counted. */
function withSecondOpt(octets: Uint8Array): Uint8Array {
  const both = concatOctets([octets, Uint8Array.of(0, 0, RRType.OPT, 0x04, 0xd0, 0, 0, 0, 0, 0, 0)]);
  setUint16(both, 10, uint16At(both, 10) + 1);
  return both;
}

const PADDING_RIGHT: PaddingAnswer = { blockOctets: 468 };
const KEEPALIVE_RIGHT: KeepaliveAnswer = { values: ["session"] };
/** Options from here on are not registered, or for private use; IANA "DNS EDNS0 Option Codes" ends at 20 for now. */
const REGISTERED_OPTION_MAX = 20;
/** Options that are sent back, octets: header, question and the server's own options need the rest of a message. */
const ECHO_OCTETS_MAX = 65_000;
/** What a datagram to a loopback address can carry with room to spare. */
const UDP_OCTETS_MAX = 16_384;
const TC_BIT = 0x0200;
