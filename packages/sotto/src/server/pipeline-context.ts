import { Stop } from "@sotto/dns/runtime";
import type { QueryContext } from "@sotto/dns/transport";

/** The context of one query. */
export class PipelineContext implements QueryContext {
  readonly deadlineMs: number;
  readonly isRefresh: boolean;
  readonly signal: Stop = new Stop();

  constructor(deadlineMs: number, isRefresh = false) {
    this.isRefresh = isRefresh;
    this.deadlineMs = deadlineMs;
  }

  /** Nobody waits any more. */
  abort(): void {
    this.signal.abort();
  }
}
