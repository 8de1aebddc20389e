/** Threads of this program as a parameter: started with a value, spoken to by messages, and an end that always has a reason. */
import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { parentPort, type Transferable, Worker, workerData } from "node:worker_threads";

/** A running thread. */
export interface WorkerThread {
  /** Nothing happens when it has ended. What is in `transfer`, such as a socket, is gone from here. */
  post(message: unknown, transfer?: readonly object[]): void;
  /** Stops it wherever it is; resolves when it has ended. */
  terminate(): Promise<void>;
}

export interface WorkerThreadHandlers {
  onMessage(message: unknown): void;
  /** Called once. `reason` is for people: the exception that nobody caught, or the exit code. */
  onEnd(reason: string): void;
}

/** Starts a thread. */
export type StartThread = (start: unknown, handlers: WorkerThreadHandlers) => WorkerThread;

/** Threads that run a module of this program. */
export function threadsOf(entry: URL): StartThread {
  return (start, { onMessage, onEnd }) => {
    // Flags of the program are the thread's too, unless others are named.
    const worker = new Worker(entry, { workerData: start });
    let problem: string | undefined;
    worker.on("message", onMessage);
    worker.on("error", (error) => {
      problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    worker.on("exit", (code) => onEnd(problem ?? `exit code ${code}`));
    return {
      post: (message, transfer = []) => worker.postMessage(message, asTransferable(transfer)),
      terminate: async () => void (await worker.terminate()),
    };
  };
}

/** The thread's own end. */
export interface ThreadEnd {
  /** What it was started with. */
  readonly start: unknown;
  /** Throws, and nothing has happened, when something in `transfer` cannot go to another thread. */
  post(message: unknown, transfer?: readonly object[]): void;
  onMessage(heard: (message: unknown) => void): void;
  /** Share of the time since the last call in which its event loop was busy, 0 to 1. */
  utilisation(): number;
}

/** Throws in the main thread, which nobody started. Warnings about experiments of Node are not told: nobody can do anything about them. */
export function threadEnd(): ThreadEnd {
  const port = parentPort;
  if (port === null) throw new Error("this is the main thread");
  const { emitWarning } = process;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    const [first] = rest;
    const type = typeof first === "object" && first !== null && "type" in first ? first.type : first;
    if (type !== "ExperimentalWarning") Reflect.apply(emitWarning, process, [warning, ...rest]);
  };
  let last = performance.eventLoopUtilization();
  return {
    start: workerData,
    post: (message, transfer = []) => port.postMessage(message, asTransferable(transfer)),
    onMessage: (heard) => void port.on("message", heard),
    utilisation() {
      const before = last;
      last = performance.eventLoopUtilization();
      return performance.eventLoopUtilization(last, before).utilization;
    },
  };
}

/** Node checks what can be transferred, and its types lag behind its sockets. */
function asTransferable(objects: readonly object[]): Transferable[] {
  return objects as unknown as Transferable[];
}

/** False under `--permission` without `--allow-worker`. */
export function mayStartThreads(): boolean {
  return process.permission?.has("worker") ?? true;
}

/** Whether several sockets may listen on one address, with the kernel choosing among them (SO_REUSEPORT). */
export function canSharePorts(platform: string = process.platform): boolean {
  return ["linux", "freebsd", "sunos", "aix"].includes(platform);
}

/** How many threads make progress at once here. */
export function coreCount(): number {
  return availableParallelism();
}
