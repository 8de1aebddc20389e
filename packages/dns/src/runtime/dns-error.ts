/**
 * The one exception class: what the world did to us. What a peer sent is a value instead, and DNS outcomes
 * (NXDOMAIN, bogus) are data. Codes are stable; text is for people.
 */

/** Stable codes of {@link DnsError}. */
export type DnsErrorCode =
  | "ERR_MESSAGE_MALFORMED"
  | "ERR_NAME_MALFORMED"
  | "ERR_TIMEOUT"
  | "ERR_ABORTED"
  | "ERR_CONNECT_REFUSED"
  | "ERR_CONNECT_TIMEOUT"
  | "ERR_UNREACHABLE"
  | "ERR_CONNECTION_LOST"
  | "ERR_TLS_HANDSHAKE"
  | "ERR_TLS_NOT_AUTHENTICATED"
  | "ERR_ADDRESS_IN_USE"
  | "ERR_ADDRESS_NOT_AVAILABLE"
  | "ERR_PERMISSION"
  | "ERR_NO_REACHABLE_AUTHORITY"
  | "ERR_QUOTA_EXCEEDED"
  | "ERR_REPLY_UNUSABLE"
  | "ERR_CONFIG"
  | "ERR_CLOSED"
  | "ERR_SYSTEM";

const brand = Symbol.for("sotto.DnsError");

/** A failure with a stable code; recognise it with {@link DnsError.is}, never by text or `instanceof`. */
export class DnsError extends Error {
  readonly code: DnsErrorCode;
  /** Where it happened: `resolve`, `connect`, `handshake`, `authenticate`, `query`; undefined when not on a wire. */
  readonly stage: string | undefined;
  /** Marks instances across copies of this package. */
  readonly [brand] = true;

  constructor(code: DnsErrorCode, message: string, options: { cause?: unknown; stage?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "DnsError";
    this.code = code;
    this.stage = options.stage;
  }

  /** True for a DnsError of any copy of this package, and of that code when one is given. */
  static is(value: unknown, code?: DnsErrorCode): value is DnsError {
    if (typeof value !== "object" || value === null || !(brand in value)) return false;
    return code === undefined || ("code" in value && value.code === code);
  }
}
