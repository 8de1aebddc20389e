/** Sessions of HTTP/1.1 (RFC 9112) on sockets whose handshake is done: `node:http`, whose server never listens and has no timers. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { DnsError } from "../dns-error.ts";
import type { HttpExchange, HttpFieldName, HttpLimits, HttpSession, HttpSessionHandlers } from "../http.ts";
import type { ChannelSecurity, Endpoint } from "../network.ts";
import { FIELDS_MAX, joinedField, NodeHttpExchange } from "./http-exchange.ts";
import { toDnsError } from "./system-problem.ts";

/** One for all connections of a listener. */
export class Http1Server {
  readonly #server: Server;
  readonly #limits: HttpLimits;
  readonly #sessions = new WeakMap<Duplex, Http1Session>();

  constructor(limits: HttpLimits) {
    this.#limits = limits;
    const server = createServer({ maxHeaderSize: limits.headerOctetsMax });
    this.#server = server;
    server.maxHeadersCount = FIELDS_MAX;
    // Sessions are timed by their owner.
    server.keepAliveTimeout = 0;
    server.headersTimeout = 0;
    server.requestTimeout = 0;
    server.timeout = 0;
    // Not in its types: a client that has sent all its requests still gets its answers (RFC 9112 §9.6).
    Reflect.set(server, "httpAllowHalfOpen", true);
    server.on("request", (request, response) => {
      const session = this.#sessions.get(request.socket);
      if (session === undefined) response.destroy();
      else session.take(request, response);
    });
    server.on("clientError", (problem, socket) => {
      const session = this.#sessions.get(socket);
      if (session === undefined) socket.destroy();
      else session.refuse(problem);
    });
  }

  sessionOn(
    socket: Socket,
    security: ChannelSecurity | undefined,
    ends: { readonly local: Endpoint; readonly remote: Endpoint },
  ): HttpSession {
    const start = (): void => void this.#server.emit("connection", socket);
    const session = new Http1Session(socket, security, ends, this.#limits, start);
    this.#sessions.set(socket, session);
    return session;
  }
}

class Http1Session implements HttpSession {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly security: ChannelSecurity | undefined;
  readonly limits: HttpLimits;
  partialOctets = 0;
  unsentOctets = 0;
  /** The client shall go after its answers. */
  isLeaving = false;
  /** The latest request, whose answer goes last. */
  newest: HttpExchange | undefined = undefined;
  readonly #socket: Socket;
  readonly #start: () => void;
  #handlers: HttpSessionHandlers | undefined = undefined;
  /** Requests whose answer has not gone yet, in order; their owner limits them. */
  readonly open = new Set<Http1Exchange>();
  #isPaused = false;
  #isEnded = false;
  #requestsAfterEnd = 0;
  #problem: Error | undefined = undefined;

  constructor(
    socket: Socket,
    security: ChannelSecurity | undefined,
    ends: { readonly local: Endpoint; readonly remote: Endpoint },
    limits: HttpLimits,
    start: () => void,
  ) {
    this.#socket = socket;
    this.security = security;
    this.local = ends.local;
    this.remote = ends.remote;
    this.limits = limits;
    this.#start = start;
  }

  setHandlers(handlers: HttpSessionHandlers): void {
    this.#handlers = handlers;
    const socket = this.#socket;
    socket.on("close", () => handlers.onClose(this.#problem));
    if (socket.destroyed) {
      queueMicrotask(() => handlers.onClose(this.#problem));
      return;
    }
    socket.on("end", () => handlers.onEnd());
    this.#start();
    // Node reads on after every request and every body, whoever has paused the socket.
    socket.on("resume", () => {
      if (this.#isPaused) socket.pause();
    });
    socket.resume();
  }

  get isHeldUp(): boolean {
    for (const first of this.open) return !first.isSettled;
    return false;
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    if (this.#handlers === undefined) return;
    // Each is held by Node until the connection is gone.
    if (this.#isEnded && ++this.#requestsAfterEnd > REQUESTS_AFTER_END_MAX) {
      this.reset();
      return;
    }
    const exchange = new Http1Exchange(this, this.#handlers, request, response);
    this.newest = exchange;
    exchange.begin();
  }

  /** What came is no request, or the connection broke. */
  refuse(problem: Error): void {
    const socket = this.#socket;
    const code = String(Reflect.get(problem, "code"));
    if (!code.startsWith("HPE_")) {
      this.#problem = toDnsError(problem, "HTTP/1.1 connection", "query", "ERR_CONNECTION_LOST");
      socket.destroy();
      return;
    }
    this.#problem = new DnsError("ERR_MESSAGE_MALFORMED", `HTTP/1.1: ${problem.message}`, { cause: problem });
    // With answers outstanding the client could take it for one of them.
    if (this.open.size > 0 || !socket.writable) {
      socket.destroy();
      return;
    }
    const status = code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request";
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
      socket.destroy(),
    );
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  /** The next answer says that it is the last (RFC 9112 §9.6). */
  leave(): void {
    this.isLeaving = true;
  }

  end(): void {
    this.#isEnded = true;
    if (!this.#socket.destroyed && !this.#socket.writableEnded) this.#socket.end();
  }

  reset(): void {
    if (this.#socket.destroyed) return;
    // Node resets plain TCP sockets only.
    if (this.security === undefined && !this.#socket.writableEnded) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }
}

class Http1Exchange extends NodeHttpExchange {
  readonly method: string;
  readonly target: string;
  readonly #session: Http1Session;
  readonly #handlers: HttpSessionHandlers;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(
    session: Http1Session,
    handlers: HttpSessionHandlers,
    request: IncomingMessage,
    response: ServerResponse,
  ) {
    super(session, handlers);
    this.#session = session;
    this.#handlers = handlers;
    this.#request = request;
    this.#response = response;
    this.method = request.method ?? "";
    this.target = request.url ?? "";
    session.open.add(this);
    request.on("error", ignore);
    response.on("error", ignore);
    response.on("close", () => {
      session.open.delete(this);
      this.over();
    });
  }

  field(name: HttpFieldName): string | undefined {
    return joinedField(this.#request.headers[name]);
  }

  get isSettled(): boolean {
    return this.#response.headersSent;
  }

  /** Delivers it, after its body when it has one (RFC 9112 §6.3). */
  begin(): void {
    const { headers } = this.#request;
    const declared = headers["content-length"];
    if (Number(declared ?? 0) !== 0 || headers["transfer-encoding"] !== undefined) {
      this.collect(this.#request, this.target.length, declared);
      return;
    }
    // The parser wants to be read to the end.
    this.#request.resume();
    this.#handlers.onRequest(this);
  }

  respond(status: number, fields: Readonly<Record<string, string>>, body: Uint8Array): void {
    const response = this.#response;
    if (response.destroyed || response.headersSent) return;
    this.countUnsent(FIELDS_OCTETS + body.length);
    // What follows on this connection would be the rest of the body.
    if (!this.isWhole) this.#session.leave();
    // Behind an answer that says "close" nothing follows, not even what was asked already.
    if (this.#session.isLeaving && this.#session.newest === this) response.shouldKeepAlive = false;
    response.writeHead(status, fields);
    response.end(body);
  }

  abandon(): void {
    this.#session.reset();
  }
}

function ignore(): void {}

/** Requests that are let pass and thrown away while a connection that we have ended waits for its client to end. */
const REQUESTS_AFTER_END_MAX = 100;
/** About what the fields of an answer take. */
const FIELDS_OCTETS = 160;
