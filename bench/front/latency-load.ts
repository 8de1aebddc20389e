/**
 * A load that measures how long answers take and leaves the core to others while it waits, which the backend shares with it: one query
 * at a time, or a rate over many connections. Started as a process with its order as JSON; prints what it saw as a line of JSON.
 */
import { allOpen, closeAll } from "../peers/generator/common.ts";
import { Connection } from "../peers/generator/connection.ts";
import type { LoadTarget } from "../peers/generator/orders.ts";
import { Poller } from "../peers/generator/poller.ts";
import { isAnswerTo, makeQueries, type Queries } from "../peers/generator/queries.ts";
import { Histogram } from "../report/statistics.ts";

export interface LatencyOrder {
  readonly target: LoadTarget;
  readonly connections: number;
  /** Absent: the next query when the answer has come, on each connection. */
  readonly ratePerSecond?: number;
  readonly leadMs: number;
  readonly windowMs: number;
}

export interface LatencySeen {
  readonly answers: number;
  readonly wrong: number;
  readonly lost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly runMs: number;
}

class LatencyLoad {
  readonly #order: LatencyOrder;
  readonly #queries: Queries = makeQueries({ kind: "cached" });
  readonly #poller = new Poller();
  readonly #connections: Connection[];
  /** By id: when it was sent, 0 when it was not; and which query it is. */
  readonly #sinceMs = new Float64Array(IDS);
  readonly #query = new Int32Array(IDS);
  readonly #latencies = new Histogram();
  #nextId = 0;
  #isAsking = true;
  #isCounting = false;
  #inFlight = 0;
  #wrong = 0;
  #lost = 0;

  constructor(order: LatencyOrder) {
    this.#order = order;
    const { target, connections } = order;
    this.#connections = Array.from(
      { length: connections },
      (_, place) => new Connection({ target, place, poller: this.#poller }),
    );
  }

  run(): LatencySeen {
    this.#lost += allOpen(this.#connections, this.#poller);
    const { leadMs, windowMs, ratePerSecond, connections } = this.#order;
    const startMs = performance.now();
    if (ratePerSecond === undefined) for (const one of this.#connections) this.#ask(one);
    for (let nowMs = startMs, sent = 0; nowMs < startMs + leadMs + windowMs; nowMs = performance.now()) {
      this.#isCounting = nowMs >= startMs + leadMs;
      const due = Math.floor(((nowMs - startMs) * (ratePerSecond ?? 0)) / 1000);
      for (; sent < due && this.#inFlight < IN_FLIGHT_MAX; sent++) {
        const connection = this.#connections[sent % connections];
        if (connection !== undefined) this.#ask(connection);
      }
      this.#turn();
    }
    this.#isAsking = false;
    this.#isCounting = false;
    const endMs = performance.now() + DRAIN_MS;
    while (this.#inFlight > 0 && performance.now() < endMs) this.#turn();
    this.#lost += this.#inFlight;
    closeAll(this.#connections);
    this.#poller.close();
    return {
      answers: this.#latencies.count,
      wrong: this.#wrong,
      lost: this.#lost,
      p50Ms: this.#latencies.quantile(0.5),
      p99Ms: this.#latencies.quantile(0.99),
      runMs: windowMs,
    };
  }

  #turn(): void {
    this.#poller.wait(1, (place, events) => {
      const connection = this.#connections[place];
      if (connection?.isOpen !== true) return;
      connection.progress(events);
      connection.read(events, this.#take, REPLIES_PER_TURN);
    });
  }

  #ask(connection: Connection): void {
    if (!connection.isOpen) {
      this.#lost++;
      return;
    }
    const id = this.#nextId;
    this.#nextId = (id + 1) % IDS;
    this.#query[id] = this.#queries.take(id);
    this.#sinceMs[id] = performance.now();
    this.#inFlight++;
    connection.write(this.#queries, this.#query[id] ?? 0);
  }

  readonly #take = (connection: Connection, octets: Buffer, start: number, end: number): void => {
    const id = octets.readUInt16BE(start);
    const sinceMs = this.#sinceMs[id] ?? 0;
    if (sinceMs === 0) return;
    this.#sinceMs[id] = 0;
    this.#inFlight--;
    const isRight = isAnswerTo(octets.subarray(start, end), this.#queries.framed(this.#query[id] ?? 0));
    if (!isRight) this.#wrong++;
    else if (this.#isCounting) this.#latencies.add(performance.now() - sinceMs);
    if (this.#isAsking && this.#order.ratePerSecond === undefined) this.#ask(connection);
  };
}

const IDS = 0x1_0000;
/** Fewer than there are ids and names, so that none is under way twice. */
const IN_FLIGHT_MAX = 5000;
const REPLIES_PER_TURN = 64;
const DRAIN_MS = 2000;

// Ours wrote it.
const order = JSON.parse(process.argv[2] ?? "{}") as LatencyOrder;
process.stdout.write(`${JSON.stringify(new LatencyLoad(order).run())}\n`);
