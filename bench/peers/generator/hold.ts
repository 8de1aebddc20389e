/** Connections that are opened, asked once and then held, to see what they cost when nothing happens. */
import type { Snapshot } from "../accounting.ts";
import { closeAll } from "./common.ts";
import { Connection } from "./connection.ts";
import type { HoldOrder, LoadOutcome } from "./orders.ts";
import { Poller } from "./poller.ts";
import { makeQueries } from "./queries.ts";

/** What is held between an order to hold and one to release. */
export class HeldConnections {
  readonly #queries = makeQueries({ kind: "cached" });
  readonly #poller = new Poller();
  readonly #connections: Connection[] = [];
  /** Places of those that have answered. */
  readonly #answers = new Set<number>();
  /** Closed before their answer. */
  #failed = 0;

  /** Opens them, some at a time, and asks once on each; `answers` of the outcome is how many answered. */
  hold({ target, connections }: HoldOrder, snapshot: () => Snapshot): LoadOutcome {
    const before = snapshot();
    const limitMs = performance.now() + HOLD_MS;
    const done = (): number => this.#answers.size + this.#failed;
    while (done() < connections && performance.now() < limitMs) {
      while (this.#connections.length < connections && this.#connections.length - done() < AT_ONCE)
        this.#connections.push(
          new Connection({ target, place: this.#connections.length, poller: this.#poller }),
        );
      this.#turn();
    }
    return this.#outcome(before, snapshot);
  }

  /** Asks once more on each and closes them. */
  release(snapshot: () => Snapshot): LoadOutcome {
    const before = snapshot();
    this.#answers.clear();
    this.#turn();
    const open = this.#connections.filter((one) => one.isOpen);
    const limitMs = performance.now() + RELEASE_MS;
    for (const [nth, one] of open.entries()) {
      one.write(this.#queries, this.#queries.take(one.place));
      if (nth % AT_ONCE === 0) this.#turn();
    }
    while (this.#answers.size < open.length && performance.now() < limitMs) this.#turn();
    const outcome = this.#outcome(before, snapshot);
    closeAll(this.#connections);
    this.#poller.close();
    return outcome;
  }

  #turn(): void {
    this.#poller.wait(10, (place, events) => {
      const connection = this.#connections[place];
      if (connection === undefined || connection.isClosed) return;
      if (connection.progress(events)) connection.write(this.#queries, this.#queries.take(place));
      else if (connection.isOpen) connection.read(events, () => this.#answers.add(place), 1);
      if (connection.isClosed && !this.#answers.has(place)) this.#failed++;
    });
  }

  #outcome(before: Snapshot, snapshot: () => Snapshot): LoadOutcome {
    const lost = this.#connections.length - this.#answers.size;
    const answers = this.#answers.size;
    return {
      answers,
      wrong: 0,
      lost,
      resumed: 0,
      coldUsed: 0,
      p50Ms: 0,
      p99Ms: 0,
      before,
      after: snapshot(),
    };
  }
}

const AT_ONCE = 50;
const HOLD_MS = 60_000;
const RELEASE_MS = 30_000;
