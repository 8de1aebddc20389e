/**
 * From a reply without OPT to this client's octets: id, question in the client's case, flags, OPT with keepalive and
 * extended errors, truncation on UDP, and padding as the last thing (RFC 8467 §3). The cache's hits and everybody else's
 * replies go through the same function, so that they cannot differ.
 */

import type { QueryChannel } from "@sotto/dns/transport";
import {
  appendOpt,
  concatOctets,
  EdnsOptionCode,
  type ExtendedError,
  HEADER_OCTETS,
  HeaderFlag,
  MESSAGE_OCTETS_MAX,
  type MessageView,
  makeExtendedError,
  makeKeepalive,
  OPT_FIXED_OCTETS,
  paddingOctets,
  patchFlags,
  patchId,
  setUint16,
  UDP_PAYLOAD_OCTETS_DEFAULT,
  uint16At,
} from "@sotto/dns/wire";

/** RFC 8467 §4.1: answers are padded to a multiple of this. */
const PAD_BLOCK_OCTETS = 468;
/** Largest answer over UDP, whatever the client says it takes (RFC 9715 §3.1). */
const UDP_REPLY_OCTETS_MAX = UDP_PAYLOAD_OCTETS_DEFAULT;
/** Room for one reply and an OPT record beside it. */
export const FINISH_BUFFER_OCTETS = MESSAGE_OCTETS_MAX + 1024;
/** EXTRA-TEXT is for people; more than this is not read. */
const EXTENDED_ERRORS_MAX = 4;

const NO_OPTIONS = new Uint8Array(0);

/**
 * Finishes the reply that stands in `buffer` from 0 to `end`; gives the new end. The reply must begin with the question
 * of `view`, uncompressed, as every encoded message does, and have no OPT record.
 */
export function finishResponse(
  buffer: Uint8Array,
  end: number,
  view: MessageView,
  channel: QueryChannel,
  upperRcode: number,
  extendedErrors: readonly ExtendedError[],
): number {
  patchId(buffer, 0, view.id);
  patchFlags(buffer, 0, clientFlags(uint16At(buffer, 2), view));
  if (uint16At(buffer, 4) > 0) copyQuestion(buffer, view);
  // RFC 6891 §6.1.1, §7: an OPT in the answer exactly when there was one in the query.
  if (!view.hasEdns) return channel.origin.transport === "udp" && end > 512 ? truncate(buffer, view) : end;
  const options = encodeOptions(channel, extendedErrors);
  const withOpt = end + OPT_FIXED_OCTETS + options.length;
  const octetsMax = replyOctetsMax(view, channel);
  const bodyEnd = withOpt > octetsMax ? truncate(buffer, view) : end;
  return appendOpt(buffer, 0, bodyEnd, {
    udpPayloadOctets: UDP_PAYLOAD_OCTETS_DEFAULT,
    dnssecOk: view.dnssecOk,
    upperRcode,
    options,
    paddingOctets: paddingFor(bodyEnd + OPT_FIXED_OCTETS + options.length, octetsMax, view, channel),
  });
}

/** QR and RA are ours, RD and CD the client's; AA, TC, AD and the rcode come with the reply. */
function clientFlags(replyFlags: number, view: MessageView): number {
  const kept =
    replyFlags & (HeaderFlag.Authoritative | HeaderFlag.Truncated | HeaderFlag.AuthenticData | 0xf);
  const copied = view.flags & (HeaderFlag.RecursionDesired | HeaderFlag.CheckingDisabled | 0x7800);
  return kept | copied | HeaderFlag.Response | HeaderFlag.RecursionAvailable;
}

/** The question goes back octet by octet: clients compare its case (0x20). */
function copyQuestion(buffer: Uint8Array, view: MessageView): void {
  for (let at = HEADER_OCTETS; at < view.questionEnd; at++) buffer[at] = view.octets[at] ?? 0;
}

/** Only header and question, with TC: the client asks again over TCP, where everything fits. */
function truncate(buffer: Uint8Array, view: MessageView): number {
  setUint16(buffer, 2, uint16At(buffer, 2) | HeaderFlag.Truncated);
  setUint16(buffer, 6, 0);
  setUint16(buffer, 8, 0);
  setUint16(buffer, 10, 0);
  return view.questionEnd;
}

function replyOctetsMax(view: MessageView, channel: QueryChannel): number {
  return channel.origin.transport === "udp"
    ? Math.min(view.udpPayloadOctets, UDP_REPLY_OCTETS_MAX)
    : MESSAGE_OCTETS_MAX;
}

/** Keepalive with the session's real timer (RFC 7828 §3.3.2), and extended errors (RFC 8914). */
function encodeOptions(channel: QueryChannel, extendedErrors: readonly ExtendedError[]): Uint8Array {
  const units = channel.keepaliveUnits();
  // RFC 7828 §3.3.2: any answer over TCP to a query with an OPT may have it; on UDP it is ignored (§3.3.1).
  if (units === undefined && extendedErrors.length === 0) return NO_OPTIONS;
  const options = extendedErrors.slice(0, EXTENDED_ERRORS_MAX).map(makeExtendedError);
  if (units !== undefined) options.push(makeKeepalive(units));
  return concatOctets(
    options.map(({ code, data }) =>
      concatOctets([Uint8Array.of(code >>> 8, code, data.length >>> 8, data.length), data]),
    ),
  );
}

/** -1 for none: only encrypted answers to padded queries are padded (RFC 7830 §4, §6). */
function paddingFor(octets: number, octetsMax: number, view: MessageView, channel: QueryChannel): number {
  if (channel.origin.transport !== "tls" || view.optionOffset(EdnsOptionCode.Padding) < 0) return -1;
  return paddingOctets(octets, PAD_BLOCK_OCTETS, octetsMax) ?? -1;
}

/** An answer of header, question and OPT only, in a buffer of its own. The question is left out when it cannot be read. */
export function bareResponse(
  view: MessageView,
  channel: QueryChannel,
  rcode: number,
  extendedErrors: readonly ExtendedError[],
): Uint8Array {
  const buffer = new Uint8Array(HEADER_OCTETS + 512 + PAD_BLOCK_OCTETS * 2);
  const hasQuestion = view.questionCount === 1 && view.qnameOctets > 0 && view.questionEnd > HEADER_OCTETS;
  setUint16(buffer, 2, rcode & 0xf);
  setUint16(buffer, 4, hasQuestion ? 1 : 0);
  const end = hasQuestion ? view.questionEnd : HEADER_OCTETS;
  return buffer.subarray(0, finishResponse(buffer, end, view, channel, rcode >>> 4, extendedErrors));
}
