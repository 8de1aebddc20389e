/** What all rows of one probe share: the target, its means of transport, the budget, and the way to ask. */
import { type ConnectOptions, DnsError, type Runtime, type Timer } from "@sotto/dns/runtime";
import { octetsToHex, type Parsed, parsed, problem } from "@sotto/dns/wire";
import {
  BUDGET_CAREFUL,
  BUDGET_THOROUGH,
  PATIENCE_CAREFUL,
  PATIENCE_THOROUGH,
  type Patience,
  type ProbeBudget,
  type ProbeOptions,
  type ProbeTransport,
} from "./probe-options.ts";
import { makeQuery, matchReply, type QueryParts, type SentQuery } from "./probe-query.ts";
import { type Answer, describeReply, ProbeStream } from "./probe-stream.ts";
import { portOf, type ServerTarget } from "./target.ts";
import { Transcript } from "./transcript.ts";

/** What is known of a transport when the first rows are done. */
export interface Reach {
  /** Undefined: a query was answered. */
  readonly problem: string | undefined;
  /** TLS only; undefined: the handshake was done. */
  readonly handshakeProblem: string | undefined;
  /** TLS only: the protocols to offer with which the handshake works. */
  readonly alpn: readonly string[];
}

/** How a connection differs from the usual one. */
export interface OpenOptions {
  readonly alpn?: readonly string[];
  /** `none`: no SNI although there is a name. */
  readonly serverName?: "none";
  readonly groups?: readonly string[];
  readonly session?: Uint8Array | undefined;
  readonly fastOpen?: boolean;
  /** To the port of TLS, without TLS. */
  readonly isClear?: boolean;
}

export class Prober {
  readonly target: ServerTarget;
  readonly options: ProbeOptions;
  readonly runtime: Runtime;
  readonly patience: Patience;
  readonly budget: ProbeBudget;
  readonly reach = new Map<ProbeTransport, Reach>();
  readonly startMs: number;
  /** Ends all that is under way: the probe was stopped, or its time and {@link OVERTIME_MS} are over. */
  readonly signal: AbortSignal;
  readonly #stop = new AbortController();
  readonly #onAbort = (): void => this.#stop.abort();
  readonly #overtime: Timer;
  #queries = 0;
  #connections = 0;
  /** Not twice in a probe, and not the same as in another one: caches must not know them. */
  readonly #tag: string;
  #unique = 0;
  /** Connections that were ended, and may not be gone yet. */
  readonly #closing: ProbeStream[] = [];

  constructor(target: ServerTarget, options: ProbeOptions, runtime: Runtime) {
    this.target = target;
    this.options = options;
    this.runtime = runtime;
    this.patience = options.patience ?? (options.isThorough ? PATIENCE_THOROUGH : PATIENCE_CAREFUL);
    this.budget = options.isThorough ? BUDGET_THOROUGH : BUDGET_CAREFUL;
    this.startMs = runtime.clock.nowMs();
    this.signal = this.#stop.signal;
    const limitMs = this.patience.probeMs + OVERTIME_MS;
    this.#overtime = runtime.clock.startTimer("probe-overtime", limitMs, this.#onAbort);
    if (options.signal?.aborted === true) this.#stop.abort();
    else options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#tag = octetsToHex(runtime.random.octets(3));
  }

  /** Waits for connections that were ended, ends all others, and gives its timer back. May be called twice. */
  async close(): Promise<void> {
    await this.settle();
    this.#overtime.cancel();
    this.options.signal?.removeEventListener("abort", this.#onAbort);
    this.#stop.abort();
  }

  /** Why the row that is under way was ended, undefined when it was not. */
  get cutShort(): string | undefined {
    if (!this.signal.aborted) return undefined;
    return this.options.signal?.aborted === true
      ? "the probe was stopped in the middle of this row"
      : `the time of the probe, ${this.patience.probeMs / 1000} s, was over, and so were ${OVERTIME_MS / 1000} s more for this row`;
  }

  /** Why nothing more may be asked, undefined when it may. */
  get stopped(): string | undefined {
    if (this.options.signal?.aborted === true) return "the probe was stopped before this row";
    if (this.runtime.clock.nowMs() - this.startMs > this.patience.probeMs)
      return `the time of the probe, ${this.patience.probeMs / 1000} s, was used up by rows before`;
    if (this.#queries >= this.budget.queriesMax)
      return `the probe's limit of ${this.budget.queriesMax} queries was reached before this row`;
    if (this.#connections >= this.budget.connectionsMax)
      return `the probe's limit of ${this.budget.connectionsMax} connections was reached before this row`;
    return undefined;
  }

  transcript(): Transcript {
    return new Transcript(this.runtime.clock);
  }

  /** A label that nobody has asked for. */
  uniqueLabel(octets = 0): string {
    return `p${this.#tag}${(this.#unique++).toString(36)}`.padEnd(octets, "x");
  }

  /** A name that no cache has; whether it exists does not matter. */
  uniqueName(octets = 0): string {
    return `${this.uniqueLabel(octets)}.${this.options.names.below}`;
  }

  /** The name that takes its time, undefined when none was given. */
  delayName(): string | undefined {
    const { delay } = this.options.names;
    if (delay === undefined) return undefined;
    const label = this.uniqueLabel();
    return delay.includes("{}") ? delay.replaceAll("{}", label) : `${label}.${delay}`;
  }

  query(parts: QueryParts): SentQuery {
    return makeQuery(this.runtime.random.uint16(), parts);
  }

  /** Queries with ids that differ from each other. */
  queries(parts: readonly QueryParts[]): SentQuery[] {
    const first = this.runtime.random.uint16();
    return parts.map((one, i) => makeQuery((first + i) & 0xffff, one));
  }

  /** Counts queries; each row says how many it will send, so that the limit is never passed by more than one row's. */
  count(queries: number): void {
    this.#queries += queries;
  }

  /** A connection over TCP or TLS; a failure is a value that names the stage. */
  async open(transport: "tcp" | "tls", log: Transcript, how: OpenOptions = {}): Promise<Parsed<ProbeStream>> {
    await this.settle();
    const options = this.#connectOptions(transport, how);
    this.#connections++;
    const { address, port } = options.remote;
    log.sent(`connects over ${transport.toUpperCase()} to ${address} port ${port}${describeOpen(how)}`);
    try {
      const stream = await this.runtime.network.connect(options);
      const { security } = stream;
      log.note(security === undefined ? "connected" : `connected: ${security.protocol}, ${security.cipher}`);
      return parsed(
        new ProbeStream(stream, log, this.runtime.clock, this.signal, (closed) => this.#closing.push(closed)),
      );
    } catch (error) {
      if (!DnsError.is(error)) throw error;
      log.note(error.message);
      return problem(error.message);
    }
  }

  /** One connection at a time: those that were ended before have to be gone, and are made to be if need be. */
  async settle(): Promise<void> {
    for (const stream of this.#closing.splice(0)) {
      const waitMs = this.signal.aborted ? 0 : CLOSE_WAIT_MS;
      const timer = this.runtime.clock.startTimer("probe-close", waitMs, () => stream.abandon());
      await stream.gone;
      timer.cancel();
      stream.abandon();
    }
  }

  /** For connections that are opened elsewhere. */
  countConnection(): void {
    this.#connections++;
  }

  #connectOptions(transport: "tcp" | "tls", how: OpenOptions): ConnectOptions {
    const { target, patience, options } = this;
    const isTls = transport === "tls" && how.isClear !== true;
    return {
      remote: { address: target.address, port: portOf(target, transport) },
      localAddress: undefined,
      tls: isTls
        ? {
            serverName: how.serverName === "none" ? undefined : target.name,
            alpn: how.alpn ?? this.reach.get("tls")?.alpn ?? ["dot"],
            trustAnchorsPem: options.trustAnchorsPem,
            onKeyLog: options.onKeyLog,
            session: how.session,
            groups: how.groups,
          }
        : undefined,
      connectTimeoutMs: patience.connectMs,
      handshakeTimeoutMs: patience.handshakeMs,
      signal: this.signal,
      ...(how.fastOpen === true ? { fastOpen: true } : {}),
    };
  }

  /** One query on a connection of its own, or over UDP, where it is sent twice when nothing comes. */
  async askOnce(transport: ProbeTransport, query: SentQuery, log: Transcript): Promise<Answer> {
    if (transport === "udp") return this.askUdp(query, log);
    const opened = await this.open(transport, log);
    if (!opened.ok) return { kind: "none", why: opened.problem, isOpen: false, strays: [] };
    this.count(1);
    const answer = await opened.value.ask(query, this.patience.replyMs);
    opened.value.close();
    return answer;
  }

  /** Over UDP from a port of its own; datagrams that are no reply to it are strays. */
  async askUdp(query: SentQuery, log: Transcript): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#askUdp(query, log);
      if (answer.kind === "reply" || attempt >= UDP_ATTEMPTS || this.stopped !== undefined) return answer;
    }
  }

  async #askUdp(query: SentQuery, log: Transcript): Promise<Answer> {
    const { clock, network } = this.runtime;
    const to = { address: this.target.address, port: portOf(this.target, "udp") };
    const strays: string[] = [];
    const startMs = clock.nowMs();
    let timer: Timer | undefined;
    let finish: (answer: Answer) => void = () => undefined;
    const outcome = new Promise<Answer>((resolve) => {
      finish = resolve;
    });
    const none = (why: string): Answer => ({ kind: "none", why, isOpen: true, strays });
    const stopped = none("the probe was stopped");
    if (this.signal.aborted) return stopped;
    const onAbort = (): void => finish(stopped);
    const local = { address: to.address.includes(":") ? "::" : "0.0.0.0", port: 0 };
    try {
      const socket = await network.bindDatagram(
        { local, connectTo: to, reusePort: false },
        {
          onMessage: (octets) => {
            const copy = octets.slice();
            const match = matchReply(copy, query);
            log.seen(
              match.kind === "reply" ? `datagram: ${describeReply(match.message, copy)}` : match.why,
              copy,
              "udp",
            );
            if (match.kind === "reply")
              finish({
                kind: "reply",
                message: match.message,
                octets: copy,
                tookMs: clock.nowMs() - startMs,
                strays,
              });
            else if (strays.push(match.why) > UDP_STRAYS_MAX)
              finish(none(`more than ${UDP_STRAYS_MAX} datagrams that are no reply`));
          },
          onError: (error) => finish(none(error.message)),
        },
      );
      if (this.signal.aborted) {
        await socket.close();
        return stopped;
      }
      timer = clock.startTimer("probe-udp", this.patience.replyMs, () => {
        const [stray] = strays;
        const silence = `no reply within ${this.patience.replyMs} ms`;
        finish(none(stray === undefined ? silence : `${stray}; then ${silence}`));
      });
      this.signal.addEventListener("abort", onAbort, { once: true });
      this.count(1);
      log.sent(`datagram ${query.id}: ${query.text}`, query.octets, "udp");
      socket.send(query.octets, to);
      const answer = await outcome;
      await socket.close();
      if (answer.kind === "none") log.note(answer.why);
      return answer;
    } catch (error) {
      if (!DnsError.is(error)) throw error;
      return none(error.message);
    } finally {
      timer?.cancel();
      this.signal.removeEventListener("abort", onAbort);
    }
  }

  /** Waits; ends early when the probe is stopped. */
  async pause(ms: number): Promise<void> {
    const { signal } = this;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.runtime.clock.startTimer("probe-pause", ms, done);
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }
}

function describeOpen(how: OpenOptions): string {
  const words = [
    ...(how.isClear === true ? ["without TLS"] : []),
    ...(how.serverName === "none" ? ["without SNI"] : []),
    ...(how.alpn === undefined
      ? []
      : [how.alpn.length === 0 ? "without ALPN" : `with ALPN ${how.alpn.join(", ")}`]),
    ...(how.groups === undefined ? [] : [`with the group ${how.groups.join(", ")} only`]),
    ...(how.session === undefined ? [] : ["with a session ticket"]),
    ...(how.fastOpen === true ? ["with Fast Open"] : []),
  ];
  return words.length === 0 ? "" : `, ${words.join(", ")}`;
}

/** For the row in which the time of the probe ends: one answer every two seconds is progress, and could be for an hour. */
const OVERTIME_MS = 15_000;
/** Datagrams get lost. */
const UDP_ATTEMPTS = 2;
const UDP_STRAYS_MAX = 8;
/** For a server to end a connection that we have ended. */
const CLOSE_WAIT_MS = 250;
