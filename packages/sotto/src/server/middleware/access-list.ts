/** Who may ask, by address (RFC 5358): the longest matching prefix decides, and without one nobody may. */
import { type Prefix, tryParseAddress, tryParsePrefix } from "@sotto/dns/wire";

/** Prefixes as in the configuration; they are known to parse. */
export interface AccessOptions {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** What others get: REFUSED, or nothing. */
  readonly action: "refuse" | "drop";
}

/** Addresses whose answer is remembered; clients are few compared with their queries. */
const REMEMBERED_MAX = 10_000;

/** A set of prefixes with a verdict each. */
export class AccessList {
  readonly action: "refuse" | "drop";
  readonly #rules: { readonly prefix: Prefix; readonly isAllowed: boolean }[];
  readonly #remembered = new Map<string, boolean>();

  /** Throws a RangeError for a text that is no prefix. */
  constructor(options: AccessOptions) {
    this.action = options.action;
    const rule = (text: string, isAllowed: boolean): { prefix: Prefix; isAllowed: boolean } => {
      const prefix = tryParsePrefix(text);
      if (!prefix.ok) throw new RangeError(prefix.problem);
      return { prefix: prefix.value, isAllowed };
    };
    // Longest first, and of two equal ones the refusal: the first match decides.
    this.#rules = [
      ...options.deny.map((text) => rule(text, false)),
      ...options.allow.map((text) => rule(text, true)),
    ].sort((a, b) => b.prefix.bits - a.prefix.bits || Number(a.isAllowed) - Number(b.isAllowed));
  }

  /** True when the address may ask. */
  allows(address: string): boolean {
    const known = this.#remembered.get(address);
    if (known !== undefined) return known;
    const octets = tryParseAddress(address);
    const isAllowed =
      octets.ok && (this.#rules.find(({ prefix }) => contains(prefix, octets.value))?.isAllowed ?? false);
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.set(address, isAllowed);
    return isAllowed;
  }
}

function contains(prefix: Prefix, octets: Uint8Array): boolean {
  if (prefix.octets.length !== octets.length) return false;
  const whole = prefix.bits >>> 3;
  for (let i = 0; i < whole; i++) if (prefix.octets[i] !== octets[i]) return false;
  const rest = prefix.bits & 7;
  return rest === 0 || ((prefix.octets[whole] ?? 0) ^ (octets[whole] ?? 0)) >>> (8 - rest) === 0;
}
