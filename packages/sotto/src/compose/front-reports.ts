/** What several workers of a front end tell, as if one told it: pools, rules, and what was counted beside the outcomes. */
import { makeFrontCounters } from "../front/index.ts";
import type { FrontStatus } from "./front-daemon.ts";
import type { FrontPoolStatus } from "./front-pools.ts";
import type { FrontRulesStatus } from "./front-rules.ts";
import { type OwnReports, sumOf } from "./merged-reports.ts";

/** What only a front end tells. */
export interface FrontTold extends Pick<FrontStatus, "front" | "pending" | "pools" | "rules"> {
  /** Of workers that have died: only what they counted is looked at. */
  readonly isOver?: boolean | undefined;
}

type BackendStatus = FrontPoolStatus["backends"][number];

export const FRONT_REPORTS: OwnReports<FrontTold> = {
  merge(all) {
    const live = all.filter(({ isOver }) => isOver !== true);
    const seen = live.length > 0 ? live : all;
    const over = live.length > 0 ? all.filter(({ isOver }) => isOver === true) : [];
    return {
      isOver: live.length === 0,
      front: sumOf([makeFrontCounters(), ...all.map(({ front }) => front)]),
      pending: all.reduce((sum, { pending }) => sum + pending, 0),
      pools: mergePools(
        seen.map(({ pools }) => pools),
        over.map(({ pools }) => pools),
      ),
      rules: mergeRules([...seen, ...over].map(({ rules }) => rules)),
    };
  },
  left: (own) => ({
    ...own,
    isOver: true,
    pending: 0,
    pools: own.pools.map((pool) => ({
      ...pool,
      queries: 0,
      backends: pool.backends.map((backend) => ({ ...backend, ...NOTHING_OPEN })),
    })),
  }),
};

type Pools = readonly FrontPoolStatus[];

/** Pools of the first, in its order; of the others what has the same name. Of `over` come counts only. */
function mergePools(seen: readonly Pools[], over: readonly Pools[]): FrontPoolStatus[] {
  const [first = []] = seen;
  return first.map((pool) => {
    const called = (all: readonly Pools[]): Pools => all.flat().filter(({ name }) => name === pool.name);
    const [same, gone] = [called(seen), called(over)];
    const backendsOf = (pools: Pools, name: string): BackendStatus[] =>
      pools.flatMap(({ backends }) => backends.filter((backend) => backend.name === name));
    return {
      name: pool.name,
      isDown: same.every(({ isDown }) => isDown),
      isSaturated: same.every(({ isSaturated }) => isSaturated),
      queries: same.reduce((sum, { queries }) => sum + queries, 0),
      patienceMs: Math.max(...same.map(({ patienceMs }) => patienceMs)),
      backends: pool.backends.map((backend) =>
        mergeBackend(backend, backendsOf(same, backend.name), backendsOf(gone, backend.name)),
      ),
      cache: mergeCache([...same, ...gone].flatMap(({ cache }) => cache ?? [])),
    };
  });
}

/** Counts and gauges added up; the state is the worst that a worker sees, because each finds out by itself. */
function mergeBackend(
  first: BackendStatus,
  same: readonly BackendStatus[],
  gone: readonly BackendStatus[],
): BackendStatus {
  const worst = same.reduce((a, b) => (BAD_LAST.indexOf(b.state) > BAD_LAST.indexOf(a.state) ? b : a));
  const alike = same.filter(({ state }) => state === worst.state).length;
  const timed = same.filter(({ latencyMs }) => latencyMs > 0);
  const slowest = Math.max(-1, ...same.map(({ latencyP99Ms = -1 }) => latencyP99Ms));
  const learnt = same.flatMap(({ queriesPerConnection }) => queriesPerConnection ?? []);
  return {
    ...first,
    ...sumOf([...same, ...gone].map(countsOf)),
    state: worst.state,
    forMs: worst.forMs,
    why: alike === same.length ? worst.why : `${alike} of ${same.length} workers: ${worst.why}`,
    authentication: (same.find(({ authentication }) => authentication?.isAuthenticated === false) ?? first)
      .authentication,
    latencyMs: timed.reduce((sum, one) => sum + one.latencyMs, 0) / Math.max(1, timed.length),
    latencyP99Ms: slowest < 0 ? undefined : slowest,
    queriesPerConnection: learnt.length === 0 ? undefined : Math.min(...learnt),
  };
}

function countsOf(backend: BackendStatus) {
  const { inFlight, queued, connections, connectionsOpened, sockets, wrongReplies, counters } = backend;
  return { inFlight, queued, connections, connectionsOpened, sockets, wrongReplies, counters };
}

/** All have the same memory, and counts of their own. */
function mergeCache(
  same: readonly NonNullable<FrontPoolStatus["cache"]>[],
): FrontPoolStatus["cache"] | undefined {
  const [first] = same;
  return first && { ...sumOf(same), entries: first.entries, usedBytes: first.usedBytes };
}

function mergeRules(all: readonly FrontRulesStatus[]): FrontRulesStatus {
  const [first] = all;
  return {
    rules: (first?.rules ?? []).map(({ name }) => {
      const same = all.flatMap(({ rules }) => rules.filter((rule) => rule.name === name));
      return { name, ...sumOf(same.map(({ matches, ended }) => ({ matches, ended }))) };
    }),
    sets: (first?.sets ?? []).map((set) => {
      const same = all.flatMap(({ sets }) => sets.filter(({ name }) => name === set.name));
      return same.find(({ problem }) => problem !== undefined) ?? set;
    }),
    clients: sumOf([{ overLimit: 0, banned: 0 }, ...all.map(({ clients }) => clients)]),
  };
}

const NOTHING_OPEN = { inFlight: 0, queued: 0, connections: 0, sockets: 0 };
const BAD_LAST: readonly BackendStatus["state"][] = ["up", "starting", "draining", "down"];
