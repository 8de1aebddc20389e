/** A connection machine on a real stream: connects, authenticates, then carries octets and time to it. */
import {
  type ByteStream,
  type ChannelSecurity,
  DnsError,
  type Endpoint,
  type Runtime,
  type Timer,
} from "@sotto/dns/runtime";
import { FRAME_PREFIX_OCTETS, uint16At } from "@sotto/dns/wire";
import { type Authentication, authenticate, type TlsPolicy } from "./authentication.ts";
import { ClientConnection, type ConnectionHost } from "./client-connection.ts";
import type { ConnectionLimits } from "./connection-limits.ts";
import type { ConnectionQuery } from "./connection-query.ts";
import { TlsaUsage } from "./tlsa.ts";

/** A TLS ticket and what its full handshake proved. */
export interface SessionTicket {
  readonly session: Uint8Array;
  readonly authentication: Authentication;
  /** Wall milliseconds until which that counts, however often the session is resumed in between. */
  readonly untilWallMs: number;
}

/** Where to connect and how. */
export interface LinkTarget {
  readonly remote: Endpoint;
  readonly localAddress: string | undefined;
  /** Undefined for clear TCP. */
  readonly tls: TlsPolicy | undefined;
  /** Octets before the first message, such as a PROXY header; over TLS they are encrypted. Absent: none. */
  readonly preamble?: Uint8Array | undefined;
}

export interface LinkOptions {
  readonly target: LinkTarget;
  readonly ticket: SessionTicket | undefined;
  readonly limits: Partial<ConnectionLimits>;
  readonly connectTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly fastOpen: boolean;
  /** Queries wait until all that has arrived was looked at, and leave together (`Clock.afterArrivals`). Absent: false. */
  readonly gathers?: boolean | undefined;
  /** While queries wait, what has arrived is acknowledged at once: servers keep further answers until it is. Absent: false. */
  readonly acknowledges?: boolean | undefined;
  /**
   * Over TLS what leaves together shares records, which costs a third; NSD 4.6 then answers late (see {@link ClientLink.write}).
   * Absent: false.
   */
  readonly joinsRecords?: boolean | undefined;
  /** A ticket for a later connection; only called after the policy was satisfied. */
  onTicket(ticket: SessionTicket): void;
  /** Connecting or authenticating failed; called before anybody who waits is told. */
  onFailed(link: ClientLink, problem: DnsError): void;
  /** The link is gone; called once. */
  onGone(link: ClientLink): void;
  /** A timer fired so late that the machine must have been asleep. */
  onSleep(): void;
}

/** What is known about a link's stream once it is open. */
export interface LinkFacts {
  readonly security: ChannelSecurity | undefined;
  readonly authentication: Authentication | undefined;
  readonly connectMs: number;
  readonly handshakeMs: number;
}

/** One connection to one server, from the first SYN to the end. */
export class ClientLink implements ConnectionHost {
  /** Set once its failure has been remembered: many queries may fail with one connection. */
  wasHeldAgainstServer = false;
  /** When connecting began, monotonic milliseconds. */
  readonly startedAtMs: number;
  readonly #options: LinkOptions;
  readonly #runtime: Runtime;
  readonly #machine: ClientConnection;
  readonly #abort = new AbortController();
  readonly #gone = Promise.withResolvers<void>();
  #stream: ByteStream | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #isGone = false;
  /** Somebody waits for its end. */
  #isAwaited = false;
  /** The process must not end before it. */
  #holds = true;
  /** Octets have arrived that the peer has no acknowledgement of yet, as far as we know. */
  #owes = false;
  /** Runs while the connection is too busy for an acknowledgement of its own. */
  #acknowledgeTimer: Timer | undefined = undefined;
  #facts: LinkFacts | undefined = undefined;

  constructor(options: LinkOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.startedAtMs = runtime.clock.nowMs();
    this.#machine = new ClientConnection(options.limits, this, runtime.random);
    this.#connect().catch((problem: unknown) => this.#failed(problem));
  }

  /** Undefined until the stream is open. */
  get facts(): LinkFacts | undefined {
    return this.#facts;
  }

  get takesQueries(): boolean {
    return !this.#isGone && this.#machine.takesQueries;
  }

  get pending(): number {
    return this.#machine.pending;
  }

  /** See {@link ClientConnection.gathered}. */
  get gathered(): number {
    return this.#machine.gathered;
  }

  /** Replies that came over this connection. */
  get repliesServed(): number {
    return this.#machine.counters.served;
  }

  /** How it keeps time, for people. */
  get timers(): Pick<ClientConnection, "idleTimeoutMs" | "promisedIdleMs" | "idleClosesAtMs"> {
    const { idleTimeoutMs, promisedIdleMs, idleClosesAtMs } = this.#machine;
    return { idleTimeoutMs, promisedIdleMs, idleClosesAtMs };
  }

  /** How long the connection had been idle when its peer closed it. */
  get idleClosedAfterMs(): number | undefined {
    return this.#machine.idleClosedAfterMs;
  }

  /** True when a query can leave at once: the stream is open and has room. */
  get isReady(): boolean {
    const { hasRoom } = this.#machine;
    const isSuspect = this.#machine.isSuspect(this.#runtime.clock.nowMs());
    return this.#facts !== undefined && this.takesQueries && hasRoom && !isSuspect;
  }

  /** Whether this connection asked for Fast Open. */
  get askedFastOpen(): boolean {
    return this.#options.fastOpen;
  }

  send(query: ConnectionQuery): void {
    this.#machine.send(query);
    this.#holdProcess();
  }

  cancel(query: ConnectionQuery): void {
    this.#machine.cancel(query, this.#runtime.clock.nowMs());
    this.#holdProcess();
  }

  /** The path has gone: what is outstanding is lost at once and may go on elsewhere. */
  condemn(): void {
    void this.close();
  }

  /** Ends the connection, whatever is outstanding, and waits until it is gone. */
  close(): Promise<void> {
    this.#isAwaited = true;
    this.#holdProcess();
    if (this.#stream === undefined) this.#abort.abort();
    else this.#machine.shutDown(this.#runtime.clock.nowMs());
    return this.#gone.promise;
  }

  async #connect(): Promise<void> {
    const { target, ticket, connectTimeoutMs, handshakeTimeoutMs } = this.#options;
    const { clock, network } = this.#runtime;
    let connectedAtMs: number | undefined;
    const { tls } = target;
    const stream = await network.connect({
      remote: target.remote,
      localAddress: target.localAddress,
      tls: tls && {
        serverName: tls.serverName,
        alpn: ALPN,
        trustAnchorsPem: tls.trustAnchorsPem,
        session: ticket?.session,
        certificatePem: tls.certificatePem,
        keyPem: tls.keyPem,
        wantsTrustAnchor: tls.tlsa?.some(({ usage }) => usage === TlsaUsage.PkixTa) === true,
      },
      connectTimeoutMs,
      handshakeTimeoutMs,
      signal: this.#abort.signal,
      fastOpen: this.#options.fastOpen,
      acknowledges: this.#options.acknowledges,
      onConnected: () => {
        connectedAtMs = clock.nowMs();
      },
    });
    const nowMs = clock.nowMs();
    const proved = tls && stream.security && prove(stream.security, tls, ticket, clock.wallMs());
    const authentication = proved?.authentication;
    this.#stream = stream;
    this.#facts = {
      security: stream.security,
      authentication,
      connectMs: (tls === undefined ? nowMs : (connectedAtMs ?? nowMs)) - this.startedAtMs,
      handshakeMs: tls === undefined ? 0 : nowMs - (connectedAtMs ?? nowMs),
    };
    this.#listen(stream, tls?.authenticate === "no" || authentication?.isAuthenticated ? proved : undefined);
    if (this.#abort.signal.aborted)
      throw new DnsError("ERR_CLOSED", "the exchanger is closed", { stage: "connect" });
    // RFC 8310 §6.6: not one query leaves before the server has proved itself.
    if (tls?.authenticate === "required" && authentication?.isAuthenticated !== true)
      throw notAuthenticated(target.remote, authentication);
    if (target.preamble !== undefined) stream.write(target.preamble);
    this.#publish("opened", { ...this.#facts, security: stream.security?.protocol });
    this.#machine.open(nowMs);
  }

  /** `proved` goes with the tickets; undefined: they are not kept, or a server that failed once would fail with each of them. */
  #listen(stream: ByteStream, proved: Omit<SessionTicket, "session"> | undefined): void {
    const { clock } = this.#runtime;
    const machine = this.#machine;
    stream.setHandlers({
      onData: (octets) => {
        machine.receive(octets, clock.nowMs());
        this.#holdProcess();
        this.#oweAcknowledgement(stream);
      },
      onEnd: () => machine.peerEnded(clock.nowMs()),
      onClose: (problem) => {
        machine.closed(problem, clock.nowMs());
        this.#finish(problem);
      },
      onDrain: () => machine.drained(),
      onSession: (session) => {
        if (machine.state !== "closed" && proved !== undefined)
          this.#options.onTicket({ session: session.slice(), ...proved });
        this.#oweAcknowledgement(stream);
      },
    });
  }

  /** What is written in this turn carries it; otherwise it goes by itself when all that has arrived was looked at. */
  #oweAcknowledgement(stream: ByteStream): void {
    if (this.#owes || this.#options.acknowledges !== true || stream.acknowledge === undefined) return;
    if (this.#machine.pending === 0) return;
    this.#owes = true;
    if (this.#acknowledgeTimer === undefined) this.#atTurnEnd(this.#endTurn);
  }

  /** On a busy connection the next query is near, and carries it: by itself it costs as much as a query. */
  readonly #endTurn = (): void => {
    if (this.#machine.pending < BUSY_PENDING) this.#acknowledge();
    else if (this.#owes && !this.#isGone && this.#acknowledgeTimer === undefined)
      this.#acknowledgeTimer = this.#runtime.clock.startTimer(
        "acknowledgement",
        ACKNOWLEDGE_BUSY_MS,
        this.#acknowledge,
        true,
      );
  };

  readonly #acknowledge = (): void => {
    this.#acknowledgeTimer = undefined;
    // What is gathered leaves in this turn, too.
    if (this.#owes && !this.#isGone && this.#machine.gathered === 0) this.#stream?.acknowledge?.();
    this.#owes = false;
  };

  /** A program that has what it asked for should end, and not wait until its connections have been idle long enough. */
  #holdProcess(): void {
    const holds = this.#isAwaited || this.#machine.pending > 0;
    if (this.#stream === undefined || holds === this.#holds) return;
    this.#holds = holds;
    this.#stream.setBackground?.(!holds);
  }

  /** Connecting or authenticating failed. */
  #failed(cause: unknown): void {
    const problem = DnsError.is(cause)
      ? cause
      : new DnsError("ERR_SYSTEM", "connecting failed unexpectedly", { cause, stage: "connect" });
    this.#options.onFailed(this, problem);
    if (this.#machine.state === "connecting") this.#machine.fail(problem);
    this.#publish("failed", { code: problem.code, problem: problem.message });
    if (this.#stream === undefined) this.#finish(problem);
    else this.#stream.reset();
  }

  #finish(problem: Error | undefined): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#timer?.cancel();
    this.#acknowledgeTimer?.cancel();
    const { sent, served, late, unexpected } = this.#machine.counters;
    if (this.#facts !== undefined)
      this.#publish("closed", { sent, served, late, unexpected, problem: problem?.message });
    this.#options.onGone(this);
    this.#gone.resolve();
  }

  #publish(what: string, details: Readonly<Record<string, unknown>>): void {
    const name = `transport.connection.${what}`;
    const { events } = this.#runtime;
    if (events.wants(name)) events.publish(name, { remote: this.#options.target.remote, ...details });
  }

  // What the machine asks of its surroundings.

  write(octets: Uint8Array): boolean {
    this.#owes = false;
    const stream = this.#stream;
    if (stream?.security === undefined || this.#options.joinsRecords === true)
      return stream?.write(octets) ?? false;
    // One TLS record per query, never two in one: NSD 4.6 reads one record each time its socket is readable, takes one
    // message from it, and would leave the second unanswered until more octets come.
    let mayGoOn = true;
    for (let at = 0; at < octets.length; ) {
      const end = at + FRAME_PREFIX_OCTETS + uint16At(octets, at);
      mayGoOn = stream.write(octets.subarray(at, end));
      at = end;
    }
    return mayGoOn;
  }

  end(): void {
    this.#stream?.end();
  }

  reset(): void {
    this.#stream?.reset();
  }

  setTimer(atMs: number | undefined): void {
    this.#timer?.cancel();
    const { clock } = this.#runtime;
    this.#timer = undefined;
    if (atMs === undefined) return;
    const fire = (): void => {
      const nowMs = clock.nowMs();
      this.#machine.onTimer(nowMs);
      this.#holdProcess();
      if (nowMs - atMs > SLEEP_MS) this.#options.onSleep();
    };
    // The stream holds the process while it must not end.
    this.#timer = clock.startTimer("client connection", Math.max(0, atMs - clock.nowMs()), fire, true);
  }

  requestFlush(): void {
    if (this.#options.gathers === true) this.#atTurnEnd(this.#flush);
    else queueMicrotask(this.#flush);
  }

  /** When all that has arrived was looked at, where the clock knows when that is. */
  #atTurnEnd(run: () => void): void {
    const { clock } = this.#runtime;
    if (clock.afterArrivals === undefined) queueMicrotask(run);
    else clock.afterArrivals(run);
  }

  readonly #flush = (): void => this.#machine.flush(this.#runtime.clock.nowMs());
}

/** A resumed session proves what its full handshake proved; the peer presents nothing again (RFC 8446 §2.2). */
function prove(
  security: ChannelSecurity,
  policy: TlsPolicy,
  ticket: SessionTicket | undefined,
  wallMs: number,
): Omit<SessionTicket, "session"> {
  if (security.resumed && ticket !== undefined)
    return { authentication: ticket.authentication, untilWallMs: ticket.untilWallMs };
  const expiries = security.peerChain.map(({ notAfterMs }) => notAfterMs).filter((atMs) => atMs > wallMs);
  return {
    authentication: authenticate(security, policy, wallMs),
    untilWallMs: Math.min(wallMs + PROOF_MS_MAX, ...expiries),
  };
}

function notAuthenticated(remote: Endpoint, authentication: Authentication | undefined): DnsError {
  const why = authentication?.isAuthenticated === false ? authentication.problem : "there is no TLS";
  return new DnsError(
    "ERR_TLS_NOT_AUTHENTICATED",
    `${remote.address} port ${remote.port} is not authenticated: ${why}`,
    { stage: "authenticate" },
  );
}

/** RFC 7858 §3.2 has no token; `dot` is registered since RFC 7858's successors need it on shared ports. */
const ALPN: readonly string[] = ["dot"];
/**
 * After a day the server shows its certificate again: a key that was withdrawn, or expired, must not live on in tickets that
 * each resumption renews. A certificate that ends sooner ends this, too. RFC 8446 §4.6.1 allows a ticket seven days.
 */
const PROOF_MS_MAX = 86_400_000;
/**
 * Queries that wait on a connection from which on an acknowledgement waits for the next one, and for how long at most. Of a hundred clients with one
 * query each it makes a tenth of the front end's work less, and a query a fifth of a millisecond longer.
 */
const BUSY_PENDING = 8;
const ACKNOWLEDGE_BUSY_MS = 1;
/** Timers of a busy process come late by much less. */
const SLEEP_MS = 30_000;
