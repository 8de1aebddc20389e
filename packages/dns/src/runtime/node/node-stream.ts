/** A `ByteStream` over one of Node's sockets, clear or TLS. */
import type { Socket } from "node:net";
import type { ByteStream, ChannelSecurity, Endpoint, StreamHandlers } from "../network.ts";
import type { Acknowledge } from "./prompt-acknowledgement.ts";
import { readShared } from "./shared-reads.ts";
import { endpointText, toDnsError } from "./system-problem.ts";

const NO_HANDLERS: StreamHandlers = {
  onData: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
  onDrain: () => undefined,
};

/** What the system can do for a socket beyond what Node knows. */
export interface StreamTools {
  /** Whether data went with the SYN. Undefined: nobody asked for it. */
  readonly readFastOpen: (() => boolean | undefined) | undefined;
  /** For {@link ByteStream.acknowledge}. Undefined: nobody asked for it, or it cannot be had. */
  readonly acknowledge: Acknowledge | undefined;
}

const NO_TOOLS: StreamTools = { readFastOpen: undefined, acknowledge: undefined };

/** Where a socket has its stream. */
const STREAM = Symbol("stream");
type StreamSocket = Socket & { [STREAM]?: NodeStream };

/** The socket must be connected (and its handshake done), paused, and allow half-open connections. */
export class NodeStream implements ByteStream {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly security: ChannelSecurity | undefined;
  readonly #socket: Socket;
  readonly #tools: StreamTools;
  #handlers: StreamHandlers = NO_HANDLERS;
  #problem: Error | undefined = undefined;
  /** Tickets that came before there were handlers. */
  #sessions: Uint8Array[] = [];

  /** `ends` are given by listeners, which know them already; a proxy may have told others than the socket has. */
  constructor(
    socket: Socket,
    security: ChannelSecurity | undefined,
    ends?: { readonly local: Endpoint; readonly remote: Endpoint },
    tools: StreamTools = NO_TOOLS,
  ) {
    this.#socket = socket;
    this.security = security;
    this.#tools = tools;
    this.local = ends?.local ?? { address: socket.localAddress ?? "", port: socket.localPort ?? 0 };
    this.remote = ends?.remote ?? {
      address: plainAddress(socket.remoteAddress ?? ""),
      port: socket.remotePort ?? 0,
    };
    Reflect.set(socket, STREAM, this);
    socket.on("error", onError);
    // Clients get tickets; servers give them.
    if (ends === undefined)
      socket.on("session", (session: Buffer) => {
        if (this.#handlers === NO_HANDLERS) this.#sessions.push(session);
        else this.#handlers.onSession?.(session);
      });
  }

  // What the socket tells.

  failed(problem: Error): void {
    const what = `connection with ${endpointText(this.remote)}`;
    this.#problem = toDnsError(problem, what, "query", "ERR_CONNECTION_LOST");
    // After a record that cannot be read OpenSSL has sent its alert, and Node leaves the connection as it is: RFC 8446
    // §6.2 wants it closed at once.
    this.#socket.destroy();
  }

  received(octets: Uint8Array): void {
    this.#handlers.onData(octets);
  }

  peerEnded(): void {
    this.#handlers.onEnd();
  }

  drained(): void {
    this.#handlers.onDrain();
  }

  closed(): void {
    this.#handlers.onClose(this.#problem);
  }

  get bufferedOctets(): number {
    return this.#socket.writableLength;
  }

  get fastOpen(): "used" | "not used" | undefined {
    const wasUsed = this.#tools.readFastOpen?.();
    return wasUsed === undefined ? undefined : wasUsed ? "used" : "not used";
  }

  setHandlers(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    const socket = this.#socket;
    if (!readShared(socket, onData)) socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("drain", onDrain);
    socket.on("close", onClose);
    for (const session of this.#sessions) handlers.onSession?.(session);
    this.#sessions = [];
    // A socket that died between its handshake and this call has emitted its events already.
    if (socket.destroyed) queueMicrotask(() => handlers.onClose(this.#problem));
    else socket.resume();
  }

  write(octets: Uint8Array): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true;
    return this.#socket.write(octets);
  }

  end(): void {
    if (!this.#socket.destroyed && !this.#socket.writableEnded) this.#socket.end();
  }

  reset(): void {
    if (this.#socket.destroyed) return;
    // Node resets plain TCP handles only and throws for TLS: there the missing close_notify tells the peer. After a FIN
    // libuv refuses a reset, and Node would keep the descriptor for ever.
    if (this.security === undefined && !this.#socket.writableEnded) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  acknowledge(): void {
    this.#tools.acknowledge?.(this.#socket);
  }

  setBackground(isBackground: boolean): void {
    if (isBackground) this.#socket.unref();
    else this.#socket.ref();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

/** IPv4 clients of a listener for both families appear as `::ffff:192.0.2.1`. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

// One function each for all sockets, called with the socket as `this`: closures for each socket would outweigh the rest.

function onError(this: StreamSocket, problem: Error): void {
  this[STREAM]?.failed(problem);
}

function onData(this: StreamSocket, octets: Uint8Array): void {
  this[STREAM]?.received(octets);
}

function onEnd(this: StreamSocket): void {
  this[STREAM]?.peerEnded();
}

function onDrain(this: StreamSocket): void {
  this[STREAM]?.drained();
}

function onClose(this: StreamSocket): void {
  this[STREAM]?.closed();
}
