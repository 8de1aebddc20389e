/**
 * What validating for one client query may cost. Zones can be built that make validators compute for minutes: many
 * signatures times many keys of one tag (KeyTrap, CVE-2023-50387), many hashes for one denial (CVE-2023-50868).
 */

/** A purse that is shared by all validation for one client query. */
export class ValidationBudget {
  #signatures = SIGNATURES_MAX;
  #failures = SIGNATURE_FAILURES_MAX;
  #hashRounds = HASH_ROUNDS_MAX;

  /** Signature checks made so far. */
  get signatureChecks(): number {
    return SIGNATURES_MAX - this.#signatures;
  }

  /** True when something could not be checked because the purse was empty. */
  get isSpent(): boolean {
    return this.#signatures <= 0 || this.#failures <= 0 || this.#hashRounds <= 0;
  }

  /** Takes one signature check; false when there is none left. */
  takeSignature(): boolean {
    if (this.#signatures <= 0 || this.#failures <= 0) return false;
    this.#signatures--;
    return true;
  }

  /** A check found a wrong signature. */
  noteFailure(): void {
    this.#failures--;
  }

  /** Takes the rounds of one NSEC3 hash; false when there are not enough left. */
  takeHash(iterations: number): boolean {
    if (this.#hashRounds <= 0) return false;
    this.#hashRounds -= iterations + HASH_BASE_ROUNDS;
    return true;
  }
}

/** Eleven aliases through zones five cuts deep, with proofs, need about 150. */
const SIGNATURES_MAX = 300;
/** Honest zones have none; a few in the middle of a key roll. Unbound stops at 8 per set. */
const SIGNATURE_FAILURES_MAX = 16;
/** A name of 20 labels at 150 rounds, three times over: about 10 ms. */
const HASH_ROUNDS_MAX = 12_000;
/** What a hash costs besides its rounds, in rounds. */
const HASH_BASE_ROUNDS = 3;
/** Keys of one tag and algorithm that are tried for a signature; honest zones have one, by chance two (Unbound: 4). */
export const KEYS_PER_TAG_MAX = 4;
/** Signatures of one set that are looked at: two algorithms in the middle of a roll make four. */
export const SIGNATURES_PER_SET_MAX = 8;
/** Keys of one zone that are looked at. */
export const KEYS_PER_ZONE_MAX = 64;
/** DS records of one zone that are looked at. */
export const DS_PER_ZONE_MAX = 16;
