/**
 * What a worker tells by memory that it shares with its supervisor, so that looking needs no message and works when the
 * worker is busy or dead. Counts of queries are live. Everything else is a text that the worker writes anew several times a
 * second, guarded by a sequence number: odd while it is written, and another one afterwards.
 */
import { TALLY_CELLS } from "../server/index.ts";
import type { OpenListener } from "./listeners.ts";
import type { AdmissionStatus } from "./listening.ts";

/** What is written besides the counts of queries. `Own`: what only its program tells, as JSON keeps it. */
export interface WorkerReport<Own> {
  readonly status: AdmissionStatus;
  readonly listeners: readonly OpenListener[];
  /** Undefined: there was no room. */
  readonly own: Own | undefined;
  /** Share of the time since the last report in which the event loop was busy, 0 to 1. */
  readonly utilisation: number;
  readonly connectionsGiven: number;
  readonly connectionsTaken: number;
  /** Came from another worker, and had to be closed. */
  readonly connectionsLost: number;
}

/** New memory of one worker. */
export function makeWorkerMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(MEMORY_BYTES);
}

/** Cells for the live counts. */
export function tallyCells(memory: SharedArrayBuffer): Float64Array {
  return new Float64Array(memory, HEAD_WORDS * 4, TALLY_CELLS);
}

/** The worker's side. */
export class ReportWriter {
  readonly #head: Int32Array;
  readonly #text: Uint8Array;

  constructor(memory: SharedArrayBuffer) {
    this.#head = headOf(memory);
    this.#text = textOf(memory);
  }

  /** A report that has no room leaves out what is its program's own, and then its listeners: there is too much to look at anyway. */
  write(report: WorkerReport<unknown>): void {
    const forms = [report, { ...report, own: undefined }, { ...report, own: undefined, listeners: [] }];
    for (const form of forms) {
      const octets = Buffer.from(JSON.stringify(form), "utf8");
      if (octets.length > this.#text.length) continue;
      Atomics.add(this.#head, SEQUENCE, 1);
      this.#text.set(octets);
      Atomics.store(this.#head, LENGTH, octets.length);
      Atomics.add(this.#head, SEQUENCE, 1);
      return;
    }
  }
}

/** The supervisor's side. */
export class ReportReader<Own> {
  readonly #head: Int32Array;
  readonly #text: Uint8Array;
  #report: WorkerReport<Own> | undefined = undefined;
  #sequence = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#head = headOf(memory);
    this.#text = textOf(memory);
  }

  /** Grows with each report: who sees no growth sees that the worker hangs. */
  get beat(): number {
    return Atomics.load(this.#head, SEQUENCE);
  }

  /** The latest whole one; undefined before the first. */
  get latest(): WorkerReport<Own> | undefined {
    for (let tries = 0; tries < READ_TRIES; tries++) {
      const before = Atomics.load(this.#head, SEQUENCE);
      if (before === this.#sequence) break;
      const octets = Buffer.from(this.#text.subarray(0, Atomics.load(this.#head, LENGTH)));
      if (before % 2 !== 0 || Atomics.load(this.#head, SEQUENCE) !== before) continue;
      // What `write` wrote, whole: the sequence says so.
      this.#report = JSON.parse(octets.toString("utf8")) as WorkerReport<Own>;
      this.#sequence = before;
    }
    return this.#report;
  }

  /** After a worker has died: what it was writing is not finished by anybody, and its successor begins to count anew. */
  forget(): void {
    this.#report = undefined;
    if (this.beat % 2 !== 0) Atomics.add(this.#head, SEQUENCE, 1);
    this.#sequence = this.beat;
  }
}

function headOf(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, 0, HEAD_WORDS);
}

function textOf(memory: SharedArrayBuffer): Uint8Array {
  return new Uint8Array(memory, HEAD_WORDS * 4 + TALLY_CELLS * 8);
}

const HEAD_WORDS = 16;
const SEQUENCE = 0;
const LENGTH = 1;
/** Room for some hundred listeners and upstreams; the system gives pages only for what is written. */
const MEMORY_BYTES = 512 * 1024;
/** Writing takes some microseconds, several times a second: the second try finds it done. */
const READ_TRIES = 1000;
