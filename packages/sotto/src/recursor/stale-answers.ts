/** Answers that outlive their TTL, for when nothing better can be had in time (RFC 8767). */
import {
  type BudgetEntry,
  BudgetMap,
  type BudgetUse,
  ENTRY_OVERHEAD_BYTES,
  type RRset,
  rrsetBytes,
  ttlSecondsAt,
} from "@sotto/dns/cache";
import type { Clock } from "@sotto/dns/runtime";
import { EdeCode, type Name } from "@sotto/dns/wire";
import { type Sought, soughtKey } from "./outcome.ts";
import type { JudgedOutcome } from "./validated-answers.ts";

export interface StaleOptions {
  /** How long after its end an answer may be given; Infinity: no limit. */
  readonly ttlSecondsMax: number;
  /** TTL of stale answers, seconds (RFC 8767 §4). */
  readonly replyTtlSeconds: number;
  /** How long a client waits for a fresh answer, milliseconds; 0: not at all (RFC 8767 §5). */
  readonly clientTimeoutMs: number;
}

interface StaleEntry extends BudgetEntry {
  readonly name: Name;
  readonly judged: JudgedOutcome;
  readonly freshUntilMs: number;
}

export class StaleAnswers {
  readonly options: StaleOptions;
  readonly #entries: BudgetMap<StaleEntry>;
  readonly #isTimely: (rrset: RRset) => boolean;
  readonly #clock: Clock;

  /** `isTimely`: tells whether a set has a signature that is still valid. */
  constructor(options: StaleOptions, bytesMax: number, isTimely: (rrset: RRset) => boolean, clock: Clock) {
    this.options = options;
    this.#isTimely = isTimely;
    this.#entries = new BudgetMap(bytesMax);
    this.#clock = clock;
  }

  get use(): BudgetUse {
    return this.#entries.use;
  }

  /** Keeps what was found out; failures leave what is there. A TTL of 0 is for the present question only (RFC 1035 §3.2.1). */
  note(sought: Sought, judged: JudgedOutcome): void {
    const rrsets = rrsetsOf(judged);
    if (rrsets === undefined || rrsets.length === 0) return;
    const nowMs = this.#clock.nowMs();
    const ttlSeconds = Math.min(...rrsets.map((rrset) => ttlSecondsAt(rrset, nowMs)));
    if (ttlSeconds === 0) {
      this.#entries.delete(soughtKey(sought));
      return;
    }
    const freshUntilMs = nowMs + ttlSeconds * 1000;
    const expiresAtMs = freshUntilMs + this.options.ttlSecondsMax * 1000;
    const bytes = rrsets.reduce((sum, rrset) => sum + rrsetBytes(rrset), ENTRY_OVERHEAD_BYTES);
    this.#entries.store(soughtKey(sought), { name: sought.name, judged, freshUntilMs, bytes, expiresAtMs });
  }

  /** The last answer, as it may be given now; undefined when there is none. */
  find(sought: Sought): { readonly judged: JudgedOutcome; readonly isFresh: boolean } | undefined {
    const nowMs = this.#clock.nowMs();
    const entry = this.#entries.find(soughtKey(sought), nowMs);
    if (entry === undefined) return undefined;
    return {
      judged: staleVersion(this.#asSecureAsNow(entry.judged), this.options.replyTtlSeconds),
      isFresh: entry.freshUntilMs > nowMs,
    };
  }

  /** What was secure is not any more when its signatures have ended (RFC 4035 §5.3.1). */
  #asSecureAsNow(judged: JudgedOutcome): JudgedOutcome {
    if (judged.security !== "secure") return judged;
    const sets = (rrsetsOf(judged) ?? []).flatMap((rrset) => [rrset, ...rrset.proofs]);
    const isSecure = sets.every((rrset) => rrset.synthesizedFrom !== undefined || this.#isTimely(rrset));
    return isSecure ? judged : { ...judged, security: "indeterminate" };
  }

  flush(name: Name): void {
    this.#entries.deleteWhere((entry) => entry.name.isAtOrBelow(name));
  }
}

/** The sets whose TTLs count; undefined for failures. */
function rrsetsOf({ outcome }: JudgedOutcome): readonly RRset[] | undefined {
  if (outcome.kind === "failed" || outcome.kind === "overflow") return undefined;
  const { chain } = outcome;
  if (outcome.kind === "answer") return [...chain, ...outcome.rrsets];
  return outcome.answer.soa === undefined ? undefined : [...chain, outcome.answer.soa];
}

function staleVersion(judged: JudgedOutcome, ttlSeconds: number): JudgedOutcome {
  const { outcome } = judged;
  const withTtl = (rrset: RRset): RRset => ({
    ...rrset,
    ttlSeconds,
    asOfMs: undefined,
    proofs: rrset.proofs.map(withTtl),
  });
  if (outcome.kind === "answer")
    return {
      ...judged,
      outcome: { ...outcome, chain: outcome.chain.map(withTtl), rrsets: outcome.rrsets.map(withTtl) },
      extendedErrors: [{ code: EdeCode.StaleAnswer, text: "" }],
    };
  if (outcome.kind !== "negative") return judged;
  const { answer } = outcome;
  const isNxdomain = answer.kind === "nxdomain";
  const stale = {
    ...answer,
    soa: answer.soa && withTtl(answer.soa),
    proofs: answer.proofs.map(withTtl),
  };
  return {
    ...judged,
    outcome: { ...outcome, chain: outcome.chain.map(withTtl), answer: stale },
    extendedErrors: [{ code: isNxdomain ? EdeCode.StaleNxdomainAnswer : EdeCode.StaleAnswer, text: "" }],
  };
}
