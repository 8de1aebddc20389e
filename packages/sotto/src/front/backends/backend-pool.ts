/** A pool of backends: takes queries, shares them out, and gives each exactly one outcome. */
import { DnsError, type Runtime, SharedTimer } from "@sotto/dns/runtime";
import type { Authentication } from "@sotto/dns/transport";
import { Rcode } from "@sotto/dns/wire";
import type { AttemptQuery } from "./attempt.ts";
import { Backend, type BackendHost } from "./backend.ts";
import type { StateChange } from "./backend-health.ts";
import {
  BACKENDS_MAX,
  type BackendPoolOptions,
  HEALTH_DEFAULT,
  POOL_QUERIES_MAX,
} from "./backend-settings.ts";
import type { PoolStatus } from "./backend-status.ts";
import { type Balancing, choose, hashQuestion } from "./balancing.ts";
import type { ForwardQuery } from "./forward-query.ts";
import { Forwarding, type ForwardingHost } from "./forwarding.ts";
import { Latency } from "./latency.ts";
import { LiveList } from "./live-list.ts";
import { RetryBudget } from "./retry-budget.ts";
import { TRANSFERS_MAX, type Transfer, type TransferHandlers } from "./transfer.ts";

export class BackendPool implements ForwardingHost, BackendHost {
  readonly name: string;
  readonly retries: number;
  /** How long a try is waited for before another backend is asked as well, milliseconds: follows the pool's latency. */
  patienceMs: number = PATIENCE_MS_DEFAULT;
  readonly #balancing: Balancing;
  readonly #backends: readonly Backend[];
  readonly #retryRcodes: ReadonlySet<number>;
  readonly #queriesMax: number;
  readonly #runtime: Runtime;
  readonly #budget: RetryBudget;
  readonly #latency = new Latency();
  #repliesNoted = 0;
  readonly #underWay = new LiveList<Forwarding>();
  readonly #timer: SharedTimer;
  readonly #transfers = new Set<Transfer>();
  #whenIdle: (() => void)[] = [];
  #isClosed = false;

  /** Throws a `DnsError` (`ERR_CONFIG`) when there are no backends, too many, or two of one name. */
  constructor(options: BackendPoolOptions, runtime: Runtime) {
    const { name, backends, retries = RETRIES_DEFAULT, retryShare = RETRY_SHARE_DEFAULT } = options;
    this.name = name;
    this.retries = retries;
    this.#balancing = options.balancing ?? "least outstanding";
    this.#retryRcodes = new Set(options.retryRcodes ?? [Rcode.ServFail]);
    this.#queriesMax = options.queriesMax ?? POOL_QUERIES_MAX;
    this.#runtime = runtime;
    this.#budget = new RetryBudget(retryShare);
    this.#timer = new SharedTimer(
      { name: "backend pool", sweep: (nowMs) => this.#sweep(nowMs) },
      runtime.clock,
    );
    refuseBadOptions(options);
    const health = { ...HEALTH_DEFAULT, ...options.health };
    this.#backends = backends.map((backend) => new Backend(backend, health, this, runtime));
  }

  /** Takes a query, which is settled exactly once, at the latest at its deadline. */
  forward(query: ForwardQuery): void {
    const nowMs = this.#runtime.clock.nowMs();
    if (this.#isClosed || this.#underWay.length >= this.#queriesMax) {
      query.settle({ kind: "failed", problem: this.#refusal(), tries: 0 });
      return;
    }
    this.#budget.earn();
    const hash = this.#balancing === "hash" ? hashQuestion(query.question) : 0;
    const forwarding = new Forwarding(query, hash, this, nowMs);
    this.#underWay.add(forwarding);
    forwarding.begin(nowMs);
  }

  /**
   * A zone transfer from one of the backends that are up, or down when none is (the first choice, no retry). Undefined when nobody can be asked, or
   * {@link TRANSFERS_MAX} are under way: `onEnd` is then not called.
   */
  openTransfer(query: AttemptQuery, handlers: TransferHandlers): Transfer | undefined {
    const nowMs = this.#runtime.clock.nowMs();
    if (this.#isClosed || this.#transfers.size >= TRANSFERS_MAX) return undefined;
    if (!this.#allow(undefined, nowMs)) this.#allowDown(nowMs);
    const index = choose(this.#balancing, this.#backends, hashQuestion(query.question), this.#runtime.random);
    const transfer = this.#backends[index]?.openTransfer(query, {
      onMessage: (octets) => handlers.onMessage(octets),
      onEnd: (problem) => {
        this.#transferEnded(transfer);
        handlers.onEnd(problem);
      },
      onCancelled: () => {
        this.#transferEnded(transfer);
        handlers.onCancelled?.();
      },
    });
    if (transfer !== undefined) this.#transfers.add(transfer);
    return transfer;
  }

  #transferEnded(transfer: Transfer | undefined): void {
    if (transfer !== undefined) this.#transfers.delete(transfer);
    this.#noteIdle();
  }

  /** Resolves when nothing is under way: no query, whoever asked it, and no transfer. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
      this.#noteIdle();
    });
  }

  #noteIdle(): void {
    if (this.#underWay.length > 0 || this.#transfers.size > 0) return;
    for (const isIdle of this.#whenIdle.splice(0)) isIdle();
  }

  #refusal(): DnsError {
    return this.#isClosed
      ? new DnsError("ERR_CLOSED", `pool ${this.name} is closed`, { stage: "query" })
      : new DnsError(
          "ERR_QUOTA_EXCEEDED",
          `pool ${this.name}: ${this.#queriesMax} queries are under way already`,
          {
            stage: "query",
          },
        );
  }

  /** No backend is up. */
  get isDown(): boolean {
    return !this.#backends.some(({ health }) => health.isUp);
  }

  /** Every backend that is up has as many queries as it may have, waiting ones included. */
  get isSaturated(): boolean {
    return !this.isDown && this.#backends.every(({ health, isFull }) => !health.isUp || isFull);
  }

  get status(): PoolStatus {
    return {
      name: this.name,
      isDown: this.isDown,
      isSaturated: this.isSaturated,
      queries: this.#underWay.length,
      patienceMs: this.patienceMs,
      backends: this.#backends.map((backend) => backend.status()),
    };
  }

  /** No new queries for that backend; those it has go on. False when there is none of that name. */
  drain(backend: string): boolean {
    const found = this.#backends.find(({ name }) => name === backend);
    found?.health.drain(this.#runtime.clock.nowMs());
    return found !== undefined;
  }

  /** Names of those. */
  get drained(): readonly string[] {
    return this.#backends.flatMap(({ name, health }) => (health.state === "draining" ? [name] : []));
  }

  /** Takes that back. */
  resume(backend: string): boolean {
    const found = this.#backends.find(({ name }) => name === backend);
    found?.health.resume(this.#runtime.clock.nowMs());
    return found !== undefined;
  }

  /** Fails what is under way (`ERR_CLOSED`), and waits until connections and sockets are gone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const nowMs = this.#runtime.clock.nowMs();
    const closing = this.#backends.map((backend) => backend.close());
    for (const forwarding of this.#underWay.values()) forwarding.abandon(nowMs);
    for (const transfer of [...this.#transfers]) transfer.fail(this.#refusal());
    this.#timer.rest();
    await Promise.all(closing);
  }

  // What follows is for the queries under way.

  pick(forwarding: Forwarding, nowMs: number, mayRepeat: boolean): Backend | undefined {
    // Who was tried before, and who is suspect, only when there is nobody better.
    const isAnyUp = this.#allow(forwarding, nowMs) || (mayRepeat && this.#allow(undefined, nowMs));
    if (!isAnyUp) {
      if (!mayRepeat || !this.isDown) return undefined;
      this.#allowDown(nowMs);
    }
    const index = choose(this.#balancing, this.#backends, forwarding.hash, this.#runtime.random);
    return index < 0 ? undefined : this.#backends[index];
  }

  /** Marks those that are up and have room; those that are suspect or were tried for `but` are left out. Gives whether there are any. */
  #allow(but: Forwarding | undefined, nowMs: number): boolean {
    let isAny = false;
    let isAnyDoubted = false;
    let hasBetter = false;
    for (const backend of this.#backends) {
      const { health } = backend;
      const isUsable =
        health.isUp &&
        !backend.isFull &&
        !backend.isBackedOff(nowMs) &&
        (but === undefined || !(health.isSuspect(nowMs) || but.wasTried(backend)));
      backend.isUsable = isUsable;
      if (!isUsable) continue;
      isAny = true;
      if (backend.isDoubted) isAnyDoubted = true;
      else if (backend.isEncrypted) hasBetter = true;
      backend.weight = (backend.options.weight ?? 1) * health.share(nowMs);
    }
    // RFC 8310 §6.5: it may be an attack, and others are preferred; not those in clear, who prove nothing either.
    if (isAnyDoubted && hasBetter)
      for (const backend of this.#backends) if (backend.isDoubted) backend.isUsable = false;
    return isAny;
  }

  /** When nobody is up. Perhaps the checks are wrong, and there is nothing to lose. */
  #allowDown(nowMs: number): void {
    const { isDown } = this;
    for (const backend of this.#backends)
      backend.isUsable =
        isDown && backend.health.state === "down" && !backend.isFull && !backend.isBackedOff(nowMs);
  }

  get isDrained(): boolean {
    return this.#backends.every(({ health }) => health.state === "draining");
  }

  get whyNobody(): string {
    return this.#backends
      .map(({ name, health, isFull }) => `${name} is ${health.isUp && isFull ? "busy" : health.state}`)
      .join(", ");
  }

  isRetryRcode(rcode: number): boolean {
    return this.#retryRcodes.has(rcode);
  }

  spendRetry(): boolean {
    return this.#budget.spend();
  }

  noteReply(tookMs: number): void {
    this.#latency.note(tookMs);
    if (++this.#repliesNoted % REPLIES_PER_LOOK !== 0) return;
    const p99Ms = this.#latency.quantileMs(0.99) ?? PATIENCE_MS_DEFAULT;
    this.patienceMs = Math.min(PATIENCE_MS_MAX, Math.max(PATIENCE_MS_MIN, PATIENCE_FACTOR * p99Ms));
  }

  expect(dueMs: number): void {
    this.#timer.expect(dueMs);
  }

  remove(forwarding: Forwarding): void {
    this.#underWay.remove(forwarding);
    if (this.#whenIdle.length > 0) this.#noteIdle();
  }

  /** Looks at what is due; others may come and go meanwhile. */
  #sweep(nowMs: number): number {
    for (const forwarding of this.#underWay.values())
      if (forwarding.dueMs <= nowMs && this.#underWay.has(forwarding)) forwarding.onDue(nowMs);
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.#underWay.values()) nextMs = Math.min(nextMs, dueMs);
    return Math.max(nextMs, nowMs + SWEEP_MS);
  }

  tell(backend: Backend, { state, why, forMs }: StateChange): void {
    this.#runtime.events.publish(`front.backend.${state}`, {
      pool: this.name,
      backend: backend.name,
      why,
      forMs: Math.round(forMs),
    });
  }

  tellAuthentication({ name }: Backend, authentication: Authentication): void {
    const why = authentication.isAuthenticated ? authentication.by : authentication.problem;
    this.#runtime.events.publish(
      `front.backend.${authentication.isAuthenticated ? "authenticated" : "not-authenticated"}`,
      { pool: this.name, backend: name, why },
    );
  }
}

function refuseBadOptions({ name, backends }: BackendPoolOptions): void {
  const names = new Set(backends.map((backend) => backend.name));
  const wrong =
    backends.length === 0
      ? "it has no backends"
      : backends.length > BACKENDS_MAX
        ? `it has ${backends.length} backends, at most ${BACKENDS_MAX} are possible`
        : names.size < backends.length
          ? "two backends have the same name"
          : backends.some(({ weight = 1 }) => !(weight > 0))
            ? "a backend has a weight that is not above 0"
            : undefined;
  if (wrong !== undefined) throw new DnsError("ERR_CONFIG", `pool ${name}: ${wrong}`);
}

const RETRIES_DEFAULT = 2;
/** When all are slow, asking twice makes them slower; a fifth is enough for one backend of five that stops. */
const RETRY_SHARE_DEFAULT = 0.2;
/** Before anything is known; also less than a client's first patience (1 s and more). */
const PATIENCE_MS_DEFAULT = 400;
/** A pause of the process, ours or theirs, must not double all queries. */
const PATIENCE_MS_MIN = 50;
/** What resolution from the root takes at its longest without being broken. */
const PATIENCE_MS_MAX = 1000;
/** Above the 99th percentile: fewer than one in a hundred queries is asked twice. */
const PATIENCE_FACTOR = 1.5;
const REPLIES_PER_LOOK = 128;
/** A timer of Node is no finer, and thousands of waits must not be walked over more often. */
const SWEEP_MS = 5;
