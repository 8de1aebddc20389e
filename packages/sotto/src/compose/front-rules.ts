/** The access control of a front end as it is configured: limits of clients, rules, and sets whose files are watched. */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { FrontConfig, FrontSetConfig } from "../config/index.ts";
import {
  ClientGuard,
  type LoadedSet,
  type RuleCounters,
  RuleSet,
  type RuleSetOptions,
} from "../front/index.ts";
import { FileWatch } from "../operations/index.ts";
import type { FrontPlace } from "./front-place.ts";
import { loadSet } from "./front-sets.ts";

export interface FrontRulesStatus {
  readonly rules: readonly { readonly name: string; readonly matches: number; readonly ended: number }[];
  readonly sets: readonly (RuleCounters["sets"][number] & {
    /** Why the last change of its file is not in force. */
    readonly problem: string | undefined;
  })[];
  readonly clients: { readonly overLimit: number; readonly banned: number };
}

/** Tells which pools can be used. */
interface Pools {
  readonly byName: ReadonlyMap<
    string,
    { readonly backends: { readonly isDown: boolean; readonly isSaturated: boolean } }
  >;
}

/** What rules go on with. */
export interface RulesBefore {
  readonly before?: FrontRules | undefined;
  /** Its place among several workers; absent: it serves alone. */
  readonly worker?: FrontPlace | undefined;
}

interface RulesParts extends Pick<RuleSetOptions, "sets" | "guard" | "rateTables" | "counted"> {
  readonly pools: Pools;
}

export class FrontRules {
  readonly set: RuleSet;
  readonly #config: FrontConfig;
  readonly #runtime: Runtime;
  readonly #watches: readonly FileWatch[];
  readonly #problems = new Map<string, string>();

  /** Reads all sets; rejects with ERR_CONFIG when one cannot be read. Limits of clients go on counting when they are those of `before`. */
  static async load(
    config: FrontConfig,
    pools: Pools,
    runtime: Runtime,
    { before, worker }: RulesBefore = {},
  ): Promise<FrontRules> {
    const sets = new Map<string, LoadedSet>();
    for (const set of config.sets) {
      const loaded = await loadSet(set, runtime);
      tellReport(set, loaded, runtime);
      sets.set(set.name, loaded);
    }
    const isSameGuard =
      JSON.stringify(before === undefined ? undefined : before.#config.clients) ===
      JSON.stringify(config.clients);
    const guard = isSameGuard && before !== undefined ? before.set.guard : makeGuard(config, worker, runtime);
    const rateTables = worker?.shared.rateTables;
    const counted = before?.set.counters;
    return new FrontRules(config, { sets, pools, guard, rateTables, counted }, runtime);
  }

  private constructor(
    config: FrontConfig,
    { sets, pools, guard, rateTables, counted }: RulesParts,
    runtime: Runtime,
  ) {
    this.#config = config;
    this.#runtime = runtime;
    this.set = new RuleSet(
      {
        rules: config.rules,
        sets,
        pools: {
          isDown: (pool) => pools.byName.get(pool)?.backends.isDown === true,
          isSaturated: (pool) => pools.byName.get(pool)?.backends.isSaturated === true,
        },
        guard,
        rateTables,
        counted,
      },
      runtime,
    );
    this.#watches = config.sets.flatMap((set) => {
      if (set.file === undefined) return [];
      // One after the other: an older list must not end up in the place of a newer one. And one that waits is enough for all changes until it begins.
      let renewed: Promise<void> = Promise.resolve();
      let oneWaits = false;
      const renew = (): void => {
        if (oneWaits) return;
        oneWaits = true;
        renewed = renewed.then(() => {
          oneWaits = false;
          return this.#renew(set);
        });
      };
      const watch = new FileWatch(runtime.clock, renew, REST_MS);
      watch.watch([set.file], config.watchSetsMs);
      return [watch];
    });
  }

  get status(): FrontRulesStatus {
    const { rules, sets } = this.set.counters;
    return {
      rules,
      sets: sets.map((set) => ({ ...set, problem: this.#problems.get(set.name) })),
      clients: this.set.guard.counters,
    };
  }

  /** Ends its timers. */
  stop(): void {
    for (const watch of this.#watches) watch.stop();
  }

  #entriesOf(name: string): number {
    return this.set.counters.sets.find((set) => set.name === name)?.entries ?? 0;
  }

  /** What is broken is told and not used: the next change is looked at again. */
  async #renew(config: FrontSetConfig): Promise<void> {
    const { name } = config;
    try {
      const loaded = await loadSet(config, this.#runtime);
      if (loaded.report.lines === 0 && this.#entriesOf(name) > 0)
        throw new DnsError(
          "ERR_CONFIG",
          `set ${JSON.stringify(name)}: ${config.file} is empty, as a list is before it is written; if it shall have no entries, put a comment into it`,
        );
      this.set.replaceSet(name, loaded);
      this.#problems.delete(name);
      tellReport(config, loaded, this.#runtime);
    } catch (error) {
      const problem = DnsError.is(error) ? error.message : String(error);
      this.#problems.set(name, problem);
      this.#runtime.events.publish("front.set.refused", { problem, consequence: "the set in use stays" });
    }
  }
}

/** Knows who is banned already. */
function makeGuard({ clients }: FrontConfig, worker: FrontPlace | undefined, runtime: Runtime): ClientGuard {
  if (worker === undefined) return new ClientGuard(clients, runtime);
  const { shared, onBanned } = worker;
  const guard = new ClientGuard(clients, runtime, { tables: shared.guardTables, onBanned });
  guard.adopt(shared.bans.values());
  return guard;
}

/** What was read, and what of it was not understood or is not done: of that, too, somebody believes that it is in force. */
function tellReport({ name, file }: FrontSetConfig, { report }: LoadedSet, { events }: Runtime): void {
  const { bad, problems } = report;
  const [entries, unsupported] =
    "names" in report ? [report.names, report.unsupported] : [report.prefixes, 0];
  events.publish("front.set.loaded", { set: name, file, entries, bad, unsupported });
  if (bad + unsupported > 0) events.publish("front.set.bad-lines", { set: name, bad, unsupported, problems });
}

/** Lists are written in pieces: nothing is read while somebody writes. */
const REST_MS = 1000;
