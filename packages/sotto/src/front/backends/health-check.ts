/** Asks a backend now and then whether it works, the way that queries go, and tells its health what came of it. */
import type { DnsError, Runtime, Timer } from "@sotto/dns/runtime";
import {
  encodeMessage,
  MessageView,
  makeEdns,
  makeMessage,
  Rcode,
  RRClass,
  rcodeToText,
} from "@sotto/dns/wire";
import {
  Attempt,
  type AttemptCarrier,
  type AttemptOwner,
  type AttemptQuery,
  type FailureKind,
} from "./attempt.ts";
import type { BackendHealth } from "./backend-health.ts";
import type { HealthOptions } from "./backend-settings.ts";

/** What it needs of the backend. */
interface CheckedBackend extends AttemptCarrier {
  readonly health: BackendHealth;
  submitCheck(attempt: Attempt, nowMs: number): boolean;
}

export class HealthCheck implements AttemptOwner {
  readonly #options: HealthOptions;
  readonly #backend: CheckedBackend;
  readonly #runtime: Runtime;
  readonly #octets: Uint8Array;
  readonly #view = new MessageView();
  readonly #query: Pick<AttemptQuery, "question" | "client" | "local">;
  #timer: Timer | undefined = undefined;
  #attempt: Attempt | undefined = undefined;
  #isClosed = false;

  constructor(options: HealthOptions, backend: CheckedBackend, runtime: Runtime) {
    this.#options = options;
    this.#backend = backend;
    this.#runtime = runtime;
    const question = { name: options.name, type: options.type, class: RRClass.IN };
    this.#query = { question, client: undefined, local: undefined };
    this.#octets = encodeMessage(
      makeMessage({ recursionDesired: true, questions: [question], edns: makeEdns() }),
    );
    // Not all backends in one moment, and the first check soon.
    if (options.intervalMs > 0) this.#wait(runtime.random.below(Math.min(options.intervalMs, FIRST_MS_MAX)));
  }

  /** Something is wrong with the backend: it is looked at sooner. */
  hurry(delayMs: number): void {
    if (this.#options.intervalMs > 0 && this.#attempt === undefined) this.#wait(delayMs);
  }

  #wait(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#isClosed) return;
    this.#timer = this.#runtime.clock.startTimer("health check", delayMs, () => this.#ask(), true);
  }

  #ask(): void {
    const nowMs = this.#runtime.clock.nowMs();
    const deadlineMs = nowMs + this.#options.timeoutMs;
    const attempt = new Attempt({ ...this.#query, octets: this.#octets, deadlineMs }, this, this.#backend);
    this.#attempt = attempt;
    // All connections are in use: what becomes of the queries on them tells as much.
    if (!this.#backend.submitCheck(attempt, nowMs)) this.#over();
  }

  replied(_attempt: Attempt, octets: Uint8Array, nowMs: number): void {
    const view = this.#view;
    const problem = view.reset(octets) ?? view.ednsProblem;
    const isGood = problem === undefined && this.#isWell(view.rcode);
    this.#backend.health.noteCheck(isGood, problem ?? `the answer was ${rcodeToText(view.rcode)}`, nowMs);
    this.#over();
  }

  #isWell(rcode: number): boolean {
    const { rcodes } = this.#options;
    // Extended codes such as BADVERS are about the query, and no client could be told them.
    return rcodes === undefined ? rcode !== Rcode.ServFail && rcode <= 0xf : rcodes.includes(rcode);
  }

  failed(_attempt: Attempt, _kind: FailureKind, problem: DnsError, nowMs: number): void {
    this.#backend.health.noteCheck(false, problem.message, nowMs);
    this.#over();
  }

  #over(): void {
    this.#attempt = undefined;
    const { intervalMs, downIntervalMs } = this.#options;
    this.#wait(this.#backend.health.isUp ? intervalMs : Math.min(intervalMs, downIntervalMs));
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }
}

const FIRST_MS_MAX = 500;
