/** How a group of workers does: what all tell now, and what those counted that have died. Asks nobody: it looks at shared memory. */
import type { Clock } from "@sotto/dns/runtime";
import type { OutcomeCounters } from "../server/index.ts";
import type { AdmissionStatus } from "./listening.ts";
import {
  mergeListeners,
  mergeQueries,
  mergeStatus,
  nothingTold,
  type OwnReports,
  withoutGauges,
} from "./merged-reports.ts";
import type { WorkerStatus } from "./steered-server.ts";
import type { WorkerHandle } from "./worker-handle.ts";
import type { WorkerReport } from "./worker-memory.ts";

/** What is told of every program. */
export interface GroupTold extends AdmissionStatus {
  readonly queries: OutcomeCounters;
  readonly workers: readonly WorkerStatus[];
}

/** See the head of this file. `Own`: what only one program tells. */
export class GroupStatus<Own> {
  readonly #workers: readonly WorkerHandle<Own>[];
  readonly #reportsOf: OwnReports<Own>;
  readonly #nothing: AdmissionStatus;
  /** What workers told that have died. */
  readonly #gone = new Map<WorkerHandle<Own>, WorkerReport<Own>>();
  readonly #crashes = new Map<WorkerHandle<Own>, number>();
  /** Connections that never arrived, by the worker that should have had them. */
  readonly #lost = new Map<WorkerHandle<Own>, number>();

  constructor(workers: readonly WorkerHandle<Own>[], reportsOf: OwnReports<Own>, clock: Clock) {
    this.#workers = workers;
    this.#reportsOf = reportsOf;
    this.#nothing = nothingTold(clock);
  }

  /** The worker has died: what it has counted stays in the sums. */
  crashed(worker: WorkerHandle<Own>): void {
    this.#crashes.set(worker, (this.#crashes.get(worker) ?? 0) + 1);
    const { report } = worker;
    if (report === undefined) return;
    this.lost(worker, report.connectionsLost);
    const left = withoutGauges(report, (own) => this.#reportsOf.left(own));
    const before = this.#gone.get(worker);
    if (before === undefined) {
      this.#gone.set(worker, left);
      return;
    }
    const status = mergeStatus([before, left], this.#nothing);
    const own = this.#mergeOwn([left, before]);
    this.#gone.set(worker, { ...left, status, own, listeners: mergeListeners([left], [before]) });
  }

  /** Connections, one unless more are told, were closed on their way to a worker. */
  lost(worker: WorkerHandle<Own> | undefined, connections = 1): void {
    if (worker !== undefined) this.#lost.set(worker, (this.#lost.get(worker) ?? 0) + connections);
  }

  get listeners(): ReturnType<typeof mergeListeners> {
    return mergeListeners(this.#reports, [...this.#gone.values()]);
  }

  get server(): GroupTold {
    const told = mergeStatus([...this.#reports, ...this.#gone.values()], this.#nothing);
    return { ...told, queries: this.queries, workers: this.workers };
  }

  get queries(): OutcomeCounters {
    return mergeQueries(this.#workers.map((worker) => worker.queries));
  }

  get workers(): WorkerStatus[] {
    return this.#workers.map((worker) => this.#statusOf(worker));
  }

  /** What only this program tells. */
  get own(): Own {
    return this.#mergeOwn([...this.#reports, ...this.#gone.values()]);
  }

  #mergeOwn(reports: readonly WorkerReport<Own>[]): Own {
    return this.#reportsOf.merge(reports.flatMap(({ own }) => own ?? []));
  }

  get #reports(): WorkerReport<Own>[] {
    return this.#workers.flatMap((worker) => (worker.state === "serving" ? (worker.report ?? []) : []));
  }

  #statusOf(worker: WorkerHandle<Own>): WorkerStatus {
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
