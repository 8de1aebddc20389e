/**
 * Signatures that were verified and are right. A signature over the same octets by the same key stays right: the records that deny
 * or that a wildcard made come with many answers, and sets come again when their TTL has ended. Its time, the key's flags and
 * whose key it is are looked at anew each time. What is wrong is not kept.
 */
import type { Dnskey } from "./key.ts";

export class RightSignatures {
  /** By signature, the oldest first. */
  readonly #known = new Map<string, { readonly key: Uint8Array; readonly signed: Uint8Array }>();

  get size(): number {
    return this.#known.size;
  }

  /** True when exactly this signature by exactly this key over exactly these octets was right. */
  has(key: Dnskey, signed: Uint8Array, signature: Uint8Array): boolean {
    const known = this.#known.get(textOf(signature));
    return (
      known !== undefined &&
      Buffer.compare(known.signed, signed) === 0 &&
      Buffer.compare(known.key, key.rdata) === 0
    );
  }

  /** Takes octets that nobody changes any more. */
  note(key: Dnskey, signed: Uint8Array, signature: Uint8Array): void {
    if (signed.length > SIGNED_OCTETS_MAX) return;
    this.#known.set(textOf(signature), { key: key.rdata, signed });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= RIGHT_SIGNATURES_MAX) break;
      this.#known.delete(oldest);
    }
  }
}

function textOf({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}

/** About 1 kB each: 4 MB. */
export const RIGHT_SIGNATURES_MAX = 4096;
/** Few sets are larger, and those cost more to keep than they save. */
const SIGNED_OCTETS_MAX = 2048;
