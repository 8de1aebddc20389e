/** One worker as its supervisor holds it: a thread, the calls that wait for it, and the memory that it shares. */
import { DnsError, type DnsErrorCode } from "@sotto/dns/runtime";
import type { BanTold } from "../front/index.ts";
import type { StartThread, WorkerThread } from "../operations/index.ts";
import { type OutcomeCounters, OutcomeTally } from "../server/index.ts";
import { makeWorkerMemory, ReportReader, tallyCells, type WorkerReport } from "./worker-memory.ts";
import type {
  EventLine,
  GivenConnection,
  ToldBans,
  WorkerCallName,
  WorkerCalls,
  WorkerMessage,
  WorkerStart,
} from "./worker-messages.ts";

export interface WorkerHandlers {
  onEvents(lines: readonly EventLine[], dropped: number): void;
  onConnection(connection: GivenConnection, receiver: number): void;
  /** Clients that it has banned, for all others. */
  onBans(bans: readonly BanTold[]): void;
  /** The thread has ended although nobody ended it; all calls have failed. */
  onCrash(reason: string): void;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (problem: Error) => void;
}

/** `starting`: not yet open. `down`: crashed, waiting for its turn, or ended. */
export type WorkerState = "starting" | "serving" | "down";

/** Lives as long as the supervisor, whatever becomes of the threads in it. `Own`: what only its program tells. */
export class WorkerHandle<Own> {
  readonly index: number;
  readonly memory = makeWorkerMemory();
  state: WorkerState = "down";
  /** Checks in a row that saw no sign of life. */
  silentChecks = 0;
  readonly #startThread: StartThread;
  readonly #handlers: WorkerHandlers;
  readonly #tally = new OutcomeTally(tallyCells(this.memory));
  readonly #reader = new ReportReader<Own>(this.memory);
  readonly #waiting = new Map<number, Waiting>();
  #thread: WorkerThread | undefined = undefined;
  #number = 0;
  #lastBeat = 0;
  #endReason: string | undefined = undefined;

  constructor(index: number, startThread: StartThread, handlers: WorkerHandlers) {
    this.index = index;
    this.#startThread = startThread;
    this.#handlers = handlers;
  }

  /** Starts a thread; resolves with its ports when it listens. A thread that cannot open is ended before the promise rejects. */
  async start(start: Omit<WorkerStart, "index" | "memory">): Promise<ReadonlyMap<string, number>> {
    this.#reader.forget();
    this.silentChecks = 0;
    this.#endReason = undefined;
    this.#number = 0;
    const whole: WorkerStart = { ...start, index: this.index, memory: this.memory };
    const thread = this.#startThread(whole, {
      onMessage: (message) => {
        if (thread === this.#thread) this.#hear(message as WorkerMessage); // Our own worker's word.
      },
      onEnd: (reason) => {
        if (thread === this.#thread) this.#ended(reason);
      },
    });
    this.#thread = thread;
    this.state = "starting";
    try {
      const ports = await this.#expect("open");
      this.state = "serving";
      return ports;
    } catch (error) {
      await this.terminate();
      throw error;
    }
  }

  /** Asks; rejects when the worker refuses, and with ERR_CLOSED when it ends before it has answered. */
  call<Name extends WorkerCallName>(
    name: Name,
    input: WorkerCalls[Name]["input"],
  ): Promise<WorkerCalls[Name]["output"]> {
    if (this.#thread === undefined)
      return Promise.reject(new DnsError("ERR_CLOSED", `worker ${this.index} is down`));
    const answered = this.#expect(name);
    this.#thread.post({ number: this.#number, name, input });
    return answered;
  }

  /** Gives it a connection that another has accepted. */
  give(given: GivenConnection): void {
    const { connection } = given;
    this.#thread?.post(given, connection.kind === "socket" ? [connection.socket] : []);
  }

  /** Tells of clients that another has banned. */
  tellBans(bans: readonly BanTold[]): void {
    const told: ToldBans = { name: "bans", bans };
    this.#thread?.post(told);
  }

  /** Ends the thread at once; it is no crash. */
  async terminate(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    this.state = "down";
    this.#failAll("the worker was ended");
    await thread?.terminate();
  }

  /** Ends a thread that does nothing any more, as if it had crashed. */
  async kill(reason: string): Promise<void> {
    this.#endReason = reason;
    await this.#thread?.terminate();
  }

  /** Looks for signs of life; true when there are some. */
  showsLife(): boolean {
    const { beat } = this.#reader;
    this.silentChecks = beat === this.#lastBeat ? this.silentChecks + 1 : 0;
    this.#lastBeat = beat;
    return this.silentChecks === 0;
  }

  /** What it told last; undefined before it listens. After a crash, until the next start, what it told before. */
  get report(): WorkerReport<Own> | undefined {
    return this.#reader.latest;
  }

  /** Counts of all threads that were this worker. */
  get queries(): OutcomeCounters {
    return this.#tally.counters;
  }

  #expect<Name extends WorkerCallName>(name: Name): Promise<WorkerCalls[Name]["output"]> {
    if (name !== "open") this.#number++;
    const { promise, resolve, reject } = Promise.withResolvers<WorkerCalls[Name]["output"]>();
    // The worker answers by the same table of calls.
    const settle = (value: unknown): void => resolve(value as WorkerCalls[Name]["output"]);
    this.#waiting.set(this.#number, { resolve: settle, reject });
    return promise;
  }

  #hear(message: WorkerMessage): void {
    if (message.kind === "events") {
      this.#handlers.onEvents(message.lines, message.dropped);
      return;
    }
    if (message.kind === "connection") {
      const { place, connection, receiver } = message;
      this.#handlers.onConnection({ name: "connection", place, connection }, receiver);
      return;
    }
    if (message.kind === "bans") {
      this.#handlers.onBans(message.bans);
      return;
    }
    const waiting = this.#waiting.get(message.number);
    this.#waiting.delete(message.number);
    if (message.kind === "result") waiting?.resolve(message.value);
    // Codes come from a `DnsError` at the other end.
    else if (message.code !== undefined)
      waiting?.reject(new DnsError(message.code as DnsErrorCode, message.message));
    else waiting?.reject(new Error(message.message));
  }

  #ended(reason: string): void {
    const wasStarting = this.state === "starting";
    this.#thread = undefined;
    this.state = "down";
    const why = this.#endReason ?? reason;
    this.#failAll(why);
    // A start that failed is told by its promise.
    if (!wasStarting) this.#handlers.onCrash(why);
  }

  #failAll(why: string): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting)
      reject(new DnsError("ERR_CLOSED", `worker ${this.index} ended: ${why}`));
  }
}
