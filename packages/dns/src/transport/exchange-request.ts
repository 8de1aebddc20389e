/** What a caller asks of the client transport, what comes back, and how the query's message is made. */
import type { Endpoint, StopSignal } from "@sotto/dns/runtime";
import {
  type Edns,
  type EdnsOption,
  EdnsOptionCode,
  encodeQuery,
  type Message,
  makeClientSubnet,
  makeKeepalive,
  type Question,
} from "@sotto/dns/wire";
import type { TlsPolicy } from "./authentication.ts";
import type { ExchangeFacts } from "./responder.ts";

/** One question to one server. */
export interface ExchangeRequest {
  readonly question: Question;
  readonly server: Endpoint;
  /** `udp` goes on over TCP by itself when the reply is truncated. */
  readonly transport: "udp" | "tcp" | "tls";
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly authenticData: boolean;
  /**
   * Options given here are sent as they are; keepalive and padding are added as the fields below say. Undefined sends
   * no OPT, and then neither. A client subnet is never added.
   */
  readonly edns: Edns | undefined;
  /** Monotonic milliseconds (`Clock.nowMs`) after which no reply is of use. */
  readonly deadlineMs: number;
  readonly signal?: StopSignal | undefined;
  /** For `tls`; undefined encrypts without authenticating. */
  readonly tls?: TlsPolicy | undefined;
  /** Gives a truncated reply back instead of asking over TCP. Default false. */
  readonly ignoreTruncation?: boolean | undefined;
  /** Asks for keepalive over TCP and TLS (RFC 7828). Default true. */
  readonly keepalive?: boolean | undefined;
  /** Block size of query padding, TLS only; 0 for none. Default 128 (RFC 8467 §4.1). */
  readonly padBlockOctets?: number | undefined;
  /** Asks that nobody behind the server learns a part of the client's address (RFC 7871 §7.1.2). Default false. */
  readonly hideClientSubnet?: boolean | undefined;
  /** Spells the name in random case over UDP, which a blind attacker has to guess, too. Default false. */
  readonly mixCase?: boolean | undefined;
  /** DNS cookies over UDP (RFC 7873). Default false. */
  readonly cookies?: boolean | undefined;
  /** For `udp`: asks over an open TCP connection to the server when there is one (RFC 7766 §5). Default true. */
  readonly mayUseOpenTcp?: boolean | undefined;
  /** Nobody else can be asked: the server is tried although its last failures ask for patience. Default false. */
  readonly isLastHope?: boolean | undefined;
  /** Source address; undefined takes one of the exchanger's. */
  readonly localAddress?: string | undefined;
}

export interface ExchangeResult {
  readonly message: Message;
  /** The reply as received, with the id of the exchange. */
  readonly octets: Uint8Array;
  readonly facts: ExchangeFacts;
}

/** A query's message, id 0, as it goes over that transport. */
export interface BuiltQuery {
  readonly octets: Uint8Array;
  readonly asksKeepalive: boolean;
}

/** Makes the message. Padding is the last thing applied, and on the message without its length (RFC 8467 §3). */
export function buildQuery(
  request: ExchangeRequest,
  transport: "udp" | "tcp" | "tls",
  cookie?: EdnsOption,
): BuiltQuery {
  const { edns } = request;
  if (edns === undefined) return { octets: encodeQuery(request), asksKeepalive: false };
  const given = [...edns.options];
  // RFC 7828 §3.2.1: never over UDP, and without a timeout. RFC 7830 §6: padding on encrypted transport only.
  const addsKeepalive =
    transport !== "udp" && request.keepalive !== false && !has(given, EdnsOptionCode.TcpKeepalive);
  const padsTo =
    transport === "tls" && !has(given, EdnsOptionCode.Padding)
      ? (request.padBlockOctets ?? QUERY_BLOCK_OCTETS)
      : 0;
  if (request.hideClientSubnet === true && !has(given, EdnsOptionCode.ClientSubnet)) given.push(NO_SUBNET);
  if (cookie !== undefined && !has(given, EdnsOptionCode.Cookie)) given.push(cookie);
  if (addsKeepalive) given.push(KEEPALIVE);
  const { question, recursionDesired, checkingDisabled, authenticData } = request;
  const parts = { question, recursionDesired, checkingDisabled, authenticData };
  return {
    octets: encodeQuery({ ...parts, edns: { ...edns, options: given } }, padsTo),
    asksKeepalive: transport !== "udp" && has(given, EdnsOptionCode.TcpKeepalive),
  };
}

function has(options: readonly EdnsOption[], code: number): boolean {
  for (const option of options) if (option.code === code) return true;
  return false;
}

/** RFC 8310 §11.1: source prefix length 0. */
const NO_SUBNET = makeClientSubnet({
  address: new Uint8Array(4),
  sourcePrefixBits: 0,
  scopePrefixBits: 0,
});
const KEEPALIVE = makeKeepalive(undefined);
/** RFC 8467 §4.1. */
const QUERY_BLOCK_OCTETS = 128;
