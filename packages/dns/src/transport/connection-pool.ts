/**
 * Connections for queries, one per server and policy (RFC 7766 §6.2.2): whoever comes while one is being opened waits
 * on the same attempt, and TLS tickets stay for the next one.
 */
import { createHash } from "node:crypto";
import type { DnsError, Runtime } from "@sotto/dns/runtime";
import type { TlsPolicy } from "./authentication.ts";
import { ClientLink, type LinkTarget, type SessionTicket } from "./client-link.ts";
import { CONNECTION_LIMITS_DEFAULT, type ConnectionLimits } from "./connection-limits.ts";
import type { ConnectionStatus } from "./connection-status.ts";
import { type RememberedServer, ServerMemory } from "./server-memory.ts";

export interface PoolOptions {
  readonly entriesMax: number;
  readonly connectTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** Asks for Fast Open where it has not failed. */
  readonly fastOpen: boolean;
  /** What has arrived is acknowledged at once while queries wait. */
  readonly acknowledges: boolean;
  readonly limits: Partial<ConnectionLimits>;
  /** The machine seems to have been asleep. */
  readonly onSleep: () => void;
}

interface Entry {
  readonly key: string;
  link: ClientLink | undefined;
  readonly tickets: SessionTicket[];
  /** Learnt from a server that closes although queries wait; undefined while there is no reason. */
  lesson: { readonly queriesMax: number; readonly untilMs: number } | undefined;
  /** How long the server let idle connections live, latest last. */
  idleCloses: readonly IdleClose[];
}

/** Servers by reuse key, least recently used first. */
export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #runtime: Runtime;
  readonly #entries = new Map<string, Entry>();
  /** The last of them, while it is among them. */
  #latest: Entry | undefined = undefined;
  readonly #links = new Set<ClientLink>();
  readonly memory = new ServerMemory();
  /** Policies hold whole certificates: each is turned into its part of the key once. */
  readonly #policyKeys = new WeakMap<TlsPolicy, string>();

  constructor(options: PoolOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
  }

  /** Connections that are not gone yet. */
  get size(): number {
    return this.#links.size;
  }

  /** The connection to use for a query now; undefined when all that may be open are busy. */
  acquire(target: LinkTarget): ClientLink | undefined {
    const key = this.#reuseKey(target);
    const entry = this.#entries.get(key) ?? this.#makeEntry(key);
    if (entry === undefined) return undefined;
    if (entry !== this.#latest) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      this.#latest = entry;
    }
    if (entry.link?.takesQueries !== true) entry.link = this.#open(target, entry);
    return entry.link;
  }

  /**
   * Why no connection is tried now; undefined when one may be, or when there is one: whoever comes while the server is
   * being tried waits for what becomes of that, unless it takes too long.
   */
  refusal(target: LinkTarget, isLastHope: boolean): DnsError | undefined {
    const nowMs = this.#runtime.clock.nowMs();
    const link = this.#entries.get(this.#reuseKey(target))?.link;
    if (link?.takesQueries !== true) return this.memory.refusal(this.remembered(target), nowMs, isLastHope);
    return link.facts === undefined
      ? this.memory.refusalWhileTried(this.remembered(target), link.startedAtMs, nowMs)
      : undefined;
  }

  /** Holds a connection that failed or never answered against its server: once, however many queries failed with it. */
  noteFailure(link: ClientLink, target: LinkTarget, failure: DnsError): void {
    if (link.repliesServed > 0 || link.wasHeldAgainstServer) return;
    link.wasHeldAgainstServer = true;
    const nowMs = this.#runtime.clock.nowMs();
    this.memory.noteFailure(this.remembered(target), failure, nowMs, {
      sinceMs: link.startedAtMs,
      askedFastOpen: link.askedFastOpen,
    });
  }

  /** The connection to that target when a query can leave on it at once. */
  ready(target: LinkTarget): ClientLink | undefined {
    const link = this.#entries.get(this.#reuseKey(target))?.link;
    return link?.isReady === true ? link : undefined;
  }

  /** What is known of the way to that target. */
  status(target: LinkTarget): ConnectionStatus {
    const nowMs = this.#runtime.clock.nowMs();
    const entry = this.#entries.get(this.#reuseKey(target));
    const link = entry?.link?.takesQueries === true ? entry.link : undefined;
    const security = link?.facts?.security;
    const { idleTimeoutMs: ownIdleMs = CONNECTION_LIMITS_DEFAULT.idleTimeoutMs } = this.#options.limits;
    const learntMs = learntIdleMs(entry?.idleCloses ?? [], ownIdleMs, nowMs);
    const timers = link?.timers;
    const closesAtMs = timers?.idleClosesAtMs;
    return {
      state: link === undefined ? "none" : link.facts === undefined ? "connecting" : "open",
      ageMs: link === undefined ? 0 : nowMs - link.startedAtMs,
      security: security && [security.protocol, security.group].filter(Boolean).join(" "),
      isResumed: security?.resumed ?? false,
      inFlight: link?.pending ?? 0,
      served: link?.repliesServed ?? 0,
      idleTimeoutMs: timers?.idleTimeoutMs ?? learntMs,
      promisedIdleMs: timers?.promisedIdleMs,
      learntIdleMs: learntMs < ownIdleMs ? learntMs : undefined,
      idleClosesInMs: closesAtMs === undefined ? undefined : Math.max(0, closesAtMs - nowMs),
      queriesMax: entry && this.#learntMax(entry),
      tickets: entry?.tickets.length ?? 0,
      backOff: this.memory.backOff(this.remembered(target), nowMs),
    };
  }

  /** The target as the memory of failures knows it. */
  remembered(target: LinkTarget): RememberedServer {
    const { remote, tls } = target;
    return {
      key: this.#reuseKey(target),
      address: remote.address,
      isTls: tls !== undefined,
      hasPins: tls !== undefined && (tls.pins.length > 0 || tls.tlsa !== undefined),
    };
  }

  /**
   * The network is another one: connections over the old one are given up, what was learnt of failures is forgotten, and
   * so are tickets, by which the server would recognise us (RFC 9250 §5.5.3 says why).
   */
  networkChanged(): void {
    this.memory.forgetAll();
    for (const entry of this.#entries.values()) {
      entry.lesson = undefined;
      entry.idleCloses = [];
      entry.tickets.length = 0;
      entry.link?.condemn();
      entry.link = undefined;
    }
  }

  /** The server closed although queries waited, after this many replies: for a while it gets no more on one. */
  noteEarlyClose(target: LinkTarget, repliesServed: number): void {
    const entry = this.#entries.get(this.#reuseKey(target));
    if (entry === undefined) return;
    const known = this.#learntMax(entry) ?? repliesServed;
    const queriesMax = Math.max(1, Math.min(known, repliesServed));
    entry.lesson = { queriesMax, untilMs: this.#runtime.clock.nowMs() + LESSON_MS };
  }

  #learntMax(entry: Entry): number | undefined {
    if (entry.lesson !== undefined && entry.lesson.untilMs <= this.#runtime.clock.nowMs())
      entry.lesson = undefined;
    return entry.lesson?.queriesMax;
  }

  /** Closes every connection and waits until they are gone. */
  async close(): Promise<void> {
    this.#entries.clear();
    await Promise.all([...this.#links].map((link) => link.close()));
  }

  /** Connections with the same key are interchangeable: same peer, same claims about it, same credentials of ours. */
  #reuseKey(target: LinkTarget): string {
    const { remote, localAddress, tls } = target;
    let policy = tls === undefined ? "tcp" : this.#policyKeys.get(tls);
    if (tls !== undefined && policy === undefined) {
      policy = policyKey(tls);
      this.#policyKeys.set(tls, policy);
    }
    return `${remote.address}|${remote.port}|${localAddress ?? ""}|${policy}`;
  }

  /** Makes room by forgetting the server used least recently that nobody waits for. */
  #makeEntry(key: string): Entry | undefined {
    if (this.#entries.size >= this.#options.entriesMax) {
      const idle = this.#oldestIdle();
      if (idle === undefined) return undefined;
      this.#entries.delete(idle.key);
      void idle.link?.close();
    }
    return { key, link: undefined, tickets: [], lesson: undefined, idleCloses: [] };
  }

  #oldestIdle(): Entry | undefined {
    for (const entry of this.#entries.values())
      if (entry.link === undefined || entry.link.pending === 0) return entry;
    return undefined;
  }

  #open(target: LinkTarget, entry: Entry): ClientLink {
    const { limits, connectTimeoutMs, handshakeTimeoutMs } = this.#options;
    const queriesMax = this.#learntMax(entry) ?? Number.POSITIVE_INFINITY;
    const nowMs = this.#runtime.clock.nowMs();
    const defaultIdleMs = limits.idleTimeoutMs ?? CONNECTION_LIMITS_DEFAULT.idleTimeoutMs;
    // Queries that moved here from a silent connection were perhaps only slow: who is known to be there gets their whole time.
    const isKnown = this.memory.repliedLately(this.remembered(target), nowMs);
    const link = new ClientLink(
      {
        target,
        // RFC 8446 Appendix C.4: a ticket is used once, so that connections cannot be linked by it.
        ticket: takeTicket(entry, this.#runtime.clock.wallMs()),
        limits: {
          ...limits,
          queriesMax,
          ...(isKnown ? { firstAnswerTimeoutMs: Number.POSITIVE_INFINITY } : {}),
          idleTimeoutMs: learntIdleMs(entry.idleCloses, defaultIdleMs, nowMs),
        },
        fastOpen: this.#options.fastOpen && this.memory.mayFastOpen(this.remembered(target), nowMs),
        acknowledges: this.#options.acknowledges,
        connectTimeoutMs,
        handshakeTimeoutMs,
        onTicket: (ticket) => {
          entry.tickets.push(ticket);
          if (entry.tickets.length > TICKETS_MAX) entry.tickets.shift();
        },
        onFailed: (failed, problem) => this.noteFailure(failed, target, problem),
        onGone: () => {
          this.#links.delete(link);
          noteIdleClose(entry, link.idleClosedAfterMs, this.#runtime.clock.nowMs());
          if (entry.link === link) entry.link = undefined;
        },
        onSleep: this.#options.onSleep,
      },
      this.#runtime,
    );
    this.#links.add(link);
    return link;
  }
}

/** The latest one whose proof still counts. */
function takeTicket({ tickets }: Entry, wallMs: number): SessionTicket | undefined {
  for (let ticket = tickets.pop(); ticket !== undefined; ticket = tickets.pop())
    if (wallMs < ticket.untilWallMs) return ticket;
  return undefined;
}

interface IdleClose {
  readonly idleMs: number;
  readonly atMs: number;
}

function noteIdleClose(entry: Entry, idleMs: number | undefined, nowMs: number): void {
  if (idleMs === undefined) return;
  entry.idleCloses = [...entry.idleCloses, { idleMs, atMs: nowMs }].slice(-IDLE_CLOSES_MAX);
}

/** Closes before the server does: the median of what was seen, less a margin, when that is shorter than ours. */
function learntIdleMs(closes: readonly IdleClose[], defaultMs: number, nowMs: number): number {
  const sorted = closes
    .filter(({ atMs }) => nowMs - atMs < IDLE_LESSON_MS)
    .map(({ idleMs }) => idleMs)
    .sort((a, b) => a - b);
  const median = sorted[sorted.length >>> 1];
  if (median === undefined || sorted.length < IDLE_CLOSES_MIN) return defaultMs;
  const marginMs = Math.min(IDLE_MARGIN_MS_MAX, median * IDLE_MARGIN);
  return Math.min(defaultMs, median - marginMs);
}

/** A digest: certificates are long, and the key is looked for with each query. */
function policyKey(policy: TlsPolicy): string {
  const claims = JSON.stringify([
    policy.serverName,
    policy.authName,
    policy.pins,
    policy.tlsa ?? null,
    policy.trustAnchorsPem,
    policy.authenticate,
    policy.certificatePem,
    policy.keyPem,
  ]);
  return createHash("sha256").update(claims).digest("base64");
}

/** Closes that are remembered of a server. */
const IDLE_CLOSES_MAX = 5;
/** A server that restarts closes idle connections as well: that alone teaches nothing. */
const IDLE_CLOSES_MIN = 3;
/** Who closes first sees no more closes: after an hour it is found out anew whether they are still needed. */
const IDLE_LESSON_MS = 3_600_000;
/** More than a round trip to nearly every server, and never most of a short time. */
const IDLE_MARGIN_MS_MAX = 1000;
const IDLE_MARGIN = 0.2;
/** OpenSSL sends two per handshake; more would only grow old. */
const TICKETS_MAX = 2;
/** Ten minutes: long enough not to fail every burst, short enough for a server that was only restarting. */
const LESSON_MS = 600_000;
