/**
 * DNS error reporting (RFC 9567): servers name an agent in their replies, and what fails in their zone is told to it by asking
 * for a name that says what failed. The question is one like any other: minimised, validated and cached, so that what is known
 * to have been reported is not sent again. Nothing is sent about reports themselves.
 */
import type { Runtime } from "@sotto/dns/runtime";
import {
  EdeCode,
  EdnsOptionCode,
  type ExtendedError,
  type Message,
  type Name,
  RRType,
  tryReadReportChannel,
} from "@sotto/dns/wire";
import type { Exchange } from "./inquiry.ts";
import type { Outcome, Sought } from "./outcome.ts";
import { soughtText } from "./trace.ts";

export interface ErrorReportsParts {
  /** The deepest zone that is known to hold what was asked. */
  readonly zoneOf: (sought: Sought) => Name;
  /** Where a known alias leads; undefined for other names. */
  readonly aliasOf: (name: Name) => Name | undefined;
  /** Asks the question and validates what comes back (RFC 9567 §6.1); never rejects but for a bug. */
  readonly ask: (report: Sought) => Promise<unknown>;
  readonly runtime: Runtime;
}

/** Details of the event `recursor.report`. */
interface ReportEvent {
  /** What failed. */
  readonly question: string;
  /** What is asked to tell of it. */
  readonly report: string;
}

type Failure = Outcome & { readonly kind: "failed" };

export class ErrorReports {
  readonly #parts: ErrorReportsParts;
  /** By zone, the longest unheard of first. */
  readonly #agents = new Map<
    string,
    { readonly zone: Name; readonly agent: Name; readonly untilMs: number }
  >();
  /** By name of the report: when it may be asked for again. */
  readonly #sent = new Map<string, number>();
  #underWay = 0;
  #minuteEndsAtMs = 0;
  #sentThisMinute = 0;

  constructor(parts: ErrorReportsParts) {
    this.#parts = parts;
  }

  /** Remembers where a server of the zone wants errors reported. */
  noteReply(zone: Name, { edns }: Message): void {
    const option = edns?.options.find(({ code }) => code === EdnsOptionCode.ReportChannel);
    if (option === undefined) return;
    const agent = tryReadReportChannel(option.data);
    // RFC 9567 §6.1: no agent, no report.
    if (!agent.ok || agent.value.isRoot) return;
    this.#agents.delete(zone.key);
    const untilMs = this.#parts.runtime.clock.nowMs() + AGENT_LIFE_MS;
    this.#agents.set(zone.key, { zone, agent: agent.value.toLowerCase(), untilMs });
    dropOldest(this.#agents, AGENTS_MAX);
  }

  /** Tells the agent of the zone, if there is one, what failed and why. */
  noteFailure(sought: Sought, failure: Failure): void {
    const error = reportable(failure);
    if (error === undefined || isReport(sought.name)) return;
    const subject = { name: this.#lastName(sought), type: sought.type };
    const report = this.#reportOf(subject, error);
    if (report === undefined || !this.#maySend(report)) return;
    const { events } = this.#parts.runtime;
    if (events.wants("recursor.report")) {
      const details: ReportEvent = { question: soughtText(subject), report: soughtText(report) };
      events.publish("recursor.report", { ...details });
    }
    this.#underWay++;
    // Nobody waits for it; a bug is told of where it happens.
    const done = (): void => void this.#underWay--;
    this.#parts.ask(report).then(done, done);
  }

  /** Forgets the agents of zones at and below a name. */
  flush(name: Name): void {
    for (const [key, { zone }] of this.#agents) if (zone.isAtOrBelow(name)) this.#agents.delete(key);
    this.#sent.clear();
  }

  /** It is the name at the end of aliases that failed; the others were answered. */
  #lastName({ name, type }: Sought): Name {
    let last = name;
    for (let links = 0; links < ALIASES_MAX && type !== RRType.CNAME; links++) {
      const target = this.#parts.aliasOf(last);
      if (target === undefined || target.equals(name)) break;
      last = target;
    }
    return last;
  }

  #reportOf(subject: Sought, { code }: ExtendedError): Sought | undefined {
    const known = this.#agents.get(this.#parts.zoneOf(subject).key);
    if (known === undefined || known.untilMs <= this.#parts.runtime.clock.nowMs()) return undefined;
    const { agent, zone } = known;
    // RFC 9567 §8.1: an agent inside of what is broken would be as broken.
    if (agent.isAtOrBelow(zone)) return undefined;
    return reportQuestion(subject, code, agent);
  }

  /** Zones can be broken on purpose, and their agent be somebody else's server (RFC 9567 §9). */
  #maySend({ name }: Sought): boolean {
    const nowMs = this.#parts.runtime.clock.nowMs();
    if (nowMs >= this.#minuteEndsAtMs) {
      this.#minuteEndsAtMs = nowMs + 60_000;
      this.#sentThisMinute = 0;
    }
    const isKnown = (this.#sent.get(name.key) ?? 0) > nowMs;
    if (isKnown || this.#underWay >= REPORTS_AT_ONCE_MAX || this.#sentThisMinute >= REPORTS_PER_MINUTE_MAX)
      return false;
    this.#sentThisMinute++;
    this.#sent.delete(name.key);
    this.#sent.set(name.key, nowMs + REPORT_AGAIN_MS);
    dropOldest(this.#sent, SENT_MAX);
    return true;
  }
}

/** `_er.TYPE.NAME.CODE._er.AGENT` TXT; undefined when that is longer than a name may be (RFC 9567 §6.1.1). */
export function reportQuestion({ name, type }: Sought, code: EdeCode, agent: Name): Sought | undefined {
  const encoder = new TextEncoder();
  const labels = [REPORT_LABEL, String(type), ...name.labels(), String(code), REPORT_LABEL];
  let report = agent;
  for (const label of labels.reverse()) {
    const longer = report.tryPrepend(typeof label === "string" ? encoder.encode(label) : label);
    if (!longer.ok) return undefined;
    report = longer.value;
  }
  return { name: report.toLowerCase(), type: RRType.TXT };
}

/**
 * Sends reports over TCP (RFC 9567 §6.1), so that agents know who reports; for resolvers that send no cookies, which would do as
 * well.
 */
export function reportsOverTcp(exchange: Exchange): Exchange {
  return {
    exchange: (request) =>
      exchange.exchange(isReport(request.question.name) ? { ...request, transport: "tcp" } : request),
  };
}

function isReport(name: Name): boolean {
  const [first] = name.labels();
  return first !== undefined && new TextDecoder().decode(first).toLowerCase() === REPORT_LABEL;
}

/** What went wrong outside; limits of our own, and what is only remembered, are nobody else's business. */
function reportable({ reason, isCircumstantial, extendedErrors }: Failure): ExtendedError | undefined {
  if (isCircumstantial || (reason !== "bogus" && reason !== "no reachable authority")) return undefined;
  return extendedErrors.find(({ code }) => REPORTABLE.has(code));
}

function dropOldest(map: Map<string, unknown>, sizeMax: number): void {
  for (const key of map.keys()) {
    if (map.size <= sizeMax) return;
    map.delete(key);
  }
}

const REPORT_LABEL = "_er";
const REPORTABLE: ReadonlySet<EdeCode> = new Set([
  EdeCode.UnsupportedDnskeyAlgorithm,
  EdeCode.UnsupportedDsDigest,
  EdeCode.DnssecIndeterminate,
  EdeCode.DnssecBogus,
  EdeCode.SignatureExpired,
  EdeCode.SignatureNotYetValid,
  EdeCode.DnskeyMissing,
  EdeCode.RrsigsMissing,
  EdeCode.NoZoneKeyBitSet,
  EdeCode.NsecMissing,
  EdeCode.NoReachableAuthority,
  EdeCode.NetworkError,
  EdeCode.InvalidData,
  EdeCode.SignatureExpiredBeforeValid,
  EdeCode.UnsupportedNsec3Iterations,
]);
/** Servers send the option with each reply (RFC 9567 §6.2); what was not heard of for an hour may be gone. */
const AGENT_LIFE_MS = 3_600_000;
/** About 500 bytes each. */
const AGENTS_MAX = 1000;
/** The cache knows how long an answer of the agent lasts; one without TTL, or none at all, must not be asked for each time. */
const REPORT_AGAIN_MS = 60_000;
const SENT_MAX = 1000;
/** Reports are worth little: more failures than that are one and the same trouble, or made. */
const REPORTS_PER_MINUTE_MAX = 60;
const REPORTS_AT_ONCE_MAX = 10;
/** More aliases in a row are not followed for a report. */
const ALIASES_MAX = 8;
