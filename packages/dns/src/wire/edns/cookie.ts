/** DNS cookies (RFC 7873 §4): 8 octets of the client, then nothing or 8 to 32 octets of the server. */
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { concatOctets } from "../octets.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";

/** Both halves of a cookie. */
export interface Cookie {
  /** Exactly 8 octets. */
  readonly client: Uint8Array;
  /** 8 to 32 octets; empty when the server's half is not known yet. */
  readonly server: Uint8Array;
}

/** A COOKIE option; throws a RangeError for halves of impossible length. */
export function makeCookie(cookie: Cookie): EdnsOption {
  const { client, server } = cookie;
  if (!isCookieLength(client.length + server.length) || client.length !== CLIENT_COOKIE_OCTETS)
    throw new RangeError("a cookie has 8 octets of the client and 0 or 8 to 32 of the server");
  return { code: EdnsOptionCode.Cookie, data: concatOctets([client, server]) };
}

/** Both halves as views; lengths other than 8 and 16 to 40 are a problem (RFC 7873 §5.2.2: FORMERR). */
export function tryReadCookie(data: Uint8Array): Parsed<Cookie> {
  if (!isCookieLength(data.length)) return problem("cookie is not 8 or 16 to 40 octets long");
  return parsed({
    client: data.subarray(0, CLIENT_COOKIE_OCTETS),
    server: data.subarray(CLIENT_COOKIE_OCTETS),
  });
}

function isCookieLength(octets: number): boolean {
  return octets === CLIENT_COOKIE_OCTETS || (octets >= 16 && octets <= 40);
}

/** RFC 7873 §4.1. */
export const CLIENT_COOKIE_OCTETS = 8;
