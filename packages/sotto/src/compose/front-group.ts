/** Several workers of `sotto front` as one front end: what is asked of all of them, and what of one. */
import type { Runtime } from "@sotto/dns/runtime";
import type { Name } from "@sotto/dns/wire";
import type { FrontConfig, FrontSource } from "../config/index.ts";
import type { BanStatus } from "../front/index.ts";
import { BackendNews } from "./backend-news.ts";
import type { FrontStatus } from "./front-daemon.ts";
import { forgetBans, noteBans, shareFront } from "./front-place.ts";
import { FRONT_REPORTS, type FrontTold } from "./front-reports.ts";
import type { OpenListener } from "./listeners.ts";
import type { SteeredFront } from "./steered-front.ts";
import type { WorkerStatus } from "./steered-server.ts";
import { type GroupConfig, type GroupProgram, WorkerGroup, type WorkerGroupOptions } from "./worker-group.ts";
import type { FrontWork } from "./worker-messages.ts";

type LoadedFront = GroupConfig<FrontConfig, FrontSource>;
type Workers = WorkerGroup<LoadedFront, FrontWork, FrontTold>;

/** Opens everything or nothing. */
export async function startFrontWorkers(
  config: FrontConfig,
  source: FrontSource,
  options: WorkerGroupOptions,
  runtime: Runtime,
): Promise<SteeredFront> {
  const { random, clock } = runtime;
  const program: GroupProgram<LoadedFront, FrontWork, FrontTold> = {
    reports: FRONT_REPORTS,
    workOf: (next, before) => ({
      program: "front",
      source: next.source,
      shared: shareFront(
        next.config,
        before && { config: before.loaded.config, shared: before.work.shared },
        random,
      ),
    }),
    cachesOf: ({ shared }) => [...shared.caches.values()].map(({ memory }) => memory),
    news: new BackendNews(),
    noteBans: ({ shared }, bans) => noteBans(shared, bans, clock.nowMs()),
  };
  const group = new WorkerGroup({ config, source }, program, options, runtime);
  await group.open();
  return new FrontGroup(group);
}

/** See the head of this file. */
class FrontGroup implements SteeredFront {
  readonly #group: Workers;

  constructor(group: Workers) {
    this.#group = group;
  }

  get failed(): Promise<Error> {
    return this.#group.failed;
  }

  get listeners(): readonly OpenListener[] {
    return this.#group.listeners;
  }

  get status(): FrontStatus {
    const { isOver: _, ...own } = this.#group.own;
    return { ...this.#group.told, ...own };
  }

  get workers(): readonly WorkerStatus[] {
    return this.#group.workers;
  }

  /** They share the answers: one of them walks over those. */
  async flush(name: Name, isZone: boolean): Promise<number> {
    return this.#group.first.call("flushAnswers", { name: name.toString(), isZone });
  }

  drainBackend(pool: string, backend: string): Promise<void> {
    return this.#steer("drainBackend", pool, backend);
  }

  resumeBackend(pool: string, backend: string): Promise<void> {
    return this.#steer("resumeBackend", pool, backend);
  }

  /** All that serve, and those that start later. What one knows all know, so that all refuse or none. */
  #steer(how: "drainBackend" | "resumeBackend", pool: string, backend: string): Promise<void> {
    return this.#group.exclusively(async () => {
      const { first } = this.#group;
      await first.call(how, { pool, backend });
      const { drained } = this.#group.work.shared;
      const key = JSON.stringify([pool, backend]);
      if (how === "drainBackend") drained.set(key, { pool, backend });
      else drained.delete(key);
      // One that dies meanwhile comes back with what stands there now.
      const others = this.#group.serving.filter((worker) => worker !== first);
      await Promise.allSettled(others.map((worker) => worker.call(how, { pool, backend })));
    });
  }

  /** Each worker knows those of all. */
  get bans(): Promise<readonly BanStatus[]> {
    return this.#group.first.call("listBans", undefined);
  }

  /** In all that serve, and for those that start later. */
  liftBan(client: string): Promise<boolean> {
    return this.#group.exclusively(async () => {
      const { serving, work } = this.#group;
      const lifted = await Promise.allSettled(serving.map((worker) => worker.call("liftBan", client)));
      forgetBans(work.shared, client);
      return lifted.some((one) => one.status === "fulfilled" && one.value);
    });
  }

  reload(config: FrontConfig, source: FrontSource): Promise<readonly string[]> {
    return this.#group.reload({ config, source });
  }

  drain(): Promise<void> {
    return this.#group.drain();
  }

  close(): Promise<void> {
    return this.#group.close();
  }
}
