/**
 * What is remembered of servers that could not be reached over TCP or TLS: for how long not to try again, by the kind of
 * failure. A dead server costs one try now and then instead of a wait per query, and a network that went away is noticed
 * as such and asked again at short fixed intervals, so that everything is back as soon as it is.
 */
import { DnsError, type DnsErrorCode } from "@sotto/dns/runtime";

/** Kinds of failure, each with a patience of its own. */
export type FailureClass =
  | "unreachable"
  | "refused"
  | "timeout"
  | "handshake"
  | "authentication"
  | "protocol";

/** For people: a server that is not tried for some time. */
export interface BackOffStatus {
  readonly failureClass: FailureClass;
  readonly failuresInARow: number;
  /** Milliseconds. Who has nobody else to ask may try sooner. */
  readonly leftMs: number;
}

interface Failure {
  readonly problem: DnsError;
  readonly failureClass: FailureClass;
  /** In a row. */
  readonly count: number;
  /** When the try began that failed last. */
  readonly triedAtMs: number;
  readonly atMs: number;
  readonly untilMs: number;
}

interface Memory {
  failure: Failure | undefined;
  /** Monotonic milliseconds until which Fast Open is not asked for. */
  noFastOpenUntilMs: number;
}

/** A server and what speaks for patience or against it. */
export interface RememberedServer {
  /** Same transport, endpoint and policy: what failed for one need not fail for another. */
  readonly key: string;
  readonly address: string;
  readonly isTls: boolean;
  /** RFC 7858 §3.1: key-pinned clients may try again sooner; TLSA records say as much that there is TLS. */
  readonly hasPins: boolean;
}

/** Milliseconds after the first failure, and the most after many; they double in between. */
const PATIENCE_MS: Readonly<Record<FailureClass, readonly [first: number, most: number]>> = {
  // Cables and routers come back in seconds.
  unreachable: [1000, 10_000],
  // A refusal costs next to nothing, and a server that restarts is back at once.
  refused: [250, 5000],
  // Each try costs the whole connect timeout.
  timeout: [2000, 30_000],
  handshake: [2000, 30_000],
  // Certificates are renewed by people or by tools that run every few minutes.
  authentication: [5000, 60_000],
  // Like a refusal it costs little.
  protocol: [250, 5000],
};
/** Connections in a row that may break without a consequence. */
const BROKEN_MAX = 2;
/** RFC 7858 §3.1: an address that answers in clear and not over TLS has no TLS; it is tried again after an hour. */
const WITHOUT_TLS_MS = 3_600_000;
/** The same with pins, which only a server that has TLS gives out. */
const WITHOUT_TLS_PINNED_MS = 300_000;
/** So long after a reply in clear a failure of TLS says that there is none. */
const CLEAR_REPLY_MS = 60_000;
/**
 * So long after a reply over TLS its failures are failures: somebody blocks the port, or the server starts anew. RFC 7858 §3.1
 * speaks of servers that do not have it, and who can stop them for seconds must not get an hour in clear for it.
 */
const TLS_REPLY_MS = 86_400_000;
/** When nobody has answered for so long, it is the network. */
const SILENCE_MS = 5000;
/** How often a network that is gone is tried. */
const PROBE_MS = 2000;
/**
 * How often a server is tried that nobody can stand in for, from one try's beginning to the next one's: a reply that comes late is
 * better than none. Being turned away costs neither side much, and what does not leave this machine costs nobody anything.
 */
const LAST_HOPE_MS: Readonly<Record<FailureClass, number>> = {
  unreachable: 250,
  refused: 500,
  timeout: 2000,
  handshake: 2000,
  authentication: 2000,
  protocol: 500,
};
/** A try that takes longer than that is not followed by the next one at once, or everybody would wait all the time. */
const LAST_HOPE_REST_MS = 1000;
/** More than connecting and a handshake take nearly everywhere; who comes later would only share in the time-out. */
const JOIN_MS = 1000;
/** RFC 7413 §4.1.3.1: a path that loses SYNs with data is not asked again for a while. */
const NO_FAST_OPEN_MS = 3_600_000;
/** Longer than a resolver looks for servers of a name that are all dead. */
const LATELY_MS = 30_000;
/** Servers remembered; beyond it the one used least recently is forgotten. */
const SERVERS_MAX = 2000;

/** See the head of this file. Times are `Clock.nowMs`. */
export class ServerMemory {
  readonly #servers = new Map<string, Memory>();
  /** Addresses that answered in clear, and when. */
  readonly #clearReplies = new Map<string, number>();
  /** Addresses that answered over TLS, and when. */
  readonly #tlsReplies = new Map<string, number>();
  #lastSuccessMs = Number.NEGATIVE_INFINITY;

  /** Why a server is not tried now; undefined when it may be. Whoever has no other hope may try it sooner. */
  refusal(server: RememberedServer, nowMs: number, isLastHope = false): DnsError | undefined {
    const failure = this.#servers.get(server.key)?.failure;
    if (failure === undefined || nowMs >= failure.untilMs) return undefined;
    if (isLastHope && isTimeForHope(failure, nowMs)) return undefined;
    const waitMs = Math.ceil(failure.untilMs - nowMs);
    return remembered(failure.problem, `not tried again for another ${waitMs} ms`);
  }

  /** The patience with a server that is not tried now; undefined when it may be. */
  backOff(server: RememberedServer, nowMs: number): BackOffStatus | undefined {
    const failure = this.#servers.get(server.key)?.failure;
    if (failure === undefined || nowMs >= failure.untilMs) return undefined;
    const { failureClass, count, untilMs } = failure;
    return { failureClass, failuresInARow: count, leftMs: untilMs - nowMs };
  }

  /** The same for a server that is being tried since `sinceMs`: after a failure that takes suspiciously long. */
  refusalWhileTried(server: RememberedServer, sinceMs: number, nowMs: number): DnsError | undefined {
    const failure = this.#servers.get(server.key)?.failure;
    if (failure === undefined || nowMs - sinceMs < JOIN_MS) return undefined;
    return remembered(failure.problem, `it is being tried again since ${Math.ceil(nowMs - sinceMs)} ms`);
  }

  /** A connection did not come about, or never answered; `sinceMs`: since when it was tried. */
  noteFailure(
    server: RememberedServer,
    problem: DnsError,
    nowMs: number,
    { sinceMs = nowMs, askedFastOpen = false }: { sinceMs?: number; askedFastOpen?: boolean } = {},
  ): void {
    const failureClass = CLASS_OF_CODE[problem.code];
    if (failureClass === undefined) return;
    const memory = this.#memoryOf(server.key);
    if (askedFastOpen && MAY_BE_FAST_OPEN.has(failureClass) && this.mayFastOpen(server, nowMs)) {
      // The next try is an ordinary one before anything is held against the server.
      memory.noFastOpenUntilMs = nowMs + NO_FAST_OPEN_MS;
      return;
    }
    const count = (memory.failure?.count ?? 0) + 1;
    const patienceMs = this.#patienceMs(server, failureClass, count, nowMs);
    memory.failure = {
      problem,
      failureClass,
      count,
      triedAtMs: sinceMs,
      atMs: nowMs,
      untilMs: nowMs + patienceMs,
    };
  }

  #patienceMs(server: RememberedServer, failureClass: FailureClass, count: number, nowMs: number): number {
    const answersInClear = isWithin(this.#clearReplies.get(server.address), CLEAR_REPLY_MS, nowMs);
    const hasTls = isWithin(this.#tlsReplies.get(server.address), TLS_REPLY_MS, nowMs);
    if (server.isTls && answersInClear && !hasTls && MEANS_NO_TLS.has(failureClass))
      return server.hasPins ? WITHOUT_TLS_PINNED_MS : WITHOUT_TLS_MS;
    const isNetwork = nowMs - this.#lastSuccessMs > SILENCE_MS && MAY_BE_NETWORK.has(failureClass);
    const [firstMs, mostMs] = PATIENCE_MS[failureClass];
    // Connections that break say nothing yet; a server that always breaks them does.
    if (failureClass === "protocol" && count <= BROKEN_MAX) return 0;
    return isNetwork ? Math.min(PROBE_MS, firstMs) : Math.min(firstMs * 2 ** (count - 1), mostMs);
  }

  /** A reply came. When nobody had answered for a while the network is back, and with it perhaps everybody. */
  noteSuccess(server: RememberedServer, nowMs: number): void {
    if (nowMs - this.#lastSuccessMs > SILENCE_MS) this.#forgetNetworkFailures();
    this.#lastSuccessMs = nowMs;
    noteReply(server.isTls ? this.#tlsReplies : this.#clearReplies, server.address, nowMs);
    const memory = this.#servers.get(server.key);
    if (memory?.failure !== undefined) memory.failure = undefined;
  }

  /** It replied so lately that silence on a connection that it accepts is about what it was asked. */
  repliedLately({ isTls, address }: RememberedServer, nowMs: number): boolean {
    return isWithin((isTls ? this.#tlsReplies : this.#clearReplies).get(address), LATELY_MS, nowMs);
  }

  #forgetNetworkFailures(): void {
    for (const memory of this.#servers.values())
      if (memory.failure !== undefined && MAY_BE_NETWORK.has(memory.failure.failureClass))
        memory.failure = undefined;
  }

  /** False for a while after a connection that asked for Fast Open was lost before it said anything. */
  mayFastOpen(server: RememberedServer, nowMs: number): boolean {
    return nowMs >= (this.#servers.get(server.key)?.noFastOpenUntilMs ?? 0);
  }

  /** The network is another one: nothing that was learnt about reaching servers need be true (RFC 9210 §4.1). */
  forgetAll(): void {
    this.#servers.clear();
    this.#clearReplies.clear();
    this.#tlsReplies.clear();
  }

  #memoryOf(key: string): Memory {
    const memory = this.#servers.get(key) ?? { failure: undefined, noFastOpenUntilMs: 0 };
    this.#servers.delete(key);
    this.#servers.set(key, memory);
    if (this.#servers.size > SERVERS_MAX) dropFirst(this.#servers);
    return memory;
  }
}

function isTimeForHope({ failureClass, triedAtMs, atMs }: Failure, nowMs: number): boolean {
  const everyMs = LAST_HOPE_MS[failureClass];
  return nowMs - triedAtMs >= everyMs && nowMs - atMs >= Math.min(everyMs, LAST_HOPE_REST_MS);
}

function remembered(problem: DnsError, remark: string): DnsError {
  return new DnsError(problem.code, `${problem.message}; ${remark}`, {
    cause: problem,
    ...(problem.stage === undefined ? {} : { stage: problem.stage }),
  });
}

function noteReply(replies: Map<string, number>, address: string, nowMs: number): void {
  replies.delete(address);
  replies.set(address, nowMs);
  if (replies.size > SERVERS_MAX) dropFirst(replies);
}

function isWithin(atMs: number | undefined, spanMs: number, nowMs: number): boolean {
  return atMs !== undefined && nowMs - atMs < spanMs;
}

function dropFirst(map: Map<string, unknown>): void {
  const [first] = map.keys();
  if (first !== undefined) map.delete(first);
}

const CLASS_OF_CODE: Readonly<Partial<Record<DnsErrorCode, FailureClass>>> = {
  ERR_UNREACHABLE: "unreachable",
  ERR_ADDRESS_NOT_AVAILABLE: "unreachable",
  ERR_CONNECT_REFUSED: "refused",
  ERR_CONNECT_TIMEOUT: "timeout",
  ERR_TIMEOUT: "timeout",
  ERR_TLS_HANDSHAKE: "handshake",
  ERR_TLS_NOT_AUTHENTICATED: "authentication",
  ERR_CONNECTION_LOST: "protocol",
  ERR_MESSAGE_MALFORMED: "protocol",
};
const MEANS_NO_TLS: ReadonlySet<FailureClass> = new Set(["refused", "timeout", "handshake"]);
const MAY_BE_NETWORK: ReadonlySet<FailureClass> = new Set(["unreachable", "timeout"]);
/** What may come of a path that drops or mangles SYNs with data. */
const MAY_BE_FAST_OPEN: ReadonlySet<FailureClass> = new Set(["refused", "timeout", "handshake", "protocol"]);
