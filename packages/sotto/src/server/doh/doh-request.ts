/** From an HTTP request to a DNS message, or to the status that says what is wrong with it (RFC 8484 §4.1). */
import type { HttpExchange } from "@sotto/dns/runtime";
import { HEADER_OCTETS, MESSAGE_OCTETS_MAX, type Parsed, parsed, problem } from "@sotto/dns/wire";

/** What a request is: a query, or something else, which gets a status and a sentence. */
export type DohRequest =
  | { readonly kind: "query"; readonly octets: Uint8Array }
  | { readonly kind: "refusal"; readonly status: RefusalStatus; readonly text: string };

/** Statuses of requests that are no query. DNS errors are answers, with status 200 (RFC 8484 §4.2.1). */
export type RefusalStatus = 400 | 404 | 405 | 408 | 413 | 414 | 415 | 503;

/** The media type of DNS messages (RFC 8484 §6). */
export const DNS_MESSAGE_TYPE = "application/dns-message";
/** Methods that are served, as the `allow` field of a 405 tells them. */
export const METHODS_ALLOWED = "GET, HEAD, POST";

/** Looks at method, path, type and message, in this order. `path` is where queries are served. */
export function readDohRequest(exchange: HttpExchange, path: string): DohRequest {
  const { method } = exchange;
  const target = originForm(exchange.target);
  if (target.length > TARGET_OCTETS_MAX)
    return refusal(414, `the target is longer than ${TARGET_OCTETS_MAX} octets`);
  const mark = target.indexOf("?");
  if ((mark < 0 ? target : target.slice(0, mark)) !== path) return NOT_HERE;
  if (method === "POST") return readPost(exchange);
  if (method !== "GET" && method !== "HEAD") return WRONG_METHOD;
  const octets = tryReadDnsParameter(mark < 0 ? "" : target.slice(mark + 1));
  return octets.ok ? checked(octets.value) : refusal(400, octets.problem);
}

function readPost(exchange: HttpExchange): DohRequest {
  if (!isDnsMessage(exchange.field("content-type"))) return WRONG_TYPE;
  return exchange.isBodyTooLarge ? TOO_LARGE : checked(exchange.body);
}

/** What nobody could answer is no query; what is malformed behind its header gets a FORMERR of DNS. */
function checked(octets: Uint8Array): DohRequest {
  if (octets.length < HEADER_OCTETS) return TOO_SHORT;
  // QR: whoever answers responses can be made to talk to itself.
  return ((octets[2] ?? 0) & 0x80) === 0 ? { kind: "query", octets } : NOT_A_QUERY;
}

/**
 * The message in the `dns` parameter of a query string: base64url without padding (RFC 8484 §4.1.1, §6). Other parameters
 * mean nothing. Only the one spelling of a message that its encoding has is taken, so that caches see one address for it.
 */
export function tryReadDnsParameter(query: string): Parsed<Uint8Array> {
  let text: string | undefined;
  for (const parameter of query.split("&", PARAMETERS_MAX)) {
    if (!parameter.startsWith("dns=")) continue;
    if (text !== undefined) return problem("there is more than one dns parameter");
    text = parameter.slice(4);
  }
  if (text === undefined) return problem("the dns parameter is missing (RFC 8484 section 4.1)");
  // RFC 3986 §2.3: unreserved characters mean the same when they are escaped.
  if (text.includes("%")) text = text.replace(/%2d/gi, "-").replace(/%5f/gi, "_");
  return tryBase64url(text);
}

function tryBase64url(text: string): Parsed<Uint8Array> {
  const octets = Buffer.from(text, "base64url");
  // The decoder skips what it does not know, takes the other alphabet, and ignores bits that are left over.
  const isWhole = octets.length === Math.floor((text.length * 3) / 4) && text.length % 4 !== 1;
  const rest = text.length % 4;
  const hasOneSpelling =
    isWhole &&
    !text.includes("+") &&
    !text.includes("/") &&
    (rest === 0 || octets.subarray(octets.length - rest + 1).toString("base64url") === text.slice(-rest));
  return hasOneSpelling
    ? parsed(octets)
    : problem("the dns parameter is not base64url without padding (RFC 8484 section 6)");
}

/** RFC 9112 §3.2.2: servers take absolute URIs, too. */
function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const authority = target.indexOf("://");
  const start = authority < 0 ? -1 : target.indexOf("/", authority + 3);
  return start < 0 ? target : target.slice(start);
}

/** Parameters of a media type and case do not matter (RFC 9110 §8.3.1). */
function isDnsMessage(type: string | undefined): boolean {
  if (type === undefined || type === DNS_MESSAGE_TYPE) return type !== undefined;
  return type.split(";", 1)[0]?.trim().toLowerCase() === DNS_MESSAGE_TYPE;
}

function refusal(status: RefusalStatus, text: string): DohRequest {
  return { kind: "refusal", status, text };
}

/** RFC 9110 §4.1 wants 8000 at least; a query of 128 octets needs 200. */
const TARGET_OCTETS_MAX = 8192;
/** Parameters of a query string that are looked at. */
const PARAMETERS_MAX = 16;
// Shared: hostile requests make no garbage.
const NOT_HERE = refusal(404, "there is no DNS at this path");
const WRONG_METHOD = refusal(405, `DNS queries come by ${METHODS_ALLOWED}`);
const WRONG_TYPE = refusal(415, `the body of a DNS query is ${DNS_MESSAGE_TYPE}`);
const TOO_LARGE = refusal(413, `a DNS message has at most ${MESSAGE_OCTETS_MAX} octets`);
const TOO_SHORT = refusal(400, "this is shorter than the header of a DNS message");
const NOT_A_QUERY = refusal(400, "this DNS message is a response");
