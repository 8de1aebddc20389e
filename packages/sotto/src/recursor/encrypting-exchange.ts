/**
 * Asks authorities over TLS where they can do it (RFC 9539): unauthenticated, against whoever only listens. A probe goes
 * beside the clear query and delays nothing; a server that stops answering encrypted is asked in clear after a second.
 */
import { DnsError, type Runtime, Stop, type StopSignal, stopWith } from "@sotto/dns/runtime";
import type { ExchangeRequest, ExchangeResult } from "@sotto/dns/transport";
import type { AuthorityEncryption, EncryptionFailure } from "./authority-encryption.ts";
import type { Exchange } from "./inquiry.ts";

export interface EncryptingOptions {
  /** Servers at other ports than this are asked as they are: somebody configured them. */
  readonly clearPort: number;
  /** RFC 9539 §4: 853. */
  readonly port: number;
}

export class EncryptingExchange implements Exchange {
  readonly #inner: Exchange;
  readonly #memory: AuthorityEncryption;
  readonly #options: EncryptingOptions;
  readonly #runtime: Runtime;
  /** Wall milliseconds of the last reply of anybody. */
  #lastReplyMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(inner: Exchange, memory: AuthorityEncryption, options: EncryptingOptions, runtime: Runtime) {
    this.#inner = inner;
    this.#memory = memory;
    this.#options = options;
    this.#runtime = runtime;
  }

  /** No further probes. */
  close(): void {
    this.#isClosed = true;
  }

  exchange(request: ExchangeRequest): Promise<ExchangeResult> {
    const { server, transport } = request;
    if (transport === "tls" || server.port !== this.#options.clearPort) return this.#inner.exchange(request);
    const { counters } = this.#memory;
    const choice = this.#memory.choose(server.address);
    if (choice === "encrypted") {
      if (!this.#memory.isDoubted(server.address)) return this.#encrypted(request);
      counters.fellBack++;
      return this.#clear(request);
    }
    counters.clear++;
    return choice === "probe" && !this.#isClosed ? this.#probe(request) : this.#clear(request);
  }

  /** RFC 9539 §4.6.4: the same query beside the clear one; nobody waits for its reply. */
  #probe(request: ExchangeRequest): Promise<ExchangeResult> {
    this.#memory.noteProbe(request.server.address);
    const clear = this.#clear(request);
    const isAnswered = clear.then(
      () => true,
      () => false,
    );
    void this.#try(request, isAnswered);
    return clear;
  }

  /** RFC 9539 §4.6.3, and §4.6.5 when it fails. */
  async #encrypted(request: ExchangeRequest): Promise<ExchangeResult> {
    const { server, signal, deadlineMs } = request;
    const { clock } = this.#runtime;
    const sinceMs = clock.wallMs();
    const isAnswered = Promise.withResolvers<boolean>();
    try {
      const secure = this.#try(request, isAnswered.promise);
      const patienceMs = Math.min(FALLBACK_MS, (deadlineMs - clock.nowMs()) / 2);
      const first = await this.#waitFor(secure, patienceMs, signal);
      if (typeof first === "object") return this.#counted(first);
      if (first === "nothing yet") this.#memory.noteSilence(server.address, sinceMs);
      this.#memory.counters.fellBack++;
      try {
        return await this.#firstOf(secure, request, () => isAnswered.resolve(true));
      } catch (cause) {
        // Late is still better than never.
        const late = await this.#waitFor(secure, deadlineMs - clock.nowMs(), signal);
        if (typeof late === "object") return this.#counted(late);
        throw cause;
      }
    } finally {
      isAnswered.resolve(false);
    }
  }

  /** Asks in clear, which is given up when the encrypted reply comes after all. */
  async #firstOf(
    secure: Promise<ExchangeResult | "failed">,
    request: ExchangeRequest,
    onAnswered: () => void,
  ): Promise<ExchangeResult> {
    const { signal } = request;
    const stop = signal === undefined ? new Stop() : stopWith(signal);
    const clear = this.#clear({ ...request, signal: stop }).then((result) => {
      onAnswered();
      return result;
    });
    const late = secure.then((result) => (result === "failed" ? clear : result));
    try {
      const first = await Promise.race([clear, late]);
      return first.facts.transport === "tls" ? this.#counted(first) : first;
    } finally {
      stop.abort();
    }
  }

  #counted(result: ExchangeResult): ExchangeResult {
    this.#memory.counters.encrypted++;
    return result;
  }

  /** What comes in time; rejects when the one who asked gives up. */
  async #waitFor(
    secure: Promise<ExchangeResult | "failed">,
    patienceMs: number,
    signal: StopSignal | undefined,
  ): Promise<ExchangeResult | "failed" | "nothing yet"> {
    const { promise, resolve, reject } = Promise.withResolvers<"nothing yet">();
    const giveUp = (): void =>
      reject(new DnsError("ERR_ABORTED", "the query was given up", { stage: "query" }));
    const timer = this.#runtime.clock.startTimer("encrypted reply", Math.max(0, patienceMs), () =>
      resolve("nothing yet"),
    );
    signal?.addEventListener("abort", giveUp);
    if (signal?.aborted === true) giveUp();
    try {
      return await Promise.race([secure, promise]);
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /**
   * Asks over TLS and remembers what came of it. It always gets its four seconds: what the one who asked has no time for, or
   * no use any more, would otherwise never be found out. `isAnswered` tells what the clear query did, if there was one.
   */
  async #try(request: ExchangeRequest, isAnswered: Promise<boolean>): Promise<ExchangeResult | "failed"> {
    const { address } = request.server;
    const sinceMs = this.#runtime.clock.wallMs();
    try {
      const result = await this.#overTls(request);
      this.#lastReplyMs = this.#runtime.clock.wallMs();
      this.#memory.noteReply(address);
      return result;
    } catch (cause) {
      void this.#judge(address, sinceMs, cause, isAnswered);
      return "failed";
    }
  }

  async #judge(
    address: string,
    sinceMs: number,
    cause: unknown,
    isAnswered: Promise<boolean>,
  ): Promise<void> {
    const failure = failureOf(cause);
    if (failure === undefined) {
      this.#memory.noteNothing(address);
      return;
    }
    // Who refuses has been heard of, and needs no witness.
    const isRefused = DnsError.is(cause, "ERR_CONNECT_REFUSED");
    const isAnsweredInClear = !isRefused && NEEDS_WITNESS.has(failure) && (await isAnswered);
    const isNetworkAlive = isRefused || this.#lastReplyMs > sinceMs;
    this.#memory.noteFailure(address, failure, { sinceMs, isAnsweredInClear, isNetworkAlive });
  }

  async #clear(request: ExchangeRequest): Promise<ExchangeResult> {
    const result = await this.#inner.exchange(request);
    this.#lastReplyMs = this.#runtime.clock.wallMs();
    return result;
  }

  #overTls(request: ExchangeRequest): Promise<ExchangeResult> {
    const { address } = request.server;
    return this.#inner.exchange({
      ...request,
      transport: "tls",
      server: { address, port: this.#options.port },
      // RFC 9539 §4.6.3.4: no authentication, and no name that could be sent.
      tls: undefined,
      deadlineMs: this.#runtime.clock.nowMs() + TIMEOUT_MS,
      signal: undefined,
      cookies: false,
      mixCase: false,
    });
  }
}

/** Undefined when the failure is our own. */
function failureOf(cause: unknown): EncryptionFailure | undefined {
  if (!DnsError.is(cause)) return "query";
  switch (cause.code) {
    case "ERR_ABORTED":
    case "ERR_CLOSED":
    case "ERR_QUOTA_EXCEEDED":
    case "ERR_ADDRESS_NOT_AVAILABLE":
      return undefined;
    case "ERR_CONNECT_REFUSED":
    case "ERR_UNREACHABLE":
      return "connect";
    case "ERR_CONNECT_TIMEOUT":
      return "timeout";
    case "ERR_TIMEOUT":
      return "silence";
    case "ERR_TLS_HANDSHAKE":
    case "ERR_TLS_NOT_AUTHENTICATED":
      return "handshake";
    default:
      return "query";
  }
}

/** What may also be the question's or the network's fault. */
const NEEDS_WITNESS: ReadonlySet<EncryptionFailure> = new Set(["connect", "timeout", "silence"]);
/** RFC 9539 §4.3. */
const TIMEOUT_MS = 4000;
/** A handshake with resumption to the other side of the earth; nobody waits longer for privacy than for a slow server. */
const FALLBACK_MS = 1000;
