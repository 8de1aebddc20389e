/**
 * The root key trust anchor sentinel (RFC 8509): names by which anybody can find out whether the resolver that answers
 * them trusts a root key. A pure function; the answer itself comes from wherever the name is.
 */
import { type Name, RRType } from "@sotto/dns/wire";

export interface SentinelQuestion {
  readonly qname: Name;
  readonly qtype: RRType;
  /** The answer was validated and is secure. */
  readonly isSecure: boolean;
  /** CD: nothing was to be validated for this client, so its answer stays as it is. */
  readonly checkingDisabled: boolean;
}

/** True when the answer must become SERVFAIL (RFC 8509 §2.2); `rootKeyTags` are those of the root's trust anchor now. */
export function failsSentinel(question: SentinelQuestion, rootKeyTags: readonly number[]): boolean {
  // RFC 8509 §2.1: all of these, or the answer is not touched.
  if (!question.isSecure || question.checkingDisabled) return false;
  if (question.qtype !== RRType.A && question.qtype !== RRType.AAAA) return false;
  const asked = readSentinel(question.qname);
  return asked !== undefined && rootKeyTags.includes(asked.keyTag) !== asked.isTrusted;
}

/** What the first label asks; undefined for all other names. Any case, exactly five digits (RFC 8509 §2.1). */
function readSentinel(qname: Name): { readonly isTrusted: boolean; readonly keyTag: number } | undefined {
  const octets = qname.wire[0] ?? 0;
  if (octets !== IS_TA.length + DIGITS && octets !== NOT_TA.length + DIGITS) return undefined;
  // `key` has the same offsets as `wire`, in lower case.
  const label = qname.key.slice(1, 1 + octets);
  const prefix = label.slice(0, -DIGITS);
  const digits = label.slice(-DIGITS);
  if ((prefix !== IS_TA && prefix !== NOT_TA) || !/^[0-9]{5}$/.test(digits)) return undefined;
  return { isTrusted: prefix === IS_TA, keyTag: Number(digits) };
}

const IS_TA = "root-key-sentinel-is-ta-";
const NOT_TA = "root-key-sentinel-not-ta-";
const DIGITS = 5;
