/**
 * One question at the servers of one zone: several exchanges may be under way, because a server that is slow is not
 * given up when the next one is asked. Whatever arrives is handed out one by one; closing ends everything.
 */
import { DnsError, type SharedWaits, Stop, type Wait } from "@sotto/dns/runtime";
import type { ExchangeResult, Exchanger } from "@sotto/dns/transport";
import type { Edns, Question } from "@sotto/dns/wire";
import type { Candidate } from "./server-selection.ts";

/** What the recursor needs of the client transport. */
export type Exchange = Pick<Exchanger, "exchange">;

/** One query to one server. */
export interface Attempt {
  readonly candidate: Candidate;
  readonly question: Question;
  readonly transport: "udp" | "tcp";
  readonly withEdns: boolean;
  readonly recursionDesired: boolean;
  readonly startedAtMs: number;
  readonly deadlineMs: number;
}

/** What became of an attempt. */
export type Arrival =
  | { readonly kind: "reply"; readonly attempt: Attempt; readonly result: ExchangeResult }
  | { readonly kind: "failure"; readonly attempt: Attempt; readonly problem: DnsError };

/** How servers are asked. */
export interface InquiryOptions {
  /** Where servers listen that have no port of their own. */
  readonly port: number;
  readonly cookies: boolean;
  readonly mixCase: boolean;
  /** DO, and the largest UDP reply. */
  readonly edns: Edns;
}

export class Inquiry implements Wait {
  dueMs = 0;
  waitIndex = -1;
  readonly #exchange: Exchange;
  /** Of all inquiries. */
  readonly #waits: SharedWaits;
  readonly #options: InquiryOptions;
  readonly #stop = new Stop();
  readonly #arrivals: Arrival[] = [];
  #underWay = 0;
  /** Undefined: nobody waits. */
  #wake: ((arrival: Arrival | undefined) => void) | undefined = undefined;

  constructor(exchange: Exchange, options: InquiryOptions, waits: SharedWaits) {
    this.#exchange = exchange;
    this.#options = options;
    this.#waits = waits;
  }

  /** True while an attempt has not arrived or an arrival has not been taken. */
  get isOpen(): boolean {
    return this.#underWay > 0 || this.#arrivals.length > 0;
  }

  /** Sends a query; its outcome comes out of {@link next}. */
  start(attempt: Attempt): void {
    this.#underWay++;
    const { question, candidate, transport, withEdns, recursionDesired, deadlineMs } = attempt;
    this.#exchange
      .exchange({
        question,
        server: { address: candidate.address, port: candidate.port ?? this.#options.port },
        transport,
        recursionDesired,
        // CD keeps a forwarder that we were led to from hiding what a validator wants to see (RFC 6840 §5.9).
        checkingDisabled: recursionDesired,
        authenticData: false,
        edns: withEdns ? this.#options.edns : undefined,
        deadlineMs,
        signal: this.#stop,
        // TC is handled by the resolution itself, so that TCP has its own time and its own step in the trace.
        ignoreTruncation: true,
        cookies: this.#options.cookies,
        mixCase: this.#options.mixCase,
      })
      .then(
        (result) => this.#arrive({ kind: "reply", attempt, result }),
        (cause: unknown) => this.#arrive({ kind: "failure", attempt, problem: toDnsError(cause) }),
      );
  }

  /** The next arrival, when one is there. */
  take(): Arrival | undefined {
    return this.#arrivals.shift();
  }

  /**
   * Waits for the next arrival when {@link take} gave none: `wake` is called later, with undefined when none came within `waitMs`
   * or before the inquiry was closed. False when nothing is under way that could come.
   */
  await(waitMs: number, wake: (arrival: Arrival | undefined) => void): boolean {
    if (this.#underWay === 0) return false;
    this.#wake = wake;
    this.#waits.add(this, waitMs);
    return true;
  }

  /** The next arrival; undefined when none came within `waitMs` or before `until` settled. */
  next(waitMs: number, until: Promise<unknown>): Promise<Arrival | undefined> {
    const ready = this.take();
    if (ready !== undefined) {
      // Nobody waits for it now, and what nobody waits for must not end the process when it fails.
      until.catch(() => undefined);
      return Promise.resolve(ready);
    }
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#waits.add(this, waitMs);
      const settle = (): void => {
        if (this.#wake === resolve) this.#settle();
      };
      until.then(settle, settle);
    });
  }

  onDue(): void {
    this.#settle();
  }

  #settle(): void {
    const wake = this.#wake;
    if (wake === undefined) return;
    this.#wake = undefined;
    this.#waits.remove(this);
    wake(this.#arrivals.shift());
  }

  /** Gives up everything under way. */
  close(): void {
    if (this.#underWay > 0) this.#stop.abort(CLOSED);
    this.#settle();
  }

  #arrive(arrival: Arrival): void {
    this.#underWay--;
    this.#arrivals.push(arrival);
    this.#settle();
  }
}

/** A reason of its own saves making one for every question. */
const CLOSED = new DnsError("ERR_ABORTED", "the question has been answered");

function toDnsError(cause: unknown): DnsError {
  return DnsError.is(cause) ? cause : new DnsError("ERR_SYSTEM", "exchange failed unexpectedly", { cause });
}
