/** What a resolution tells about itself: a step per reply or silence, and at its end why it failed. */
import type { Runtime } from "@sotto/dns/runtime";
import { EdeCode, type ExtendedError, type Name, rrTypeToText } from "@sotto/dns/wire";
import type { Attempt } from "./inquiry.ts";
import type { Work } from "./mesh.ts";
import type { FailureReason, Outcome, Sought } from "./outcome.ts";
import { quotaError } from "./quota.ts";
import { BLOCKED_REASON, type Scrubbed } from "./scrubber.ts";

/** Details of the event `recursor.step`: one reply, silence or failure of one server. */
export interface StepEvent {
  /** What the client asked, `www.example. A`; of one of them when several wait. */
  readonly clientQuestion: string;
  readonly zone: string;
  /** Address of the server. */
  readonly server: string;
  readonly serverName: string;
  /** What the server was asked. */
  readonly question: string;
  readonly transport: "udp" | "tcp";
  /** `answer`, `referral to …`, `nxdomain`, `nodata`, `alias to …`, `lame: …`, `truncated`, `timeout`, … */
  readonly outcome: string;
  readonly elapsedMs: number;
}

/** Details of the event `recursor.failed`. */
export interface FailedEvent {
  readonly clientQuestion: string;
  readonly question: string;
  readonly reason: FailureReason;
  readonly text: string;
  /** Queries sent for the client until then. */
  readonly queries: number;
}

/** Collects what went wrong and publishes what happens. */
export class Trace {
  readonly #run: Work;
  readonly #runtime: Runtime;
  #networkFailure: string | undefined = undefined;
  #badReply: string | undefined = undefined;
  #wasStarved = false;
  #wasBlocked = false;

  constructor(run: Work, runtime: Runtime) {
    this.#run = run;
    this.#runtime = runtime;
  }

  step(zone: Name, attempt: Attempt, outcome: string): void {
    const { events, clock } = this.#runtime;
    if (!events.wants("recursor.step")) return;
    const details: StepEvent = {
      clientQuestion: soughtText(this.#run.clientSought),
      zone: zone.toString(),
      server: attempt.candidate.address,
      serverName: attempt.candidate.serverName.toString(),
      question: soughtText(attempt.question),
      transport: attempt.transport,
      outcome,
      elapsedMs: clock.nowMs() - attempt.startedAtMs,
    };
    events.publish("recursor.step", { ...details });
  }

  /** Remembers why a server was of no use, for the extended errors. */
  noteFailure(attempt: Attempt, reason: string, source: "network" | "reply"): void {
    const text = `${attempt.candidate.address}: ${reason}`;
    if (source === "network") this.#networkFailure = text;
    else this.#badReply = text;
    this.#wasBlocked ||= reason === BLOCKED_REASON;
  }

  noteNetworkFailure(text: string): void {
    this.#networkFailure = text;
  }

  noteBadReply(text: string): void {
    this.#badReply = text;
  }

  /** Remembers that a look-up was not made or not finished for reasons that are not its own. */
  noteStarved(): void {
    this.#wasStarved = true;
  }

  /** Ends a resolution without an answer. */
  failed(
    reason: FailureReason,
    zone?: Name,
    others: readonly ExtendedError[] = [],
  ): { readonly kind: "done"; readonly outcome: Outcome } {
    // RFC 8914 §3: what a forwarder says of its failure is passed on.
    const extendedErrors = [...others, ...this.#extendedErrors(reason, zone)];
    if (this.#runtime.events.wants("recursor.failed")) {
      const details: FailedEvent = {
        clientQuestion: soughtText(this.#run.clientSought),
        question: soughtText(this.#run.sought),
        reason,
        text: extendedErrors.map((error) => error.text).join("; "),
        queries: this.#run.quota.queries,
      };
      this.#runtime.events.publish("recursor.failed", { ...details });
    }
    const isOwnFault = reason === "alias loop" || (reason === "no reachable authority" && !this.#wasStarved);
    return {
      kind: "done",
      outcome: { kind: "failed", reason, isCircumstantial: !isOwnFault, extendedErrors },
    };
  }

  #extendedErrors(reason: FailureReason, zone: Name | undefined): ExtendedError[] {
    switch (reason) {
      case "quota":
        return [quotaError];
      case "alias loop":
        return [{ code: EdeCode.Other, text: "aliases lead to no answer" }];
      case "closed":
        return [{ code: EdeCode.NotReady, text: "the resolver is being closed" }];
      case "busy":
        return [{ code: EdeCode.NotReady, text: "too many resolutions at once" }];
      default:
        return [...this.#blocked(), this.#noAuthority(reason, zone), ...this.#networkError()];
    }
  }

  #noAuthority(reason: FailureReason, zone: Name | undefined): ExtendedError {
    const where = zone === undefined ? "" : ` for ${zone}`;
    const bad = this.#badReply === undefined ? "" : ` (${this.#badReply})`;
    const what = reason === "deadline" ? "no usable answer in time" : "no server gave a usable answer";
    return { code: EdeCode.NoReachableAuthority, text: `${what}${where}${bad}` };
  }

  /** RFC 8914 §4.16: it is our policy that leaves nothing to answer with. */
  #blocked(): ExtendedError[] {
    return this.#wasBlocked ? [{ code: EdeCode.Blocked, text: BLOCKED_REASON }] : [];
  }

  #networkError(): ExtendedError[] {
    if (this.#networkFailure === undefined) return [];
    return [{ code: EdeCode.NetworkError, text: this.#networkFailure }];
  }
}

/** `www.example. A`. */
export function soughtText(sought: Sought): string {
  return `${sought.name} ${rrTypeToText(sought.type)}`;
}

/** One word or two for the trace. */
export function outcomeText(scrubbed: Scrubbed): string {
  switch (scrubbed.kind) {
    case "negative":
      return scrubbed.answer.kind;
    case "referral":
      return `referral to ${scrubbed.referral.delegation.zone}`;
    case "alias":
      return `alias to ${scrubbed.target}`;
    case "lame":
    case "broken":
    case "no edns":
      return `${scrubbed.kind}: ${scrubbed.reason}`;
    default:
      return scrubbed.kind;
  }
}
