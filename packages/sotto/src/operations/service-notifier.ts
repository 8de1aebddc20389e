/**
 * Tells the service manager how the program does, as sd_notify(3) describes: that it is ready, reloads, stops, what it is
 * about in one line, and at intervals that it is alive. Does nothing where nobody asked to be told (no NOTIFY_SOCKET).
 */
import { execFile } from "node:child_process";
import type { Clock, Events, Timer } from "@sotto/dns/runtime";
import type { Environment } from "./program-io.ts";

/** Sends one datagram to the socket; undefined, or why it was not sent. */
export type SendState = (address: string, octets: Uint8Array) => Promise<string | undefined>;

export interface ServiceNotifierOptions {
  /** NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read and removed: children have nothing to tell. */
  readonly environment: Environment;
  readonly pid: number;
  readonly send: SendState;
  /** Where `send` fails; by default the program systemd-notify, which the unit has to allow by NotifyAccess=all. */
  readonly sendOtherwise?: SendState | undefined;
  /** CLOCK_MONOTONIC. */
  readonly monotonicMicroseconds?: (() => bigint) | undefined;
}

/** One per process. Messages are sent one after another, in the order of the calls, which never throw. */
export class ServiceNotifier {
  readonly #address: string | undefined;
  readonly #watchdogMs: number | undefined;
  readonly #options: ServiceNotifierOptions;
  readonly #clock: Clock;
  readonly #events: Events;
  #sending: Promise<void> = Promise.resolve();
  #waiting = 0;
  #status = "";
  #timer: Timer | undefined = undefined;

  constructor(options: ServiceNotifierOptions, clock: Clock, events: Events) {
    const { environment, pid } = options;
    this.#options = options;
    this.#clock = clock;
    this.#events = events;
    this.#address = environment["NOTIFY_SOCKET"];
    this.#watchdogMs = watchdogMsOf(environment, pid);
    delete environment["NOTIFY_SOCKET"];
    delete environment["WATCHDOG_USEC"];
    delete environment["WATCHDOG_PID"];
  }

  /** After all listeners are open, and after a reload, whether it changed something or was refused. */
  ready(status: string): void {
    this.#status = oneLine(status);
    this.#tell(`READY=1\nSTATUS=${this.#status}`);
  }

  /** A reload begins; `ready` tells its end. */
  reloading(): void {
    const nowUs = this.#options.monotonicMicroseconds?.() ?? process.hrtime.bigint() / 1000n;
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${nowUs}`);
  }

  stopping(status: string): void {
    this.#status = oneLine(status);
    this.#tell(`STOPPING=1\nSTATUS=${this.#status}`);
  }

  /**
   * From now on looks at intervals: while `isAlive` the watchdog is fed, twice as often as it wants, and `status` is told
   * when it is another one. That the timer fires shows that the event loop turns.
   */
  watch(isAlive: () => boolean, status: () => string): void {
    if (this.#address === undefined) return;
    const intervalMs = Math.min(STATUS_INTERVAL_MS, (this.#watchdogMs ?? Number.POSITIVE_INFINITY) / 2);
    const look = (): void => {
      const lines: string[] = [];
      if (this.#watchdogMs !== undefined && isAlive()) lines.push("WATCHDOG=1");
      const now = oneLine(status());
      if (now !== this.#status) lines.push(`STATUS=${now}`);
      this.#status = now;
      if (lines.length > 0) this.#tell(lines.join("\n"));
      this.#timer = this.#clock.startTimer("service manager", intervalMs, look, true);
    };
    this.#timer?.cancel();
    this.#timer = this.#clock.startTimer("service manager", intervalMs, look, true);
  }

  /** Looks no more; resolves when everything has been sent, or could not be. */
  close(): Promise<void> {
    this.#timer?.cancel();
    return this.#sending;
  }

  #tell(state: string): void {
    const address = this.#address;
    if (address === undefined) return;
    // A service manager that does not listen must not fill the memory.
    if (this.#waiting >= WAITING_MAX) return;
    this.#waiting++;
    this.#sending = this.#sending
      .then(() => this.#send(address, state))
      .finally(() => {
        this.#waiting--;
      });
  }

  async #send(address: string, state: string): Promise<void> {
    const octets = Buffer.from(state, "utf8");
    const problem = await failureOf(this.#options.send(address, octets));
    if (problem === undefined) return;
    const otherProblem = await failureOf((this.#options.sendOtherwise ?? runSystemdNotify)(address, octets));
    if (otherProblem === undefined) return;
    this.#events.publish("service.not-told", {
      message: state.split("\n")[0],
      problem: `${problem}; ${otherProblem}`,
      consequence: "the service manager does not know of it and may restart the program",
    });
  }
}

/** Undefined when there is no watchdog, or it is for another process. */
function watchdogMsOf(environment: Environment, pid: number): number | undefined {
  const { WATCHDOG_USEC: text = "", WATCHDOG_PID: forPid = String(pid) } = environment;
  if (!/^\d{1,15}$/.test(text) || forPid !== String(pid)) return undefined;
  return Math.max(WATCHDOG_MS_MIN, Number(text) / 1000);
}

async function failureOf(sent: Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await sent;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The variables are lines. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").slice(0, STATUS_CHARACTERS_MAX);
}

/** For a Node without foreign functions. */
function runSystemdNotify(address: string, octets: Uint8Array): Promise<string | undefined> {
  const words = Buffer.from(octets).toString("utf8").split("\n");
  const options = { env: { ...process.env, NOTIFY_SOCKET: address }, timeout: NOTIFY_TIMEOUT_MS };
  return new Promise((resolve) => {
    execFile("systemd-notify", words, options, (problem) =>
      resolve(problem === null ? undefined : `systemd-notify: ${problem.message.trim()}`),
    );
  });
}

/** A person who looks at the status sees what was true a moment ago. */
const STATUS_INTERVAL_MS = 5000;
/** Shorter watchdogs would ask for more than a busy server can promise. */
const WATCHDOG_MS_MIN = 100;
const STATUS_CHARACTERS_MAX = 500;
const NOTIFY_TIMEOUT_MS = 5000;
/** Messages that wait for the one before them; more are left out. */
const WAITING_MAX = 16;
