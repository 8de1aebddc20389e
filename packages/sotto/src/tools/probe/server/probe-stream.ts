/** A connection to a target: what arrives, in order and with its time; nothing is retried and nothing thrown. */
import type { ByteStream, Clock, Timer } from "@sotto/dns/runtime";
import type { Message } from "@sotto/dns/wire";
import { concatOctets, FrameReader, frameMessage } from "@sotto/dns/wire";
import { matchReply, type SentQuery } from "./probe-query.ts";
import type { Transcript } from "./transcript.ts";

/** What came next over a connection. */
export type Arrival =
  | { readonly kind: "message"; readonly octets: Uint8Array; readonly atMs: number }
  /** FIN or close_notify. */
  | { readonly kind: "end"; readonly atMs: number }
  | { readonly kind: "closed"; readonly why: string; readonly atMs: number }
  | { readonly kind: "silence"; readonly atMs: number };

/** What became of one query. */
export type Answer =
  | {
      readonly kind: "reply";
      readonly message: Message;
      readonly octets: Uint8Array;
      readonly tookMs: number;
      /** What came before it and was no reply to anything. */
      readonly strays: readonly string[];
    }
  | {
      readonly kind: "none";
      /** For people: `no reply within 2500 ms`. */
      readonly why: string;
      readonly isOpen: boolean;
      readonly strays: readonly string[];
    };

export class ProbeStream {
  readonly stream: ByteStream;
  readonly log: Transcript;
  /** The latest TLS session, for resumption. */
  session: Uint8Array | undefined;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #frames = new FrameReader();
  readonly #inbox: Arrival[] = [];
  #octets = 0;
  #isOver = false;
  #hasEnded = false;
  #wake: (() => void) | undefined;
  readonly #onAbort: () => void;
  /** Settled when the connection is gone, or both sides have ended it. */
  readonly gone: Promise<void>;
  #settleGone: () => void = () => undefined;
  readonly #toldClosed: (stream: ProbeStream) => void;

  /** `onClose` is told when we end it, because it may not be gone by then. */
  constructor(
    stream: ByteStream,
    log: Transcript,
    clock: Clock,
    signal: AbortSignal,
    onClose: (stream: ProbeStream) => void,
  ) {
    this.#toldClosed = onClose;
    this.stream = stream;
    this.log = log;
    this.#clock = clock;
    this.#signal = signal;
    this.gone = new Promise((resolve) => {
      this.#settleGone = resolve;
    });
    this.#onAbort = (): void => this.#over("the probe was stopped");
    signal.addEventListener("abort", this.#onAbort, { once: true });
    stream.setHandlers({
      onData: (octets) => this.#receive(octets),
      onEnd: () => {
        this.#hasEnded = true;
        if (this.#isOver) this.#settleGone();
        if (!this.#isOver) this.log.seen("ends the connection (FIN)");
        this.#arrived({ kind: "end", atMs: clock.nowMs() });
      },
      onClose: (problem) => {
        this.#settleGone();
        this.#over(problem === undefined ? "it closed the connection" : problem.message);
      },
      onDrain: () => undefined,
      onSession: (session) => {
        this.session = session.slice();
      },
    });
    if (signal.aborted) this.#onAbort();
  }

  /** How messages go over it. */
  get over(): "tcp" | "tls" {
    return this.stream.security === undefined ? "tcp" : "tls";
  }

  /** The other side has neither ended nor closed it. */
  get isOpen(): boolean {
    return !this.#isOver && !this.#hasEnded;
  }

  /** Octets as they are, in one write. */
  write(octets: Uint8Array): void {
    if (!this.#isOver) this.stream.write(octets);
  }

  /** Each query in a write of its own, or all in one. */
  send(queries: readonly SentQuery[], how: "apart" | "together" = "apart"): void {
    for (const query of queries) this.log.sent(`query ${query.id}: ${query.text}`, query.octets, this.over);
    if (how === "together") {
      this.log.note(`${queries.length} messages in one write`);
      this.write(concatOctets(queries.map(({ octets }) => frameMessage(octets))));
    } else for (const { octets } of queries) this.write(frameMessage(octets));
  }

  /** The next arrival, or `silence` after so long. Ends and closes are told once more to each who asks. */
  async next(timeoutMs: number): Promise<Arrival> {
    const first = this.#inbox[0];
    if (first !== undefined) {
      if (first.kind === "message" || (first.kind === "end" && this.#inbox.length > 1)) this.#inbox.shift();
      return first;
    }
    let timer: Timer | undefined;
    const isSilent = await new Promise<boolean>((resolve) => {
      timer = this.#clock.startTimer("probe-wait", timeoutMs, () => resolve(true));
      this.#wake = () => resolve(false);
    });
    timer?.cancel();
    this.#wake = undefined;
    if (isSilent) return { kind: "silence", atMs: this.#clock.nowMs() };
    return this.next(timeoutMs);
  }

  /** Sends one query and waits for its reply; other messages are strays. */
  async ask(query: SentQuery, timeoutMs: number): Promise<Answer> {
    this.send([query]);
    return (
      (await this.replies([query], timeoutMs))[0] ?? {
        kind: "none",
        why: "not asked",
        isOpen: false,
        strays: [],
      }
    );
  }

  /**
   * Waits for the replies to queries that were sent, at most so long for each, whatever else comes; one answer for each query, in
   * their order.
   */
  async replies(queries: readonly SentQuery[], timeoutMs: number, order: number[] = []): Promise<Answer[]> {
    const startMs = this.#clock.nowMs();
    const answers = new Map<SentQuery, Answer>();
    const strays: string[] = [];
    let why = "";
    let untilMs = startMs + timeoutMs;
    while (answers.size < queries.length && strays.length < STRAYS_MAX) {
      const arrival = await this.next(Math.max(0, untilMs - this.#clock.nowMs()));
      if (arrival.kind !== "message") {
        why = wordOf(arrival, timeoutMs);
        break;
      }
      const open = queries.filter((query) => !answers.has(query));
      const { octets, atMs } = arrival;
      const matched = open
        .map((query) => ({ query, match: matchReply(octets, query) }))
        .find(({ match }) => match.kind === "reply");
      if (matched?.match.kind === "reply") {
        const { query, match } = matched;
        this.log.seen(`reply ${query.id}: ${describeReply(match.message, octets)}`, octets, this.over);
        answers.set(query, {
          kind: "reply",
          message: match.message,
          octets,
          tookMs: atMs - startMs,
          strays: [...strays],
        });
        order.push(queries.indexOf(query));
        untilMs = atMs + timeoutMs;
        continue;
      }
      const match = open[0] === undefined ? undefined : matchReply(octets, open[0]);
      const stray = match?.kind === "stray" ? match.why : "a message that nobody asked for";
      strays.push(stray);
      this.log.seen(stray, octets, this.over);
    }
    if (why === "" && answers.size < queries.length)
      why = `more than ${STRAYS_MAX} messages that nobody asked for`;
    if (answers.size < queries.length) this.log.note(why);
    const [firstStray] = strays;
    const told = firstStray === undefined ? why : `${firstStray}; then ${why}`;
    return queries.map(
      (query) => answers.get(query) ?? { kind: "none", why: told, isOpen: this.isOpen, strays },
    );
  }

  /** Messages that come within so long although nothing is asked. */
  async strays(waitMs: number): Promise<Uint8Array[]> {
    const found: Uint8Array[] = [];
    while (found.length < STRAYS_MAX) {
      const arrival = await this.next(waitMs);
      if (arrival.kind !== "message") break;
      this.log.seen("a message that nobody waits for", arrival.octets, this.over);
      found.push(arrival.octets);
    }
    return found;
  }

  /** Sends FIN; reading goes on. */
  end(): void {
    if (!this.#isOver) this.stream.end();
  }

  /** Ends it for good; {@link gone} tells when the other side has done so, too. */
  close(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#isOver = true;
    this.stream.end();
    this.#toldClosed(this);
    if (this.#hasEnded) this.#settleGone();
  }

  /** Aborts what the other side would not end. */
  abandon(): void {
    this.stream.reset();
    this.#settleGone();
  }

  #receive(octets: Uint8Array): void {
    this.#octets += octets.length;
    const atMs = this.#clock.nowMs();
    this.#frames.push(octets, (message) => {
      this.#arrived({ kind: "message", octets: message.slice(), atMs });
      return true;
    });
    if (this.#octets > OCTETS_MAX || this.#inbox.length > INBOX_MAX) {
      this.#over("it sent more than anybody asked for");
      this.stream.reset();
    }
  }

  #over(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.log.note(`connection is gone: ${why}`);
    this.#arrived({ kind: "closed", why, atMs: this.#clock.nowMs() });
    if (this.#signal.aborted) this.stream.reset();
  }

  #arrived(arrival: Arrival): void {
    this.#inbox.push(arrival);
    this.#wake?.();
  }
}

/** For people: what was there instead of a reply. */
function wordOf(arrival: Arrival, timeoutMs: number): string {
  if (arrival.kind === "silence") return `no reply within ${Math.round(timeoutMs)} ms`;
  if (arrival.kind === "end") return "it ended the connection instead of a reply";
  return arrival.kind === "closed" ? `connection gone instead of a reply: ${arrival.why}` : "";
}

/** For people: response code, counts, length. */
export function describeReply(message: Message, octets: Uint8Array): string {
  const flags = [
    ...(message.isTruncated ? ["TC"] : []),
    ...(message.authenticData ? ["AD"] : []),
    ...(message.edns === undefined ? [] : ["OPT"]),
  ];
  const options =
    message.edns?.options.map(({ code, data }) => `option ${code} (${data.length} octets)`) ?? [];
  return [
    `rcode ${message.rcode}`,
    `${message.answers.length} records`,
    ...flags,
    ...options,
    `${octets.length} octets`,
  ].join(", ");
}

/** Messages that are waited past; more is hostile. */
const STRAYS_MAX = 32;
/** Arrivals kept, and octets of one connection. */
const INBOX_MAX = 1024;
const OCTETS_MAX = 8 * 1024 * 1024;
