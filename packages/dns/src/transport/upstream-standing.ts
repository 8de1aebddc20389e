/** What a pool remembers of an upstream: how it did lately, and for people, how it has done in all. */

import type { ConnectionStatus } from "./connection-status.ts";
import type { ExchangeFacts, Protection, Reply } from "./responder.ts";
import type { PoolMember } from "./upstream-pool.ts";

/** A failure, for people. */
export interface UpstreamFailure {
  /** Monotonic milliseconds. */
  readonly atMs: number;
  readonly code: string;
  /** Where it happened: `connect`, `handshake`, `authenticate`, `query`; undefined when unknown. */
  readonly stage: string | undefined;
  readonly problem: string;
}

/** How an upstream that is known by name is found, for people. */
export interface UpstreamLookup {
  /** Whose addresses are looked up. */
  readonly name: string;
  readonly port: number;
  /** In use, the one that is asked first first; empty: none is known. */
  readonly addresses: readonly string[];
  /** Who told them; undefined while none is known. */
  readonly from: string | undefined;
  /** Of the last lookup; undefined when it was answered. */
  readonly lastFailure: (UpstreamFailure & { readonly agoMs: number }) | undefined;
}

export interface Standing {
  readonly upstream: PoolMember;
  failures: number;
  /** Monotonic milliseconds until which others are asked first. */
  avoidUntilMs: number;
  /** A query is finding out whether it is back. */
  isProbed: boolean;
  networkEpoch: number;
  /** Of exchanges on open connections, milliseconds; undefined before the first. */
  smoothedMs: number | undefined;
  /** It once proved who it is. */
  hasAuthenticated: boolean;
  /** The same, and it stays so whatever has been told since. */
  hasEverAuthenticated: boolean;
  /** It has replied on this network. */
  hasReplied: boolean;
  lastFailure: UpstreamFailure | undefined;
  lastExchange: ExchangeFacts | undefined;
  lastReplyMs: number | undefined;
  replies: number;
  readonly repliesBy: Record<Exclude<Protection, "local">, number>;
  failuresInAll: number;
  /** Since the last reply, and since when; 0 and undefined while it works. */
  failuresWhileFailing: number;
  failingSinceMs: number | undefined;
  repliesOnReused: number;
  handshakes: number;
  resumptions: number;
  /** The state that was told of last. */
  told: UpstreamStanding["state"];
}

/** What is told about an upstream. */
export interface UpstreamStanding {
  readonly upstream: PoolMember;
  /** `untried`, what its last reply was protected by, or that it fails. */
  readonly state: "untried" | "failing" | Protection;
  readonly authenticatedBy: string | undefined;
  /** How it must prove who it is; undefined: it need not. */
  readonly identity: string | undefined;
  /** The way to it as it is now; undefined when nothing is kept between queries. */
  readonly connection: ConnectionStatus | undefined;
  readonly replies: number;
  /** Of `replies`, by what protected them. */
  readonly repliesBy: Readonly<Record<Exclude<Protection, "local">, number>>;
  readonly failures: number;
  /** Failures since the last reply. */
  readonly failuresInARow: number;
  /** Share of replies that came on a connection that had carried others; 0 without replies. */
  readonly reuseRatio: number;
  readonly fullHandshakes: number;
  readonly resumedHandshakes: number;
  readonly smoothedMs: number | undefined;
  /** Milliseconds for which others are asked first; 0: it is asked. */
  readonly avoidedForMs: number;
  readonly lastFailure: (UpstreamFailure & { readonly agoMs: number }) | undefined;
  readonly lastReplyAgoMs: number | undefined;
}

export function makeStanding(upstream: PoolMember): Standing {
  return {
    upstream,
    failures: 0,
    avoidUntilMs: 0,
    isProbed: false,
    networkEpoch: upstream.networkEpoch ?? 0,
    smoothedMs: undefined,
    hasAuthenticated: false,
    hasEverAuthenticated: false,
    hasReplied: false,
    lastFailure: undefined,
    lastExchange: undefined,
    lastReplyMs: undefined,
    replies: 0,
    repliesBy: { authenticated: 0, encrypted: 0, clear: 0 },
    failuresInAll: 0,
    failuresWhileFailing: 0,
    failingSinceMs: undefined,
    repliesOnReused: 0,
    handshakes: 0,
    resumptions: 0,
    told: "untried",
  };
}

/** Counts a reply. */
export function noteReply(member: Standing, { exchange, protection }: Reply, nowMs: number): void {
  member.replies++;
  if (protection !== "local") member.repliesBy[protection]++;
  member.hasReplied = true;
  member.lastReplyMs = nowMs;
  if (protection === "authenticated") {
    member.hasAuthenticated = true;
    member.hasEverAuthenticated = true;
  }
  if (exchange === undefined) return;
  member.lastExchange = exchange;
  const before = member.smoothedMs ?? exchange.exchangeMs;
  member.smoothedMs = before + (exchange.exchangeMs - before) / SMOOTHING;
  if (exchange.connectionReused) member.repliesOnReused++;
  else if (exchange.transport === "tls") {
    if (exchange.sessionResumed) member.resumptions++;
    else member.handshakes++;
  }
}

export function standingOf(member: Standing, nowMs: number): UpstreamStanding {
  const { upstream, lastFailure, lastReplyMs, lastExchange, replies, failures } = member;
  const lastState = lastExchange?.protection ?? (replies > 0 ? "clear" : "untried");
  return {
    upstream,
    state: failures > 0 ? "failing" : lastState,
    authenticatedBy: lastExchange?.authenticatedBy,
    identity: upstream.identity,
    connection: upstream.connectionStatus,
    replies,
    repliesBy: { ...member.repliesBy },
    failures: member.failuresInAll,
    failuresInARow: failures,
    reuseRatio: replies === 0 ? 0 : member.repliesOnReused / replies,
    fullHandshakes: member.handshakes,
    resumedHandshakes: member.resumptions,
    smoothedMs: member.smoothedMs,
    avoidedForMs: Math.max(0, member.avoidUntilMs - nowMs),
    lastFailure: lastFailure && { ...lastFailure, agoMs: nowMs - lastFailure.atMs },
    lastReplyAgoMs: lastReplyMs === undefined ? undefined : nowMs - lastReplyMs,
  };
}

/** As in RFC 6298 §2: the last eight count. */
const SMOOTHING = 8;
