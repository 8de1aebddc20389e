/** How a lookup fails in Node's terms: codes of c-ares for `resolve*`, of getaddrinfo for `lookup`. */
import { DnsError, type DnsErrorCode } from "@sotto/dns/runtime";
import type { StubAnswer } from "@sotto/dns/stub";
import { Rcode } from "@sotto/dns/wire";

/** Codes that callers of `node:dns` know, by the name under which the module exports them. */
export const ERROR_CODES = {
  NODATA: "ENODATA",
  FORMERR: "EFORMERR",
  SERVFAIL: "ESERVFAIL",
  NOTFOUND: "ENOTFOUND",
  NOTIMP: "ENOTIMP",
  REFUSED: "EREFUSED",
  BADQUERY: "EBADQUERY",
  BADNAME: "EBADNAME",
  BADFAMILY: "EBADFAMILY",
  BADRESP: "EBADRESP",
  CONNREFUSED: "ECONNREFUSED",
  TIMEOUT: "ETIMEOUT",
  EOF: "EOF",
  FILE: "EFILE",
  NOMEM: "ENOMEM",
  DESTRUCTION: "EDESTRUCTION",
  BADSTR: "EBADSTR",
  BADFLAGS: "EBADFLAGS",
  NONAME: "ENONAME",
  BADHINTS: "EBADHINTS",
  NOTINITIALIZED: "ENOTINITIALIZED",
  LOADIPHLPAPI: "ELOADIPHLPAPI",
  ADDRGETNETWORKPARAMS: "EADDRGETNETWORKPARAMS",
  CANCELLED: "ECANCELLED",
} as const;

/** An error as `node:dns` gives it; `cause` tells what really happened, with whom and at which stage. */
export interface DnsException extends Error {
  readonly code: string;
  readonly errno: number | undefined;
  readonly syscall: string;
  readonly hostname?: string;
}

export function dnsException(
  code: string,
  syscall: string,
  hostname: string,
  { errno, cause }: { readonly errno?: number | undefined; readonly cause?: unknown } = {},
): DnsException {
  const message = `${syscall} ${code}${hostname === "" ? "" : ` ${hostname}`}`;
  const error = new Error(message, cause === undefined ? undefined : { cause });
  return Object.assign(error, { errno, code, syscall, ...(hostname === "" ? {} : { hostname }) });
}

const BY_RCODE: ReadonlyMap<number, string> = new Map([
  [Rcode.NXDomain, "ENOTFOUND"],
  [Rcode.ServFail, "ESERVFAIL"],
  [Rcode.Refused, "EREFUSED"],
  [Rcode.FormErr, "EFORMERR"],
  [Rcode.NotImp, "ENOTIMP"],
]);

/** What an answer without the wanted records comes to. */
export function codeOfAnswer({ message }: StubAnswer): string {
  return message.rcode === Rcode.NoError ? "ENODATA" : (BY_RCODE.get(message.rcode) ?? "EBADRESP");
}

/** What the server told besides its rcode (RFC 8914), as the cause of an exception. */
export function causeOfAnswer({ extendedErrors }: StubAnswer): DnsError | undefined {
  if (extendedErrors.length === 0) return undefined;
  const told = extendedErrors.map(({ code, text }) =>
    text === "" ? `EDE ${code}` : `EDE ${code}: ${printable(text)}`,
  );
  return new DnsError("ERR_REPLY_UNUSABLE", told.join("; "), { stage: "query" });
}

/** A server's words in a message that goes to logs and terminals: one line, nothing that steers them, and not a book. */
function printable(text: string): string {
  const line = text.slice(0, TOLD_MAX).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ".");
  return text.length > TOLD_MAX ? `${line}…` : line;
}

const TOLD_MAX = 200;

/** Everything else is that no server could be asked. */
const BY_ERROR: Partial<Readonly<Record<DnsErrorCode, string>>> = {
  ERR_TIMEOUT: "ETIMEOUT",
  ERR_CONNECT_TIMEOUT: "ETIMEOUT",
  ERR_ABORTED: "ECANCELLED",
  ERR_CLOSED: "ECANCELLED",
  ERR_NAME_MALFORMED: "EBADNAME",
  ERR_MESSAGE_MALFORMED: "EBADRESP",
  ERR_REPLY_UNUSABLE: "EBADRESP",
};

export function codeOfError(error: DnsError): string {
  return BY_ERROR[error.code] ?? "ECONNREFUSED";
}

/** Numbers of libuv for what getaddrinfo says. */
export const UV_EAI_ADDRFAMILY = -3000;
export const UV_EAI_AGAIN = -3001;
export const UV_EAI_NODATA = -3007;
export const UV_EAI_NONAME = -3008;
