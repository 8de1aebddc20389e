/** Listening TCP sockets, clear and TLS, with PROXY headers and TCP Fast Open. */
import { DnsError } from "../dns-error.ts";
import type { Endpoint, ListenerChange, ListenHandlers, ListenOptions, StreamListener } from "../network.ts";
import type { AcceptedConnections } from "../node/accepted-connections.ts";
import { askFastOpenOn } from "../node/fast-open.ts";
import { TICKET_KEYS_OCTETS } from "../node/node-tls-server.ts";
import { duplicateDescriptor } from "../node/system-calls.ts";
import { endpointText, toDnsError } from "../node/system-problem.ts";
import { Arrival, type ArrivalOwner } from "./arrival.ts";
import { HandshakeQueue } from "./handshake-queue.ts";
import { type NativeLoop, Watch, type Watcher } from "./native-loop.ts";
import type { NativeStream } from "./native-stream.ts";
import { TlsServer } from "./tls-server.ts";
import { Ready } from "./unsafe/event-set.ts";
import { Blocked } from "./unsafe/sockets.ts";

/** A connection that has been accepted and that no thread watches yet: whoever has this owns the descriptor. */
export interface AcceptedDescriptor {
  readonly fd: number;
  readonly remote: Endpoint;
}

/**
 * Opens a listener; rejects when the address cannot be had or certificate and key do not fit. `accepted` lets connections go to
 * other threads and come from them.
 */
export async function openNativeListener(
  loop: NativeLoop,
  options: ListenOptions,
  handlers: ListenHandlers,
  accepted?: AcceptedConnections<AcceptedDescriptor>,
): Promise<StreamListener> {
  const tls = options.tls === undefined ? undefined : new TlsServer(loop, options.tls, undefined);
  try {
    const watch = await openSocket(loop, options);
    const listener = new NativeListener(loop, options, handlers, { watch, tls, accepted });
    const { fastOpenQueue = 0 } = options;
    if (fastOpenQueue > 0) listener.fastOpen = await askFastOpenOn(watch.fd, fastOpenQueue);
    return listener;
  } catch (problem) {
    tls?.release();
    throw problem;
  }
}

async function openSocket(loop: NativeLoop, options: ListenOptions): Promise<Watch> {
  const { local, reusePort, inheritedFd } = options;
  const { sockets } = loop;
  const own = inheritedFd === undefined ? undefined : await duplicateDescriptor(inheritedFd);
  const fd = own ?? sockets.open("tcp", { local, reusePort });
  const isOpen = fd >= 0 && (own === undefined || sockets.adopt(own)) && sockets.listen(fd, BACKLOG);
  if (isOpen) return new Watch(loop, fd, NOBODY);
  const problem = sockets.lastProblem("listen", local);
  if (fd >= 0) sockets.close(fd);
  throw toDnsError(problem, `listening on ${endpointText(local)}`, "listen");
}

interface ListenerParts {
  readonly watch: Watch;
  readonly tls: TlsServer | undefined;
  readonly accepted: AcceptedConnections<AcceptedDescriptor> | undefined;
}

class NativeListener implements StreamListener, Watcher, ArrivalOwner {
  readonly local: Endpoint;
  fastOpen = "off";
  readonly #loop: NativeLoop;
  #options: ListenOptions;
  readonly #handlers: ListenHandlers;
  readonly #watch: Watch;
  /** Undefined on a listener for all addresses: each connection is asked. */
  readonly #localOfAll: Endpoint | undefined;
  readonly #accepted: AcceptedConnections<AcceptedDescriptor> | undefined;
  readonly #leavePlace: (() => void) | undefined;
  #tls: TlsServer | undefined;
  #retry: NodeJS.Timeout | undefined = undefined;
  readonly #handshakes: HandshakeQueue;
  /** Connections to ask for at the next event: most come alone, and asking for one that is not there is dear. */
  #acceptsNext = 1;

  constructor(
    loop: NativeLoop,
    options: ListenOptions,
    handlers: ListenHandlers,
    { watch, tls, accepted }: ListenerParts,
  ) {
    this.#loop = loop;
    this.#handshakes = new HandshakeQueue(loop);
    this.#options = options;
    this.#handlers = handlers;
    this.#watch = watch;
    this.#tls = tls;
    this.#accepted = accepted;
    this.local = loop.sockets.localOf(watch.fd) ?? options.local;
    const isForAll = ["0.0.0.0", "::"].includes(this.local.address);
    this.#localOfAll = isForAll ? undefined : this.local;
    watch.watcher = this;
    if (!watch.want(Ready.In)) {
      watch.close("orderly");
      throw toDnsError(loop.events.problem, `listening on ${endpointText(this.local)}`, "listen");
    }
    loop.events.hold();
    this.#leavePlace = accepted?.opened(this.local, (connection) => this.#accept(connection));
  }

  onReady(): void {
    for (let i = 0; i < this.#acceptsNext && !this.#watch.isClosed; i++) {
      const fd = this.#loop.sockets.accept(this.#watch.fd);
      if (fd >= 0) {
        const connection = { fd, remote: this.#loop.sockets.acceptedFrom() };
        if (this.#accepted?.isGiven(connection, this.local) !== true) this.#accept(connection);
      } else {
        if (fd !== Blocked) this.#acceptFailed();
        this.#acceptsNext = 1;
        return;
      }
    }
    // All were there: the next event tells whether there are more.
    this.#acceptsNext = Math.min(2 * this.#acceptsNext, ACCEPTS_PER_TURN);
  }

  /** Takes the descriptor over: from here it is closed, or has a watch that owns it. */
  #accept({ fd, remote }: AcceptedDescriptor): void {
    const { sockets } = this.#loop;
    const pending = this.#handlers.onConnection?.(remote);
    if (this.#handlers.onConnection !== undefined && pending === undefined) {
      sockets.reset(fd);
      return;
    }
    const local = this.#localOfAll ?? sockets.localOf(fd) ?? this.local;
    const parts = { loop: this.#loop, fd, remote, local, pending, options: this.#options, tls: this.#tls };
    new Arrival(parts, new Watch(this.#loop, fd, NOBODY), this).begin();
  }

  /** What failed is a connection that has gone again, or there are no descriptors left: then nothing is taken for a moment. */
  #acceptFailed(): void {
    const { sockets } = this.#loop;
    if (!sockets.isOutOfDescriptors) return;
    const what = `listener on ${endpointText(this.local)}`;
    const problem = toDnsError(sockets.lastProblem("accept"), what, "listen");
    this.#watch.want(0);
    clearTimeout(this.#retry);
    this.#listenAgainLater();
    this.#handlers.onFailure(undefined, "accept", problem, undefined);
  }

  /** What there was no room for may have none to be watched with, either. */
  #listenAgainLater(): void {
    this.#retry = setTimeout(() => {
      if (!this.#watch.want(Ready.In)) this.#listenAgainLater();
    }, ACCEPT_RETRY_MS);
  }

  /** The contexts of TLS are few, and stay. */
  abandon(): void {
    clearTimeout(this.#retry);
  }

  queueHandshake(arrival: Arrival): void {
    this.#handshakes.add(arrival);
  }

  becameStream(arrival: Arrival, stream: NativeStream): void {
    this.#handlers.onStream(stream, arrival.pending);
  }

  failed(arrival: Arrival, stage: "proxy" | "handshake", problem: Error): void {
    this.#handlers.onFailure(arrival.remote, stage, problem, arrival.pending);
  }

  change(options: ListenerChange): void {
    if (this.#watch.isClosed) return;
    if ((this.#tls === undefined) !== (options.tls === undefined))
      throw new DnsError(
        "ERR_CONFIG",
        `${endpointText(this.local)} cannot begin or end TLS while it is open`,
        { stage: "listen" },
      );
    // Clients resume across the change; handshakes under way end with what they began with.
    if (options.tls !== undefined) {
      const tls = new TlsServer(this.#loop, options.tls, this.#tls?.ticketKeys);
      this.#tls?.release();
      this.#tls = tls;
    }
    this.#options = { ...this.#options, ...options };
  }

  setTicketKeys(keys: Uint8Array): void {
    if (keys.length !== TICKET_KEYS_OCTETS)
      throw new DnsError("ERR_CONFIG", `ticket keys have ${TICKET_KEYS_OCTETS} octets, not ${keys.length}`);
    this.#tls?.setTicketKeys(keys);
  }

  close(): Promise<void> {
    if (this.#watch.isClosed) return Promise.resolve();
    this.#leavePlace?.();
    clearTimeout(this.#retry);
    // The set would keep a socket of which somebody holds a duplicate.
    this.#watch.want(0);
    this.#watch.close("orderly");
    this.#tls?.release();
    this.#loop.events.release();
    return Promise.resolve();
  }
}

const NOBODY: Watcher = { onReady: () => undefined, abandon: () => undefined };
/** Connections that wait for accept; the kernel caps it at net.core.somaxconn. */
const BACKLOG = 4096;
/** New connections before those that are there have their turn. */
const ACCEPTS_PER_TURN = 32;
/** Without descriptors to accept with: others may close theirs. */
const ACCEPT_RETRY_MS = 100;
