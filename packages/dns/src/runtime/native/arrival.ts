/** A connection between accept and stream: its PROXY header, its TLS handshake, its timer. */
import { PROXY_HEADER_OCTETS_MAX, type ProxyHeader, readProxyHeader } from "@sotto/dns/wire";
import { DnsError } from "../dns-error.ts";
import type { Endpoint, ListenOptions, PendingConnection } from "../network.ts";
import { handshakeProblem, toDnsError, unreadable } from "../node/system-problem.ts";
import { channelSecurity } from "./channel-security.ts";
import type { NativeLoop, Watch, Watcher } from "./native-loop.ts";
import { NativeStream } from "./native-stream.ts";
import type { TlsServer } from "./tls-server.ts";
import { Ready } from "./unsafe/event-set.ts";
import { Blocked } from "./unsafe/sockets.ts";
import { TlsSession } from "./unsafe/tls-session.ts";
import { ClearWire, type Wire } from "./wire.ts";

/** Whoever accepted it. */
export interface ArrivalOwner {
  /** In the order of arrival, a few in each turn: calls {@link Arrival.shakeHands}. */
  queueHandshake(arrival: Arrival): void;
  becameStream(arrival: Arrival, stream: NativeStream): void;
  failed(arrival: Arrival, stage: "proxy" | "handshake", problem: Error): void;
}

/** What an arrival is made of. */
export interface ArrivalParts {
  readonly loop: NativeLoop;
  readonly fd: number;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly pending: PendingConnection | undefined;
  /** What the listener was set to when it came. */
  readonly options: Pick<ListenOptions, "proxy" | "handshakeTimeoutMs">;
  readonly tls: TlsServer | undefined;
}

/** See the head of this file. Ends once: as a stream, or as a failure that is told. */
export class Arrival implements Watcher {
  readonly pending: PendingConnection | undefined;
  /** Whom it is for: the peer, or the client that a proxy speaks for. */
  remote: Endpoint;
  #local: Endpoint;
  readonly #loop: NativeLoop;
  readonly #owner: ArrivalOwner;
  readonly #options: ArrivalParts["options"];
  readonly #isProxy: boolean;
  readonly #watch: Watch;
  readonly #tls: TlsServer | undefined;
  #tlsSession: TlsSession | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  #state: "begins" | "reads header" | "waits for handshake" | "shakes hands" | "ended" = "begins";
  /** The part of a header that has come. */
  #header: Uint8Array = NOTHING;

  constructor(parts: ArrivalParts, watch: Watch, owner: ArrivalOwner) {
    const { loop, remote, local, pending, options, tls } = parts;
    this.pending = pending;
    this.remote = remote;
    this.#local = local;
    this.#loop = loop;
    this.#owner = owner;
    this.#options = options;
    this.#isProxy = options.proxy?.isTrusted(remote.address) === true;
    this.#watch = watch;
    this.#tls = tls;
    watch.watcher = this;
    tls?.hold();
    loop.events.hold();
  }

  /** Reads the header that stands before everything, or goes on. */
  begin(): void {
    const isFirst = this.#tls === undefined || this.#options.proxy?.place === "before tls";
    if (this.#isProxy && isFirst) this.#awaitHeader();
    else this.#afterHeader();
  }

  onReady(): void {
    switch (this.#state) {
      case "reads header":
        this.#readHeader();
        // TLS may have answered something by itself; what the system does not take now leaves with the first answer.
        this.#tlsSession?.push();
        return;
      case "waits for handshake":
        // Its turn comes without events, which would be told again and again until then.
        if (this.#isQueued) this.#watch.want(0);
        else this.#queueHandshake();
        return;
      case "shakes hands":
        this.shakeHands();
        return;
      case "begins":
      case "ended":
        return;
    }
  }

  #isQueued = false;

  #queueHandshake(): void {
    this.#isQueued = true;
    this.#owner.queueHandshake(this);
  }

  #awaitHeader(): void {
    this.#state = "reads header";
    const { handshakeTimeoutMs } = this.#options;
    this.#startTimer(() => this.#failHeader(`nothing complete within ${handshakeTimeoutMs} ms`));
    this.#wantInput();
    // TLS may have read it already.
    if (this.#tlsSession?.hasMore === true) this.#readHeader();
  }

  #wantInput(): void {
    if (!this.#watch.want(Ready.In)) this.#fail("handshake", this.#loop.events.problem);
  }

  #startTimer(run: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(run, this.#options.handshakeTimeoutMs);
  }

  /** Takes octets of the header only: those behind it are for whoever comes next. */
  #readHeader(): void {
    const octets = this.#peek();
    if (octets <= 0) {
      if (octets === 0) this.#failHeader("the connection ended before it");
      else if (octets !== Blocked) this.#failHeader(this.#wireProblem("read").message);
      return;
    }
    const before = this.#header.length;
    const all = new Uint8Array(before + octets);
    all.set(this.#header);
    all.set(this.#loop.sockets.input.subarray(0, octets), before);
    const read = readProxyHeader(all);
    if (read.kind === "malformed") this.#failHeader(read.problem);
    else if (read.kind === "header") {
      this.#consume(read.octets - before);
      this.#header = NOTHING;
      this.#proxied(read.header);
    } else if (all.length >= PROXY_HEADER_OCTETS_MAX) this.#failHeader("too long");
    else {
      this.#consume(octets);
      this.#header = all;
      if (this.#tlsSession?.hasMore === true) this.#readHeader();
    }
  }

  #peek(): number {
    const most = PROXY_HEADER_OCTETS_MAX - this.#header.length;
    return this.#tlsSession?.peek(most) ?? this.#loop.sockets.receive(this.#watch.fd, most, true);
  }

  #consume(octets: number): void {
    if (this.#tlsSession !== undefined) this.#tlsSession.consume(octets);
    else this.#loop.sockets.receive(this.#watch.fd, octets, false);
  }

  #wireProblem(call: string): Error {
    return this.#tlsSession?.problem ?? this.#loop.sockets.lastProblem(call);
  }

  #proxied(header: ProxyHeader): void {
    if (header.kind === "proxied") {
      this.remote = header.source;
      this.#local = header.destination;
    }
    if (this.pending?.onProxied(this.remote) === false)
      this.#fail("proxy", new DnsError("ERR_QUOTA_EXCEEDED", "its client is over a limit"));
    else this.#afterHeader();
  }

  #failHeader(problem: string): void {
    this.#fail(
      "proxy",
      new DnsError("ERR_MESSAGE_MALFORMED", `PROXY header: ${problem}`, { stage: "proxy" }),
    );
  }

  /** Clear TCP is a stream now, TLS begins its handshake or has ended it. */
  #afterHeader(): void {
    clearTimeout(this.#timer);
    if (this.#tls === undefined) this.#deliver(new ClearWire(this.#loop.sockets, this.#watch.fd));
    else if (this.#tlsSession !== undefined) this.#deliver(this.#tlsSession);
    else {
      this.#state = "waits for handshake";
      this.#startTimer(() => this.#fail("handshake", handshakeProblem(new Error("TLS handshake timeout"))));
      this.#wantInput();
    }
  }

  /** Goes on with the handshake as far as the octets reach that have come. */
  shakeHands(): void {
    if (this.#state === "ended" || this.#tls === undefined) return;
    this.#state = "shakes hands";
    let wire = this.#tlsSession;
    if (wire === undefined) {
      try {
        wire = this.#tls.openSession(this.#watch.fd);
      } catch (problem) {
        this.#fail("handshake", toDnsError(problem, "TLS handshake", "handshake", "ERR_TLS_HANDSHAKE"));
        return;
      }
      this.#tlsSession = wire;
    }
    const outcome = wire.shakeHands();
    const isSent = wire.push();
    if (outcome === "ended")
      this.#fail("handshake", new DnsError("ERR_CONNECTION_LOST", "the client closed the connection"));
    else if (outcome === "failed")
      this.#fail("handshake", handshakeProblem(wire.problem ?? new Error("no reason")));
    else if (!isSent && wire.problem !== undefined) this.#fail("handshake", handshakeProblem(wire.problem));
    else if (outcome === "done") this.#secured(wire);
    else if (!this.#watch.want(isSent ? Ready.In : Ready.In | Ready.Out)) this.#wantInput();
  }

  #secured(wire: TlsSession): void {
    clearTimeout(this.#timer);
    if (this.#isProxy && this.#options.proxy?.place === "inside tls") this.#awaitHeader();
    else this.#deliver(wire);
  }

  #deliver(wire: Wire): void {
    let security: ReturnType<typeof channelSecurity> | undefined;
    if (wire instanceof TlsSession) {
      try {
        security = channelSecurity(wire, this.#tls?.asksCertificate === true);
      } catch (problem) {
        this.#fail("handshake", unreadable("TLS handshake", problem));
        return;
      }
    }
    const [loop, watch, local, remote] = [this.#loop, this.#watch, this.#local, this.remote];
    const stream = new NativeStream({ loop, watch, wire, security, local, remote });
    this.#ended();
    this.#owner.becameStream(this, stream);
  }

  #ended(): void {
    this.#state = "ended";
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#tls?.release();
    this.#loop.events.release();
  }

  abandon(): void {
    this.#state = "ended";
    clearTimeout(this.#timer);
    this.#tlsSession?.free();
  }

  /** Closes and tells; a second time does nothing. TLS has sent its alert. */
  #fail(stage: "proxy" | "handshake", problem: Error): void {
    if (this.#state === "ended") return;
    this.#ended();
    this.#tlsSession?.free();
    this.#watch.close(stage === "proxy" ? "reset" : "orderly");
    this.#owner.failed(this, stage, problem);
  }
}

const NOTHING = new Uint8Array(0);
