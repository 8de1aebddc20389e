/**
 * The engine of one thread: which descriptors are watched, who is told of their events, and what is left for the end of a turn or
 * the next one. Events of a turn are handled in one callback of Node.
 */
import { isMainThread } from "node:worker_threads";
import { DatagramBatch } from "./unsafe/datagram-batch.ts";
import { EventSet } from "./unsafe/event-set.ts";
import { type Foreign, loadForeign, type Machine } from "./unsafe/foreign.ts";
import { makeScratch, Sockets } from "./unsafe/sockets.ts";
import { ThreadEnd } from "./unsafe/thread-end.ts";
import { TlsLibrary } from "./unsafe/tls-library.ts";

/** Whoever is told of events. */
export interface Watcher {
  /** Bits of {@link Ready}. */
  onReady(ready: number): void;
  /** The thread ends: what is not JavaScript's is given back, and nobody is told. */
  abandon(): void;
}

/** A descriptor and whoever is told of its events. Owns the descriptor: it is closed here and nowhere else. */
export class Watch {
  readonly fd: number;
  /** May be replaced: connections become streams. */
  watcher: Watcher;
  readonly #loop: NativeLoop;
  readonly #slot: number;
  readonly #generation: number;
  #wanted = 0;
  #isClosed = false;

  constructor(loop: NativeLoop, fd: number, watcher: Watcher) {
    this.fd = fd;
    this.watcher = watcher;
    this.#loop = loop;
    [this.#slot, this.#generation] = loop.occupy(this);
    loop.end.plan("close", fd);
  }

  get generation(): number {
    return this.#generation;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** What is watched for; nothing at 0, not even failures. False when the system has no room for another watch. */
  want(ready: number): boolean {
    if (this.#isClosed || ready === this.#wanted) return true;
    const { events } = this.#loop;
    let isDone = true;
    if (ready === 0) events.remove(this.fd);
    else if (this.#wanted === 0) isDone = events.add(this.fd, ready, this.#slot, this.#generation);
    else events.change(this.fd, ready, this.#slot, this.#generation);
    if (isDone) this.#wanted = ready;
    return isDone;
  }

  get wanted(): number {
    return this.#wanted;
  }

  /**
   * Closes the descriptor, by FIN or by RST. The system forgets the watch with it, unless there is a duplicate of the descriptor:
   * then nothing must be wanted any more before.
   */
  close(how: "orderly" | "reset"): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#loop.vacate(this.#slot);
    this.#loop.end.forget("close", this.fd);
    if (how === "reset") this.#loop.sockets.reset(this.fd);
    else this.#loop.sockets.close(this.fd);
  }
}

/** Something to do later. */
export interface Task {
  run(): void;
}

/** Something to do at the end of this turn. */
export interface TurnEnd {
  turnEnds(): void;
}

/** See the head of this file. */
export class NativeLoop {
  readonly foreign: Foreign;
  readonly end: ThreadEnd;
  readonly events: EventSet;
  readonly sockets: Sockets;
  readonly tls: TlsLibrary;
  readonly datagrams: DatagramBatch;
  /** Whose datagrams wait in the batch. */
  #sender: TurnEnd | undefined = undefined;
  readonly #watches: (Watch | undefined)[] = [];
  readonly #free: number[] = [];
  #generation = 0;
  #turnNumber = 0;
  #immediate: NodeJS.Immediate;
  #ofNextTurn: Task[] = [];
  #ofThisTurn: TurnEnd[] = [];
  #isFlushQueued = false;
  #isInTurn = false;
  #atTurnEnd: (() => void)[] = [];

  constructor(foreign: Foreign, arch: string) {
    this.foreign = foreign;
    this.end = new ThreadEnd(foreign);
    this.events = new EventSet(foreign, this.end, arch);
    const scratch = makeScratch(foreign);
    this.sockets = new Sockets(foreign, scratch);
    this.tls = new TlsLibrary(foreign, this.sockets, scratch, this.end);
    this.datagrams = new DatagramBatch(foreign);
    // The loop of a worker must be empty at its end; with the process sockets go by themselves.
    process.once("exit", () => (isMainThread ? this.events.stop() : this.#closeAll()));
    this.#immediate = this.#awaitTurn();
  }

  /** A place for a watch, for the watch itself. */
  occupy(watch: Watch): readonly [slot: number, generation: number] {
    const slot = this.#free.pop() ?? this.#watches.length;
    this.#watches[slot] = watch;
    this.#generation = (this.#generation + 1) >>> 0;
    return [slot, this.#generation];
  }

  /** The place of a watch that has closed. An event of this turn that still names it has another generation. */
  vacate(slot: number): void {
    this.#watches[slot] = undefined;
    this.#free.push(slot);
  }

  /** Counts turns; whoever may do only so much in one can tell when the next has begun. */
  get turn(): number {
    return this.#turnNumber;
  }

  /** True while events are handled. */
  get isInTurn(): boolean {
    return this.#isInTurn;
  }

  /** When all events of this turn have been handled; only while there is one. */
  atTurnEnd(run: () => void): void {
    this.#atTurnEnd.push(run);
  }

  /** In the next turn, whether or not an event comes. */
  nextTurn(task: Task): void {
    this.#ofNextTurn.push(task);
    // The loop does not sleep before.
    this.#immediate.ref();
  }

  /** Before a socket adds to the batch: what another one has there is sent, which is what its `turnEnds` does. */
  claimDatagrams(sender: TurnEnd): void {
    if (this.#sender === sender) return;
    this.#sender?.turnEnds();
    this.#sender = sender;
  }

  hasDatagramsOf(sender: TurnEnd): boolean {
    return this.#sender === sender;
  }

  leaveDatagrams(sender: TurnEnd): void {
    if (this.#sender === sender) this.#sender = undefined;
  }

  /** When all microtasks of now that were queued before have run. */
  thisTurn(task: TurnEnd): void {
    this.#ofThisTurn.push(task);
    if (this.#isFlushQueued) return;
    this.#isFlushQueued = true;
    queueMicrotask(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushQueued = false;
    const tasks = this.#ofThisTurn;
    this.#ofThisTurn = [];
    let done = 0;
    try {
      for (; done < tasks.length; ) tasks[done++]?.turnEnds();
    } finally {
      // When one has thrown: who planned the others believes that they are.
      if (done < tasks.length) for (const task of tasks.slice(done)) this.thisTurn(task);
    }
  };

  /** One is always waiting: whatever wakes Node's loop, the set is looked at. It keeps no process and makes no loop turn. */
  #awaitTurn(): NodeJS.Immediate {
    return setImmediate(this.#turn).unref();
  }

  readonly #turn = (): void => {
    // First: what fails in this turn must not be the end of all.
    this.#immediate = this.#awaitTurn();
    this.#turnNumber++;
    this.#isInTurn = true;
    try {
      this.#handleTurn();
    } finally {
      this.#isInTurn = false;
      this.#endTurn();
    }
  };

  #handleTurn(): void {
    const tasks = this.#ofNextTurn;
    this.#ofNextTurn = [];
    let done = 0;
    try {
      this.#handleEvents();
      for (; done < tasks.length; ) tasks[done++]?.run();
    } finally {
      // As above; of events the set tells again.
      if (done < tasks.length) for (const task of tasks.slice(done)) this.nextTurn(task);
    }
  }

  #handleEvents(): void {
    const count = this.events.take();
    for (let i = 0; i < count; i++) {
      const watch = this.#watches[this.events.slotAt(i)];
      if (watch === undefined || watch.generation !== this.events.generationAt(i)) continue;
      watch.watcher.onReady(this.events.readyAt(i));
    }
  }

  #endTurn(): void {
    if (this.#atTurnEnd.length === 0) return;
    const all = this.#atTurnEnd;
    this.#atTurnEnd = [];
    let done = 0;
    try {
      for (; done < all.length; ) all[done++]?.();
    } finally {
      if (done < all.length) for (const run of all.slice(done)) this.nextTurn({ run });
    }
  }

  #closeAll(): void {
    for (const watch of this.#watches) {
      watch?.watcher.abandon();
      watch?.close("orderly");
    }
    this.events.close();
  }
}

let loop: NativeLoop | string | undefined;

/** The engine of this thread, or why there is none. Made once, when first asked for. */
export function nativeLoop(): NativeLoop | string {
  loop ??= openLoop({
    platform: process.platform,
    arch: process.arch,
    // Not in all Nodes that the library runs on.
    getModule: process.getBuiltinModule?.bind(process),
  });
  return loop;
}

/** As {@link nativeLoop}, for a machine. */
export function openLoop(machine: Machine): NativeLoop | string {
  const foreign = loadForeign(machine);
  if (typeof foreign === "string") return foreign;
  try {
    return new NativeLoop(foreign, machine.arch);
  } catch (problem) {
    return problem instanceof Error ? problem.message : String(problem);
  }
}
