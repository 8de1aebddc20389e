import type { QueryContext } from "@sotto/dns/transport";

/** The context of one query. Its signal is made when somebody looks at it: local answers never do. */
export class PipelineContext implements QueryContext {
  readonly deadlineMs: number;
  readonly isRefresh: boolean;
  #abort: AbortController | undefined = undefined;
  #isAborted = false;

  constructor(deadlineMs: number, isRefresh = false) {
    this.isRefresh = isRefresh;
    this.deadlineMs = deadlineMs;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#isAborted) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  /** Nobody waits any more. */
  abort(): void {
    this.#isAborted = true;
    this.#abort?.abort();
  }
}
