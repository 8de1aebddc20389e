/** How a group of workers does: what all tell now, and what those counted that have died. Asks nobody: it looks at shared memory. */
import type { Clock } from "@sotto/dns/runtime";
import {
  mergeListeners,
  mergePortals,
  mergeQueries,
  mergeStatus,
  mergeUpstreams,
  nothingTold,
  withoutGauges,
} from "./merged-reports.ts";
import type { ServerStatus } from "./recursor-daemon.ts";
import type { WorkerStatus } from "./steered-server.ts";
import { type StubStatus, stubStatusOf } from "./stub-status.ts";
import type { WorkerHandle } from "./worker-handle.ts";
import type { WorkerReport } from "./worker-memory.ts";

/** See the head of this file. */
export class GroupStatus {
  readonly #workers: readonly WorkerHandle[];
  readonly #nothing: ReturnType<typeof nothingTold>;
  /** What workers told that have died. */
  readonly #gone = new Map<WorkerHandle, WorkerReport>();
  readonly #crashes = new Map<WorkerHandle, number>();
  /** Connections that never arrived, by the worker that should have had them. */
  readonly #lost = new Map<WorkerHandle, number>();

  constructor(workers: readonly WorkerHandle[], clock: Clock) {
    this.#workers = workers;
    this.#nothing = nothingTold(clock);
  }

  /** The worker has died: what it has counted stays in the sums. */
  crashed(worker: WorkerHandle): void {
    this.#crashes.set(worker, (this.#crashes.get(worker) ?? 0) + 1);
    const { report } = worker;
    if (report === undefined) return;
    this.lost(worker, report.connectionsLost);
    const left = withoutGauges(report);
    const before = this.#gone.get(worker);
    if (before === undefined) {
      this.#gone.set(worker, left);
      return;
    }
    const status = mergeStatus([before, left], this.#nothing);
    this.#gone.set(worker, { ...left, status, listeners: mergeListeners([left], [before]) });
  }

  /** Connections, one unless more are told, were closed on their way to a worker. */
  lost(worker: WorkerHandle | undefined, connections = 1): void {
    if (worker !== undefined) this.#lost.set(worker, (this.#lost.get(worker) ?? 0) + connections);
  }

  get listeners(): ReturnType<typeof mergeListeners> {
    return mergeListeners(this.#reports, [...this.#gone.values()]);
  }

  get server(): ServerStatus & { readonly workers: readonly WorkerStatus[] } {
    const told = mergeStatus([...this.#reports, ...this.#gone.values()], this.#nothing);
    const queries = mergeQueries(this.#workers.map((worker) => worker.queries));
    return { ...told, queries, workers: this.workers };
  }

  get workers(): WorkerStatus[] {
    return this.#workers.map((worker) => this.#statusOf(worker));
  }

  get upstreams(): ReturnType<typeof mergeUpstreams> {
    return mergeUpstreams(this.#reports);
  }

  get portal(): ReturnType<typeof mergePortals> {
    return mergePortals(this.#reports);
  }

  get stub(): StubStatus {
    return stubStatusOf(this.upstreams, this.portal, this.server.queries);
  }

  get #reports(): WorkerReport[] {
    return this.#workers.flatMap((worker) => (worker.state === "serving" ? (worker.report ?? []) : []));
  }

  #statusOf(worker: WorkerHandle): WorkerStatus {
    const report = worker.state === "serving" ? worker.report : undefined;
    const counts = Object.values(worker.queries).flatMap((row) => Object.values(row));
    return {
      worker: worker.index,
      state: worker.state,
      crashes: this.#crashes.get(worker) ?? 0,
      connections: report?.status.connections ?? 0,
      inFlight: report?.status.inFlight ?? 0,
      queries: counts.reduce((sum, count) => sum + count, 0),
      connectionsGiven: report?.connectionsGiven ?? 0,
      connectionsTaken: report?.connectionsTaken ?? 0,
      connectionsLost: (this.#lost.get(worker) ?? 0) + (report?.connectionsLost ?? 0),
      utilisation: Math.round((report?.utilisation ?? 0) * 1000) / 1000,
    };
  }
}
