/** Several workers of `sotto serve` or `sotto stub` as one resolver: what is asked of all of them, and what of one. */
import { shareMessageCache } from "@sotto/dns/cache";
import { DnsError, type Random, type Runtime } from "@sotto/dns/runtime";
import type { Name, Parsed, RRType } from "@sotto/dns/wire";
import type { Config, ConfigSource } from "../config/index.ts";
import type { NameKnowledge } from "../recursor/index.ts";
import type { ForwardZoneStatus } from "./forwarders.ts";
import type { OpenListener } from "./listeners.ts";
import type { PortalStatus } from "./portal.ts";
import { type ServerStatus, sameAnswers } from "./recursor-daemon.ts";
import { type ResolverTold, resolverReports } from "./resolver-reports.ts";
import type { SteeredServer, WorkerStatus } from "./steered-server.ts";
import { type StubStatus, stubStatusOf } from "./stub-status.ts";
import { dumpOfAll } from "./worker-dump.ts";
import { type GroupConfig, type GroupProgram, WorkerGroup, type WorkerGroupOptions } from "./worker-group.ts";
import type { ResolverWork } from "./worker-messages.ts";

type LoadedResolver = GroupConfig<Config, ConfigSource>;
type Workers = WorkerGroup<LoadedResolver, ResolverWork, ResolverTold>;

/** Opens everything or nothing. */
export async function startWorkers(
  config: Config,
  source: ConfigSource,
  options: WorkerGroupOptions,
  runtime: Runtime,
): Promise<SteeredServer> {
  const { random, clock } = runtime;
  const program: GroupProgram<LoadedResolver, ResolverWork, ResolverTold> = {
    reports: resolverReports(clock),
    workOf: (next, before) => workOf(next, before, random),
    cachesOf: ({ cache }) => [cache],
  };
  const group = new WorkerGroup({ config, source }, program, options, runtime);
  await group.open();
  return new ResolverGroup(group);
}

function workOf(
  { config, source }: LoadedResolver,
  before: { readonly loaded: LoadedResolver; readonly work: ResolverWork } | undefined,
  random: Random,
): ResolverWork {
  // Whoever still has the old configuration must not put its answers where the new one looks.
  const cache =
    before !== undefined && sameAnswers(before.loaded.config, config)
      ? before.work.cache
      : shareMessageCache(config.cache.sizeBytes, random);
  return { program: "resolver", source, cache };
}

/** See the head of this file. */
class ResolverGroup implements SteeredServer {
  readonly #group: Workers;
  #dumps = 0;

  constructor(group: Workers) {
    this.#group = group;
  }

  get failed(): Promise<Error> {
    return this.#group.failed;
  }

  get listeners(): readonly OpenListener[] {
    return this.#group.listeners;
  }

  get status(): ServerStatus & { readonly workers: readonly WorkerStatus[] } {
    return { ...this.#group.told, authorities: this.#group.own.authorities };
  }

  get workers(): readonly WorkerStatus[] {
    return this.#group.workers;
  }

  upstreams(): readonly ForwardZoneStatus[] {
    return this.#group.own.upstreams;
  }

  get stubStatus(): StubStatus {
    const { upstreams, portal } = this.#group.own;
    return stubStatusOf(upstreams, portal, this.#group.queries);
  }

  /** Record sets of all workers, then the replies, which they share: one of them walks over those. */
  async flush(
    name: Name,
    what: "zone" | "name" | RRType,
  ): Promise<{ readonly replies: number; readonly recordSets: number }> {
    const flushed = { name: name.toString(), what };
    const recordSets = await Promise.all(
      this.#group.serving.map((worker) => worker.call("flush", { from: "record sets", ...flushed })),
    );
    const replies = await this.#group.first.call("flush", { from: "replies", ...flushed });
    return { replies, recordSets: recordSets.reduce((sum, count) => sum + count, 0) };
  }

  /** Of all workers, each record set once. */
  dump(): AsyncGenerator<string> {
    return dumpOfAll(this.#group.serving, ++this.#dumps);
  }

  /** Into all caches; tells how many sets one of them took. */
  async load(text: string): Promise<Parsed<number>> {
    const loaded = await Promise.allSettled(this.#group.serving.map((worker) => worker.call("load", text)));
    const [first] = loaded;
    if (first === undefined) return { ok: false, problem: "no worker serves" };
    // The same text is a master file everywhere or nowhere.
    if (first.status === "rejected") return { ok: false, problem: String(first.reason?.message) };
    return { ok: true, value: first.value };
  }

  /** As the first worker knows it. */
  lookUp(name: Name): Promise<NameKnowledge> {
    return this.#group.first.call("lookUp", name.toString());
  }

  /** As the first worker has them, which keeps them. */
  trust(): Promise<{ readonly anchors: readonly string[]; readonly negative: readonly string[] }> {
    return this.#group.first.call("trust", undefined);
  }

  /** In all workers, or in none. */
  async portal(words: readonly string[]): Promise<PortalStatus> {
    const asked = await Promise.allSettled(this.#group.serving.map((worker) => worker.call("portal", words)));
    const refused = asked.find((one) => one.status === "rejected");
    if (refused !== undefined) {
      if (words[0] === "open" && asked.some(({ status }) => status === "fulfilled"))
        await Promise.all(this.#group.serving.map((worker) => worker.call("portal", ["close"])));
      throw refused.reason;
    }
    const merged = this.#group.own.portal;
    if (merged === undefined) throw new DnsError("ERR_CLOSED", "no worker serves");
    return merged;
  }

  reload(config: Config, source: ConfigSource): Promise<readonly string[]> {
    return this.#group.reload({ config, source });
  }

  drain(): Promise<void> {
    return this.#group.drain();
  }

  close(): Promise<void> {
    return this.#group.close();
  }
}
