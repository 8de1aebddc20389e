/** Who may ask, by address (RFC 5358): the longest matching prefix decides, and without one nobody may. */
import { PrefixTrie, tryParsePeerAddress, tryParsePrefix } from "@sotto/dns/wire";

/** Prefixes in text form, such as `192.0.2.0/24`, `2001:db8::/32` or an address. */
export interface AccessOptions {
  readonly allow: readonly string[];
  /** Wins over an equal prefix in `allow`. */
  readonly deny: readonly string[];
  /** What others get: REFUSED, or nothing. */
  readonly action: "refuse" | "drop";
}

/** The default: a resolver that is open to all helps to attack others (RFC 5358 §3). */
export const LOOPBACK_ONLY: AccessOptions = {
  allow: ["127.0.0.0/8", "::1/128"],
  deny: [],
  action: "refuse",
};

/** Addresses whose verdict is remembered; reading an address costs more than finding it. All are forgotten at once. */
const REMEMBERED_MAX = 10_000;

/** A set of prefixes with a verdict each. */
export class AccessList {
  readonly action: "refuse" | "drop";
  readonly #verdicts = new PrefixTrie();
  readonly #remembered = new Map<string, boolean>();

  /** Throws a RangeError for a text that is no prefix. */
  constructor(options: AccessOptions) {
    this.action = options.action;
    for (const text of options.allow) this.#add(text, ALLOWED);
    for (const text of options.deny) this.#add(text, DENIED);
  }

  #add(text: string, verdict: number): void {
    const prefix = tryParsePrefix(text);
    if (!prefix.ok) throw new RangeError(prefix.problem);
    this.#verdicts.set(prefix.value, verdict);
  }

  /** True when the address may ask; false for what is no address. A zone identifier (`%eth0`) does not matter. */
  allows(address: string): boolean {
    const known = this.#remembered.get(address);
    if (known !== undefined) return known;
    const isAllowed = this.#verdictOn(address) === ALLOWED;
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.set(address, isAllowed);
    return isAllowed;
  }

  #verdictOn(address: string): number {
    const octets = tryParsePeerAddress(address);
    return octets.ok ? this.#verdicts.longest(octets.value) : DENIED;
  }
}

const ALLOWED = 1;
const DENIED = 2;
