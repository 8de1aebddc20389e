/**
 * The edns-tcp-keepalive option (RFC 7828 §3.1): absent, present without a timeout, and timeouts of 0, 1 and 65535
 * are different things and all can be written and read.
 */
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { uint16At } from "../octets.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";

/** The unit of TIMEOUT: 100 milliseconds. */
export const KEEPALIVE_UNIT_MS = 100;

/** A keepalive option; `undefined` is the form without a timeout, which clients send (RFC 7828 §3.2.1). */
export function makeKeepalive(timeoutUnits: number | undefined): EdnsOption {
  const data =
    timeoutUnits === undefined
      ? new Uint8Array(0)
      : Uint8Array.of((timeoutUnits >>> 8) & 0xff, timeoutUnits & 0xff);
  return { code: EdnsOptionCode.TcpKeepalive, data };
}

/** The timeout in units of 100 ms, undefined for the empty form; lengths other than 0 and 2 are a problem. */
export function tryReadKeepalive(data: Uint8Array): Parsed<number | undefined> {
  if (data.length === 0) return parsed(undefined);
  if (data.length === 2) return parsed(uint16At(data, 0));
  return problem("edns-tcp-keepalive is not 0 or 2 octets long");
}
