/** The rules that every reply to a client keeps, as functions: each gives what is wrong with it, a sentence each. */
import { readRrsig } from "@sotto/dns/dnssec";
import {
  EdeCode,
  EdnsOptionCode,
  type Message,
  Rcode,
  type ResourceRecord,
  RRType,
  rcodeToText,
  recordToText,
  rrTypeToText,
  tryReadExtendedError,
} from "@sotto/dns/wire";
import type { PlannedQuery, SeedSettings } from "./seed-plan.ts";
import type { Trust } from "./trust.ts";
import { keyOf, type Step, setsOf, type TrueAnswer, type TrueSet } from "./truth.ts";
import { lastName, negativeTtl, type TtlLedger } from "./ttl-ledger.ts";

/** A reply and all that it is judged by. */
export interface Judged {
  readonly query: PlannedQuery;
  readonly reply: Message;
  readonly truth: TrueAnswer;
  readonly trust: Trust;
  readonly ledger: TtlLedger;
  readonly settings: SeedSettings;
  readonly nowMs: number;
  readonly wallSeconds: number;
}

/** Everything that is wrong. */
export function problemsOf(judged: Judged): string[] {
  const { query, reply } = judged;
  if (!query.recursionDesired) return [];
  if (reply.rcode === Rcode.ServFail) {
    const hasRecords = reply.answers.length + reply.authorities.length > 0;
    return hasRecords || reply.authenticData ? ["SERVFAIL with records or AD"] : [];
  }
  return [...contentProblems(judged), ...authenticityProblems(judged), ...ageProblems(judged)];
}

/** Codes of the extended errors. */
export function extendedErrorsOf({ edns }: Message): number[] {
  return (edns?.options ?? [])
    .filter(({ code }) => code === EdnsOptionCode.ExtendedError)
    .map(({ data }) => {
      const read = tryReadExtendedError(data);
      return read.ok ? read.value.code : -1;
    });
}

/** True when the reply says of itself that it is too old; clients without EDNS cannot be told. */
export function isMarkedStale({ reply, query, settings }: Judged): boolean {
  if (settings.stale === undefined) return false;
  const codes = extendedErrorsOf(reply);
  if (codes.includes(EdeCode.StaleAnswer) || codes.includes(EdeCode.StaleNxdomainAnswer)) return true;
  const records = [...reply.answers, ...reply.authorities];
  return !query.hasEdns && records.every(({ ttl }) => ttl <= STALE_REPLY_TTL_SECONDS);
}

/** What nobody could forge is the truth, up to the first link of the chain that somebody could. */
function contentProblems({ query, reply, truth, trust }: Judged): string[] {
  const sets = setsOf(reply.answers);
  const isChecked = !query.checkingDisabled;
  for (const step of truth.steps) {
    if (isChecked ? !trust.isSafe(step) : !trust.isOutOfReach(step)) return [];
    // What is not valid yet will be.
    const isBogus = trust.worth(step.zone) === "bogus" && step.zone !== "early.dnssec.";
    if (isChecked && isBogus) return [`${rcodeToText(reply.rcode)} although ${step.zone} is bogus`];
    const wrong = stepProblem(step, sets);
    if (wrong !== undefined) return [wrong];
  }
  if (truth.rcode === undefined) {
    // A DNAME below itself makes names longer until they are too long (RFC 6672 §2.2).
    const isOverflow = reply.rcode === Rcode.YXDomain && truth.steps.length > MANY_ALIASES;
    return isOverflow ? [] : [`${rcodeToText(reply.rcode)} for what nobody can know`];
  }
  if (reply.rcode !== truth.rcode) return [`${rcodeToText(reply.rcode)} and not ${rcodeToText(truth.rcode)}`];
  const known = new Set(truth.steps.flatMap((step) => [...step.sets.keys()]));
  return [...sets.keys()].filter((key) => !known.has(key)).map((key) => `${key} is none of the answer`);
}

function stepProblem({ kind, sets: trueSets }: Step, sets: ReadonlyMap<string, TrueSet>): string | undefined {
  for (const [key, { rdatas, ttlSeconds }] of trueSets) {
    const given = sets.get(key);
    // RFC 8482 lets ANY be answered with some of it.
    if (given === undefined && kind === "any") continue;
    if (given === undefined) return `${key} is missing`;
    if (given.rdatas.join() !== rdatas.join())
      return `${key} is ${given.rdatas.join(" ")} and not ${rdatas.join(" ")}`;
    if (given.ttlSeconds > ttlSeconds && !key.endsWith(` ${RRType.RRSIG}`))
      return `${key} has TTL ${given.ttlSeconds}, more than ${ttlSeconds}`;
  }
  return undefined;
}

/** AD stands only beside the truth of signed zones, and beside signatures that are valid now. */
function authenticityProblems({ query, reply, truth, trust, wallSeconds }: Judged): string[] {
  if (!reply.authenticData) return [];
  const problems: string[] = [];
  if (!(query.dnssecOk && query.hasEdns) && !query.authenticData)
    problems.push("AD although nobody asked for it");
  const doubtful = truth.steps.find((step) => !trust.mayBeAuthentic(step));
  if (doubtful !== undefined) problems.push(`AD although ${doubtful.zone} is ${trust.worth(doubtful.zone)}`);
  if (truth.rcode !== reply.rcode) problems.push(`AD beside ${rcodeToText(reply.rcode)}, which is not true`);
  const sets = setsOf(reply.answers);
  const wrong = truth.steps.map((step) => stepProblem(step, sets)).find((one) => one !== undefined);
  if (wrong !== undefined) problems.push(`AD beside a lie: ${wrong}`);
  for (const record of [...reply.answers, ...reply.authorities])
    if (record.type === RRType.RRSIG && !isInTime(record, wallSeconds))
      problems.push(
        `AD beside a signature that is out of date over ${rrTypeToText(readRrsig(record.rdata).typeCovered)}`,
      );
  return problems;
}

/** Two signatures over one set are both given; one that is right is enough, which zones with two know. */
function isInTime(record: ResourceRecord, wallSeconds: number): boolean {
  const { inception, expiration } = readRrsig(record.rdata);
  const isDoubled = /(?:^|\.)oneexpired\.dnssec\.$/.test(record.owner.toString());
  return isDoubled || (wallSeconds >= inception - SKEW_SECONDS && wallSeconds <= expiration + SKEW_SECONDS);
}

/** No record is given longer than the last server that said it allowed, unless it is marked. */
function ageProblems(judged: Judged): string[] {
  const { reply, settings, ledger, nowMs } = judged;
  const records = [...reply.answers, ...reply.authorities];
  const stale = isMarkedStale(judged);
  const problems: string[] = [];
  if (stale && settings.stale === undefined) problems.push("stale although that is off");
  for (const record of records) {
    // Signatures go with what they sign; a TTL of 0 is for the present question, however long that takes.
    if (record.type === RRType.RRSIG || record.ttl === 0 || isSynthesized(record, reply.answers)) continue;
    const until = ledger.untilOf(record);
    if (until === undefined) {
      problems.push(`nobody said ${recordToText(record)}`);
      continue;
    }
    const endMs = nowMs + record.ttl * 1000;
    if (stale) {
      if (record.ttl > STALE_REPLY_TTL_SECONDS) problems.push(`stale with TTL ${record.ttl}`);
      if (nowMs > until + STALE_TTL_MS + LEEWAY_MS) problems.push(`too stale: ${recordToText(record)}`);
    } else if (endMs > until + LEEWAY_MS)
      problems.push(`${recordToText(record)} outlives its TTL by ${Math.round((endMs - until) / 1000)} s`);
  }
  if (!stale) problems.push(...negativeAgeProblems(judged));
  return problems;
}

/** A denial is for the name and the type that was denied, unless denials are used for other names. */
function negativeAgeProblems({ query, reply, settings, ledger, nowMs }: Judged): string[] {
  const soa = reply.authorities.find(({ type }) => type === RRType.SOA);
  if (settings.aggressive || soa === undefined) return [];
  const { name, type } = query.question;
  const last = lastName(name, reply.answers);
  const until = ledger.untilOfNegative(last, type);
  if (until === undefined) return [];
  const endMs = nowMs + negativeTtl(soa) * 1000;
  return endMs > until + LEEWAY_MS
    ? [
        `that ${last} ${rrTypeToText(type)} is not there outlives its TTL by ${Math.round((endMs - until) / 1000)} s`,
      ]
    : [];
}

/** A CNAME that we made of a DNAME beside it. */
function isSynthesized(record: ResourceRecord, answers: readonly ResourceRecord[]): boolean {
  return (
    record.type === RRType.CNAME &&
    answers.some(
      ({ type, owner, ttl }) => type === RRType.DNAME && record.owner.isBelow(owner) && record.ttl <= ttl,
    )
  );
}

/** For people. */
export function describe({ name, type }: PlannedQuery["question"]): string {
  return keyOf(name, type).replace(/ \d+$/, ` ${rrTypeToText(type)}`);
}

/** More than anybody follows. */
const MANY_ALIASES = 20;
const STALE_REPLY_TTL_SECONDS = 30;
/** The setting's default. */
const STALE_TTL_MS = 86_400_000;
/** The longest way of a reply after a server said it: latency, jitter, retransmissions over TCP; and TTLs are whole seconds. */
const LEEWAY_MS = 3000;
/** The validator's allowance: a tenth of the month that signatures are valid, at most a day. */
const SKEW_SECONDS = 86_400;
