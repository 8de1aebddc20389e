/**
 * From a reply without OPT to this client's octets: id, question in the client's case, flags, OPT with keepalive and
 * extended errors, truncation on UDP, and padding as the last thing (RFC 8467 §3). The cache's hits and everybody else's
 * replies go through the same function, so that they cannot differ. Nothing is allocated.
 */

import type { QueryChannel, Transport } from "@sotto/dns/transport";
import {
  copyToSend,
  EdeCode,
  type EdnsOption,
  EdnsOptionCode,
  type ExtendedError,
  HEADER_OCTETS,
  HeaderFlag,
  MESSAGE_OCTETS_MAX,
  type MessageView,
  OPT_FIXED_OCTETS,
  OPTION_HEADER_OCTETS,
  paddingOctets,
  patchFlags,
  patchId,
  Rcode,
  RRType,
  setUint16,
  UDP_PAYLOAD_OCTETS_DEFAULT,
  uint16At,
} from "@sotto/dns/wire";

import { COOKIE_OPTION_OCTETS, hasBadCookie, type ServerCookies } from "./server-cookies.ts";

/**
 * Finishes the reply that stands in `buffer` from 0 to `end`; gives the new end. The reply must begin with the question
 * of `view`, uncompressed, as every encoded message does, and have no OPT record. The buffer must have
 * {@link FINISH_ROOM_OCTETS} behind `end`.
 */
export function finishResponse(
  buffer: Uint8Array,
  end: number,
  view: MessageView,
  channel: QueryChannel,
  upperRcode: number,
  extendedErrors: readonly ExtendedError[],
  cookies: ServerCookies | undefined,
  options: readonly EdnsOption[] = NO_OPTIONS,
): number {
  patchId(buffer, 0, view.id);
  patchFlags(buffer, 0, clientFlags(uint16At(buffer, 2), view));
  if (uint16At(buffer, 4) > 0) copyQuestion(buffer, view);
  const isDatagram = channel.origin.transport === "udp";
  const octetsMax = isDatagram ? Math.min(view.udpPayloadOctets, UDP_REPLY_OCTETS_MAX) : MESSAGE_OCTETS_MAX;
  const units = view.hasEdns ? channel.keepaliveUnits() : undefined;
  const keepaliveOctets = units === undefined ? 0 : KEEPALIVE_OPTION_OCTETS;
  const answersCookie =
    cookies !== undefined &&
    view.hasEdns &&
    view.optionOffset(EdnsOptionCode.Cookie) >= 0 &&
    !hasBadCookie(view);
  const optionOctets = keepaliveOctets + (answersCookie ? COOKIE_OPTION_OCTETS : 0) + octetsOf(options);
  const needed = end + (view.hasEdns ? OPT_FIXED_OCTETS + optionOctets : 0);
  // An encoder that could not get all records into one message has set TC itself.
  const fits = needed <= octetsMax && (uint16At(buffer, 2) & HeaderFlag.Truncated) === 0;
  let errors = extendedErrors;
  let at = end;
  if (!fits) {
    at = isDatagram ? truncate(buffer, view) : refuseTooLarge(buffer, view);
    if (!isDatagram) errors = TOO_LARGE;
  }
  // RFC 6891 §6.1.1, §7: an OPT in the answer exactly when there was one in the query.
  if (!view.hasEdns) return at;
  const optAt = at;
  at = writeOptHead(buffer, optAt, view, upperRcode);
  // RFC 7828 §3.3.2: any answer over TCP to a query with an OPT may have it, with the session's real timeout.
  if (units !== undefined) at = writeKeepalive(buffer, at, units);
  // RFC 7873 §5.2: every answer to a query with a cookie has one.
  if (answersCookie) at = cookies.write(buffer, at, view, channel.origin);
  at = writeOptions(buffer, at, options, octetsMax);
  at = writeErrors(buffer, at, errors, octetsMax);
  // RFC 7830 §4, §6: only encrypted answers, and only to padded queries.
  if (isEncrypted(channel.origin.transport) && view.optionOffset(EdnsOptionCode.Padding) >= 0)
    at = writePadding(buffer, at, octetsMax);
  setUint16(buffer, optAt + OPT_FIXED_OCTETS - 2, at - optAt - OPT_FIXED_OCTETS);
  return at;
}

/** DNS over HTTPS is, even where a proxy before us ends TLS. */
function isEncrypted(transport: Transport): boolean {
  return transport === "tls" || transport === "https";
}

/** QR and RA are ours, RD and CD the client's; AA, TC, AD and the rcode come with the reply. */
function clientFlags(replyFlags: number, view: MessageView): number {
  // RFC 6840 §5.8: AD only for clients that understand it, which AD or DO in the query tell.
  const wantsAd = view.authenticData || view.dnssecOk;
  const kept =
    HeaderFlag.Authoritative | HeaderFlag.Truncated | (wantsAd ? HeaderFlag.AuthenticData : 0) | RCODE_BITS;
  const copied = HeaderFlag.RecursionDesired | HeaderFlag.CheckingDisabled | OPCODE_BITS;
  return (replyFlags & kept) | (view.flags & copied) | HeaderFlag.Response | HeaderFlag.RecursionAvailable;
}

/** The question goes back octet by octet: clients compare its case (0x20). */
function copyQuestion(buffer: Uint8Array, view: MessageView): void {
  for (let at = HEADER_OCTETS; at < view.questionEnd; at++) buffer[at] = view.octets[at] ?? 0;
}

/** Only header and question, with TC: the client asks again over TCP, where everything fits (RFC 2181 §9). */
function truncate(buffer: Uint8Array, view: MessageView): number {
  setUint16(buffer, 2, uint16At(buffer, 2) | HeaderFlag.Truncated);
  return dropRecords(buffer, view);
}

/** There is no larger transport to send the client to: TC would only make it ask again. */
function refuseTooLarge(buffer: Uint8Array, view: MessageView): number {
  const flags = uint16At(buffer, 2) & ~(HeaderFlag.Truncated | HeaderFlag.AuthenticData | RCODE_BITS);
  setUint16(buffer, 2, flags | Rcode.ServFail);
  return dropRecords(buffer, view);
}

function dropRecords(buffer: Uint8Array, view: MessageView): number {
  const hasQuestion = uint16At(buffer, 4) > 0;
  setUint16(buffer, 6, 0);
  setUint16(buffer, 8, 0);
  setUint16(buffer, 10, 0);
  return hasQuestion ? view.questionEnd : HEADER_OCTETS;
}

/** The OPT record without options; its length is set at the end. */
function writeOptHead(buffer: Uint8Array, at: number, view: MessageView, upperRcode: number): number {
  setUint16(buffer, 10, uint16At(buffer, 10) + 1);
  buffer[at] = 0;
  setUint16(buffer, at + 1, RRType.OPT);
  setUint16(buffer, at + 3, UDP_PAYLOAD_OCTETS_DEFAULT);
  buffer[at + 5] = upperRcode;
  buffer[at + 6] = 0;
  // RFC 3225 §3: DO is copied.
  setUint16(buffer, at + 7, view.dnssecOk ? 0x8000 : 0);
  return at + OPT_FIXED_OCTETS;
}

function writeKeepalive(buffer: Uint8Array, at: number, units: number): number {
  setUint16(buffer, at, EdnsOptionCode.TcpKeepalive);
  setUint16(buffer, at + 2, 2);
  setUint16(buffer, at + 4, units);
  return at + KEEPALIVE_OPTION_OCTETS;
}

function octetsOf(options: readonly EdnsOption[]): number {
  let octets = 0;
  for (const { data } of options) octets += OPTION_HEADER_OCTETS + data.length;
  return octets;
}

/** A truncated answer has those that its client takes. */
function writeOptions(
  buffer: Uint8Array,
  start: number,
  options: readonly EdnsOption[],
  octetsMax: number,
): number {
  let at = start;
  for (const { code, data } of options) {
    if (at + OPTION_HEADER_OCTETS + data.length > octetsMax) break;
    setUint16(buffer, at, code);
    setUint16(buffer, at + 2, data.length);
    buffer.set(data, at + OPTION_HEADER_OCTETS);
    at += OPTION_HEADER_OCTETS + data.length;
  }
  return at;
}

/** Extended errors (RFC 8914) as far as there is room: §3 does not want them to cost records. */
function writeErrors(
  buffer: Uint8Array,
  start: number,
  errors: readonly ExtendedError[],
  octetsMax: number,
): number {
  let at = start;
  for (let i = 0; i < errors.length && i < EXTENDED_ERRORS_MAX; i++) {
    const error = errors[i];
    const textAt = at + OPTION_HEADER_OCTETS + 2;
    if (error === undefined || textAt > octetsMax) break;
    setUint16(buffer, at, EdnsOptionCode.ExtendedError);
    setUint16(buffer, at + OPTION_HEADER_OCTETS, error.code);
    const room = buffer.subarray(textAt, Math.min(octetsMax, textAt + ERROR_TEXT_OCTETS_MAX));
    const textOctets = error.text === "" ? 0 : utf8.encodeInto(error.text, room).written;
    setUint16(buffer, at + 2, 2 + textOctets);
    at = textAt + textOctets;
  }
  return at;
}

/** RFC 8467 §4.1: to a multiple of 468, of the message without TCP's length (§3), and never over the largest message. */
function writePadding(buffer: Uint8Array, at: number, octetsMax: number): number {
  const octets = paddingOctets(at, PAD_BLOCK_OCTETS, octetsMax);
  if (octets === undefined) return at;
  setUint16(buffer, at, EdnsOptionCode.Padding);
  setUint16(buffer, at + 2, octets);
  const end = at + OPTION_HEADER_OCTETS + octets;
  buffer.fill(0, at + OPTION_HEADER_OCTETS, end);
  return end;
}

/** The same for a reply in memory of its own, which stays as it is; the answer's octets are its own, too. */
export function finishedResponse(
  base: Uint8Array,
  view: MessageView,
  channel: QueryChannel,
  upperRcode: number,
  extendedErrors: readonly ExtendedError[],
  cookies: ServerCookies | undefined,
  options: readonly EdnsOption[] = NO_OPTIONS,
): Uint8Array {
  room.set(base);
  return copyToSend(
    room,
    0,
    finishResponse(room, base.length, view, channel, upperRcode, extendedErrors, cookies, options),
  );
}

/** An answer of header, question and OPT only, in a buffer of its own. The question is left out when it cannot be read. */
export function bareResponse(
  view: MessageView,
  channel: QueryChannel,
  rcode: Rcode,
  extendedErrors: readonly ExtendedError[],
  cookies?: ServerCookies,
): Uint8Array {
  const hasQuestion = view.questionCount === 1 && view.questionEnd > HEADER_OCTETS;
  const end = hasQuestion ? view.questionEnd : HEADER_OCTETS;
  room.fill(0, 0, end);
  setUint16(room, 2, rcode & RCODE_BITS);
  setUint16(room, 4, hasQuestion ? 1 : 0);
  return copyToSend(room, 0, finishResponse(room, end, view, channel, rcode >>> 4, extendedErrors, cookies));
}

const RCODE_BITS = 0x000f;
const OPCODE_BITS = 0x7800;
const KEEPALIVE_OPTION_OCTETS = OPTION_HEADER_OCTETS + 2;
/** Largest answer over UDP, whatever the client says it takes (RFC 9715 §3.1). */
const UDP_REPLY_OCTETS_MAX = UDP_PAYLOAD_OCTETS_DEFAULT;
/** RFC 8467 §4.1: answers are padded to a multiple of this. */
const PAD_BLOCK_OCTETS = 468;
/** Reasons are for people; more than this is not read. */
const EXTENDED_ERRORS_MAX = 4;
const ERROR_TEXT_OCTETS_MAX = 128;
/** OPT, keepalive, a cookie, up to 600 octets of other options, extended errors and a block of padding. */
export const FINISH_ROOM_OCTETS = 2048;
/** Where answers are finished before they get memory of their own size: used and left within one call. */
const room = new Uint8Array(MESSAGE_OCTETS_MAX + FINISH_ROOM_OCTETS);
const TOO_LARGE: readonly ExtendedError[] = [{ code: EdeCode.Other, text: "reply exceeds 65535 octets" }];
const NO_OPTIONS: readonly EdnsOption[] = [];
const utf8 = new TextEncoder();
