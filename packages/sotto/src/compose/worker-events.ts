/** The events of a worker on their way to the supervisor's log: in batches, so many and no more, and those said once only once. */
import type { Clock, Events, Timer } from "@sotto/dns/runtime";
import type { EventLine } from "./worker-messages.ts";

export interface WorkerEventsOptions {
  /** Whether the log would write a line for it. */
  readonly wants: (name: string) => boolean;
  /** True for the one worker that says what all would say. */
  readonly speaksForAll: boolean;
  readonly send: (lines: readonly EventLine[], dropped: number) => void;
}

/** Publishes to another thread. */
export class WorkerEvents implements Events {
  readonly #options: WorkerEventsOptions;
  readonly #clock: Clock;
  #lines: EventLine[] = [];
  #dropped = 0;
  #timer: Timer | undefined = undefined;

  constructor(options: WorkerEventsOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  wants(name: string): boolean {
    return this.#options.wants(name) && (this.#options.speaksForAll || !SAID_ONCE.has(name));
  }

  publish(name: string, details: Readonly<Record<string, unknown>>): void {
    if (!this.wants(name)) return;
    if (this.#lines.length >= LINES_MAX) this.#dropped++;
    else this.#lines.push([name, JSON.stringify(details)]);
    this.#timer ??= this.#clock.startTimer("worker events", BATCH_MS, () => this.flush(), true);
  }

  /** Sends what waits. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#lines.length === 0) return;
    this.#options.send(this.#lines, this.#dropped);
    this.#lines = [];
    this.#dropped = 0;
  }
}

/** What happens to all workers alike, for one reason outside of them. */
const SAID_ONCE: ReadonlySet<string> = new Set([
  "certificate.renewed",
  "certificate.expires",
  "front.set.bad-lines",
  "front.set.loaded",
  "front.set.refused",
  "listener.socket-missing",
  "listener.socket-unused",
  "portal.closed",
  "portal.open",
  "portal.opened",
  "tickets.rotated",
  "transport.network-changed",
]);

/** A person does not notice it, and a thousand handshakes that fail are some messages. */
const BATCH_MS = 50;
/** The log writes ten lines of a name in ten seconds: whoever has more to say in a moment is a flood. */
const LINES_MAX = 256;
