/**
 * Simulated byte streams: two pipes between two ends. A pipe keeps order, cuts what is written into seeded slices,
 * delays each, and may break; half-close, reset, pausing and full windows behave as with TCP.
 */
import {
  type ByteStream,
  type ChannelSecurity,
  type Clock,
  DnsError,
  type Endpoint,
  type StreamHandlers,
  type Timer,
} from "@sotto/dns/runtime";

/** How the pipes of a network behave. */
export interface StreamWeather {
  /** Milliseconds until the next slice arrives, drawn anew for each. */
  delayMs(): number;
  /** Octets of the next slice, at most `available`. */
  sliceOctets(available: number): number;
  /** True when the stream breaks at this slice. */
  breaks(): boolean;
  /** Octets in flight or unread before the sender's buffer fills. */
  readonly windowOctets: number;
}

type Item =
  | { readonly kind: "open"; readonly atMs: number; readonly open: () => void }
  | { readonly kind: "data"; readonly atMs: number; readonly octets: Uint8Array }
  | { readonly kind: "session"; readonly atMs: number; readonly octets: Uint8Array }
  | { readonly kind: "end"; readonly atMs: number }
  | { readonly kind: "reset"; readonly atMs: number };

/** One direction. Delivers to `target`, tells `source` when room came free. */
class Pipe {
  readonly #clock: Clock;
  readonly #weather: StreamWeather;
  readonly #queue: Item[] = [];
  #timer: Timer | undefined = undefined;
  #lastAtMs = 0;
  /** Data octets written and not yet delivered. */
  undelivered = 0;
  isPaused = true;
  target: SimStream | undefined = undefined;
  source: SimStream | undefined = undefined;

  constructor(clock: Clock, weather: StreamWeather) {
    this.#clock = clock;
    this.#weather = weather;
  }

  /** When something sent now arrives: never before what was sent earlier. */
  #arrivalMs(): number {
    this.#lastAtMs = Math.max(this.#lastAtMs, this.#clock.nowMs() + this.#weather.delayMs());
    return this.#lastAtMs;
  }

  open(open: () => void): void {
    this.#put({ kind: "open", atMs: this.#arrivalMs(), open });
  }

  session(octets: Uint8Array): void {
    this.#put({ kind: "session", atMs: this.#arrivalMs(), octets });
  }

  data(octets: Uint8Array): void {
    for (let at = 0; at < octets.length; ) {
      const taken = this.#weather.sliceOctets(octets.length - at);
      if (this.#weather.breaks()) {
        this.source?.breakDown();
        return;
      }
      this.undelivered += taken;
      this.#put({ kind: "data", atMs: this.#arrivalMs(), octets: octets.subarray(at, at + taken) });
      at += taken;
    }
  }

  end(): void {
    this.#put({ kind: "end", atMs: this.#arrivalMs() });
  }

  /** A reset overtakes what waits in the peer's window but not what is on the way. */
  reset(): void {
    this.#put({ kind: "reset", atMs: this.#arrivalMs() });
  }

  /** Drops everything: nobody listens any more. */
  cut(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#queue.length = 0;
    this.undelivered = 0;
    this.target = undefined;
  }

  setPaused(isPaused: boolean): void {
    this.isPaused = isPaused;
    this.#arm();
  }

  #put(item: Item): void {
    this.#queue.push(item);
    this.#arm();
  }

  #arm(): void {
    if (this.#timer !== undefined) return;
    const next = this.#queue[0];
    if (next === undefined || (this.isPaused && !this.#passesPaused(next))) return;
    this.#timer = this.#clock.startTimer("sim stream", next.atMs - this.#clock.nowMs(), () =>
      this.#deliver(),
    );
  }

  /** Opening always gets through; a reset does when it is the only thing, or when reading was paused. */
  #passesPaused(next: Item): boolean {
    return next.kind === "open" || this.#queue.some((item) => item.kind === "reset");
  }

  #deliver(): void {
    this.#timer = undefined;
    const item = this.#queue[0];
    if (item === undefined) return;
    if (this.isPaused && item.kind !== "open") {
      // A reset found the reader paused: what it has not read is lost (RFC 9293 §3.10.7.4).
      const reset = this.#queue.find(({ kind }) => kind === "reset");
      if (reset !== undefined) this.target?.peerReset();
      return;
    }
    this.#queue.shift();
    switch (item.kind) {
      case "open":
        item.open();
        break;
      case "data":
        this.undelivered -= item.octets.length;
        this.source?.roomFreed();
        this.target?.peerData(item.octets);
        break;
      case "session":
        this.target?.peerSession(item.octets);
        break;
      case "end":
        this.target?.peerEnd();
        break;
      case "reset":
        this.target?.peerReset();
        break;
    }
    this.#arm();
  }

  get windowOctets(): number {
    return this.#weather.windowOctets;
  }
}

/** One end of a simulated stream. */
export class SimStream implements ByteStream {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly security: ChannelSecurity | undefined;
  readonly #clock: Clock;
  readonly #out: Pipe;
  readonly #in: Pipe;
  readonly #onGone: (stream: SimStream) => void;
  #handlers: StreamHandlers | undefined = undefined;
  #state: "open" | "closing" | "closed" = "open";
  #hasEnded = false;
  #peerHasEnded = false;
  #isPaused = false;
  #wantsDrain = false;
  #closeTimer: Timer | undefined = undefined;

  constructor(parts: StreamParts) {
    this.local = parts.local;
    this.remote = parts.remote;
    this.security = parts.security;
    this.#clock = parts.clock;
    this.#out = parts.out;
    this.#in = parts.in;
    this.#onGone = parts.onGone;
    this.#out.source = this;
    this.#in.target = this;
  }

  get bufferedOctets(): number {
    return Math.max(0, this.#out.undelivered - this.#out.windowOctets);
  }

  setHandlers(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    this.#in.setPaused(this.#isPaused);
  }

  write(octets: Uint8Array): boolean {
    if (this.#state !== "open" || this.#hasEnded) return false;
    this.#out.data(octets);
    if (this.bufferedOctets === 0) return true;
    this.#wantsDrain = true;
    return false;
  }

  end(): void {
    if (this.#state !== "open" || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#out.end();
    this.#closeWhenBothEnded();
  }

  reset(): void {
    if (this.#state !== "open") return;
    this.#out.reset();
    this.#close(undefined);
  }

  pause(): void {
    this.#isPaused = true;
    this.#in.setPaused(true);
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#handlers !== undefined) this.#in.setPaused(false);
  }

  /** Hands a session ticket to the other end. */
  sendSession(ticket: Uint8Array): void {
    if (this.#state === "open") this.#out.session(ticket);
  }

  /** Breaks the stream for both ends, as a dying middlebox does. */
  breakDown(): void {
    if (this.#state !== "open") return;
    this.#out.reset();
    this.#close(lost(this.remote));
  }

  peerData(octets: Uint8Array): void {
    if (this.#state === "open") this.#handlers?.onData(octets);
  }

  peerSession(ticket: Uint8Array): void {
    if (this.#state === "open") this.#handlers?.onSession?.(ticket);
  }

  peerEnd(): void {
    if (this.#state !== "open") return;
    this.#peerHasEnded = true;
    this.#handlers?.onEnd();
    this.#closeWhenBothEnded();
  }

  peerReset(): void {
    this.#close(lost(this.remote));
  }

  roomFreed(): void {
    if (!this.#wantsDrain || this.bufferedOctets > 0 || this.#state !== "open") return;
    this.#wantsDrain = false;
    this.#handlers?.onDrain();
  }

  #closeWhenBothEnded(): void {
    if (this.#hasEnded && this.#peerHasEnded) this.#close(undefined);
  }

  /** Reports the end in a turn of its own, as sockets do. */
  #close(problem: Error | undefined): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#in.cut();
    this.#closeTimer = this.#clock.startTimer("sim stream close", 0, () => {
      this.#closeTimer = undefined;
      this.#finish(problem);
    });
  }

  #finish(problem: Error | undefined): void {
    this.#state = "closed";
    this.#onGone(this);
    this.#handlers?.onClose(problem);
  }

  /** Takes the stream away without a word: the network closes. */
  vanish(): void {
    this.#state = "closed";
    this.#closeTimer?.cancel();
    this.#in.cut();
    this.#out.cut();
  }
}

interface StreamParts {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly security: ChannelSecurity | undefined;
  readonly clock: Clock;
  readonly out: Pipe;
  readonly in: Pipe;
  readonly onGone: (stream: SimStream) => void;
}

/** What both ends of a new stream have in common. */
export interface PairParts {
  readonly clientEnd: Endpoint;
  readonly serverEnd: Endpoint;
  readonly clientSecurity: ChannelSecurity | undefined;
  readonly serverSecurity: ChannelSecurity | undefined;
  readonly clock: Clock;
  readonly weather: StreamWeather;
  readonly onGone: (stream: SimStream) => void;
}

/** Two ends joined by two pipes. The server learns of the stream when `accept` is called, before any data. */
export function joinStreams(parts: PairParts, accept: (server: SimStream) => void): SimStream {
  const { clock, weather, onGone } = parts;
  const toServer = new Pipe(clock, weather);
  const toClient = new Pipe(clock, weather);
  const client = new SimStream({
    local: parts.clientEnd,
    remote: parts.serverEnd,
    security: parts.clientSecurity,
    clock,
    out: toServer,
    in: toClient,
    onGone,
  });
  const server = new SimStream({
    local: parts.serverEnd,
    remote: parts.clientEnd,
    security: parts.serverSecurity,
    clock,
    out: toClient,
    in: toServer,
    onGone,
  });
  toServer.open(() => accept(server));
  return client;
}

function lost(remote: Endpoint): DnsError {
  return new DnsError(
    "ERR_CONNECTION_LOST",
    `connection with ${remote.address} port ${remote.port} was reset by the peer`,
    { stage: "query" },
  );
}
