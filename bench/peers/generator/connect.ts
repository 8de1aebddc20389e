/** A new connection for each query: connect, shake hands, ask, read the answer, end. */

import { Histogram } from "../../report/statistics.ts";
import type { Snapshot } from "../accounting.ts";
import { closeAll, MeasuredWindow } from "./common.ts";
import { Connection } from "./connection.ts";
import type { ConnectOrder, LoadOutcome, LoadWindow } from "./orders.ts";
import { Poller } from "./poller.ts";
import { isAnswerTo, makeQueries, type Queries } from "./queries.ts";

/** Runs an order to its end; a session to resume is fetched before. */
export function runConnect(order: ConnectOrder, window: LoadWindow, snapshot: () => Snapshot): LoadOutcome {
  const session = order.isResumed ? fetchSession(order) : undefined;
  return new Connects(order, session).run(window, snapshot);
}

class Connects {
  readonly #order: ConnectOrder;
  readonly #session: bigint | undefined;
  readonly #queries: Queries = makeQueries({ kind: "cached" });
  readonly #poller = new Poller();
  readonly #connections: Connection[] = [];
  readonly #startedMs: number[] = [];
  readonly #query: number[] = [];
  readonly #latencies = new Histogram();
  #isCounting = false;
  #isAnswered = false;
  #wrong = 0;
  #lost = 0;
  #resumed = 0;

  constructor(order: ConnectOrder, session: bigint | undefined) {
    this.#order = order;
    this.#session = session;
  }

  run(window: LoadWindow, snapshot: () => Snapshot): LoadOutcome {
    for (let place = 0; place < this.#order.atOnce; place++) this.#start(place);
    const measured = new MeasuredWindow(window, snapshot);
    for (;;) {
      const state = measured.at(performance.now());
      if (state === "over") break;
      this.#isCounting = state === "counting";
      this.#poller.wait(0, (place, events) => this.#onEvent(place, events));
      this.#sweep();
    }
    closeAll(this.#connections);
    this.#poller.close();
    const { before, after } = measured.snapshots();
    return {
      answers: this.#latencies.count,
      wrong: this.#wrong,
      lost: this.#lost,
      resumed: this.#resumed,
      coldUsed: 0,
      p50Ms: this.#latencies.quantile(0.5),
      p99Ms: this.#latencies.quantile(0.99),
      before,
      after,
    };
  }

  #start(place: number): void {
    const { target } = this.#order;
    this.#startedMs[place] = performance.now();
    const session = this.#session === undefined ? {} : { session: this.#session };
    this.#connections[place] = new Connection({ target, place, poller: this.#poller, ...session });
  }

  #onEvent(place: number, events: number): void {
    const connection = this.#connections[place];
    if (connection === undefined || connection.isClosed) return;
    if (connection.progress(events)) {
      const query = this.#queries.take(place);
      this.#query[place] = query;
      connection.write(this.#queries, query);
      return;
    }
    this.#isAnswered = false;
    if (connection.isOpen) connection.read(events, this.#take, 1);
    if (this.#isAnswered) connection.close();
    else if (connection.isClosed && this.#isCounting) this.#lost++;
    if (connection.isClosed) this.#start(place);
  }

  readonly #take = (connection: Connection, octets: Buffer, start: number, end: number): void => {
    const { place } = connection;
    const query = this.#queries.framed(this.#query[place] ?? 0);
    this.#isAnswered = true;
    if (!this.#isCounting) return;
    const isRight = octets.readUInt16BE(start) === place && isAnswerTo(octets.subarray(start, end), query);
    if (!isRight) this.#wrong++;
    else {
      this.#latencies.add(performance.now() - (this.#startedMs[place] ?? 0));
      if (connection.isResumed) this.#resumed++;
    }
  };

  /** Gives up what takes too long. */
  #sweep(): void {
    const beforeMs = performance.now() - LOST_MS;
    for (const [place, startedMs] of this.#startedMs.entries()) {
      if (startedMs > beforeMs) continue;
      this.#connections[place]?.close();
      if (this.#isCounting) this.#lost++;
      this.#start(place);
    }
  }
}

/** One connection for one answer, whose ticket is kept. */
function fetchSession({ target }: ConnectOrder): bigint {
  const poller = new Poller();
  const connection = new Connection({ target, place: 0, poller });
  const queries = makeQueries({ kind: "cached" });
  const limitMs = performance.now() + LOST_MS;
  let session: bigint | undefined;
  while (session === undefined && !connection.isClosed && performance.now() < limitMs)
    poller.wait(10, (_, events) => {
      if (connection.progress(events)) connection.write(queries, queries.take(1));
      else if (connection.isOpen) connection.read(events, () => undefined, 1);
      session ??= connection.isOpen ? connection.takeSession() : undefined;
    });
  connection.close();
  poller.close();
  if (session === undefined) throw new Error(`${target.address} gave no session to resume`);
  return session;
}

/** A connection that has no answer after so long is lost. */
const LOST_MS = 5000;
