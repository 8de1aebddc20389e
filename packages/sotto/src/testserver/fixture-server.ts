/** One fixture on its ports: UDP and TCP on one, TLS on another. What it does can be changed while it runs. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { type Clock, DnsError, type Timer } from "@sotto/dns/runtime";
import { askFastOpen, synDataReader } from "@sotto/dns/runtime/node";
import { MessageView } from "@sotto/dns/wire";
import type { Answers } from "./answers.ts";
import { type Behaviour, combineBehaviours, type End } from "./behaviour.ts";
import { startExactTimer } from "./exact-timer.ts";
import type { Fixture, Transport } from "./fixture.ts";
import { makeReply } from "./make-reply.ts";
import { behaviourOfName } from "./name-switches.ts";
import type { Observations, Observed } from "./observations.ts";
import { StreamSession } from "./stream-session.ts";
import { startTls, type TlsShared } from "./tls-side.ts";
import { openUnacceptedPort } from "./unaccepted-port.ts";
import { tcpWire, tlsWire, type Wire } from "./wire-end.ts";

/** What all fixtures of a server share. */
export interface FixtureShared extends TlsShared {
  readonly clock: Clock;
  readonly answers: Answers;
  readonly observations: Observations;
  readonly fixtureOf: (name: string) => Fixture | undefined;
  /** Open connections of the whole server. */
  readonly connections: Map<number, (how: End) => void>;
}

/** Where a fixture is. */
export interface FixturePlace {
  readonly transport: Transport;
  readonly address: string;
  readonly port: number;
}

export class FixtureServer {
  readonly fixture: Fixture;
  readonly places: FixturePlace[] = [];
  /** What became of the wish for Fast Open; undefined: none was made. */
  fastOpen: string | undefined;
  readonly #address: string;
  readonly #shared: FixtureShared;
  #behaviour: Behaviour;
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<Timer>();
  readonly #udpClients = new Map<string, Observed>();
  #synData: ((fd: number) => boolean | undefined) | undefined;

  private constructor(fixture: Fixture, address: string, shared: FixtureShared) {
    this.fixture = fixture;
    this.#behaviour = fixture.behaviour;
    this.#address = address;
    this.#shared = shared;
  }

  /** Opens its ports; 0 for free ones. Rejects with ERR_ADDRESS_IN_USE or ERR_SYSTEM, and nothing open. */
  static async open(
    fixture: Fixture,
    at: { readonly address: string; readonly port: number; readonly tlsPort: number },
    shared: FixtureShared,
  ): Promise<FixtureServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new FixtureServer(fixture, at.address, shared);
      try {
        server.#synData = await synDataReader();
        await server.#open(at.port, at.tlsPort);
        return server;
      } catch (error) {
        await server.close();
        // The system chooses a port that is free for TCP, and UDP may find it taken.
        if (at.port !== 0 || attempt >= PORT_ATTEMPTS_MAX || !DnsError.is(error, "ERR_ADDRESS_IN_USE"))
          throw error;
      }
    }
  }

  async #open(port: number, tlsPort: number): Promise<void> {
    const { transports } = this.fixture;
    const special = this.fixture.behaviour.connection?.port;
    if (special !== undefined) {
      await this.#openSpecial(special, port);
      return;
    }
    let shared = port;
    if (transports.includes("tcp")) shared = await this.#listen("tcp", port);
    if (transports.includes("udp")) await this.#bind(shared);
    if (transports.includes("tls")) await this.#listen("tls", tlsPort);
  }

  async #openSpecial(special: "closed" | "drops-syn", port: number): Promise<void> {
    if (special === "drops-syn") {
      const unaccepted = await openUnacceptedPort(this.#address, port, this.#shared.clock);
      this.#closers.push(() => unaccepted.close());
      this.places.push({ transport: "tcp", address: this.#address, port: unaccepted.port });
      return;
    }
    // Opened once to know a port that is free, and closed again.
    const server = createServer();
    const free = await listen(server, this.#address, port);
    await closeServer(server);
    this.places.push({ transport: "tcp", address: this.#address, port: free });
  }

  /** Behaves otherwise for new connections and queries; undefined: as the catalogue says. */
  behaveAs(behaviour: Behaviour | undefined): void {
    this.#behaviour = behaviour ?? this.fixture.behaviour;
  }

  async #listen(transport: "tcp" | "tls", port: number): Promise<number> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket, transport),
    );
    // Opened first, because a failure leaves nothing to close.
    const local = await listen(server, this.#address, port);
    this.#closers.push(() => closeServer(server));
    if (this.fixture.behaviour.connection?.fastOpen === true)
      this.fastOpen = await askFastOpen(server, FAST_OPEN_QUEUE);
    this.places.push({ transport, address: this.#address, port: local });
    return local;
  }

  async #bind(port: number): Promise<void> {
    const socket = createSocket({ type: this.#address.includes(":") ? "udp6" : "udp4" });
    await new Promise<void>((resolve, reject) => {
      // Kept: answers to clients that are gone come back as errors.
      socket.on("error", (cause) => reject(cannotOpen("udp", this.#address, port, cause)));
      socket.bind(port, this.#address, () => resolve());
    });
    socket.on("message", (octets, from) => this.#datagram(socket, octets, from));
    this.#closers.push(() => new Promise((resolve) => socket.close(() => resolve())));
    this.places.push({ transport: "udp", address: this.#address, port: socket.address().port });
  }

  #accept(socket: Socket, transport: "tcp" | "tls"): void {
    const { observations, connections } = this.#shared;
    const client = endpointText(socket.remoteAddress ?? "?", socket.remotePort ?? 0);
    const observed = observations.open(this.fixture.name, transport, client, this.#fastOpenOf(socket));
    observed.note("own", "accepted");
    const behaviour = this.#behaviour;
    this.#sockets.add(socket);
    let session: StreamSession | undefined;
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET") observed.end("client-rst");
      else observed.note("own", `error: ${error.code ?? error.message}`);
    });
    socket.on("end", () => observed.end("client-fin"));
    socket.on("close", () => {
      this.#sockets.delete(socket);
      connections.delete(observed.id);
      session?.closed();
      observed.end("server");
    });
    const { connectionsMax = Number.POSITIVE_INFINITY, atAccept } = behaviour.connection ?? {};
    // Some are gone already, and have not said so yet.
    const open = [...this.#sockets].filter(({ destroyed }) => !destroyed).length;
    const isTooMany = open > connectionsMax || connections.size >= CONNECTIONS_MAX;
    const end = isTooMany ? "fin" : atAccept;
    connections.set(observed.id, (how) =>
      session === undefined ? endSocket(socket, how, observed) : session.end(how),
    );
    if (end !== undefined) {
      endSocket(socket, end, observed);
      // Read to its end, so that it goes with its client and takes no place any more.
      if (end !== "silence") socket.resume();
      return;
    }
    const begin = (wire: Wire): StreamSession => {
      session = this.#startSession(wire, transport, behaviour, observed);
      return session;
    };
    this.#speak(socket, transport, behaviour, observed, begin);
  }

  /** What follows TCP: DNS at once, or TLS first, or neither. */
  #speak(
    socket: Socket,
    transport: "tcp" | "tls",
    behaviour: Behaviour,
    observed: Observed,
    begin: (wire: Wire) => StreamSession,
  ): void {
    const tls = behaviour.tls ?? {};
    if (transport === "tcp" || tls.instead === "cleartext") {
      const session = begin(tcpWire(socket));
      socket.on("data", (octets: Buffer) => session.receive(octets));
      socket.on("end", () => session.clientEnded());
      return;
    }
    if (tls.instead !== undefined) {
      const octets = tls.instead === "http" ? Buffer.from(HTTP_REPLY) : HANDSHAKE_FAILURE;
      socket.once("data", () => {
        observed.note("out", tls.instead ?? "", octets.length);
        observed.end("server");
        socket.end(octets);
      });
      socket.on("data", () => undefined);
      return;
    }
    startTls(socket, tls, this.#shared, observed, (secure, gate) => {
      const session = begin(tlsWire(secure, gate));
      secure.on("data", (octets: Buffer) => session.receive(octets));
      secure.on("end", () => session.clientEnded());
      secure.on("error", () => session.closed());
    });
  }

  #startSession(wire: Wire, transport: Transport, behaviour: Behaviour, observed: Observed): StreamSession {
    const { answers, clock } = this.#shared;
    return new StreamSession(wire, {
      transport,
      behaviour,
      answers,
      behaviourOf: (view) => this.#named(view),
      observed,
      clock,
    });
  }

  #named(view: MessageView): Behaviour {
    return behaviourOfName(view.qname, this.#shared.fixtureOf);
  }

  #datagram(socket: UdpSocket, octets: Uint8Array, from: RemoteInfo): void {
    const { answers, clock } = this.#shared;
    const observed = this.#udpClient(endpointText(from.address, from.port));
    const view = new MessageView();
    const problem = view.reset(octets.slice());
    observed.noteQuery(view, problem, 0);
    const named = problem === undefined ? this.#named(view) : {};
    const behaviour = combineBehaviours(this.#behaviour, named).reply ?? {};
    const messages = makeReply(view, answers.answer(view, problem), behaviour, {
      transport: "udp",
      answersBefore: observed.answers,
      idleMs: 0,
      lastReply: undefined,
    });
    if (messages.length === 0) observed.note("own", "no reply");
    const send = (): void => {
      for (const message of messages) {
        observed.noteAnswer(message.length);
        // The client may be gone, and a datagram may be too long for the system: nobody is to be told.
        socket.send(message, from.port, from.address, () => undefined);
      }
    };
    if (behaviour.delayMs === undefined || behaviour.delayMs === 0) send();
    else if (this.#timers.size < DELAYED_DATAGRAMS_MAX) {
      const timer = startExactTimer(clock, "testserver-delay", behaviour.delayMs, () => {
        this.#timers.delete(timer);
        send();
      });
      this.#timers.add(timer);
    } else observed.note("own", "no reply: too many are delayed");
  }

  /** Queries from one port are one record. */
  #udpClient(client: string): Observed {
    const known = this.#udpClients.get(client);
    if (known !== undefined) return known;
    const [oldest] = this.#udpClients.keys();
    if (this.#udpClients.size >= UDP_CLIENTS_MAX && oldest !== undefined) this.#udpClients.delete(oldest);
    const observed = this.#shared.observations.open(this.fixture.name, "udp", client, undefined);
    this.#udpClients.set(client, observed);
    return observed;
  }

  /** Forgets who is who over UDP. */
  forgetClients(): void {
    this.#udpClients.clear();
  }

  #fastOpenOf(socket: Socket): boolean | undefined {
    const handle: unknown = Reflect.get(socket, "_handle");
    const fd: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : undefined;
    return typeof fd === "number" && fd >= 0 ? this.#synData?.(fd) : undefined;
  }

  /** Ends all connections, gives the ports back, and waits until both are gone, with all that was still to be said. */
  async close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    // A listener's end does not wait for its connections to have told theirs.
    const gone = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([...gone, ...this.#closers.splice(0).map((close) => close())]);
  }
}

function endpointText(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Before there is a session. */
function endSocket(socket: Socket, how: End, observed: Observed): void {
  // Read on, or the client's end is never seen.
  socket.resume();
  socket.on("end", () => socket.end());
  if (how === "silence") {
    observed.note("own", "silence");
    return;
  }
  observed.end("server");
  tcpWire(socket).end(how);
}

function listen(server: Server, address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    // Kept: an error of accepting later must not end the program.
    server.on("error", (cause) => reject(cannotOpen("tcp", address, port, cause)));
    server.listen(port, address, () => {
      const local = server.address();
      resolve(typeof local === "object" && local !== null ? local.port : port);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function cannotOpen(
  transport: string,
  address: string,
  port: number,
  cause: NodeJS.ErrnoException,
): DnsError {
  const isTaken = cause.code === "EADDRINUSE";
  return new DnsError(
    isTaken ? "ERR_ADDRESS_IN_USE" : "ERR_SYSTEM",
    `cannot listen on ${address} port ${port} (${transport}): ${cause.code ?? cause.message}; another range: --port-base PORT`,
    { cause },
  );
}

/** Open connections of all fixtures together; more are closed after they were accepted. */
const CONNECTIONS_MAX = 1000;
/** Clients told apart over UDP by each fixture, the latest. */
const UDP_CLIENTS_MAX = 200;
const DELAYED_DATAGRAMS_MAX = 1000;
const PORT_ATTEMPTS_MAX = 20;
const FAST_OPEN_QUEUE = 16;
const HTTP_REPLY = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/** A fatal alert of TLS 1.2's record layer, handshake_failure (RFC 8446 §6). */
const HANDSHAKE_FAILURE = Uint8Array.of(21, 3, 3, 0, 2, 2, 40);
