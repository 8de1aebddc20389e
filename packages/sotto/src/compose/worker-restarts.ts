/** When a worker that crashed may start again, and when it is time to give up. */

/** Remembers crashes of all workers of a group. */
export class RestartPolicy {
  readonly #crashesMs: number[] = [];
  /** Crashes in a row, by worker. */
  readonly #inARow = new Map<number, number>();

  /** Counts a crash; milliseconds to wait, or undefined when there have been too many. */
  crashed(worker: number, nowMs: number): number | undefined {
    this.#crashesMs.push(nowMs);
    while ((this.#crashesMs[0] ?? nowMs) < nowMs - CRASH_WINDOW_MS) this.#crashesMs.shift();
    if (this.#crashesMs.length > CRASHES_MAX) return undefined;
    const before = this.#inARow.get(worker) ?? 0;
    this.#inARow.set(worker, before + 1);
    return Math.min(RESTART_MS_MAX, RESTART_MS * 2 ** before);
  }

  /** The worker has served well for a while. */
  recovered(worker: number): void {
    this.#inARow.delete(worker);
  }
}

/** The others serve on meanwhile; what a client caused once is over by then. */
const RESTART_MS = 100;
/** A cause that lasts, such as no memory, is not made worse by trying. */
const RESTART_MS_MAX = 5000;
/** More crashes than this within a minute are no accident: the service manager should know. */
export const CRASHES_MAX = 10;
export const CRASH_WINDOW_MS = 60_000;
