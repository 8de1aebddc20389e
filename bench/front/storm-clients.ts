/**
 * Ten thousand DNS over TLS clients in one process, for the storm. A query goes to a random connection, up to four at once; each answer
 * is compared with what that connection asked. Some clients leave with queries under way and come again. Tells a line of JSON a second.
 */
import { writeSync } from "node:fs";
import { Connection } from "../peers/generator/connection.ts";
import type { LoadTarget } from "../peers/generator/orders.ts";
import { Poller } from "../peers/generator/poller.ts";
import { Histogram } from "../report/statistics.ts";
import { judgeStorm, StormQuery } from "./storm-query.ts";

/** What this process is told, as JSON in its only argument. */
export interface StormOrder {
  readonly target: LoadTarget;
  readonly clients: number;
  /** In all. */
  readonly queries: number;
  /** Under way at once, in all. */
  readonly outstanding: number;
  /** Clients that leave and come again, per second. */
  readonly leavingPerSecond: number;
  /** An answer that takes longer is late. */
  readonly lateMs: number;
}

/** What it tells, counted from the start. */
export interface StormCounts {
  readonly isDone: boolean;
  readonly open: number;
  readonly sent: number;
  readonly right: number;
  /** Answered with another response code than NOERROR. */
  readonly failed: number;
  /** Answers with another id, question or nonce than asked on their connection. */
  readonly wrong: number;
  /** Queries without an outcome: given up, or their connection was closed by the server. */
  readonly unanswered: number;
  /** Queries whose client left. */
  readonly left: number;
  readonly late: number;
  readonly closedByServer: number;
  readonly handshakes: number;
  /** The first wrong answers, with what was asked. */
  readonly wrongExamples: readonly string[];
  /** The longest of this second, and of all. */
  readonly worstNowMs: number;
  readonly worstMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

class StormClients {
  readonly #order: StormOrder;
  readonly #poller = new Poller();
  readonly #connections: Connection[] = [];
  readonly #queries = [new StormQuery(false), new StormQuery(true)];
  readonly #latencies = new Histogram();
  /** By place and slot: the id, the number in the nonce, when it was sent. An id of -1 is a free slot. */
  readonly #ids: Int32Array;
  readonly #numbers: Uint32Array;
  readonly #sinceMs: Float64Array;
  /** Connections that were closed while events were looked at. */
  readonly #closed: number[] = [];
  #nowMs = performance.now();
  #state = SEED;
  #sent = 0;
  #inFlight = 0;
  /** Whoever was sent a query last, and so has one under way. */
  #lastAsked = 0;
  #opening = 0;
  #open = 0;
  #right = 0;
  #failed = 0;
  #wrong = 0;
  #unanswered = 0;
  #left = 0;
  #late = 0;
  #closedByServer = 0;
  #handshakes = 0;
  #worstMs = 0;
  #worstNowMs = 0;
  readonly #wrongExamples: string[] = [];

  constructor(order: StormOrder) {
    this.#order = order;
    this.#ids = new Int32Array(order.clients * SLOTS).fill(-1);
    this.#numbers = new Uint32Array(order.clients * SLOTS);
    this.#sinceMs = new Float64Array(order.clients * SLOTS);
  }

  run(): void {
    const { clients, queries, leavingPerSecond } = this.#order;
    this.#openAll(clients);
    let tellAtMs = this.#nowMs + TELL_MS;
    let leaveAtMs = this.#nowMs;
    for (;;) {
      this.#turn();
      if (this.#nowMs >= tellAtMs) {
        this.#sweep();
        this.#tell(false);
        tellAtMs = this.#nowMs + TELL_MS;
      }
      if (this.#sent >= queries && this.#inFlight === 0) break;
      if (this.#sent >= queries) continue;
      if (leavingPerSecond > 0 && this.#nowMs >= leaveAtMs) {
        this.#leave(this.#lastAsked);
        leaveAtMs += 1000 / leavingPerSecond;
      }
      this.#ask();
    }
    this.#tell(true);
    for (const one of this.#connections) one.close();
    this.#poller.close();
  }

  #openAll(clients: number): void {
    const limitMs = this.#nowMs + OPEN_MS;
    let tellAtMs = this.#nowMs + TELL_MS;
    while (this.#open < clients && this.#nowMs < limitMs) {
      while (this.#connections.length < clients && this.#opening < AT_ONCE)
        this.#connect(this.#connections.length);
      this.#turn();
      if (this.#nowMs >= tellAtMs) {
        this.#tell(false);
        tellAtMs = this.#nowMs + TELL_MS;
      }
    }
    // A storm of fewer is another storm.
    if (this.#open < clients)
      throw new Error(`${this.#open} of ${clients} clients are connected after ${OPEN_MS / 1000} s`);
  }

  #connect(place: number): void {
    this.#opening++;
    this.#connections[place] = new Connection({ target: this.#order.target, place, poller: this.#poller });
  }

  #turn(): void {
    this.#poller.wait(WAIT_MS, (place, events) => {
      const connection = this.#connections[place];
      if (connection === undefined || connection.isClosed) return;
      const wasOpen = connection.isOpen;
      if (connection.progress(events)) {
        this.#opening--;
        this.#open++;
        this.#handshakes++;
      }
      if (connection.isOpen) connection.read(events, this.#take, REPLIES_PER_TURN);
      if (!connection.isClosed) return;
      if (wasOpen) {
        this.#open--;
        this.#closedByServer++;
      } else this.#opening--;
      this.#closed.push(place);
    });
    this.#nowMs = performance.now();
    for (const place of this.#closed.splice(0)) {
      this.#unanswered += this.#forget(place);
      this.#connect(place);
    }
  }

  readonly #take = ({ place }: Connection, octets: Buffer, start: number, end: number): void => {
    const id = end - start < 12 ? -2 : octets.readUInt16BE(start);
    const at = place * SLOTS + (id & SLOT_MASK);
    if (id < 0 || this.#ids[at] !== id) {
      this.#noteWrong(place, `an id that is not under way, ${id}`, octets.subarray(start, end));
      return;
    }
    const nowMs = performance.now();
    const tookMs = nowMs - (this.#sinceMs[at] ?? 0);
    this.#ids[at] = -1;
    this.#inFlight--;
    const verdict = judgeStorm(octets, start, end, place, this.#numbers[at] ?? 0);
    if (verdict === "wrong")
      this.#noteWrong(place, `not the answer to query ${this.#numbers[at]}`, octets.subarray(start, end));
    else if (verdict === "failed") this.#failed++;
    else this.#right++;
    this.#latencies.add(tookMs);
    if (tookMs > this.#order.lateMs) this.#late++;
    if (tookMs > this.#worstNowMs) this.#worstNowMs = tookMs;
    if (tookMs > this.#worstMs) this.#worstMs = tookMs;
  };

  #noteWrong(place: number, why: string, octets: Buffer): void {
    this.#wrong++;
    if (this.#wrongExamples.length < WRONG_EXAMPLES_MAX)
      this.#wrongExamples.push(`client ${place}, ${why}: ${octets.toString("hex")}`);
  }

  /** Fills what may be under way, on random connections; a few of them may have no room. */
  #ask(): void {
    const { clients, queries, outstanding } = this.#order;
    for (let tries = 0; tries < TRIES_MAX && this.#inFlight < outstanding && this.#sent < queries; tries++) {
      const place = this.#random() % clients;
      const connection = this.#connections[place];
      if (connection?.isOpen !== true) continue;
      for (let burst = 1 + (this.#random() & 3); burst > 0 && this.#sent < queries; burst--) {
        const slot = this.#freeSlot(place);
        if (slot < 0) break;
        this.#send(connection, slot);
      }
    }
  }

  #send(connection: Connection, slot: number): void {
    const { place } = connection;
    const id = (this.#random() & 0xffff & ~SLOT_MASK) | slot;
    const at = place * SLOTS + slot;
    const query = this.#queries[this.#random() & 1];
    if (query === undefined) return;
    this.#sent++;
    this.#inFlight++;
    this.#lastAsked = place;
    query.set(id, place, this.#sent);
    this.#ids[at] = id;
    this.#numbers[at] = this.#sent;
    this.#sinceMs[at] = performance.now();
    connection.write(query, 0);
  }

  #freeSlot(place: number): number {
    for (let slot = 0; slot < SLOTS; slot++) if (this.#ids[place * SLOTS + slot] === -1) return slot;
    return -1;
  }

  /** A client goes without waiting, and a new one takes its place at once: answers on the way are nobody's any more. */
  #leave(place: number): void {
    const connection = this.#connections[place];
    if (connection?.isOpen !== true) return;
    connection.close();
    this.#open--;
    this.#left += this.#forget(place);
    this.#connect(place);
  }

  #forget(place: number): number {
    let count = 0;
    for (let at = place * SLOTS; at < (place + 1) * SLOTS; at++) {
      if (this.#ids[at] === -1) continue;
      this.#ids[at] = -1;
      this.#inFlight--;
      count++;
    }
    return count;
  }

  /** Gives up what has waited too long, with its connection, so that a late answer is no wrong one. */
  #sweep(): void {
    const beforeMs = this.#nowMs - GIVEN_UP_MS;
    for (let at = 0; at < this.#ids.length; at++) {
      if (this.#ids[at] === -1 || (this.#sinceMs[at] ?? 0) > beforeMs) continue;
      const place = Math.floor(at / SLOTS);
      this.#connections[place]?.close();
      this.#open--;
      this.#unanswered += this.#forget(place);
      this.#connect(place);
    }
  }

  #tell(isDone: boolean): void {
    const counts: StormCounts = {
      isDone,
      open: this.#open,
      sent: this.#sent,
      right: this.#right,
      failed: this.#failed,
      wrong: this.#wrong,
      unanswered: this.#unanswered,
      left: this.#left,
      late: this.#late,
      closedByServer: this.#closedByServer,
      handshakes: this.#handshakes,
      wrongExamples: this.#wrongExamples,
      worstNowMs: this.#worstNowMs,
      worstMs: this.#worstMs,
      p50Ms: this.#latencies.quantile(0.5),
      p99Ms: this.#latencies.quantile(0.99),
      p999Ms: this.#latencies.quantile(0.999),
    };
    this.#worstNowMs = 0;
    writeSync(1, `${JSON.stringify(counts)}\n`);
  }

  /** Marsaglia's xorshift: the same order every time. */
  #random(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
}

const SEED = 20_160_717;
/** Queries under way on one connection, a power of two; the id's lower bits are the slot. */
const SLOTS = 8;
const SLOT_MASK = SLOTS - 1;
const AT_ONCE = 64;
const OPEN_MS = 120_000;
const WAIT_MS = 5;
const TELL_MS = 1000;
const REPLIES_PER_TURN = 64;
const TRIES_MAX = 1000;
const WRONG_EXAMPLES_MAX = 10;
/** Longer than any front end tries. */
const GIVEN_UP_MS = 30_000;

// Ours wrote it.
new StormClients(JSON.parse(process.argv[2] ?? "{}") as StormOrder).run();
