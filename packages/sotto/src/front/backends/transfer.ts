/**
 * A zone transfer from a backend: many messages answer one query, so it has a connection of its own, and is not retried. Messages
 * are passed on as they come; nothing is collected.
 */
import { type ByteStream, DnsError, type Runtime, type Timer } from "@sotto/dns/runtime";
import { authenticate, type LinkTarget } from "@sotto/dns/transport";
import { FrameReader, frameMessage, setUint16, uint16At } from "@sotto/dns/wire";
import type { AttemptQuery } from "./attempt.ts";
import type { BackendLimits } from "./backend-settings.ts";
import { TransferProgress } from "./transfer-progress.ts";

export interface TransferHandlers {
  /** One message with the query's id, the receiver's own. */
  onMessage(octets: Uint8Array): void;
  /** Called once, unless it was cancelled; `problem` is undefined when the transfer is complete. */
  onEnd(problem: DnsError | undefined): void;
  /** Called once after `cancel`. */
  onCancelled?(): void;
}

export interface TransferOptions {
  readonly backend: string;
  readonly target: LinkTarget;
  readonly limits: Pick<BackendLimits, "connectTimeoutMs" | "handshakeTimeoutMs">;
}

export class Transfer {
  readonly #query: AttemptQuery;
  readonly #options: TransferOptions;
  readonly #handlers: TransferHandlers;
  readonly #runtime: Runtime;
  readonly #progress: TransferProgress;
  readonly #reader = new FrameReader();
  readonly #abort = new AbortController();
  readonly #deadline: Timer;
  readonly #id: number;
  #silence: Timer | undefined = undefined;
  #stream: ByteStream | undefined = undefined;
  #messages = 0;
  #isPaused = false;
  #isOver = false;

  /** `query.deadlineMs` is the deadline of the whole transfer. */
  constructor(query: AttemptQuery, options: TransferOptions, handlers: TransferHandlers, runtime: Runtime) {
    this.#query = query;
    this.#options = options;
    this.#handlers = handlers;
    this.#runtime = runtime;
    this.#progress = new TransferProgress(query.octets, query.question.type);
    this.#id = runtime.random.uint16();
    const { clock } = runtime;
    this.#deadline = clock.startTimer("transfer", Math.max(0, query.deadlineMs - clock.nowMs()), () =>
      this.#end(this.#problem("ERR_TIMEOUT", "the transfer takes too long")),
    );
    this.#begin().catch((problem: unknown) =>
      this.#end(DnsError.is(problem) ? problem : this.#problem("ERR_SYSTEM", "connecting failed", problem)),
    );
  }

  /** Whoever receives cannot take more now: the backend is not read from. */
  pause(): void {
    this.#isPaused = true;
    this.#silence?.cancel();
    this.#stream?.pause();
  }

  resume(): void {
    if (!this.#isPaused || this.#isOver) return;
    this.#isPaused = false;
    this.#listenOn();
    this.#stream?.resume();
  }

  /** Nobody wants it any more; `onEnd` is not called. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leave();
    this.#handlers.onCancelled?.();
  }

  /** Ends it for that reason. */
  fail(problem: DnsError): void {
    this.#end(problem);
  }

  async #begin(): Promise<void> {
    const { target, limits } = this.#options;
    const { tls } = target;
    const stream = await this.#runtime.network.connect({
      remote: target.remote,
      localAddress: target.localAddress,
      tls: tls && {
        serverName: tls.serverName,
        alpn: ["dot"],
        trustAnchorsPem: tls.trustAnchorsPem,
        session: undefined,
        certificatePem: tls.certificatePem,
        keyPem: tls.keyPem,
      },
      connectTimeoutMs: limits.connectTimeoutMs,
      handshakeTimeoutMs: limits.handshakeTimeoutMs,
      signal: this.#abort.signal,
    });
    this.#stream = stream;
    stream.setHandlers({
      onData: (octets) => this.#receive(octets),
      onEnd: () =>
        this.#end(this.#problem("ERR_CONNECTION_LOST", "the connection ended before the transfer did")),
      onClose: (problem) =>
        this.#end(
          this.#problem("ERR_CONNECTION_LOST", "the connection ended before the transfer did", problem),
        ),
      onDrain: () => undefined,
    });
    if (this.#isOver) {
      stream.reset();
      return;
    }
    if (tls?.authenticate === "required") {
      const { security } = stream;
      const proof = security && authenticate(security, tls, this.#runtime.clock.wallMs());
      if (proof?.isAuthenticated !== true)
        throw this.#problem(
          "ERR_TLS_NOT_AUTHENTICATED",
          `it is not authenticated: ${proof?.problem ?? "no TLS"}`,
        );
    }
    if (target.preamble !== undefined) stream.write(target.preamble);
    const framed = frameMessage(this.#query.octets);
    setUint16(framed, 2, this.#id);
    stream.write(framed);
    this.#listenOn();
  }

  #receive(octets: Uint8Array): void {
    this.#reader.push(octets, (message) => this.#take(message));
    if (!this.#isOver && !this.#isPaused) this.#listenOn();
  }

  /** False stops reading. */
  #take(message: Uint8Array): boolean {
    if (this.#isOver) return false;
    const isReply =
      message.length >= 12 && uint16At(message, 0) === this.#id && ((message[2] ?? 0) & 0x80) !== 0;
    const step = isReply ? this.#progress.note(message) : "malformed";
    if (step === "malformed") {
      this.#end(this.#problem("ERR_MESSAGE_MALFORMED", "a message of the transfer cannot be read"));
      return false;
    }
    if (++this.#messages > TRANSFER_MESSAGES_MAX) {
      this.#end(this.#problem("ERR_QUOTA_EXCEEDED", `more than ${TRANSFER_MESSAGES_MAX} messages`));
      return false;
    }
    const own = message.slice();
    setUint16(own, 0, uint16At(this.#query.octets, 0));
    this.#handlers.onMessage(own);
    if (step === "ends") this.#end(undefined);
    return !this.#isOver;
  }

  #listenOn(): void {
    const { clock } = this.#runtime;
    this.#silence?.cancel();
    this.#silence = clock.startTimer("transfer silence", TRANSFER_SILENCE_MS, () =>
      this.#end(this.#problem("ERR_TIMEOUT", `nothing for ${TRANSFER_SILENCE_MS} ms`)),
    );
  }

  #end(problem: DnsError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leave();
    this.#handlers.onEnd(problem);
  }

  #leave(): void {
    this.#deadline.cancel();
    this.#silence?.cancel();
    this.#abort.abort();
    this.#stream?.reset();
  }

  #problem(code: ConstructorParameters<typeof DnsError>[0], why: string, cause?: unknown): DnsError {
    const { backend } = this.#options;
    return new DnsError(
      code,
      `transfer of ${this.#query.question.name.toString()} from backend ${backend}: ${why}`,
      {
        stage: "query",
        cause,
      },
    );
  }
}

/** Of at most 64 KiB each: more than the largest zones that are transferred through a proxy. */
const TRANSFER_MESSAGES_MAX = 100_000;
/** A primary that looks up what it sends pauses for less. */
const TRANSFER_SILENCE_MS = 20_000;
/** Transfers of a pool at once. */
export const TRANSFERS_MAX = 20;
