/** Listening sockets, clear and TLS, with PROXY headers and TCP Fast Open. */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { DnsError } from "../dns-error.ts";
import type {
  ChannelSecurity,
  Endpoint,
  ListenerChange,
  ListenHandlers,
  ListenOptions,
  PendingConnection,
  StreamListener,
} from "../network.ts";
import type { AcceptedConnections } from "./accepted-connections.ts";
import type { AcceptedTls, HandshakeEvents } from "./accepted-tls.ts";
import { askFastOpen } from "./fast-open.ts";
import { readPeerChain } from "./node-certificate.ts";
import { NodeStream, plainAddress } from "./node-stream.ts";
import { TICKET_KEYS_OCTETS, TlsAcceptor } from "./node-tls-server.ts";
import { PacedQueue } from "./paced-queue.ts";
import { readProxyPreamble } from "./proxy-preamble.ts";
import { duplicateDescriptor } from "./system-calls.ts";
import { endpointText, handshakeProblem, toDnsError, unreadable } from "./system-problem.ts";
import { keepLastWriteApart } from "./tls-records.ts";

/** Connections that wait for accept; the kernel caps it at net.core.somaxconn. */
const BACKLOG = 4096;
/** Each takes a third of a millisecond, in which nobody else is answered. */
const HANDSHAKES_PER_TURN = 2;

/**
 * Opens a listener; rejects when the address cannot be had or certificate and key do not fit. `accepted` lets connections go to
 * other threads and come from them.
 */
export function openListener(
  options: ListenOptions,
  handlers: ListenHandlers,
  accepted?: AcceptedConnections<Socket>,
): Promise<StreamListener> {
  return openSocketListener(
    options,
    handlers,
    (socket, security, ends, pending) => {
      if (security !== undefined) keepLastWriteApart(socket);
      handlers.onStream(new NodeStream(socket, security, ends), pending);
    },
    accepted,
  );
}

/** Takes a socket whose handshake is done. What it has read already is in it, and it is not flowing. */
export type SocketTaker = (
  socket: Socket,
  security: ChannelSecurity | undefined,
  ends: { readonly local: Endpoint; readonly remote: Endpoint },
  pending: PendingConnection | undefined,
) => void;

/** As {@link openListener}, for whoever makes something else than a stream of a socket. */
export async function openSocketListener(
  options: ListenOptions,
  handlers: ArrivalHandlers,
  take: SocketTaker,
  accepted: AcceptedConnections<Socket> | undefined,
): Promise<StreamListener> {
  const listener = new NodeListener(options, handlers, take, accepted);
  await listener.open();
  return listener;
}

type ArrivalHandlers = Pick<ListenHandlers, "onConnection" | "onFailure">;

/** A connection between accept and stream. */
class Arriving implements HandshakeEvents {
  readonly pending: PendingConnection | undefined;
  readonly remote: Endpoint;
  /** Whom the proxy speaks for, when one does. */
  source: Endpoint | undefined = undefined;
  destination: Endpoint | undefined = undefined;
  /** It has become a stream, or failed and that has been told. */
  isSettled = false;
  /** Somebody hears of errors and of the end of its socket. */
  isWatched = false;
  readonly #listener: ArrivalEvents;
  readonly #acceptor: TlsAcceptor | undefined;

  constructor(
    pending: PendingConnection | undefined,
    remote: Endpoint,
    acceptor: TlsAcceptor | undefined,
    listener: ArrivalEvents,
  ) {
    this.pending = pending;
    this.remote = remote;
    this.#acceptor = acceptor;
    this.#listener = listener;
  }

  /** With what the listener had when the connection came. */
  shakeHands(socket: Socket): void {
    this.#acceptor?.accept(socket, this);
  }

  onSecure(socket: AcceptedTls): void {
    this.#acceptor?.ended(socket);
    this.#listener.secured(socket, this);
  }

  onFailed(socket: AcceptedTls, problem: Error | undefined): void {
    this.#acceptor?.ended(socket);
    this.#listener.fail(this, "handshake", problem === undefined ? clientGone() : handshakeProblem(problem));
  }
}

/** What a listener does with them. */
interface ArrivalEvents {
  secured(socket: AcceptedTls, arriving: Arriving): void;
  fail(arriving: Arriving, stage: "proxy" | "handshake", problem: Error): void;
}

class NodeListener implements StreamListener, ArrivalEvents {
  #options: ListenOptions;
  readonly #handlers: ArrivalHandlers;
  readonly #take: SocketTaker;
  readonly #accepted: AcceptedConnections<Socket> | undefined;
  #leavePlace: (() => void) | undefined = undefined;
  readonly #server: Server;
  #acceptor: TlsAcceptor | undefined;
  local: Endpoint;
  #isOnAll = true;
  fastOpen = "off";
  /** A flood of handshakes must not stop those who are served already. */
  readonly #handshakes = new PacedQueue<{ socket: Socket; arriving: Arriving }>(
    HANDSHAKES_PER_TURN,
    ({ socket, arriving }) => this.#shakeHands(socket, arriving),
  );

  constructor(
    options: ListenOptions,
    handlers: ArrivalHandlers,
    take: SocketTaker,
    accepted: AcceptedConnections<Socket> | undefined,
  ) {
    this.#options = options;
    this.#take = take;
    this.#accepted = accepted;
    this.local = options.local;
    this.#handlers = handlers;
    this.#acceptor = this.#makeAcceptor(undefined);
    this.#server = createServer(
      // A TLS server reads by itself; all others are read when somebody is there to be told.
      { allowHalfOpen: true, noDelay: true, pauseOnConnect: options.tls === undefined },
      (socket) => {
        if (this.#accepted?.isGiven(socket, this.local) !== true) this.#accept(socket);
      },
    );
  }

  async open(): Promise<void> {
    const { local, fastOpenQueue = 0 } = this.#options;
    const what = `listening on ${endpointText(local)}`;
    const place = await this.#place();
    await new Promise<void>((resolve, reject) => {
      const onError = (problem: Error): void => reject(toDnsError(problem, what, "listen"));
      this.#server.once("error", onError);
      this.#server.listen({ ...place, backlog: BACKLOG }, () => {
        this.#server.off("error", onError);
        resolve();
      });
    });
    const address = this.#server.address() as AddressInfo; // A listening server on an IP address has one.
    this.local = { address: address.address, port: address.port };
    this.#isOnAll = address.address === "0.0.0.0" || address.address === "::";
    this.#server.on("error", (problem) =>
      this.#handlers.onFailure(
        undefined,
        "accept",
        toDnsError(problem, `listener on ${endpointText(local)}`, "listen"),
        undefined,
      ),
    );
    this.#leavePlace = this.#accepted?.opened(this.local, (socket) => {
      if (this.#options.tls === undefined) socket.pause();
      this.#accept(socket);
    });
    if (fastOpenQueue > 0) this.fastOpen = await askFastOpen(this.#server, fastOpenQueue);
  }

  /** Where to listen, or the socket that somebody else has bound; Node closes our descriptor of it. */
  async #place(): Promise<
    { fd: number } | { host: string; port: number; reusePort: boolean; ipv6Only: boolean }
  > {
    const { local, reusePort, inheritedFd } = this.#options;
    if (inheritedFd !== undefined) return { fd: await duplicateDescriptor(inheritedFd) };
    return { host: local.address, port: local.port, reusePort, ipv6Only: local.address.includes(":") };
  }

  #accept(socket: Socket): void {
    const remote = { address: plainAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    const pending = this.#handlers.onConnection?.(remote);
    if (this.#handlers.onConnection !== undefined && pending === undefined) {
      refuse(socket);
      return;
    }
    const arriving = new Arriving(pending, remote, this.#acceptor, this);
    const { proxy, tls } = this.#options;
    const isEarly =
      proxy !== undefined &&
      proxy.place !== "http header" &&
      (tls === undefined || proxy.place === "before tls");
    if (isEarly && proxy.isTrusted(remote.address))
      this.#readHeader(socket, arriving, () => this.#begin(socket, arriving));
    else this.#begin(socket, arriving);
  }

  /** For a socket that stays what it is for longer than this turn. */
  #watch(socket: Socket, arriving: Arriving): void {
    if (arriving.isWatched) return;
    arriving.isWatched = true;
    socket.on("close", () => this.#lost(arriving));
    // Until a stream takes over; what it means is told by `close`.
    socket.on("error", ignore);
  }

  #lost(arriving: Arriving): void {
    // Nearly all have long become streams; an error is dear to make.
    if (arriving.isSettled) return;
    this.fail(arriving, "handshake", clientGone());
  }

  /** Clear TCP is a stream now; TLS begins its handshake. */
  #begin(socket: Socket, arriving: Arriving): void {
    if (this.#acceptor === undefined) {
      // Whoever takes it may have nobody for errors in between.
      socket.on("error", ignore);
      this.#deliver(socket, arriving, undefined);
      return;
    }
    if (!this.#handshakes.hasRoom) this.#watch(socket, arriving);
    this.#handshakes.add({ socket, arriving });
  }

  #shakeHands(socket: Socket, arriving: Arriving): void {
    if (arriving.isSettled || socket.destroyed) return;
    arriving.shakeHands(socket);
  }

  #readHeader(socket: Socket, arriving: Arriving, then: () => void): void {
    this.#watch(socket, arriving);
    readProxyPreamble(socket, this.#options.handshakeTimeoutMs, (result) => {
      if (arriving.isSettled) return;
      if (result instanceof Error) {
        this.fail(arriving, "proxy", result);
        refuse(socket);
        return;
      }
      if (result.kind === "proxied") {
        arriving.source = result.source;
        arriving.destination = result.destination;
      }
      if (arriving.pending?.onProxied(arriving.source ?? arriving.remote) === false) {
        this.fail(arriving, "proxy", new DnsError("ERR_QUOTA_EXCEEDED", "its client is over a limit"));
        refuse(socket);
        return;
      }
      then();
    });
  }

  #deliver(socket: Socket, arriving: Arriving, security: ChannelSecurity | undefined): void {
    if (arriving.isSettled) return;
    arriving.isSettled = true;
    const { source, destination, pending, remote } = arriving;
    const ends =
      source === undefined || destination === undefined
        ? { remote, local: this.#localOf(socket) }
        : { remote: source, local: destination };
    this.#take(socket, security, ends, pending);
  }

  /** The system is asked only where it knows more than we do. */
  #localOf(socket: Socket): Endpoint {
    if (!this.#isOnAll) return this.local;
    return { address: plainAddress(socket.localAddress ?? ""), port: socket.localPort ?? 0 };
  }

  fail(arriving: Arriving, stage: "proxy" | "handshake", problem: Error): void {
    if (arriving.isSettled) return;
    arriving.isSettled = true;
    this.#handlers.onFailure(arriving.source ?? arriving.remote, stage, problem, arriving.pending);
  }

  #makeAcceptor(ticketKeys: Uint8Array | undefined): TlsAcceptor | undefined {
    const { tls, handshakeTimeoutMs } = this.#options;
    return tls && new TlsAcceptor(tls, handshakeTimeoutMs, ticketKeys);
  }

  secured(socket: AcceptedTls, arriving: Arriving): void {
    if (arriving.isSettled) {
      socket.destroy();
      return;
    }
    let security: ChannelSecurity;
    try {
      security = new ServerSecurity(socket, this.#options.tls?.clientAuthoritiesPem !== undefined);
    } catch (problem) {
      this.fail(arriving, "handshake", unreadable("TLS handshake", problem));
      socket.destroy();
      return;
    }
    const { proxy } = this.#options;
    // Nothing is lost until somebody listens: a socket begins to flow with its first listener.
    if (proxy?.place === "inside tls" && proxy.isTrusted(arriving.remote.address)) {
      socket.pause();
      this.#readHeader(socket, arriving, () => this.#deliver(socket, arriving, security));
    } else this.#deliver(socket, arriving, security);
  }

  change(options: ListenerChange): void {
    const before = this.#options;
    if ((before.tls === undefined) !== (options.tls === undefined))
      throw new DnsError(
        "ERR_CONFIG",
        `${endpointText(this.local)} cannot begin or end TLS while it is open`,
        {
          stage: "listen",
        },
      );
    // Clients resume across the change; handshakes under way end with what they began with.
    const ticketKeys = this.#acceptor?.ticketKeys;
    this.#options = { ...before, ...options };
    try {
      this.#acceptor = this.#makeAcceptor(ticketKeys);
    } catch (problem) {
      this.#options = before;
      throw problem;
    }
  }

  setTicketKeys(keys: Uint8Array): void {
    if (keys.length !== TICKET_KEYS_OCTETS)
      throw new DnsError("ERR_CONFIG", `ticket keys have ${TICKET_KEYS_OCTETS} octets, not ${keys.length}`);
    this.#acceptor?.setTicketKeys(keys);
  }

  close(): Promise<void> {
    this.#leavePlace?.();
    // Accepting ends with the call; waiting for the callback would wait for open connections, which have other owners.
    return new Promise((resolve) => {
      this.#server.close();
      resolve();
    });
  }
}

/** What a handshake established, seen from the server. What nobody may ask for is read when somebody does. */
class ServerSecurity implements ChannelSecurity {
  readonly resumed: boolean;
  readonly serverName: string | undefined;
  readonly alpn: string | undefined;
  readonly peerChain: ChannelSecurity["peerChain"];
  readonly chainProblem: string | undefined;
  /** Node tells it to clients only. */
  readonly group: string | undefined = undefined;
  readonly #socket: AcceptedTls;

  /** Throws what Node throws over a client certificate that it cannot read. */
  constructor(socket: AcceptedTls, asksCertificate: boolean) {
    this.#socket = socket;
    this.resumed = socket.isSessionReused();
    const serverName: unknown = "servername" in socket ? socket.servername : undefined;
    this.serverName = typeof serverName === "string" ? serverName : undefined;
    this.alpn = typeof socket.alpnProtocol === "string" ? socket.alpnProtocol : undefined;
    // A server finds the client's certificate in its own ticket, so that a resumed session has it too.
    this.peerChain = asksCertificate ? readPeerChain(socket) : [];
    this.chainProblem = asksCertificate ? socket.certificateProblem : "no client certificate";
  }

  /** `unknown` once the connection is gone. */
  get protocol(): string {
    return this.#socket.getProtocol() ?? "unknown";
  }

  /** `unknown` once the connection is gone. */
  get cipher(): string {
    const cipher: { standardName: string } | null | undefined = this.#socket.getCipher();
    return cipher?.standardName ?? "unknown";
  }
}

function clientGone(): DnsError {
  return new DnsError("ERR_CONNECTION_LOST", "the client closed the connection");
}

function refuse(socket: Socket): void {
  socket.on("error", ignore);
  // Node resets plain TCP sockets only.
  if ("getProtocol" in socket) socket.destroy();
  else socket.resetAndDestroy();
}

function ignore(): void {}
