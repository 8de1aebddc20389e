/** A UDP socket that is connected to a backend, and the queries that wait on it, by id. */
import { type DatagramSocket, DnsError, type Endpoint, type Runtime } from "@sotto/dns/runtime";
import { hasQuestion } from "@sotto/dns/transport";
import { copyToSend, MessageView, uint16At } from "@sotto/dns/wire";
import type { Attempt } from "./attempt.ts";

export interface BackendSocketOptions {
  readonly endpoint: Endpoint;
  readonly localAddress: string | undefined;
  /** The octets are the receiver's own. */
  readonly onReply: (attempt: Attempt, octets: Uint8Array, isTruncated: boolean) => void;
  readonly onWrong: () => void;
  readonly onFailed: (socket: BackendSocket, problem: DnsError) => void;
  /** Nobody waits any more. */
  readonly onEmpty: (socket: BackendSocket) => void;
}

export class BackendSocket {
  readonly #options: BackendSocketOptions;
  readonly #runtime: Runtime;
  readonly #view = new MessageView();
  readonly #waiting = new Map<number, Attempt>();
  readonly #endsAtMs: number;
  #socket: DatagramSocket | undefined = undefined;
  /** Sent before it was open. */
  #early: Uint8Array[] = [];
  #given = 0;
  #wrong = 0;
  #isClosed = false;
  readonly #opening: Promise<void>;

  constructor(options: BackendSocketOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#endsAtMs = runtime.clock.nowMs() + LIFE_MS;
    this.#opening = this.#open();
  }

  get pending(): number {
    return this.#waiting.size;
  }

  takesQueries(nowMs: number): boolean {
    return this.#given < QUERIES_MAX && nowMs < this.#endsAtMs && this.#wrong < WRONG_MAX;
  }

  entries(): Iterable<readonly [number, Attempt]> {
    return this.#waiting.entries();
  }

  /** Gives an id that no other query on this socket has now (RFC 5452 §9.2: unpredictable). */
  add(attempt: Attempt): number {
    const { random } = this.#runtime;
    let id = random.uint16();
    while (this.#waiting.has(id)) id = random.uint16();
    this.#waiting.set(id, attempt);
    this.#given++;
    return id;
  }

  send(octets: Uint8Array): void {
    const socket = this.#socket;
    // As many as there are queries on it, sent again included.
    if (socket === undefined) this.#early.push(octets);
    else socket.send(octets, this.#options.endpoint, this.#waiting.size >= MANY);
  }

  remove(id: number): void {
    this.#waiting.delete(id);
  }

  /** Tells when the last one was removed. */
  noteEmpty(): void {
    if (this.#waiting.size === 0) this.#options.onEmpty(this);
  }

  /** All that wait; they wait no more. */
  takeAll(): Attempt[] {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    return all;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#early = [];
    await this.#opening;
    await this.#socket?.close();
  }

  async #open(): Promise<void> {
    const { endpoint, localAddress, onFailed } = this.#options;
    const any = endpoint.address.includes(":") ? "::" : "0.0.0.0";
    try {
      this.#socket = await this.#runtime.network.bindDatagram(
        {
          local: { address: localAddress ?? any, port: 0 },
          // The system drops what other addresses send, and reports ICMP refusals.
          connectTo: endpoint,
          reusePort: false,
          isBackground: true,
        },
        {
          onMessage: (octets, from) => this.#receive(octets, from),
          onError: (problem) => this.#fail(problem),
        },
      );
    } catch (problem) {
      if (!this.#isClosed) onFailed(this, toDnsError(problem, endpoint));
      return;
    }
    const early = this.#early;
    this.#early = [];
    if (!this.#isClosed) for (const octets of early) this.send(octets);
  }

  #fail(problem: Error): void {
    if (!this.#isClosed) this.#options.onFailed(this, toDnsError(problem, this.#options.endpoint));
  }

  #receive(octets: Uint8Array, from: Endpoint): void {
    const { endpoint, onReply, onWrong } = this.#options;
    if (this.#isClosed) return;
    const id = uint16At(octets, 0);
    const attempt = octets.length < 12 || from.port !== endpoint.port ? undefined : this.#waiting.get(id);
    if (attempt === undefined || !this.#isReply(octets, attempt)) {
      this.#wrong++;
      onWrong();
      return;
    }
    this.#waiting.delete(id);
    onReply(attempt, copyToSend(octets, 0, octets.length), this.#view.isTruncated);
    this.noteEmpty();
  }

  /** RFC 5452 §9.1. A truncated reply may be cut anywhere after its question; errors may come without one. */
  #isReply(octets: Uint8Array, attempt: Attempt): boolean {
    const view = this.#view;
    const problem = view.reset(octets);
    if (!view.isResponse || view.opcode !== 0 || (problem !== undefined && !view.isTruncated)) return false;
    if (view.questionCount === 0) return problem === undefined && (view.flags & 0xf) !== 0;
    return hasQuestion(view, attempt.question);
  }
}

function toDnsError(problem: unknown, { address, port }: Endpoint): DnsError {
  if (DnsError.is(problem)) return problem;
  return new DnsError("ERR_SYSTEM", `UDP to ${address} port ${port} failed`, {
    cause: problem,
    stage: "query",
  });
}

/** After so many a fresh port: opening a socket is then a small part of what its queries cost. */
const QUERIES_MAX = 4096;
/** Shorter than it takes to find a port by its side effects, at the thousand probes a second that Linux answers. */
const LIFE_MS = 10_000;
/** Datagrams that match nothing: late replies are some, a forger who guesses ids brings thousands and is left behind. */
const WRONG_MAX = 100;
/** Queries on a socket from which on they leave together. */
const MANY = 5;
