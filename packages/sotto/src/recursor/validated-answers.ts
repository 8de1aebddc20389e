/**
 * Between the client and the mesh: outcomes are validated before anybody who did not set CD sees them (RFC 4035 §4.3, §4.7).
 * What is bogus is asked again of other servers first, because one server may be out of date or lie.
 */
import {
  type CachedSecurity,
  type NegativeAnswer,
  type RRset,
  type RRsetCache,
  Trust,
  ttlSecondsAt,
} from "@sotto/dns/cache";
import {
  type Evidence,
  INDETERMINATE,
  NSEC3_ITERATIONS_MAX_DEFAULT,
  Nsec3Proofs,
  readRrsig,
  type SignedRRset,
  signersOf,
  ValidationBudget,
  type ValidationSession,
  type Validator,
  type Verdict,
  weakest,
  wildcardAt,
} from "@sotto/dns/dnssec";
import type { Runtime } from "@sotto/dns/runtime";
import {
  EdeCode,
  type ExtendedError,
  edeCodeToText,
  type Name,
  Name as NameClass,
  RRType,
} from "@sotto/dns/wire";
import { type CacheFinding, findInCache } from "./cache-lookup.ts";
import type { DelegationCache } from "./delegation.ts";
import type { DenialCache } from "./denial-cache.ts";
import { FailureCache } from "./failure-cache.ts";
import type { Answered, Mesh, Work } from "./mesh.ts";
import { assertNever, lastName, type Outcome, type Sought, soughtKey, withSets } from "./outcome.ts";
import { withTtlMax, withTtlsMax } from "./remaining-ttls.ts";
import type { StaleAnswers } from "./stale-answers.ts";
import { soughtText } from "./trace.ts";

/** An outcome and what validation says of it. */
export interface JudgedOutcome {
  readonly outcome: Outcome;
  readonly security: CachedSecurity;
  /** For the client, beside those of a failed outcome. */
  readonly extendedErrors: readonly ExtendedError[];
  /** Who would know: NS of the closest zone, for clients that do not want recursion (RFC 1034 §4.3.1). */
  readonly referral?: RRset;
}

/** Details of the event `recursor.bogus`. */
export interface BogusEvent {
  readonly question: string;
  readonly errors: string;
}

type Found = Exclude<Outcome, { kind: "failed" }>;

export interface ValidatedAnswersParts {
  readonly mesh: Mesh;
  readonly rrsets: RRsetCache;
  readonly delegations: DelegationCache;
  /** Undefined: nothing is validated. */
  readonly validator: Validator | undefined;
  /** Undefined: denial records are not used for other names. */
  readonly denials: DenialCache | undefined;
  /** Undefined: nothing stale is given. */
  readonly stale: StaleAnswers | undefined;
  readonly runtime: Runtime;
}

export class ValidatedAnswers {
  readonly #parts: ValidatedAnswersParts;
  readonly #bogus: FailureCache;
  readonly #underWay = new Map<string, Promise<JudgedOutcome>>();

  constructor(parts: ValidatedAnswersParts) {
    this.#parts = parts;
    this.#bogus = new FailureCache(parts.runtime.clock, parts.mesh.onFailure);
  }

  /** Answers a client's question; with `checkingDisabled` as it came (RFC 4035 §3.2.2). */
  ask(sought: Sought, checkingDisabled: boolean): Promise<JudgedOutcome> {
    const { mesh, validator, stale } = this.#parts;
    if (checkingDisabled) return mesh.ask(mesh.begin(sought)).then(({ outcome }) => unjudged(outcome));
    const fresh = this.#ask(sought, validator);
    return stale === undefined ? fresh : this.#freshOrStale(sought, fresh, stale);
  }

  /** What is known without asking anybody for it; only keys are asked for when nobody has validated it yet. */
  async peek(sought: Sought, checkingDisabled: boolean): Promise<JudgedOutcome> {
    const found = this.#peekFresh(sought);
    const isNothing = found.outcome === NOT_CACHED || found.outcome.kind === "failed";
    if (isNothing)
      return this.#parts.stale?.find(sought)?.judged ?? this.#referral(sought, found, checkingDisabled);
    const { validator, mesh } = this.#parts;
    const { outcome } = found;
    if (
      found.security !== "indeterminate" ||
      checkingDisabled ||
      validator === undefined ||
      outcome.kind === "failed"
    )
      return found;
    const session = new Session(mesh.begin(sought), this.#parts);
    const { verdict, outcome: shown } = await this.#judge(sought, outcome, validator, session);
    return verdict.status === "bogus" ? this.#refuse(sought, verdict) : this.#accept(sought, shown, verdict);
  }

  /** The closest zone whose own word about its servers is known, validated like an answer. */
  async #referral(sought: Sought, found: JudgedOutcome, isUnchecked: boolean): Promise<JudgedOutcome> {
    if (found.outcome !== NOT_CACHED) return found;
    const { rrsets, validator, mesh } = this.#parts;
    for (let zone = sought.name; !zone.isRoot; zone = zone.parent()) {
      const referral = rrsets.find(zone, RRType.NS, Trust.Additional);
      if (referral === undefined) continue;
      if (isUnchecked || validator === undefined) return { ...found, referral };
      const verdict = await this.#judgeRRset(
        referral,
        validator,
        new Session(mesh.begin(sought), this.#parts),
      );
      if (verdict === undefined || verdict.status === "bogus") return found;
      return { ...found, referral, security: verdict.status };
    }
    return found;
  }

  #peekFresh(sought: Sought): JudgedOutcome {
    const known = this.#bogus.find(sought);
    if (known !== undefined) return { outcome: known, security: "bogus", extendedErrors: [] };
    const { rrsets, mesh } = this.#parts;
    const failed = mesh.failures.find(sought);
    if (failed !== undefined) return unjudged(failed);
    const found = findInCache(rrsets, sought.name, sought.type, false);
    const security = securityOf(found);
    switch (found?.kind) {
      case "answer":
        return {
          outcome: { kind: "answer", chain: found.before, rrsets: found.rrsets },
          security,
          extendedErrors: [],
        };
      case "alias":
        return {
          outcome: { kind: "answer", chain: found.chain, rrsets: [] },
          security,
          extendedErrors: [],
        };
      case "negative":
        return {
          outcome: { kind: "negative", chain: [], answer: found.answer },
          security,
          extendedErrors: [],
        };
      default:
        return this.#peekDenial(sought) ?? unjudged(NOT_CACHED);
    }
  }

  /** What denial records of other answers say (RFC 8198). */
  #peekDenial({ name, type }: Sought): JudgedOutcome | undefined {
    const found = this.#parts.denials?.find(name, type);
    if (found?.kind !== "negative") return undefined;
    const outcome = { kind: "negative", chain: [], answer: found.answer } as const;
    return { outcome, security: "secure", extendedErrors: [] };
  }

  /** Asks past the cache, so that what is there is renewed before it ends. */
  refresh(sought: Sought): Promise<JudgedOutcome> {
    const key = `refresh ${soughtKey(sought)}`;
    const joined = this.#underWay.get(key);
    if (joined !== undefined) return joined;
    const found = findInCache(this.#parts.rrsets, sought.name, sought.type, false);
    const ttls = found?.kind === "answer" ? found.rrsets.map(({ ttlSeconds }) => ttlSeconds) : [0];
    const leewayMs = Math.min(...ttls) * 1000;
    const started = this.#resolve(sought, this.#parts.validator, leewayMs).finally(() =>
      this.#underWay.delete(key),
    );
    this.#underWay.set(key, started);
    return started;
  }

  /** RFC 8767 §5: whoever waited long enough, or in vain, gets the last answer; the resolution goes on. */
  async #freshOrStale(
    sought: Sought,
    fresh: Promise<JudgedOutcome>,
    stale: StaleAnswers,
  ): Promise<JudgedOutcome> {
    const noted = fresh.then((judged) => {
      stale.note(sought, judged);
      return judged;
    });
    const last = stale.find(sought);
    if (last === undefined) return noted;
    // Nobody may be waiting any more when it fails by a bug.
    noted.catch(() => undefined);
    const { clientTimeoutMs } = stale.options;
    if (clientTimeoutMs === 0 && !last.isFresh) return last.judged;
    const waited = Promise.withResolvers<undefined>();
    const { clock } = this.#parts.runtime;
    const timer = clock.startTimer("stale client timeout", clientTimeoutMs, () => waited.resolve(undefined));
    try {
      const judged = await (clientTimeoutMs === 0 ? noted : Promise.race([noted, waited.promise]));
      return judged === undefined || judged.outcome.kind === "failed" ? last.judged : judged;
    } finally {
      timer.cancel();
    }
  }

  #ask(sought: Sought, validator: Validator | undefined): Promise<JudgedOutcome> {
    const known = this.#bogus.find(sought);
    if (known !== undefined)
      return Promise.resolve({ outcome: known, security: "bogus", extendedErrors: [] });
    // The mesh joins those who ask the same; only what is done besides has to be done once.
    if (validator === undefined) return this.#unvalidated(sought);
    const key = soughtKey(sought);
    const joined = this.#underWay.get(key);
    if (joined !== undefined) return joined;
    const started = this.#resolve(sought, validator, undefined);
    const forget = (): void => void this.#underWay.delete(key);
    started.then(forget, forget);
    this.#underWay.set(key, started);
    return started;
  }

  #unvalidated(sought: Sought): Promise<JudgedOutcome> {
    const { mesh } = this.#parts;
    return mesh.ask(mesh.begin(sought)).then(({ outcome }) => asTold(outcome));
  }

  /** Forgets what is remembered about a name and all below it. */
  flush(name: Name): void {
    this.#bogus.clear();
    this.#parts.stale?.flush(name);
    this.#parts.denials?.flush(name);
  }

  async #resolve(
    sought: Sought,
    validator: Validator | undefined,
    refreshLeewayMs: number | undefined,
  ): Promise<JudgedOutcome> {
    const { mesh } = this.#parts;
    const work = mesh.begin(sought);
    const first =
      refreshLeewayMs === undefined
        ? await mesh.ask(work)
        : await mesh.askAgain(work, sought, NOBODY, refreshLeewayMs);
    if (first === undefined) return unjudged(BUSY);
    let answered = first;
    if (validator === undefined) return asTold(answered.outcome);
    const session = new Session(work, this.#parts);
    const avoid = new Set<string>();
    for (let attempt = 1; ; attempt++) {
      const { outcome } = answered;
      if (outcome.kind === "failed") return unjudged(outcome);
      session.hints = answered.proofs;
      const { verdict, outcome: shown } = await this.#judge(sought, outcome, validator, session);
      if (verdict.status !== "bogus")
        return this.#accept(sought, withProofs(shown, verdict, session.usedHints), verdict);
      this.#forget(sought, outcome);
      session.forget();
      for (const source of answered.sources) avoid.add(source);
      const again = attempt < ATTEMPTS_MAX ? await mesh.askAgain(work, sought, avoid) : undefined;
      if (again === undefined || again.outcome.kind === "failed") return this.#refuse(sought, verdict);
      answered = again;
    }
  }

  /** The verdict, and the outcome as the proofs show it. */
  async #judge(
    sought: Sought,
    found: Found,
    validator: Validator,
    session: ValidationSession,
  ): Promise<{ readonly verdict: Verdict; readonly outcome: Found }> {
    const { clock } = this.#parts.runtime;
    const verdicts: Verdict[] = [];
    const sets = found.kind === "answer" ? [...found.chain, ...found.rrsets] : found.chain;
    const shown: RRset[] = [];
    for (const rrset of sets) {
      const isForDs = sought.type === RRType.DS && rrset.type === RRType.CNAME;
      const verdict = isForDs
        ? await this.#judgeAliasOfDs(rrset, validator, session)
        : await this.#judgeRRset(rrset, validator, session);
      if (verdict !== undefined) verdicts.push(verdict);
      if (verdict?.status === "bogus") return { verdict, outcome: found };
      // Also beside what is insecure nothing lives longer than its owner signed.
      const ttlSecondsMax = verdict?.status === "secure" ? verdict.ttlSecondsMax : Number.POSITIVE_INFINITY;
      shown.push(withTtlMax(rrset, ttlSecondsMax, clock.nowMs()));
    }
    const outcome = withSets(found, shown);
    // Nobody signs that a name is too long.
    if (outcome.kind === "overflow") return { verdict: weakest([...verdicts, INDETERMINATE]), outcome };
    if (outcome.kind !== "negative")
      return { verdict: verdicts.length === 0 ? INDETERMINATE : weakest(verdicts), outcome };
    const question = { name: lastName(sought, outcome.chain), type: sought.type };
    const { verdict, answer } = await this.#judgeNegative(question, outcome.answer, validator, session);
    return { verdict: weakest([...verdicts, verdict]), outcome: { ...outcome, answer } };
  }

  /** Undefined for what another set stands for. */
  async #judgeRRset(
    rrset: RRset,
    validator: Validator,
    session: ValidationSession,
  ): Promise<Verdict | undefined> {
    // RFC 6672 §5.3.1: a synthesized CNAME is as good as its DNAME, which is judged beside it.
    if (rrset.synthesizedFrom !== undefined || rrset.type === RRType.RRSIG) return undefined;
    const known = knownVerdict(rrset.security, rrset.ttlSeconds);
    if (known !== undefined) return known;
    const verdict = await validator.judgeRRset(
      rrset,
      rrset.proofs,
      rrset.fromZone ?? NameClass.root,
      session,
    );
    const { rrsets } = this.#parts;
    if (verdict.status === "secure") {
      rrsets.noteSecurity(rrset, "secure", verdict.ttlSecondsMax);
      // Proofs came with their set.
      const leftSeconds = ttlSecondsAt(rrset, this.#parts.runtime.clock.nowMs());
      const ttlSecondsMax = Math.min(verdict.ttlSecondsMax, leftSeconds);
      this.#learnDenials(rrset.proofs, { ...verdict, ttlSecondsMax }, undefined);
      this.#learnWildcard(rrset, verdict.ttlSecondsMax);
    } else if (verdict.status === "insecure" && verdict.errors.length === 0)
      rrsets.noteSecurity(rrset, "insecure", rrset.ttlSeconds);
    return verdict;
  }

  /** The zone above answers for DS (RFC 4035 §3.1.4.1), so it has to stand for an alias there, not a zone of that name. */
  async #judgeAliasOfDs(
    rrset: RRset,
    validator: Validator,
    session: ValidationSession,
  ): Promise<Verdict | undefined> {
    const signers = signersOf(rrset);
    if (signers.some((signer) => rrset.owner.isBelow(signer)) || rrset.synthesizedFrom !== undefined)
      return this.#judgeRRset(rrset, validator, session);
    const asDs = { ...rrset, type: RRType.DS, signatures: [] };
    return validator.judgeRRset(asDs, [], rrset.fromZone ?? NameClass.root, session);
  }

  async #judgeNegative(
    { name: qname, type: qtype }: Sought,
    answer: NegativeAnswer,
    validator: Validator,
    session: ValidationSession,
  ): Promise<{ readonly verdict: Verdict; readonly answer: NegativeAnswer }> {
    const known = knownVerdict(answer.security, answer.soa?.ttlSeconds ?? 0);
    if (known !== undefined) return { verdict: known, answer };
    const { rrsets } = this.#parts;
    const { kind, soa, proofs } = answer;
    const fromZone = answer.fromZone ?? NameClass.root;
    const verdict = await validator.judgeDenial({ qname, qtype, kind, soa, proofs }, fromZone, session);
    const shown: NegativeAnswer = { ...answer, kind: verdict.kind };
    if (verdict.kind !== kind) {
      rrsets.forget(qname, qtype);
      rrsets.storeNegative(qname, qtype, shown);
    }
    if (verdict.status === "secure") {
      rrsets.noteNegativeSecurity(qname, qtype, shown, "secure", verdict.ttlSecondsMax);
      this.#learnDenials(proofs, verdict, soa);
    }
    return { verdict, answer: shown };
  }

  /** Keeps the proofs that were verified for other names (RFC 8198). */
  #learnDenials(
    proofs: readonly RRset[],
    { provedBy = [], ttlSecondsMax }: Verdict & { status: "secure" },
    soa: RRset | undefined,
  ): void {
    const verified = proofs.filter((proof) => provedBy.includes(proof));
    const zone = verified[0] && signersOf(verified[0])[0];
    if (zone !== undefined) this.#parts.denials?.learn(zone, verified, soa, ttlSecondsMax);
  }

  /** Keeps the wildcard itself for other names that it covers (RFC 8198 §5.3). */
  #learnWildcard(rrset: RRset, ttlSecondsMax: number): void {
    const [signature] = rrset.signatures;
    if (this.#parts.denials === undefined || signature === undefined || rrset.proofs.length === 0) return;
    const wildcard = wildcardAt(rrset.owner.suffix(readRrsig(signature).labels));
    if (wildcard === undefined) return;
    const ttlSeconds = Math.min(rrset.ttlSeconds, ttlSecondsMax);
    const kept: RRset = { ...rrset, owner: wildcard, proofs: [], ttlSeconds, security: "secure" };
    this.#parts.rrsets.store(kept, Trust.Validated);
  }

  #accept(sought: Sought, outcome: Found, verdict: Exclude<Verdict, { status: "bogus" }>): JudgedOutcome {
    this.#bogus.forget(sought);
    const extendedErrors = verdict.status === "insecure" ? verdict.errors : [];
    const ttlSecondsMax = verdict.status === "secure" ? verdict.ttlSecondsMax : Number.POSITIVE_INFINITY;
    const capped = withTtlsMax(outcome, ttlSecondsMax, this.#parts.runtime.clock.nowMs());
    return { outcome: capped, security: verdict.status, extendedErrors };
  }

  #refuse(sought: Sought, verdict: Verdict & { status: "bogus" }): JudgedOutcome {
    const [first] = verdict.errors;
    const hasBogus = first !== undefined && first.code !== EdeCode.Other;
    const errors = hasBogus ? verdict.errors : [{ code: EdeCode.DnssecBogus, text: "" }, ...verdict.errors];
    const outcome = {
      kind: "failed",
      reason: "bogus",
      isCircumstantial: false,
      extendedErrors: errors,
    } as const;
    this.#bogus.note(sought, outcome);
    const { events } = this.#parts.runtime;
    if (events.wants("recursor.bogus")) {
      const details: BogusEvent = {
        question: soughtText(sought),
        errors: errors.map(({ code, text }) => `${edeCodeToText(code)}: ${text}`).join("; "),
      };
      events.publish("recursor.bogus", { ...details });
    }
    return { outcome, security: "bogus", extendedErrors: [] };
  }

  /** Nothing bogus stays where others could find it. */
  #forget(sought: Sought, outcome: Found): void {
    const { rrsets } = this.#parts;
    const sets = outcome.kind === "answer" ? [...outcome.chain, ...outcome.rrsets] : outcome.chain;
    for (const { owner, type, security } of sets) if (security !== "secure") rrsets.forget(owner, type);
    if (outcome.kind === "negative") rrsets.forget(lastName(sought, outcome.chain), sought.type);
  }
}

/** Gets DS and DNSKEY for the validator, paid for by the client's question. */
class Session implements ValidationSession {
  readonly budget = new ValidationBudget();
  /** Denials that came with the answer. */
  hints: readonly RRset[] = [];
  readonly #work: Work;
  readonly #parts: ValidatedAnswersParts;
  readonly #sources = new Map<string, Set<string>>();
  readonly #asked: Sought[] = [];
  isStarved = false;
  /** Denials by which something turned out to be insecure although they came for another reason. */
  usedHints: readonly RRset[] = [];
  /** Proofs that were handed to the validator. */
  #given: readonly RRset[] = [];

  constructor(work: Work, parts: ValidatedAnswersParts) {
    this.#work = work;
    this.#parts = parts;
  }

  async ask(name: Name, type: RRType, isAgain: boolean): Promise<Evidence> {
    const { mesh } = this.#parts;
    const sought: Sought = { name, type };
    const fromReferral = type === RRType.DS && !isAgain ? this.#fromReferral(name) : undefined;
    if (fromReferral !== undefined) return fromReferral;
    this.#asked.push(sought);
    const sources = this.#sources.get(soughtKey(sought)) ?? new Set();
    this.#sources.set(soughtKey(sought), sources);
    const answered: Answered | undefined = isAgain
      ? await mesh.askAgain(this.#work, sought, new Set(sources))
      : await mesh.answerFor(this.#work, sought);
    const outcome = answered?.outcome;
    this.isStarved ||= outcome === undefined || (outcome.kind === "failed" && outcome.isCircumstantial);
    if (answered === undefined) return { kind: "failed", errors: [] };
    for (const source of answered.sources) sources.add(source);
    if (answered.outcome.kind === "negative") this.#given = answered.outcome.answer.proofs;
    return evidenceOf(answered.outcome);
  }

  /** NSEC3 records that came with the answer, when they seem to say something about the name. */
  #hintsFor(name: Name): readonly RRset[] {
    const nsec3s = this.hints.filter(({ type }) => type === RRType.NSEC3);
    const zone = nsec3s.flatMap(signersOf).find((signer) => name.isBelow(signer));
    if (zone === undefined) return [];
    const proofs = new Nsec3Proofs(nsec3s, zone, NSEC3_ITERATIONS_MAX_DEFAULT, this.budget);
    return proofs.judgeNoDs(name).kind === "not proved" ? [] : nsec3s;
  }

  onProved(zone: Name, proofs: readonly SignedRRset[], ttlSeconds: number): void {
    const { denials } = this.#parts;
    if (denials === undefined) return;
    // Every set given to the validator is one of the cache.
    const known = this.#given.filter((rrset) => proofs.includes(rrset));
    denials.learn(zone, known, undefined, ttlSeconds);
  }

  /** What led to something bogus may be the bogus part. */
  forget(): void {
    for (const { name, type } of this.#asked) this.#parts.rrsets.forget(name, type);
    this.#asked.length = 0;
  }

  /** What the parent said beside the delegation saves a query: it is validated like any other word. */
  #fromReferral(name: Name): Evidence | undefined {
    const { ds, noDs = [] } = this.#parts.delegations.findDs(name);
    if (ds !== undefined && ds.signatures.length > 0) return { kind: "rrset", rrset: ds };
    const nsec = this.#parts.rrsets.find(name, RRType.NSEC, Trust.Referral);
    const hints = nsec === undefined ? () => this.#hintsFor(name) : () => [nsec];
    const proofs = noDs.length > 0 ? noDs : hints();
    // The child's own NSEC says nothing about its DS.
    const isAbove = proofs.some((proof) => signersOf(proof).some((signer) => name.isBelow(signer)));
    if (!isAbove) return undefined;
    this.#given = proofs;
    if (noDs.length === 0) this.usedHints = proofs;
    return { kind: "negative", proofs, ttlSeconds: Math.min(...proofs.map(({ ttlSeconds }) => ttlSeconds)) };
  }
}

function evidenceOf(outcome: Outcome): Evidence {
  switch (outcome.kind) {
    case "failed":
      return { kind: "failed", errors: outcome.extendedErrors };
    case "answer":
    case "negative":
    case "overflow": {
      const [alias] = outcome.chain;
      if (alias !== undefined) return { kind: "alias", rrset: alias };
      if (outcome.kind === "negative") {
        const { proofs, soa } = outcome.answer;
        return { kind: "negative", proofs, ttlSeconds: soa?.ttlSeconds ?? UNKNOWN_TTL_SECONDS };
      }
      const [rrset] = outcome.kind === "answer" ? outcome.rrsets : [];
      return rrset === undefined ? { kind: "failed", errors: [] } : { kind: "rrset", rrset };
    }
    default:
      return assertNever(outcome);
  }
}

function knownVerdict(security: CachedSecurity | undefined, ttlSeconds: number): Verdict | undefined {
  if (security === "secure") return { status: "secure", ttlSecondsMax: ttlSeconds };
  return security === "insecure" ? { status: "insecure", errors: [] } : undefined;
}

function unjudged(outcome: Outcome): JudgedOutcome {
  return { outcome, security: "indeterminate", extendedErrors: [] };
}

/** Not validated, and as secure as somebody says who is believed. */
function asTold(outcome: Outcome): JudgedOutcome {
  return { outcome, security: wordOf(outcome), extendedErrors: [] };
}

/** A client that validates needs the denials by which we found out that nothing is signed here. */
function withProofs(outcome: Found, { status }: Verdict, hints: readonly RRset[]): Found {
  if (status !== "insecure" || outcome.kind !== "negative") return outcome;
  const { answer } = outcome;
  const more = hints.filter((hint) => !answer.proofs.includes(hint));
  return { ...outcome, answer: { ...answer, proofs: [...answer.proofs, ...more] } };
}

/** Secure when every part was said to be so by a forwarder that is believed. */
function wordOf(outcome: Outcome): CachedSecurity {
  if (outcome.kind === "failed" || outcome.kind === "overflow") return "indeterminate";
  const found = outcome.kind === "answer" ? outcome.rrsets : [outcome.answer];
  if (!areSecure(found)) return "indeterminate";
  const own = outcome.chain.filter(({ synthesizedFrom }) => synthesizedFrom === undefined);
  return own.length + found.length > 0 && areSecure(own) ? "secure" : "indeterminate";
}

/** Only what was validated is told to be so. */
function securityOf(found: CacheFinding | undefined): CachedSecurity {
  if (found === undefined) return "indeterminate";
  const sets = found.kind === "answer" ? [...found.before, ...found.rrsets] : [];
  if (found.kind === "alias") sets.push(...found.chain);
  const all = found.kind === "negative" ? [found.answer] : sets;
  return areSecure(all) ? "secure" : "indeterminate";
}

const areSecure = (all: readonly Pick<RRset, "security">[]): boolean =>
  all.every((one) => one.security === "secure");

const NOT_CACHED: Outcome = {
  kind: "negative",
  chain: [],
  answer: { kind: "nodata", soa: undefined, proofs: [] },
};
const NOBODY: ReadonlySet<string> = new Set();
const BUSY: Outcome = {
  kind: "failed",
  reason: "busy",
  isCircumstantial: true,
  extendedErrors: [{ code: EdeCode.NotReady, text: "too many resolutions at once" }],
};

/** The first answer, and two tries elsewhere: the third server of a zone is hardly ever better. */
const ATTEMPTS_MAX = 3;
/** A denial without a SOA says nothing about how long. */
const UNKNOWN_TTL_SECONDS = 60;
