/**
 * What one client query may cost, all sub-resolutions for addresses of name servers included. Without it a zone can be
 * built that makes every query to us many queries to others (NXNSAttack, RFC 9520 §2.2; TsuNAME; CVE-2022-3204).
 */
import { EdeCode, type ExtendedError } from "@sotto/dns/wire";

/** A purse that is shared by a client's resolution and everything it starts. */
export class Quota {
  /** Monotonic milliseconds after which nothing more is done for the client. */
  readonly deadlineMs: number;
  #queries = 0;
  #addressFetches = 0;

  constructor(deadlineMs: number) {
    this.deadlineMs = deadlineMs;
  }

  /** Queries sent so far. */
  get queries(): number {
    return this.#queries;
  }

  /** Takes one query to an authoritative server; false when there is none left. */
  takeQuery(): boolean {
    if (this.#queries >= UPSTREAM_QUERIES_MAX) return false;
    this.#queries++;
    return true;
  }

  /** Takes one look-up of a name server's addresses; false when there is none left. */
  takeAddressFetch(): boolean {
    if (this.#addressFetches >= ADDRESS_FETCHES_MAX) return false;
    this.#addressFetches++;
    return true;
  }
}

/** Tells the client that its question asked for too much. */
export const quotaError: ExtendedError = {
  code: EdeCode.Other,
  text: "this question needs more work than one query may cause",
};

/**
 * Queries to authoritative servers for one client query. A cold answer behind four aliases in zones without glue takes
 * about 40; Unbound stops at 32 per resolution and 200 in all, BIND at 100 (`max-recursion-queries`, since 9.18.28).
 */
export const UPSTREAM_QUERIES_MAX = 100;

/**
 * Names of name servers that may be looked up for one client query. The NXNSAttack paper shows that what matters is a
 * small number per referral; four zones without glue, four names each, still pass.
 */
const ADDRESS_FETCHES_MAX = 16;

/** Names of name servers looked up for one delegation (NXNSAttack): Unbound gives up after five that do not exist. */
export const ADDRESS_FETCHES_PER_DELEGATION_MAX = 5;

/**
 * How deep resolutions may start others: an address of a server whose zone has servers in another zone, and so on.
 * Honest zones need two or three; Unbound's `target-fetch-policy` has five levels.
 */
export const DEPTH_MAX = 5;

/** Referrals one resolution follows; an IPv6 reverse name with a cut at every nibble and a few aliases fits. */
export const REFERRALS_MAX = 64;

/** CNAME links followed, those made from DNAME included: Unbound and BIND follow eleven, too. */
export const ALIASES_MAX = 11;

/** Denials kept while one question is worked on: eleven aliases with three records each. */
export const PROOFS_MAX = 33;
