/**
 * Asks authorities over TLS where they can do it (RFC 9539): unauthenticated, against whoever only listens. A probe goes
 * beside the clear query and delays nothing; a server that stops answering encrypted is asked in clear after a second.
 */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { ExchangeRequest, ExchangeResult } from "@sotto/dns/transport";
import type { AuthorityEncryption, ProbeFailure } from "./authority-encryption.ts";
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
    const choice = this.#memory.choose(server.address);
    if (choice === "encrypted") return this.#encrypted(request);
    if (choice === "probe" && !this.#isClosed) this.#probe(request);
    this.#memory.counters.clear++;
    return this.#inner.exchange(request);
  }

  /** RFC 9539 §4.6.4: the same query, whose reply nobody waits for. */
  #probe(request: ExchangeRequest): void {
    const { address } = request.server;
    this.#memory.noteProbe(address);
    // The one who asked may be content with the clear reply long before.
    this.#overTls({ ...request, signal: undefined }).then(
      () => this.#memory.noteReply(address),
      (cause: unknown) => this.#noteFailure(address, cause),
    );
  }

  /** RFC 9539 §4.6.3, and §4.6.5 when it fails. */
  async #encrypted(request: ExchangeRequest): Promise<ExchangeResult> {
    const { address } = request.server;
    const { counters } = this.#memory;
    let timer: { cancel(): void } | undefined;
    const patience = new Promise<undefined>((resolve) => {
      timer = this.#runtime.clock.startTimer("encrypted reply", FALLBACK_MS, () => resolve(undefined));
    });
    const secure = this.#overTls(request).then(
      (result) => {
        this.#memory.noteReply(address);
        counters.encrypted++;
        return result;
      },
      (cause: unknown) => {
        // Whoever gave up does not want it in clear either.
        if (request.signal?.aborted === true) throw cause;
        this.#noteFailure(address, cause);
        return undefined;
      },
    );
    const first = await Promise.race([secure, patience]).finally(() => timer?.cancel());
    if (first !== undefined) return first;
    counters.fellBack++;
    const clear = this.#inner.exchange(request);
    // Late is still better than in clear, when the clear one fails.
    return clear.catch(async (cause: unknown) => {
      const late = await secure.catch(() => undefined);
      if (late !== undefined) return late;
      throw cause;
    });
  }

  #overTls(request: ExchangeRequest): Promise<ExchangeResult> {
    const { address } = request.server;
    return this.#inner.exchange({
      ...request,
      transport: "tls",
      server: { address, port: this.#options.port },
      // RFC 9539 §4.6.3.4: no authentication, and no name that could be sent.
      tls: undefined,
      deadlineMs: Math.min(request.deadlineMs, this.#runtime.clock.nowMs() + TIMEOUT_MS),
      cookies: false,
      mixCase: false,
    });
  }

  #noteFailure(address: string, cause: unknown): void {
    const where = failureOf(cause);
    if (where === undefined) this.#memory.forgetProbe(address);
    else this.#memory.noteFailure(address, where);
  }
}

/** Undefined when the failure is our own. */
function failureOf(cause: unknown): ProbeFailure | undefined {
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
    case "ERR_TIMEOUT":
    case "ERR_CONNECT_TIMEOUT":
      return "timeout";
    case "ERR_TLS_HANDSHAKE":
    case "ERR_TLS_NOT_AUTHENTICATED":
      return "handshake";
    default:
      return "query";
  }
}

/** RFC 9539 §4.3. */
const TIMEOUT_MS = 4000;
/** A handshake with resumption to the other side of the earth; nobody waits longer for privacy than for a slow server. */
const FALLBACK_MS = 1000;
