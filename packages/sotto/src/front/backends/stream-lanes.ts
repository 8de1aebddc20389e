/**
 * The connections to one backend over TCP or TLS: a few lanes, each with a connection when there is a use for it. A query takes the
 * lane with the fewest that wait, and some that come in the same turn go with it: they share a write, and their replies share reads. How many
 * depends on whether answers have been seen to overtake each other.
 * Never are there more connections than lanes, those that are still closing included.
 */
import type { DnsError, Runtime } from "@sotto/dns/runtime";
import { type Authentication, ClientLink, type LinkTarget, type QueryOutcome } from "@sotto/dns/transport";
import type { Attempt } from "./attempt.ts";
import type { BackendLimits } from "./backend-settings.ts";
import type { Dress, QueryDresser } from "./query-dress.ts";
import type { EarlyEnd, StreamMemory } from "./stream-memory.ts";

/** A place for one connection. */
export interface Lane {
  link: ClientLink | undefined;
  /** Queries that its connection got. */
  given: number;
  /** Of those that were answered, the one that was given last: its number. */
  answeredTo: number;
  /** That it may get. */
  givenMax: number;
  /** Its early end was noted. */
  isJudged: boolean;
  /** Its end was held against the backend: once, however many queries were on it. */
  isBlamed: boolean;
  /** What its connection proved was told. */
  isToldOf: boolean;
  /** From when on another connection may prove more, monotonic milliseconds; Infinity where there is nothing to prove. */
  provesAnewAtMs: number;
}

export interface StreamLanesOptions {
  readonly target: LinkTarget;
  readonly lanes: number;
  readonly limits: BackendLimits;
  readonly memory: StreamMemory;
  readonly dresser: QueryDresser;
  /** A connection is gone: another may be opened. */
  readonly onRoom: () => void;
  readonly onConnectFailed: (problem: DnsError) => void;
  /** Once for each connection over TLS, when it has answered, or when it was given up because of it. */
  readonly onAuthentication: (authentication: Authentication) => void;
}

/** `full`: not now; `backed off`: the last connection failed, and the next one is not tried yet. */
export type Sending = "sent" | "full" | "backed off";

export class StreamLanes {
  /** Connections that were opened. */
  opened = 0;
  readonly #options: StreamLanesOptions;
  readonly #runtime: Runtime;
  readonly #lanes: Lane[];
  readonly #dresses: readonly Dress[];
  /** The lane of the latest query. */
  #latest: Lane | undefined = undefined;
  #isClosed = false;

  constructor(options: StreamLanesOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#lanes = Array.from({ length: options.lanes }, makeLane);
    // Padding in clear would hide nothing.
    const padBlockOctets = options.target.tls === undefined ? 0 : options.limits.padBlockOctets;
    const dress: Dress = { asksKeepalive: false, padBlockOctets, isPlain: false, udpPayloadOctets: 0 };
    this.#dresses = [dress, { ...dress, asksKeepalive: true }, { ...dress, isPlain: true }];
  }

  /** Connections that are not gone. */
  get connections(): number {
    let count = 0;
    for (const { link } of this.#lanes) if (link !== undefined) count++;
    return count;
  }

  /** Queries that its connections have. */
  get pending(): number {
    let count = 0;
    for (const { link } of this.#lanes) count += link?.pending ?? 0;
    return count;
  }

  /** `isForced` tries a connection in spite of failures, for checks. */
  send(attempt: Attempt, nowMs: number, isForced: boolean): Sending {
    const latest = this.#latest;
    if (latest?.link !== undefined && latest.given < latest.givenMax && this.#stays(latest.link)) {
      this.#give(attempt, latest, latest.link);
      return "sent";
    }
    let best: Lane | undefined;
    let bestPending = Number.POSITIVE_INFINITY;
    let free: Lane | undefined;
    for (const lane of this.#lanes) {
      const { link } = lane;
      if (link === undefined) {
        free ??= lane;
        continue;
      }
      if (lane.given >= lane.givenMax || !link.takesQueries) continue;
      const { pending } = link;
      if (pending === 0 && nowMs >= lane.provesAnewAtMs) {
        void link.close();
        continue;
      }
      if (pending >= bestPending) continue;
      best = lane;
      bestPending = pending;
    }
    const mayOpen = isForced || !this.#options.memory.backOff.holds(nowMs);
    if (free !== undefined && bestPending >= OPEN_ANOTHER_AT && mayOpen) {
      this.#open(free, nowMs);
      best = free;
    }
    if (best?.link === undefined) return free === undefined ? "full" : "backed off";
    this.#latest = best;
    this.#give(attempt, best, best.link);
    return "sent";
  }

  /** The query goes with those of this turn. */
  #stays(link: ClientLink): boolean {
    const { gathered, pending, takesQueries } = link;
    if (gathered === 0 || !takesQueries) return false;
    if (this.#options.memory.overtakes) return pending < TOGETHER_MAX;
    return gathered < GATHERED_MAX && pending >= GATHERS_FROM && this.#lanes.every(isOpen);
  }

  #give(attempt: Attempt, lane: Lane, link: ClientLink): void {
    // Once per connection is enough: who answers promises for good.
    const isFirst = lane.given === 0 && !attempt.isPlain;
    attempt.lane = lane;
    attempt.number = ++lane.given;
    const dress = this.#dresses[attempt.isPlain ? 2 : isFirst ? 1 : 0];
    const { octets } = attempt.query;
    attempt.octets = dress === undefined ? octets : this.#options.dresser.dress(octets, dress);
    attempt.asksKeepalive = isFirst && attempt.octets !== octets;
    link.send(attempt);
  }

  /** Learns from what became of a query. */
  note(attempt: Attempt, outcome: QueryOutcome, nowMs: number): void {
    const { memory } = this.#options;
    const { lane } = attempt;
    if (outcome.kind === "reply") {
      memory.backOff.noteSuccess();
      this.#tellOf(lane, nowMs);
      if (lane !== undefined) noteOrder(lane, attempt.number, memory);
    }
    if (outcome.kind !== "lost" || lane === undefined || lane.isJudged) return;
    const end = earlyEnd(outcome, lane);
    if (end === undefined) return;
    lane.isJudged = true;
    memory.noteEarlyEnd(end, outcome.repliesServed, nowMs);
  }

  #tellOf(lane: Lane | undefined, nowMs: number): void {
    if (lane === undefined || lane.isToldOf) return;
    lane.isToldOf = true;
    const authentication = lane.link?.facts?.authentication;
    if (authentication === undefined) return;
    if (!authentication.isAuthenticated && this.#options.target.tls?.authenticate === "if possible")
      lane.provesAnewAtMs = nowMs + PROVES_ANEW_MS;
    this.#options.onAuthentication(authentication);
  }

  #open(lane: Lane, nowMs: number): void {
    const { target, limits, memory, onRoom, onConnectFailed, onAuthentication } = this.#options;
    const { clock } = this.#runtime;
    lane.given = 0;
    lane.answeredTo = 0;
    lane.givenMax = memory.queriesMax(nowMs);
    lane.isJudged = false;
    lane.isBlamed = false;
    lane.isToldOf = false;
    lane.provesAnewAtMs = Number.POSITIVE_INFINITY;
    this.opened++;
    lane.link = new ClientLink(
      {
        target,
        ticket: memory.takeTicket(clock.wallMs()),
        limits: {
          inFlightMax: limits.inFlightMax + SPARE,
          // The backend's own queue is the one that fills.
          queueMax: 2 * limits.inFlightMax + SPARE,
          queriesMax: lane.givenMax,
          idleTimeoutMs: limits.idleTimeoutMs,
        },
        connectTimeoutMs: limits.connectTimeoutMs,
        handshakeTimeoutMs: limits.handshakeTimeoutMs,
        fastOpen: false,
        // Clients have a connection each, and their queries come one at a time.
        gathers: true,
        // Several clients' queries wait on it, and none of them may wait for another client's next one.
        acknowledges: true,
        joinsRecords: limits.joinsRecords,
        onTicket: (ticket) => memory.noteTicket(ticket),
        onFailed: (_link, problem) => {
          if (this.#isClosed) return;
          memory.noteConnectFailure(problem, clock.nowMs());
          if (problem.code === "ERR_TLS_NOT_AUTHENTICATED")
            onAuthentication({ isAuthenticated: false, problem: problem.message });
          onConnectFailed(problem);
        },
        onGone: (link) => {
          if (lane.link !== link) return;
          lane.link = undefined;
          if (!this.#isClosed) onRoom();
        },
        onSleep: () => undefined,
      },
      this.#runtime,
    );
  }

  /** Ends all connections, whatever is on them, and waits until they are gone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#lanes.map(({ link }) => link?.close()));
  }
}

function makeLane(): Lane {
  return {
    link: undefined,
    given: 0,
    answeredTo: 0,
    givenMax: Number.POSITIVE_INFINITY,
    isJudged: false,
    isBlamed: false,
    isToldOf: false,
    provesAnewAtMs: Number.POSITIVE_INFINITY,
  };
}

function isOpen({ link }: Lane): boolean {
  return link !== undefined;
}

/** Whether an answer has overtaken that of an earlier query. */
function noteOrder(lane: Lane, number: number, memory: StreamMemory): void {
  if (number < lane.answeredTo) memory.overtakes = true;
  else lane.answeredTo = number;
}

function earlyEnd(outcome: Extract<QueryOutcome, { kind: "lost" }>, lane: Lane): EarlyEnd | undefined {
  if (!outcome.wasSent) return undefined;
  if (outcome.wasPassedOver) return "passed over";
  if (outcome.repliesServed > 0) return outcome.wasSilent === true ? "silent" : undefined;
  // A single query that breaks its connection speaks against the query or the backend, not against pipelining.
  return lane.given > 1 ? "broken" : undefined;
}

/** Queries on the emptiest connection from which on another one is opened: a few are no crowd, and share a write. */
const OPEN_ANOTHER_AT = 4;
/** Certificates are renewed while connections stay; a handshake a minute is next to nothing. */
const PROVES_ANEW_MS = 60_000;
/**
 * Queries of one turn that share a write: one of so many costs little, and whoever answers in order, one thread per connection, is not given
 * all that came at once on one of them.
 */
const GATHERED_MAX = 4;
/**
 * Queries on the emptiest connection from which on those of a turn stay together: while there are few, each has a connection of its own,
 * since one of them may be slow and hold up all behind it. Nor do they stay together before all connections are open.
 */
const GATHERS_FROM = 4;
/** Queries that one connection has at once before those of a turn use others, at a server that lets answers overtake: BIND works on 23 of a connection, Unbound on 32. */
const TOGETHER_MAX = 16;
/** For checks, which come on top. */
const SPARE = 2;
