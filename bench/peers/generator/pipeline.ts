/** Load on connections that stay: so many queries under way on each, or so many per second. */

import { Histogram } from "../../report/statistics.ts";
import type { Snapshot } from "../accounting.ts";
import { allOpen, closeAll, MeasuredWindow } from "./common.ts";
import { Connection } from "./connection.ts";
import type { LoadOutcome, LoadWindow, PipelineOrder } from "./orders.ts";
import { Poller } from "./poller.ts";
import { HEADER_OCTETS, isAnswerTo, makeQueries, type Queries } from "./queries.ts";
import { BACKLOG_QUERIES_MAX, Backlog, Schedule } from "./schedule.ts";

/** Runs an order to its end. */
export function runPipeline(order: PipelineOrder, window: LoadWindow, snapshot: () => Snapshot): LoadOutcome {
  return new Pipeline(order, window, snapshot).run();
}

/** Queries that are under way on one connection, by slot; the id of a query is its slot and how often that was used. */
interface Slots {
  readonly sinceMs: Float64Array;
  readonly query: Int32Array;
  readonly uses: Uint8Array;
  readonly isBusy: Uint8Array;
  /** A stack. */
  readonly free: number[];
}

class Pipeline {
  readonly #order: PipelineOrder;
  readonly #queries: Queries;
  readonly #poller = new Poller();
  readonly #connections: Connection[];
  readonly #slots: Slots[];
  readonly #latencies = new Histogram();
  /** Of a rate. */
  readonly #isTimed: boolean;
  readonly #backlog: Backlog;
  readonly #measured: MeasuredWindow;
  #nowMs = 0;
  #isAsking = true;
  #isCounting = false;
  #answers = 0;
  #wrong = 0;
  #lost = 0;
  #behindMs = 0;
  /** Whatever time it was. */
  #all = 0;

  constructor(order: PipelineOrder, window: LoadWindow, snapshot: () => Snapshot) {
    this.#order = order;
    this.#isTimed = order.ratePerSecond !== undefined;
    this.#backlog = new Backlog(this.#isTimed ? BACKLOG_QUERIES_MAX : 1);
    this.#queries = makeQueries(order.names);
    const { target, connections, outstanding } = order;
    const outstandingEach = Math.ceil(outstanding / connections);
    if (outstandingEach > SLOTS_MAX) throw new Error(`at most ${SLOTS_MAX} queries on a connection`);
    const count = Array.from({ length: connections });
    this.#connections = count.map((_, place) => new Connection({ target, place, poller: this.#poller }));
    this.#slots = count.map(() => emptySlots(outstandingEach));
    this.#lost += allOpen(this.#connections, this.#poller);
    this.#measured = new MeasuredWindow(window, snapshot, order.answersMax !== undefined);
  }

  run(): LoadOutcome {
    this.#nowMs = performance.now();
    // The authority needs the core, too, when it is asked.
    const waitMs = this.#order.names.kind === "cold" ? WAIT_MS : 0;
    this.#isOver();
    if (!this.#isTimed) for (const { place } of this.#connections) while (this.#ask(place, this.#nowMs));
    const schedule = new Schedule(this.#order.ratePerSecond ?? 0);
    let sweepAtMs = this.#nowMs + SWEEP_MS;
    while (!this.#isOver()) {
      this.#turn(waitMs);
      if (this.#isTimed) this.#askDue(schedule);
      if (this.#nowMs >= sweepAtMs) {
        this.#sweep(LOST_MS);
        sweepAtMs = this.#nowMs + SWEEP_MS;
      }
    }
    const { before, after } = this.#measured.snapshots();
    this.#drain();
    closeAll(this.#connections);
    this.#poller.close();
    return {
      answers: this.#answers,
      wrong: this.#wrong,
      lost: this.#lost,
      resumed: 0,
      coldUsed: this.#queries.used,
      p50Ms: this.#latencies.quantile(0.5),
      p99Ms: this.#latencies.quantile(0.99),
      ...(this.#isTimed ? { behindMs: this.#behindMs } : {}),
      before,
      after,
    };
  }

  /** Waits for what is under way; of a rate, what was due in the counted time is asked and waited for as long as any other. */
  #drain(): void {
    this.#isCounting = false;
    this.#isAsking = this.#isTimed;
    const limitMs = performance.now() + (this.#isTimed ? LOST_MS : DRAIN_MS);
    const isBusy = (): boolean =>
      this.#backlog.count > 0 || this.#slots.some((one) => one.isBusy.includes(1));
    while (performance.now() < limitMs && isBusy()) this.#turn(this.#isTimed ? 0 : WAIT_MS);
    this.#isAsking = false;
    // Whatever is left of a rate had its time.
    if (this.#isTimed) this.#sweep(0);
  }

  #isOver(): boolean {
    const isEnough = this.#all >= (this.#order.answersMax ?? Number.POSITIVE_INFINITY);
    const state = this.#measured.at(this.#nowMs, isEnough);
    this.#isCounting = state === "counting";
    return state === "over";
  }

  #turn(timeoutMs: number): void {
    this.#poller.wait(timeoutMs, (place, events) => {
      const connection = this.#connections[place];
      if (connection?.isOpen !== true) return;
      connection.progress(events);
      connection.read(events, this.#take, REPLIES_PER_TURN);
      if (connection.isClosed) this.#loseAll(place);
    });
    this.#nowMs = performance.now();
  }

  readonly #take = ({ place }: Connection, octets: Buffer, start: number, end: number): void => {
    const slots = this.#slots[place];
    if (slots === undefined) return;
    const id = octets.readUInt16BE(start);
    const slot = id & SLOT_MASK;
    // An answer to a query that was given up.
    if (slots.isBusy[slot] !== 1 || ((slots.uses[slot] ?? 0) & USES_MASK) !== id >>> SLOT_BITS) return;
    this.#all++;
    this.#nowMs = performance.now();
    const isRight = this.#isRight(octets, start, end, slots.query[slot] ?? 0);
    if (this.#isCounting && isRight) this.#answers++;
    else if (this.#isCounting) this.#wrong++;
    const sinceMs = slots.sinceMs[slot] ?? 0;
    if (isRight && (this.#isTimed ? this.#measured.holds(sinceMs) : this.#isCounting))
      this.#latencies.add(this.#nowMs - sinceMs);
    this.#reuse(place, slot);
  };

  #isRight(octets: Buffer, start: number, end: number, query: number): boolean {
    if (end - start <= HEADER_OCTETS) return false;
    const [flags, codes] = [octets[start + 2] ?? 0, octets[start + 3] ?? 0];
    // A response that is not truncated, with NOERROR or NXDOMAIN.
    if ((flags & 0x82) !== 0x80 || ((codes & 15) !== 0 && (codes & 15) !== 3)) return false;
    if (this.#all % QUESTION_EVERY !== 0) return true;
    return isAnswerTo(octets.subarray(start, end), this.#queries.framed(query));
  }

  /** Sends a query; false when as many are under way as may be. */
  #ask(place: number, sinceMs: number): boolean {
    const [connection, slots] = [this.#connections[place], this.#slots[place]];
    if (!this.#isAsking || connection?.isOpen !== true || slots === undefined) return false;
    const slot = slots.free.pop();
    if (slot === undefined) return false;
    const uses = ((slots.uses[slot] ?? 0) + 1) & USES_MASK;
    const query = this.#queries.take((uses << SLOT_BITS) | slot);
    slots.uses[slot] = uses;
    slots.query[slot] = query;
    slots.sinceMs[slot] = sinceMs;
    slots.isBusy[slot] = 1;
    connection.write(this.#queries, query);
    return true;
  }

  /** A slot that is free again has its next query. */
  #reuse(place: number, slot: number): void {
    const slots = this.#slots[place];
    if (slots === undefined) return;
    slots.isBusy[slot] = 0;
    slots.free.push(slot);
    if (!this.#isTimed) this.#ask(place, this.#nowMs);
    else this.#askWaiting(place);
  }

  /** Sends the query that waits longest, of those that are not lost yet. */
  #askWaiting(place: number): void {
    for (let due = this.#backlog.peek(); due !== undefined; due = this.#backlog.peek()) {
      const isLost = this.#nowMs - due >= LOST_MS;
      if (!isLost && !this.#ask(place, due)) return;
      this.#backlog.shift();
      if (!isLost) return;
      this.#lose(due);
    }
  }

  /** Sends what is due on the next connections, or lets it wait; latencies count from when it was. */
  #askDue(schedule: Schedule): void {
    const { connections } = this.#order;
    for (let due = schedule.next(this.#nowMs); due !== undefined; due = schedule.next(this.#nowMs)) {
      if (this.#measured.holds(due)) this.#behindMs = Math.max(this.#behindMs, this.#nowMs - due);
      let tried = this.#backlog.count > 0 ? connections : 0;
      while (tried < connections && !this.#ask((schedule.count + tried) % connections, due)) tried++;
      if (tried === connections && !this.#backlog.push(due)) this.#lose(due);
    }
  }

  /** Of a rate, what was due in the counted time counts, and as slower than every answer. */
  #lose(sinceMs: number): void {
    if (this.#isTimed && !this.#measured.holds(sinceMs)) return;
    this.#lost++;
    if (this.#isTimed) this.#latencies.add(Number.POSITIVE_INFINITY);
  }

  /** What was under way on a connection that is gone. */
  #loseAll(place: number): void {
    const slots = this.#slots[place];
    if (slots === undefined) return;
    for (const [slot, isBusy] of slots.isBusy.entries())
      if (isBusy === 1) this.#lose(slots.sinceMs[slot] ?? 0);
    slots.isBusy.fill(0);
  }

  /** Gives up what got no answer, or waits to be sent, for so long. */
  #sweep(lostMs: number): void {
    for (let due = this.#backlog.peek(); due !== undefined; due = this.#backlog.peek()) {
      if (this.#nowMs - due < lostMs) break;
      this.#lose(due);
      this.#backlog.shift();
    }
    for (const [place, slots] of this.#slots.entries())
      for (const [slot, isBusy] of slots.isBusy.entries()) {
        const sinceMs = slots.sinceMs[slot] ?? 0;
        if (isBusy === 0 || this.#nowMs - sinceMs < lostMs) continue;
        this.#lose(sinceMs);
        this.#reuse(place, slot);
      }
  }
}

function emptySlots(count: number): Slots {
  return {
    sinceMs: new Float64Array(count),
    query: new Int32Array(count),
    uses: new Uint8Array(count),
    isBusy: new Uint8Array(count),
    free: Array.from({ length: count }, (_, i) => count - 1 - i),
  };
}

const SLOT_BITS = 11;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
const SLOTS_MAX = SLOT_MASK + 1;
const USES_MASK = (1 << (16 - SLOT_BITS)) - 1;
/** One answer of so many has its question compared. */
const QUESTION_EVERY = 64;
/** Answers of one connection before others have their turn. */
const REPLIES_PER_TURN = 4096;
/**
 * Where it may: otherwise the load never sleeps, because waking a core costs whoever does it, above all on virtual machines, and
 * then a server would pay for being slower than the load.
 */
const WAIT_MS = 10;
const SWEEP_MS = 200;
/** A query without an answer for so long is lost. */
const LOST_MS = 2000;
const DRAIN_MS = 1000;
