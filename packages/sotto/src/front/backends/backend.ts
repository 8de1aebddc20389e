/**
 * One backend: it takes tries, carries them over its connections or sockets, as many at once as it may have, and lets others wait.
 * What its replies and failures say of it goes to its health. Which backend gets a query, and what comes after a failure, is decided
 * by the pool.
 */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import {
  type Authentication,
  type LinkTarget,
  type QueryOutcome,
  upstreamAddressToText,
  upstreamTlsPolicy,
} from "@sotto/dns/transport";
import { Rcode } from "@sotto/dns/wire";
import type { Attempt, AttemptCarrier, AttemptQuery, FailureKind } from "./attempt.ts";
import { AttemptQueue } from "./attempt-queue.ts";
import { BackOff } from "./back-off.ts";
import { BackendHealth, type StateChange } from "./backend-health.ts";
import {
  BACKEND_LIMITS_DEFAULT,
  type BackendLimits,
  type BackendOptions,
  type HealthOptions,
} from "./backend-settings.ts";
import type { BackendCounters, BackendStatus } from "./backend-status.ts";
import { type Candidate, hashText } from "./balancing.ts";
import { ClientLanes, proxyHeader } from "./client-lanes.ts";
import { type DatagramHost, DatagramSockets } from "./datagram-sockets.ts";
import { HealthCheck } from "./health-check.ts";
import { Latency } from "./latency.ts";
import { LiveList } from "./live-list.ts";
import { QueryDresser } from "./query-dress.ts";
import { type Sending, StreamLanes } from "./stream-lanes.ts";
import { StreamMemory } from "./stream-memory.ts";
import { Transfer, type TransferHandlers } from "./transfer.ts";

/** The pool. */
export interface BackendHost {
  /** No backend is up. */
  readonly isDown: boolean;
  /** A state has changed. */
  tell(backend: Backend, change: StateChange): void;
  /** It has proved who it is, or does not any more, or never did. */
  tellAuthentication(backend: Backend, authentication: Authentication): void;
}

export class Backend implements Candidate, AttemptCarrier, DatagramHost {
  readonly name: string;
  readonly options: BackendOptions;
  readonly health: BackendHealth;
  readonly hash: number;
  /** Of the pool, for each choice anew. */
  isUsable = false;
  /** The same. */
  weight: number;
  credit = 0;
  readonly counters: BackendCounters = {
    sent: 0,
    answered: 0,
    late: 0,
    retries: 0,
    truncated: 0,
    failures: { timeout: 0, connection: 0, malformed: 0, down: 0, busy: 0 },
  };
  readonly #limits: BackendLimits;
  /** Where connections go. */
  readonly #target: LinkTarget;
  readonly #runtime: Runtime;
  readonly #latency = new Latency();
  readonly #dresser = new QueryDresser();
  readonly #memory = new StreamMemory();
  readonly #inFlight = new LiveList<Attempt>();
  readonly #queue: AttemptQueue;
  /** Of a UDP backend those that wait for a place over TCP, so that neither line waits for the other; else the same as `#queue`. */
  readonly #streamQueue: AttemptQueue;
  readonly #streams: StreamLanes | ClientLanes;
  readonly #datagrams: DatagramSockets | undefined;
  /** Over UDP the system said that nobody is there: nothing is sent for a while. */
  readonly #refusals = new BackOff();
  readonly #check: HealthCheck;
  /** Monotonic milliseconds until which it is asked without EDNS. */
  #plainUntilMs = Number.NEGATIVE_INFINITY;
  /** Who comes later waits behind those who wait: where all wait for the same connections, which not all do. */
  readonly #isInOrder: boolean;
  /** What the latest connection proved. */
  #authentication: Authentication | undefined = undefined;
  #isPumping = false;
  #isClosed = false;

  constructor(options: BackendOptions, health: HealthOptions, host: BackendHost, runtime: Runtime) {
    const { name, address, weight = 1, tellsClient = false } = options;
    const limits = { ...BACKEND_LIMITS_DEFAULT, ...options.limits };
    this.name = name;
    this.options = options;
    this.hash = hashText(name);
    this.weight = weight;
    this.#limits = limits;
    this.#runtime = runtime;
    this.#queue = new AttemptQueue(limits.queueMax);
    this.health = new BackendHealth(health, runtime.clock.nowMs(), (change) => {
      host.tell(this, change);
      if (change.state === "down") this.#check.hurry(health.downIntervalMs);
      // Who has nobody else to go to stays: a late reply is better than none.
      if (!this.health.isUp && !host.isDown) this.#turnAway(change);
    });
    if (options.isDrained === true) this.health.stayDrained();
    const isUdp = address.transport === "udp";
    this.#streamQueue = isUdp ? new AttemptQueue(limits.queueMax) : this.#queue;
    this.#isInOrder = !isUdp && !tellsClient;
    const { localAddress } = options;
    this.#target = {
      remote: isUdp ? (options.tcpEndpoint ?? address.endpoint) : address.endpoint,
      localAddress,
      tls: options.tls ?? upstreamTlsPolicy(address),
    };
    const streams = {
      target: this.#target,
      lanes: limits.connections,
      limits,
      memory: this.#memory,
      dresser: this.#dresser,
      onRoom: () => this.#pump(),
      // Once for each connection, however many queries it fails.
      onConnectFailed: (problem: DnsError) => {
        if (!isUdp) this.health.noteFailure(problem.message, runtime.clock.nowMs());
      },
      onAuthentication: (authentication: Authentication) => {
        const before = this.#authentication?.isAuthenticated;
        this.#authentication = authentication;
        if (before !== authentication.isAuthenticated) host.tellAuthentication(this, authentication);
      },
    };
    this.#streams = tellsClient ? new ClientLanes(streams, runtime) : new StreamLanes(streams, runtime);
    this.#datagrams = isUdp
      ? new DatagramSockets(
          {
            endpoint: address.endpoint,
            localAddress,
            limits,
            dresser: this.#dresser,
            tellsClient,
            patienceMs: () => this.#resendPatienceMs(),
          },
          this,
          runtime,
        )
      : undefined;
    this.#check = new HealthCheck(health, this, runtime);
  }

  get outstanding(): number {
    return this.#inFlight.length + this.#queued;
  }

  get #queued(): number {
    const others = this.#streamQueue === this.#queue ? 0 : this.#streamQueue.length;
    return this.#queue.length + others;
  }

  get latencyMs(): number {
    return this.#latency.meanMs;
  }

  /** Tries that it has and that are not settled. */
  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** All places, and those to wait for one, are taken. */
  get isFull(): boolean {
    return this.#inFlight.length >= this.#limits.inFlightMax && this.#queue.isFull;
  }

  /** True while connecting is not tried because it failed, and there is no connection; the same over UDP. */
  isBackedOff(nowMs: number): boolean {
    return this.#datagrams === undefined
      ? this.#memory.backOff.holds(nowMs) && this.#streams.connections === 0
      : this.#refusals.holds(nowMs);
  }

  get isEncrypted(): boolean {
    return this.#target.tls !== undefined && this.#datagrams === undefined;
  }

  /** It should prove who it is, did not on its latest connection, and may be asked all the same: perhaps somebody else answers. */
  get isDoubted(): boolean {
    return (
      this.#target.tls?.authenticate === "if possible" && this.#authentication?.isAuthenticated === false
    );
  }

  /** Why connecting failed last. */
  get connectProblem(): DnsError | undefined {
    return this.#datagrams === undefined ? this.#memory.backOff.problem : this.#refusals.problem;
  }

  /** Of a UDP query that is not answered; stream connections do that for themselves. */
  #resendPatienceMs(): number {
    const { meanMs } = this.#latency;
    return meanMs === 0 ? RESEND_MS_MAX : Math.min(RESEND_MS_MAX, Math.max(RESEND_MS_MIN, 4 * meanMs));
  }

  /** Takes a try, or tells at once that it cannot. */
  submit(attempt: Attempt, nowMs: number): FailureKind | undefined {
    if (this.#isClosed) return "down";
    const mustWait = this.#isInOrder && this.#queue.length > 0;
    if (this.#inFlight.length >= this.#limits.inFlightMax || mustWait)
      return this.#queue.push(attempt) ? undefined : this.#count("busy");
    switch (this.#carry(attempt, nowMs, false)) {
      case "sent":
        return undefined;
      case "full":
        return this.#queue.push(attempt) ? undefined : this.#count("busy");
      case "backed off":
        return this.#count("connection");
    }
  }

  /** A check: it goes past the queue and past the patience with failures. False when there is no place on any connection. */
  submitCheck(attempt: Attempt, nowMs: number): boolean {
    return !this.#isClosed && this.#carry(attempt, nowMs, true) === "sent";
  }

  noteSlow(nowMs: number): void {
    if (this.health.noteSlow(nowMs)) this.#check.hurry(0);
  }

  #carry(attempt: Attempt, nowMs: number, isForced: boolean): Sending {
    attempt.isPlain ||= nowMs < this.#plainUntilMs;
    attempt.startedAtMs = nowMs;
    // First in the list: what is sent may be settled within the call.
    const isNew = attempt.index < 0;
    if (isNew) this.#inFlight.add(attempt);
    const { wasSent } = attempt;
    attempt.wasSent = true;
    const isDatagram = this.#datagrams !== undefined && !attempt.isOverTcp;
    if (isDatagram && (isForced || !this.#refusals.holds(nowMs))) this.#datagrams.send(attempt, nowMs);
    else {
      const sending = isDatagram ? "backed off" : this.#streams.send(attempt, nowMs, isForced);
      if (sending !== "sent") {
        this.#inFlight.remove(attempt);
        attempt.wasSent = wasSent;
        return sending;
      }
    }
    if (isNew) this.counters.sent++;
    return "sent";
  }

  #count(kind: FailureKind): FailureKind {
    this.counters.failures[kind]++;
    return kind;
  }

  /** Gives places that are free to those who wait; who waits for TCP has been answered once already, and goes first. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const nowMs = this.#runtime.clock.nowMs();
    try {
      this.#pumpFrom(this.#streamQueue, nowMs);
      if (this.#queue !== this.#streamQueue) this.#pumpFrom(this.#queue, nowMs);
    } finally {
      this.#isPumping = false;
    }
  }

  #pumpFrom(queue: AttemptQueue, nowMs: number): void {
    while (this.#inFlight.length < this.#limits.inFlightMax) {
      const attempt = queue.shift();
      if (attempt === undefined) return;
      const sending = this.#carry(attempt, nowMs, false);
      if (sending === "full") {
        queue.unshift(attempt);
        return;
      }
      if (sending === "backed off") {
        // All at once: who is told may come again at once, and would be next.
        for (const one of [attempt, ...queue.takeAll()]) {
          one.wasSent = false;
          this.#fail(one, "connection", this.#backedOff(one), nowMs);
        }
        return;
      }
    }
  }

  #pumpIfAnyWaits(): void {
    if (this.#queued > 0) this.#pump();
  }

  // What becomes of tries, from connections.

  settled(attempt: Attempt, outcome: QueryOutcome): void {
    if (this.#isClosed) return;
    const nowMs = outcome.kind === "reply" ? outcome.receivedAtMs : this.#runtime.clock.nowMs();
    this.#streams.note(attempt, outcome, nowMs);
    switch (outcome.kind) {
      case "reply":
        this.#replied(attempt, outcome.octets, nowMs);
        break;
      case "malformed":
        this.#fail(attempt, "malformed", this.#problem("ERR_MESSAGE_MALFORMED", outcome.problem), nowMs);
        break;
      case "timeout":
        this.#fail(attempt, "timeout", this.#problem("ERR_TIMEOUT", "no reply in time"), nowMs);
        break;
      case "failed":
        attempt.wasSent = false;
        this.#fail(attempt, "connection", this.#connectionProblem(outcome.problem), nowMs);
        break;
      case "refused":
        this.#fail(attempt, "busy", this.#problem("ERR_QUOTA_EXCEEDED", "too many queries wait"), nowMs);
        break;
      case "lost":
        this.#lost(attempt, outcome, nowMs);
        break;
    }
  }

  /** RFC 7766 §6.2.4: a connection that worked may end at any time; what was not answered goes to another one. */
  #lost(attempt: Attempt, outcome: Extract<QueryOutcome, { kind: "lost" }>, nowMs: number): void {
    const mayMove =
      attempt.isAwaited &&
      nowMs < attempt.deadlineMs &&
      (outcome.repliesServed > 0 || !outcome.wasSent) &&
      outcome.wasSilent !== true &&
      attempt.moves++ < MOVES_MAX;
    if (mayMove) {
      const sending = this.#carry(attempt, nowMs, false);
      if (sending === "sent") return;
      // It has waited before: it goes first.
      if (sending === "full") {
        this.#streamQueue.unshift(attempt);
        return;
      }
    }
    const why = outcome.wasSilent === true ? "the connection fell silent" : "the connection was closed";
    const { lane } = attempt;
    if (lane?.isBlamed === false && !attempt.isOverTcp) {
      lane.isBlamed = true;
      this.health.noteFailure(why, nowMs);
    }
    this.#fail(attempt, "connection", this.#problem("ERR_CONNECTION_LOST", why, outcome.problem), nowMs);
  }

  // What becomes of tries, from sockets.

  datagramReplied(attempt: Attempt, octets: Uint8Array, isTruncated: boolean, nowMs: number): void {
    this.#refusals.noteSuccess();
    if (!isTruncated || !attempt.isAwaited) {
      this.#replied(attempt, octets, nowMs);
      return;
    }
    this.counters.truncated++;
    this.health.noteReply(nowMs);
    attempt.isOverTcp = true;
    const sending = this.#carry(attempt, nowMs, false);
    if (sending === "sent") return;
    if (sending === "backed off") this.#fail(attempt, "connection", this.#backedOff(attempt), nowMs);
    else if (!this.#streamQueue.push(attempt))
      this.#fail(
        attempt,
        "busy",
        this.#problem("ERR_QUOTA_EXCEEDED", "too many queries wait for TCP"),
        nowMs,
      );
    // Its place over UDP is free.
    else this.#pumpIfAnyWaits();
  }

  datagramTimedOut(attempt: Attempt, nowMs: number): void {
    this.#fail(attempt, "timeout", this.#problem("ERR_TIMEOUT", "no reply in time over UDP"), nowMs);
  }

  socketFailed(problem: DnsError, nowMs: number): void {
    this.health.noteFailure(problem.message, nowMs);
    // Several sockets fail for one reason.
    if (!this.#refusals.holds(nowMs)) this.#refusals.noteFailure(problem, nowMs);
  }

  datagramFailed(attempt: Attempt, problem: DnsError, nowMs: number): void {
    // What has just left did not arrive; what was there for longer may be why the backend is gone.
    if (this.#refusals.holds(nowMs) && nowMs - attempt.startedAtMs < REFUSED_WITHIN_MS)
      attempt.wasSent = false;
    this.#fail(attempt, "connection", problem, nowMs);
  }

  #replied(attempt: Attempt, octets: Uint8Array, nowMs: number): void {
    if (attempt.isAwaited && ((octets[2] ?? 0) & TRUNCATED) !== 0) {
      const problem = this.#problem("ERR_REPLY_UNUSABLE", "a truncated reply over TCP");
      this.#fail(attempt, "malformed", problem, nowMs);
      return;
    }
    const rcode = (octets[3] ?? 0) & 0xf;
    if (rcode === Rcode.FormErr || rcode === Rcode.NotImp) {
      if (this.#goesOnPlainly(attempt, octets, nowMs)) return;
    } else if (attempt.provesPlain) this.#plainUntilMs = nowMs + PLAIN_MS;
    this.#inFlight.remove(attempt);
    this.counters.answered++;
    this.#latency.note(nowMs - attempt.startedAtMs);
    this.health.noteReply(nowMs);
    if (attempt.isAwaited) {
      attempt.isAwaited = false;
      attempt.owner.replied(attempt, octets, nowMs);
    } else this.counters.late++;
    this.#pumpIfAnyWaits();
  }

  /** RFC 6891 §6.2.2, §7: who does not speak EDNS says so without an OPT record, and is asked again without. */
  #goesOnPlainly(attempt: Attempt, octets: Uint8Array, nowMs: number): boolean {
    if (attempt.isPlain || !attempt.isAwaited || this.#dresser.hasOpt(octets)) return false;
    if (!this.#dresser.hasOpt(attempt.query.octets)) return false;
    attempt.isPlain = true;
    // An option may be what it does not like, and clients choose options: that must not take EDNS from all others.
    attempt.provesPlain = !this.#dresser.hasOptions(attempt.query.octets);
    this.health.noteReply(nowMs);
    const sending = this.#carry(attempt, nowMs, false);
    if (sending === "full") this.#streamQueue.unshift(attempt);
    return sending !== "backed off";
  }

  #fail(attempt: Attempt, kind: FailureKind, problem: DnsError, nowMs: number): void {
    this.#inFlight.remove(attempt);
    this.counters.failures[kind]++;
    // Who was slow has been held against it already; that there is no TCP says nothing about UDP.
    if (((kind === "timeout" && !attempt.isSlow) || kind === "malformed") && !attempt.isOverTcp)
      this.health.noteFailure(problem.message, nowMs);
    if (attempt.isAwaited) {
      attempt.isAwaited = false;
      attempt.owner.failed(attempt, kind, problem, nowMs);
    }
    this.#pumpIfAnyWaits();
  }

  /** It is down or drained: whoever waits in vain, or has not left yet, goes elsewhere at once. */
  #turnAway({ state, why }: StateChange): void {
    const nowMs = this.#runtime.clock.nowMs();
    const problem = this.#problem("ERR_CONNECTION_LOST", `it is ${state}: ${why}`);
    const waiting = this.#queue.takeAll();
    waiting.push(...this.#streamQueue.takeAll());
    if (state === "down")
      for (const attempt of this.#inFlight.values()) if (attempt.isAwaited) waiting.push(attempt);
    for (const attempt of waiting) {
      // Checks go on, or it would stay down.
      if (!attempt.isAwaited || attempt.owner === this.#check) continue;
      attempt.isAwaited = false;
      this.counters.failures.down++;
      attempt.owner.failed(attempt, "down", problem, nowMs);
    }
  }

  #problem(code: ConstructorParameters<typeof DnsError>[0], why: string, cause?: Error): DnsError {
    return new DnsError(code, `backend ${this.name}: ${why}`, { stage: "query", cause });
  }

  #connectionProblem(cause: Error): DnsError {
    return DnsError.is(cause) ? cause : this.#problem("ERR_SYSTEM", "connecting failed", cause);
  }

  #backedOff({ isOverTcp }: Attempt): DnsError {
    const problem = isOverTcp ? this.#memory.backOff.problem : this.connectProblem;
    return problem ?? this.#problem("ERR_CONNECTION_LOST", "no connection");
  }

  /** A zone transfer, on a connection of its own. */
  openTransfer(query: AttemptQuery, handlers: TransferHandlers): Transfer {
    const target =
      this.options.tellsClient === true
        ? {
            ...this.#target,
            preamble: proxyHeader(query.client, query.local ?? this.#target.remote, "stream"),
          }
        : this.#target;
    return new Transfer(query, { backend: this.name, target, limits: this.#limits }, handlers, this.#runtime);
  }

  status(): BackendStatus {
    const { clock } = this.#runtime;
    const nowMs = clock.nowMs();
    const queriesMax = this.#memory.queriesMax(nowMs);
    return {
      name: this.name,
      address: upstreamAddressToText(this.options.address),
      state: this.health.state,
      why: this.health.why,
      authentication: this.#target.tls && {
        isRequired: this.#target.tls.authenticate === "required",
        ...(this.#authentication ?? NOTHING_PROVED),
      },
      forMs: nowMs - this.health.sinceMs,
      weight: this.options.weight ?? 1,
      inFlight: this.#inFlight.length,
      queued: this.#queued,
      connections: this.#streams.connections,
      connectionsOpened: this.#streams.opened,
      sockets: this.#datagrams?.sockets ?? 0,
      wrongReplies: this.#datagrams?.wrongReplies ?? 0,
      queriesPerConnection: queriesMax === Number.POSITIVE_INFINITY ? undefined : queriesMax,
      latencyMs: this.#latency.meanMs,
      latencyP99Ms: this.#latency.quantileMs(0.99),
      counters: this.counters,
    };
  }

  /** Ends checks, connections and sockets; nobody is told. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#check.close();
    await Promise.all([this.#streams.close(), this.#datagrams?.close()]);
  }
}

const NOTHING_PROVED: Authentication = { isAuthenticated: false, problem: "there was no connection yet" };
/** A refusal comes at once, from the backend's system or its neighbours. */
const REFUSED_WITHIN_MS = 50;
/** TC, in the third octet. */
const TRUNCATED = 0x02;
/** Connections that may end under one query: those of a server that closes after each reply, until that is learnt. */
const MOVES_MAX = 8;
/** As long as Unbound keeps what it knows of a server (`infra-host-ttl: 900`). */
const PLAIN_MS = 900_000;
/** A resolver that has to ask others itself needs so long more often than not. */
const RESEND_MS_MIN = 250;
const RESEND_MS_MAX = 1000;
