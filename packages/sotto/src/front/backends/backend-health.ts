/**
 * Whether a backend is asked: what checks and queries say of it becomes a state. Knows no timers and no network; its owner tells it
 * what happened and when.
 */
import type { HealthOptions } from "./backend-settings.ts";

/** `starting` is up with a share that grows; `draining` is by command and ends by command. */
export type BackendState = "up" | "down" | "draining" | "starting";

/** A change of state, for the one event that tells it. */
export interface StateChange {
  readonly state: BackendState;
  /** For people. */
  readonly why: string;
  /** How long the state before lasted, milliseconds. */
  readonly forMs: number;
}

/** See the head of this file. Times are `Clock.nowMs`. */
export class BackendHealth {
  readonly #options: HealthOptions;
  readonly #onChange: (change: StateChange) => void;
  #state: Exclude<BackendState, "draining"> = "up";
  #isDraining = false;
  #sinceMs: number;
  #why = "not checked yet";
  #goodChecks = 0;
  #badChecks = 0;
  /** Without a reply between them. */
  #failures = 0;
  #firstFailureMs = 0;
  /** Queries that waited for longer than most, without a reply between them. */
  #slow = 0;
  #suspectUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: HealthOptions, nowMs: number, onChange: (change: StateChange) => void) {
    this.#options = options;
    this.#sinceMs = nowMs;
    this.#onChange = onChange;
  }

  get state(): BackendState {
    return this.#isDraining ? "draining" : this.#state;
  }

  /** Since when it has this state. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Why it has this state, for people. */
  get why(): string {
    return this.#why;
  }

  /** True while it gets queries. */
  get isUp(): boolean {
    return !this.#isDraining && this.#state !== "down";
  }

  /** It has not replied for so long that others are asked if there are any; a reply or some time ends that. */
  isSuspect(nowMs: number): boolean {
    return nowMs < this.#suspectUntilMs;
  }

  /** Of its weight: from 0.1 to 1. */
  share(nowMs: number): number {
    if (this.#state !== "starting") return 1;
    const passed = (nowMs - this.#sinceMs) / this.#options.slowStartMs;
    if (passed < 1) return Math.max(SHARE_MIN, passed);
    this.#move("up", "it has started", nowMs);
    return 1;
  }

  /** An active check; `why` tells what was wrong with it. */
  noteCheck(isGood: boolean, why: string, nowMs: number): void {
    if (isGood) {
      this.#badChecks = 0;
      this.#trust();
      this.#goodChecks++;
      if (this.#state === "down" && this.#goodChecks >= this.#options.rise)
        this.#rise(`${this.#goodChecks} checks in a row were good`, nowMs);
      return;
    }
    this.#goodChecks = 0;
    this.#badChecks++;
    // Queries and a check say the same.
    const isCertain = this.#badChecks >= this.#options.fall || this.isSuspect(nowMs);
    if (this.#state !== "down" && isCertain)
      this.#move("down", `${this.#badChecks} failed checks in a row: ${why}`, nowMs);
  }

  /** A query was answered. Without active checks that is how a backend comes back. */
  noteReply(nowMs: number): void {
    this.#trust();
    if (this.#state === "down" && this.#options.intervalMs === 0)
      this.#rise("it has answered a query", nowMs);
  }

  #trust(): void {
    this.#failures = 0;
    if (this.#slow === 0) return;
    this.#slow = 0;
    this.#suspectUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** A query waits for longer than most. True when that makes it suspect: who is only slow will say so when checked. */
  noteSlow(nowMs: number): boolean {
    this.#slow++;
    if (this.#slow < this.#options.failuresMax || this.isSuspect(nowMs)) return false;
    this.#suspectUntilMs = nowMs + SUSPICION_MS;
    return true;
  }

  /** A connection failed, or a query had no reply by its deadline. */
  noteFailure(why: string, nowMs: number): void {
    if (this.#state === "down") return;
    if (this.#failures === 0 || nowMs - this.#firstFailureMs > this.#options.failureWindowMs) {
      this.#failures = 0;
      this.#firstFailureMs = nowMs;
    }
    this.#failures++;
    if (this.#failures >= this.#options.failuresMax)
      this.#move("down", `${this.#failures} failures without a reply: ${why}`, nowMs);
  }

  /** By command: no new queries. */
  drain(nowMs: number): void {
    if (this.#isDraining) return;
    this.#tell("draining", BY_COMMAND, nowMs, () => {
      this.#isDraining = true;
    });
  }

  /** It was by command before this began. */
  stayDrained(): void {
    this.#isDraining = true;
    this.#why = BY_COMMAND;
  }

  /** Takes that back. */
  resume(nowMs: number): void {
    if (!this.#isDraining) return;
    const state = this.#state === "starting" ? "up" : this.#state;
    this.#tell(state, BY_COMMAND, nowMs, () => {
      this.#isDraining = false;
      this.#state = state;
    });
  }

  #rise(why: string, nowMs: number): void {
    this.#move(this.#options.slowStartMs > 0 ? "starting" : "up", why, nowMs);
  }

  #move(state: Exclude<BackendState, "draining">, why: string, nowMs: number): void {
    this.#trust();
    this.#goodChecks = 0;
    this.#badChecks = 0;
    if (this.#isDraining) this.#state = state;
    else
      this.#tell(state, why, nowMs, () => {
        this.#state = state;
      });
  }

  #tell(state: BackendState, why: string, nowMs: number, move: () => void): void {
    const forMs = nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
    this.#why = why;
    move();
    this.#onChange({ state, why, forMs });
  }
}

const BY_COMMAND = "by command";
/** Some queries at once, or who starts with nothing in its cache would never learn. */
const SHARE_MIN = 0.1;
/** As long as a check takes that fails, and a little more. */
const SUSPICION_MS = 2000;
