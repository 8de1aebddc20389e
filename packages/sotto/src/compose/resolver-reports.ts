/** What several workers of a resolver tell, as if one told it: authorities over TLS, upstreams, captive portals. */
import type { Clock } from "@sotto/dns/runtime";
import { AuthorityEncryption } from "../recursor/index.ts";
import type { ForwardZoneStatus, UpstreamStatus } from "./forwarders.ts";
import { type OwnReports, sumOf } from "./merged-reports.ts";
import type { PortalStatus } from "./portal.ts";
import type { ServerStatus } from "./recursor-daemon.ts";

/** What only a resolver tells. */
export interface ResolverTold {
  readonly authorities: ServerStatus["authorities"];
  readonly upstreams: readonly ForwardZoneStatus[];
  readonly portal?: PortalStatus | undefined;
}

export function resolverReports(clock: Clock): OwnReports<ResolverTold> {
  const { counters, known } = new AuthorityEncryption(clock);
  const nothing: ResolverTold = { authorities: { ...counters, known }, upstreams: [] };
  return {
    merge: (all) => ({
      authorities: mergeAuthorities([nothing, ...all].map(({ authorities }) => authorities)),
      upstreams: mergeUpstreams(all.map(({ upstreams }) => upstreams)),
      portal: mergePortals(all.flatMap(({ portal }) => portal ?? [])),
    }),
    left: ({ authorities }) => ({ authorities: { ...authorities, known: NOTHING_KNOWN }, upstreams: [] }),
  };
}

/** What is known is the most, because all learn the same. */
function mergeAuthorities(all: readonly ResolverTold["authorities"][]): ResolverTold["authorities"] {
  const most = (what: keyof ResolverTold["authorities"]["known"]): number =>
    Math.max(0, ...all.map(({ known }) => known[what]));
  return {
    ...sumOf(all),
    known: { works: most("works"), fails: most("fails"), probing: most("probing") },
  };
}

/** Counts added up; the state is the one that was seen last. */
function mergeUpstreams(all: readonly (readonly ForwardZoneStatus[])[]): ForwardZoneStatus[] {
  const [first, ...others] = all;
  return (first ?? []).map((zone, i) => {
    const zones = [zone, ...others.flatMap((theirs) => theirs[i] ?? [])];
    const upstreams = zone.upstreams.map((_, j) =>
      mergeUpstream(zones.flatMap(({ upstreams: all }) => all[j] ?? [])),
    );
    return {
      ...(newest(zones, (one) => leastAge(one.upstreams)) ?? zone),
      upstreams: upstreams.flatMap((one) => one ?? []),
    };
  });
}

function mergeUpstream(same: readonly UpstreamStatus[]): UpstreamStatus | undefined {
  const latest = newest(same, ({ lastReplyAgoMs }) => lastReplyAgoMs);
  if (latest === undefined) return undefined;
  const { replies, repliesBy, failures, fullHandshakes, resumedHandshakes } = sumOf(
    same.map((one) => ({
      replies: one.replies,
      repliesBy: one.repliesBy,
      failures: one.failures,
      fullHandshakes: one.fullHandshakes,
      resumedHandshakes: one.resumedHandshakes,
    })),
  );
  const reused = same.reduce((sum, one) => sum + one.reuseRatio * one.replies, 0);
  const reuseRatio = replies === 0 ? 0 : reused / replies;
  return { ...latest, replies, repliesBy, failures, fullHandshakes, resumedHandshakes, reuseRatio };
}

/** An opening is the same in all; what went in clear is added up. */
function mergePortals(portals: readonly PortalStatus[]): PortalStatus | undefined {
  const [first] = portals;
  if (first === undefined) return undefined;
  const openings = portals.flatMap(({ opening }) => opening ?? []);
  const [opening] = openings;
  const inClear = (all: readonly { readonly queriesInClear: number }[]): number =>
    all.reduce((sum, { queriesInClear }) => sum + queriesInClear, 0);
  return {
    ...first,
    opening: opening && { ...opening, queriesInClear: inClear(openings) },
    queriesInClear: inClear(portals),
  };
}

function leastAge(upstreams: readonly UpstreamStatus[]): number | undefined {
  return newest(upstreams, ({ lastReplyAgoMs }) => lastReplyAgoMs)?.lastReplyAgoMs;
}

/** The one of least age; the first when none has one. */
function newest<T>(all: readonly T[], ageOf: (one: T) => number | undefined): T | undefined {
  let best = all[0];
  for (const one of all) {
    const age = ageOf(one) ?? Number.POSITIVE_INFINITY;
    if (best !== undefined && age < (ageOf(best) ?? Number.POSITIVE_INFINITY)) best = one;
  }
  return best;
}

const NOTHING_KNOWN = { works: 0, fails: 0, probing: 0 };
