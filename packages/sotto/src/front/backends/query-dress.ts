/**
 * Makes the message that a backend gets of the one that is forwarded: keepalive and padding as its transport wants them, or no
 * EDNS at all. Only the OPT record is looked at; a message whose OPT record is not the last one (TSIG follows) goes as it is.
 */
import {
  copyToSend,
  EdnsOptionCode,
  HEADER_OCTETS,
  MESSAGE_OCTETS_MAX,
  MessageView,
  setUint16,
  uint16At,
} from "@sotto/dns/wire";

export interface Dress {
  /** Asks how long the connection may stay (RFC 7828 §3.2.1). */
  readonly asksKeepalive: boolean;
  /** Fills up to a multiple of so many octets (RFC 8467 §4.1); 0: not at all. */
  readonly padBlockOctets: number;
  /** The backend does not speak EDNS. */
  readonly isPlain: boolean;
  /** For UDP: what the OPT record says that we take; 0 leaves it. */
  readonly udpPayloadOctets: number;
}

/** Keeps a view for all messages. */
export class QueryDresser {
  readonly #view = new MessageView();

  /** The same octets when nothing is to be changed, else a copy. */
  dress(octets: Uint8Array, dress: Dress): Uint8Array {
    const { asksKeepalive, padBlockOctets, isPlain, udpPayloadOctets } = dress;
    if (!asksKeepalive && !isPlain && padBlockOctets === 0 && udpPayloadOctets === 0) return octets;
    const view = this.#view;
    const at = view.reset(octets) === undefined && view.ednsProblem === undefined ? view.optOffset : -1;
    if (at < 0 || at + OPT_OCTETS + uint16At(octets, at + 9) !== octets.length) return octets;
    if (isPlain) return withoutOpt(octets, at, view.additionalCount);
    if (!asksKeepalive && padBlockOctets === 0) {
      const copy = copyToSend(octets, 0, octets.length);
      setUint16(copy, at + 3, udpPayloadOctets);
      return copy;
    }
    return withOptions(octets, at, dress);
  }

  /** True when a query has options that are not the transport's. */
  hasOptions(octets: Uint8Array): boolean {
    const view = this.#view;
    return (
      view.reset(octets) === undefined && view.optOffset >= 0 && uint16At(octets, view.optOffset + 9) > 0
    );
  }

  /** True when a reply has an OPT record. */
  hasOpt(octets: Uint8Array): boolean {
    return this.#view.reset(octets) === undefined && this.#view.hasEdns;
  }
}

function withoutOpt(octets: Uint8Array, optAt: number, additionalCount: number): Uint8Array {
  const copy = octets.slice(0, optAt);
  setUint16(copy, HEADER_OCTETS - 2, additionalCount - 1);
  return copy;
}

function withOptions(octets: Uint8Array, optAt: number, dress: Dress): Uint8Array {
  const { asksKeepalive, padBlockOctets, udpPayloadOctets } = dress;
  const optionsAt = optAt + OPT_OCTETS;
  const keptOctets = optionsOctets(octets, optionsAt);
  let length = optionsAt + keptOctets + (asksKeepalive ? OPTION_OCTETS : 0);
  const paddingAt = length;
  if (padBlockOctets > 0) length = Math.ceil((length + OPTION_OCTETS) / padBlockOctets) * padBlockOctets;
  if (length > MESSAGE_OCTETS_MAX) return octets;
  const copy = new Uint8Array(length);
  copy.set(octets.subarray(0, optionsAt));
  let at = optionsAt;
  for (let from = optionsAt; from < octets.length; ) {
    const end = from + OPTION_OCTETS + uint16At(octets, from + 2);
    if (isKept(uint16At(octets, from))) {
      copy.set(octets.subarray(from, end), at);
      at += end - from;
    }
    from = end;
  }
  // Without a timeout: RFC 7828 §3.2.1.
  if (asksKeepalive) setUint16(copy, at, EdnsOptionCode.TcpKeepalive);
  if (padBlockOctets > 0) {
    setUint16(copy, paddingAt, EdnsOptionCode.Padding);
    setUint16(copy, paddingAt + 2, length - paddingAt - OPTION_OCTETS);
  }
  setUint16(copy, optAt + 9, length - optionsAt);
  if (udpPayloadOctets > 0) setUint16(copy, optAt + 3, udpPayloadOctets);
  return copy;
}

/** Octets of the options that stay. */
function optionsOctets(octets: Uint8Array, optionsAt: number): number {
  let kept = 0;
  for (let at = optionsAt; at < octets.length; ) {
    const optionOctets = OPTION_OCTETS + uint16At(octets, at + 2);
    if (isKept(uint16At(octets, at))) kept += optionOctets;
    at += optionOctets;
  }
  return kept;
}

/** Both are between neighbours only (RFC 7828 §3.2, RFC 7830 §6). */
function isKept(code: number): boolean {
  return code !== EdnsOptionCode.TcpKeepalive && code !== EdnsOptionCode.Padding;
}

/** Root owner, type, class, TTL, length. */
const OPT_OCTETS = 11;
/** Code and length. */
const OPTION_OCTETS = 4;
