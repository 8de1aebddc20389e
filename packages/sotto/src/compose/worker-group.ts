/**
 * Several workers as one server. Each is a thread with the whole server in it, on the same addresses (SO_REUSEPORT), with its
 * share of the limits; the supervisor, which serves nobody, starts them, starts those again that die, and asks all of them
 * when an operator asks. Not here: what only one program has, threads as such, the log, signals.
 */
import { MessageCache, type SharedCacheMemory } from "@sotto/dns/cache";
import { DnsError, type Runtime, type Timer } from "@sotto/dns/runtime";
import type { Config } from "../config/index.ts";
import type { BanTold } from "../front/index.ts";
import type { InheritedSocket, StartThread } from "../operations/index.ts";
import { SelfMadeCertificates } from "./certificates.ts";
import { COOKIE_SECRET_OCTETS } from "./cookie-options.ts";
import { GroupStatus, type GroupTold } from "./group-status.ts";
import { tryListeners } from "./listener-trial.ts";
import type { ListeningConfig, OpenListener } from "./listeners.ts";
import type { OwnReports } from "./merged-reports.ts";
import { forgetWorker, type SharedClients, shareClients } from "./shared-clients.ts";
import { TICKET_SECRET_OCTETS } from "./tickets.ts";
import { WorkerConnections } from "./worker-connections.ts";
import { LOAD_FULL, makeWorkerLoads, type WorkerLoads } from "./worker-hand-over.ts";
import { WorkerHandle } from "./worker-handle.ts";
import type { ClosableConnection, EventLine, WorkerWork, WorkerWorld } from "./worker-messages.ts";
import { CRASH_WINDOW_MS, CRASHES_MAX, RestartPolicy } from "./worker-restarts.ts";

export interface WorkerGroupOptions {
  readonly count: number;
  readonly startThread: StartThread;
  /** Sockets of the service manager, which all workers listen on. */
  readonly sockets?: readonly InheritedSocket[] | undefined;
  readonly logLevel: Config["log"]["level"];
  /** Default: node. */
  readonly engine?: Config["engine"];
  /** Closes what is on its way to a worker that does not take it any more. */
  readonly closeConnection: (connection: ClosableConnection) => void;
}

/** A configuration, and what it was read from. `Source` travels to the workers, which read it again. */
export interface GroupConfig<Settings extends ListeningConfig, Source> {
  readonly config: Settings;
  readonly source: Source;
}

/** What only one program has. `Own`: what only it tells. */
export interface GroupProgram<Loaded, Work extends WorkerWork, Own> {
  readonly reports: OwnReports<Own>;
  /** What all workers get; of what `before` shares among them stays what is still right under the next configuration. */
  workOf(next: Loaded, before?: { readonly loaded: Loaded; readonly work: Work }): Work;
  /** Caches in it, which a worker may have been writing to when it died. */
  cachesOf(work: Work): readonly SharedCacheMemory[];
  /** Clients that a worker has banned: whoever gets `work` later has to know. Absent: none are banned. */
  noteBans?(work: Work, bans: readonly BanTold[]): void;
  /** Events that several workers have for one reason, of which the log needs one. Absent: all are told. */
  readonly news?: {
    isNews(worker: number, event: string, fields: Readonly<Record<string, unknown>>): boolean;
    died(worker: number): void;
    reloaded(): void;
  };
}

/** See the head of this file. Workers have numbers from 0. */
export class WorkerGroup<Loaded extends GroupConfig<ListeningConfig, unknown>, Work extends WorkerWork, Own> {
  readonly #program: GroupProgram<Loaded, Work, Own>;
  readonly #options: WorkerGroupOptions;
  readonly #runtime: Runtime;
  readonly #workers: readonly WorkerHandle<Own>[];
  readonly #secrets: { readonly cookies: Uint8Array; readonly tickets: Uint8Array };
  readonly #clients: SharedClients;
  readonly #selfMade: SelfMadeCertificates;
  readonly #restarts = new RestartPolicy();
  readonly #status: GroupStatus<Own>;
  readonly #loads: WorkerLoads;
  readonly #connections: WorkerConnections;
  readonly #timers = new Set<Timer>();
  readonly #failed = Promise.withResolvers<Error>();
  #loaded: Loaded;
  #world: WorkerWorld<Work>;
  #isEnding = false;
  /** Restarts and reloads, one after another: a worker has the old configuration or the new one. */
  #changing: Promise<unknown> = Promise.resolve();

  constructor(
    loaded: Loaded,
    program: GroupProgram<Loaded, Work, Own>,
    options: WorkerGroupOptions,
    runtime: Runtime,
  ) {
    const { random, clock } = runtime;
    this.#program = program;
    this.#options = options;
    this.#runtime = runtime;
    this.#loaded = loaded;
    this.#secrets = {
      cookies: random.octets(COOKIE_SECRET_OCTETS),
      tickets: random.octets(TICKET_SECRET_OCTETS),
    };
    this.#clients = shareClients(options.count, loaded.config.limits, random);
    this.#selfMade = new SelfMadeCertificates(() => clock.wallMs());
    this.#world = { ports: new Map(), certificates: new Map(), work: program.workOf(loaded) };
    this.#loads = makeWorkerLoads(options.count);
    this.#connections = new WorkerConnections(options.count, {
      close: options.closeConnection,
      onLost: (receiver) => this.#status.lost(this.#workers[receiver]),
    });
    this.#workers = Array.from({ length: options.count }, (_, index): WorkerHandle<Own> => {
      const worker: WorkerHandle<Own> = new WorkerHandle<Own>(index, options.startThread, {
        onEvents: (lines, dropped) => this.#publish(worker, lines, dropped),
        onConnection: (connection, receiver) =>
          this.#connections.passOn(connection, this.#workers[receiver] ?? worker, worker),
        onBans: (bans) => this.#passOn(worker, bans),
        onCrash: (reason) => this.#crashed(worker, reason),
      });
      return worker;
    });
    this.#status = new GroupStatus(this.#workers, program.reports, clock);
  }

  /** The first worker alone, so that what cannot be is told once, and the others know its ports. */
  async open(): Promise<void> {
    const { sockets = [] } = this.#options;
    await tryListeners(this.#loaded.config, sockets, this.#runtime);
    const certificates = await this.#selfMade.madeForAll(this.#loaded.config.listeners);
    this.#world = { ...this.#world, certificates };
    try {
      const [first, ...others] = this.#workers;
      const ports = first && (await this.#start(first));
      this.#world = { ...this.#world, ports: ports ?? new Map() };
      await Promise.all(others.map((worker) => this.#start(worker)));
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#watch();
  }

  /** Settles when it cannot go on, with the reason; then somebody has to close it. */
  get failed(): Promise<Error> {
    return this.#failed.promise;
  }

  get listeners(): readonly OpenListener[] {
    return this.#status.listeners;
  }

  /** How all do. */
  get told(): GroupTold {
    return this.#status.server;
  }

  get queries(): GroupTold["queries"] {
    return this.#status.queries;
  }

  get workers(): GroupTold["workers"] {
    return this.#status.workers;
  }

  /** What only this program tells, of all. */
  get own(): Own {
    return this.#status.own;
  }

  /** What workers have now; those that start get it as it is then. */
  get work(): Work {
    return this.#world.work;
  }

  /** Those that can be asked. */
  get serving(): readonly WorkerHandle<Own>[] {
    return this.#workers.filter(({ state }) => state === "serving");
  }

  /** For what one of them is enough; throws ERR_CLOSED when there is none. */
  get first(): WorkerHandle<Own> {
    const [first] = this.serving;
    if (first === undefined) throw new DnsError("ERR_CLOSED", "no worker serves");
    return first;
  }

  /**
   * Changes all workers, or none: when one refuses, those that had accepted go back. Rejects then, with the reason of the one
   * that refused.
   */
  reload(loaded: Loaded): Promise<readonly string[]> {
    return this.exclusively(async () => {
      const { config } = loaded;
      const known = new Set(this.listeners.map(({ key }) => key));
      await tryListeners(config, this.#options.sockets ?? [], this.#runtime, known);
      const certificates = await this.#selfMade.madeForAll(config.listeners);
      const before = this.#world;
      const work = this.#program.workOf(loaded, { loaded: this.#loaded, work: before.work });
      const next = { ports: before.ports, certificates, work };
      const [first, ...others] = this.serving;
      if (first === undefined) throw new DnsError("ERR_CLOSED", "no worker serves");
      const { changes, ports } = await first.call("reload", next);
      const rest = { ...next, ports };
      const asked = await Promise.allSettled(others.map((worker) => worker.call("reload", rest)));
      // One that has died meanwhile is no refusal: it comes back with what is decided here.
      const refused = asked.find((one, i) => one.status === "rejected" && others[i]?.state === "serving");
      if (refused?.status === "rejected") {
        await this.#rollBack([first, ...others.filter((_, i) => asked[i]?.status === "fulfilled")], before);
        throw refused.reason;
      }
      this.#loaded = loaded;
      this.#world = rest;
      this.#program.news?.reloaded();
      // Whoever died meanwhile may have been writing to the new memory.
      for (const worker of this.#workers) if (worker.state === "down") this.#freeCaches(worker);
      return changes;
    });
  }

  async #rollBack(workers: readonly WorkerHandle<Own>[], before: WorkerWorld<Work>): Promise<void> {
    for (const worker of workers) {
      try {
        await worker.call("reload", before);
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        this.#runtime.events.publish("worker.not-rolled-back", {
          worker: worker.index,
          problem,
          consequence: "it is started again with the old configuration",
        });
        await worker.kill("it could not go back to the old configuration");
      }
    }
  }

  /** All workers let their clients finish; then there are none. */
  async drain(): Promise<void> {
    this.#end();
    const deadlineMs = this.#loaded.config.limits.drainTimeoutMs + DRAIN_GRACE_MS;
    const timer = this.#runtime.clock.startTimer("worker drain", deadlineMs, () => void this.#terminateAll());
    await Promise.allSettled(this.serving.map((worker) => worker.call("drain", undefined)));
    timer.cancel();
    await this.#terminateAll();
  }

  /** Ends all threads as soon as their sockets are closed. */
  async close(): Promise<void> {
    this.#end();
    const timer = this.#runtime.clock.startTimer("worker close", CLOSE_MS, () => void this.#terminateAll());
    await Promise.allSettled(this.serving.map((worker) => worker.call("close", undefined)));
    timer.cancel();
    await this.#terminateAll();
  }

  async #terminateAll(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
    for (const { index } of this.#workers) this.#connections.receiverEnded(index);
  }

  #end(): void {
    this.#isEnding = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #crashed(worker: WorkerHandle<Own>, reason: string): void {
    this.#connections.receiverEnded(worker.index);
    if (this.#isEnding) return;
    this.#loads[worker.index] = LOAD_FULL;
    this.#freeCaches(worker);
    forgetWorker(this.#clients, worker.index);
    this.#status.crashed(worker);
    this.#program.news?.died(worker.index);
    const delayMs = this.#restarts.crashed(worker.index, this.#runtime.clock.nowMs());
    this.#runtime.events.publish("worker.crashed", {
      worker: worker.index,
      reason,
      ...(delayMs === undefined ? {} : { restartInMs: delayMs }),
      others: this.serving.length,
    });
    if (delayMs === undefined) {
      const text = `workers crashed ${CRASHES_MAX + 1} times within ${CRASH_WINDOW_MS / 1000} s; the last reason: ${reason}`;
      this.#failed.resolve(new DnsError("ERR_SYSTEM", text));
      return;
    }
    this.#later("worker restart", delayMs, () => void this.exclusively(() => this.#restart(worker)));
  }

  /** What it was writing to is emptied: nobody will finish it. */
  #freeCaches({ index }: WorkerHandle<Own>): void {
    for (const shared of this.#program.cachesOf(this.#world.work)) {
      const options = { bytesMax: shared.buffer.byteLength, shared, workerId: this.#workers.length };
      new MessageCache(options, this.#runtime.random).recoverFrom(index);
    }
  }

  /** Never rejects. */
  async #restart(worker: WorkerHandle<Own>): Promise<void> {
    if (this.#isEnding) return;
    try {
      await this.#start(worker);
    } catch (error) {
      this.#crashed(worker, error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.#isEnding) {
      // It came too late to be asked to end.
      await worker.terminate();
      return;
    }
    this.#runtime.events.publish("worker.restarted", { worker: worker.index });
    this.#later("worker recovery", RECOVERY_MS, () => {
      if (worker.state === "serving") this.#restarts.recovered(worker.index);
    });
  }

  /** Whoever hangs in its start would hold up all that comes after it, reloads and ends among them. */
  async #start(worker: WorkerHandle<Own>): Promise<ReadonlyMap<string, number>> {
    this.#connections.giverBegins(worker.index);
    const tooLong = `it did not start within ${START_MS / 1000} s`;
    const timer = this.#runtime.clock.startTimer("worker start", START_MS, () => void worker.kill(tooLong));
    try {
      return await worker.start(this.#startOf());
    } finally {
      timer.cancel();
    }
  }

  #startOf(): Parameters<WorkerHandle<Own>["start"]>[0] {
    const { count, sockets = [], logLevel, engine = "node" } = this.#options;
    return {
      count,
      sockets,
      logLevel,
      engine,
      secrets: this.#secrets,
      clients: this.#clients,
      loads: this.#loads,
      descriptors: this.#connections.memory,
      world: this.#world,
    };
  }

  /** Work on the set of workers, after all such work that was begun before. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#changing.then(work);
    this.#changing = done.catch(() => undefined);
    return done;
  }

  #later(name: string, delayMs: number, fire: () => void): void {
    const timer = this.#runtime.clock.startTimer(
      name,
      delayMs,
      () => {
        this.#timers.delete(timer);
        fire();
      },
      true,
    );
    this.#timers.add(timer);
  }

  /** Whoever writes no report for so many looks in a row hangs. Looks are counted, not time: a whole process may be stopped. */
  #watch(): void {
    this.#later("worker watch", WATCH_MS, () => {
      this.#watch();
      for (const worker of this.serving) {
        if (worker.showsLife()) continue;
        // Others would take it for idle; it tells better as soon as it turns again.
        this.#loads[worker.index] = LOAD_FULL;
        if (worker.silentChecks >= SILENT_CHECKS_MAX)
          void worker.kill(`its event loop has not turned for ${(SILENT_CHECKS_MAX * WATCH_MS) / 1000} s`);
      }
    });
  }

  /** To all others, those that start included; and to be told to those that will. */
  #passOn(from: WorkerHandle<Own>, bans: readonly BanTold[]): void {
    this.#program.noteBans?.(this.#world.work, bans);
    for (const worker of this.#workers) if (worker !== from) worker.tellBans(bans);
  }

  #publish(worker: WorkerHandle<Own>, lines: readonly EventLine[], dropped: number): void {
    const { events } = this.#runtime;
    for (const [name, details] of lines) {
      // What `WorkerEvents` wrote.
      const fields = JSON.parse(details) as Record<string, unknown>;
      if (this.#program.news?.isNews(worker.index, name, fields) !== false)
        events.publish(name, { ...fields, worker: worker.index });
    }
    if (dropped > 0) events.publish("worker.events-dropped", { worker: worker.index, dropped });
  }
}

/** A worker that has served so long has got over what made it crash. */
const RECOVERY_MS = 30_000;
const WATCH_MS = 1000;
/** A start takes a second, and on a machine with other things to do some more. */
const START_MS = 30_000;
/** The longest collection of garbage of a large heap takes some seconds. */
const SILENT_CHECKS_MAX = 20;
/** Beyond the drain timeout: for answers under way and state files. */
const DRAIN_GRACE_MS = 5000;
const CLOSE_MS = 5000;
