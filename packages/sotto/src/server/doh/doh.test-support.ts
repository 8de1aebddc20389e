/** An HTTP connection that is none, with requests made by hand, for the tests of this folder. */
import assert from "node:assert/strict";
import type {
  Endpoint,
  HttpExchange,
  HttpFieldName,
  HttpSession,
  HttpSessionHandlers,
  ProxyOptions,
} from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import {
  Admission,
  type MessageHandler,
  type QueryChannel,
  SERVER_LIMITS_DEFAULT,
  type ServerCloseReason,
  type ServerLimits,
} from "@sotto/dns/transport";
import { queryOctets } from "../queries.test-support.ts";
import { DohProtocol } from "./doh-protocol.ts";
import { DohSession } from "./doh-session.ts";

export const PATH = "/dns-query";

export interface RequestParts {
  readonly method?: string;
  readonly target?: string;
  readonly fields?: Partial<Record<HttpFieldName, string>>;
  readonly body?: Uint8Array;
  readonly isBodyTooLarge?: boolean;
}

/** What was answered. */
export interface FakeResponse {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** One request; who gives it a session counts what it holds there. */
export class FakeExchange implements HttpExchange {
  readonly method: string;
  readonly target: string;
  readonly body: Uint8Array;
  readonly isBodyTooLarge: boolean;
  response: FakeResponse | undefined = undefined;
  isAbandoned = false;
  /** The other side has it, or has given up. */
  isOver = false;
  readonly #fields: Partial<Record<HttpFieldName, string>>;
  readonly #session: FakeHttpSession | undefined;

  constructor(parts: RequestParts = {}, session?: FakeHttpSession) {
    this.method = parts.method ?? "GET";
    this.target = parts.target ?? PATH;
    this.body = parts.body ?? new Uint8Array(0);
    this.isBodyTooLarge = parts.isBodyTooLarge ?? false;
    this.#fields = parts.fields ?? {};
    this.#session = session;
  }

  get status(): number | undefined {
    return this.response?.status;
  }

  field(name: HttpFieldName): string | undefined {
    return this.#fields[name];
  }

  respond(status: number, fields: Readonly<Record<string, string>>, body: Uint8Array): void {
    if (this.isOver) return;
    assert.equal(this.response, undefined, "answered twice");
    this.response = { status, fields, body };
    if (this.#session !== undefined) this.#session.unsentOctets += body.length;
  }

  abandon(): void {
    this.isAbandoned = true;
  }
}

export class FakeHttpSession implements HttpSession {
  readonly local: Endpoint = { address: "192.0.2.53", port: 443 };
  readonly remote: Endpoint = { address: "192.0.2.1", port: 4711 };
  readonly security = undefined;
  partialOctets = 0;
  unsentOctets = 0;
  /** As on HTTP/1.1: others have to wait for its answer. */
  heldUpBy: FakeExchange | undefined = undefined;
  readonly calls: string[] = [];
  handlers: HttpSessionHandlers | undefined = undefined;

  get isHeldUp(): boolean {
    return this.heldUpBy !== undefined && this.heldUpBy.response === undefined;
  }

  setHandlers(handlers: HttpSessionHandlers): void {
    this.handlers = handlers;
  }

  pause(): void {
    this.calls.push("pause");
  }

  resume(): void {
    this.calls.push("resume");
  }

  leave(): void {
    this.calls.push("leave");
  }

  end(): void {
    this.calls.push("end");
  }

  reset(): void {
    this.calls.push("reset");
  }
}

/** A session of ours on such a connection. Without a handler queries are answered by hand. */
export class DohBench {
  readonly world: SimWorld = simRuntime(1);
  readonly http = new FakeHttpSession();
  readonly protocol = new DohProtocol(PATH);
  readonly admission: Admission;
  readonly session: DohSession;
  /** What the handler was given and has not answered yet, oldest first. */
  readonly pending: {
    readonly channel: QueryChannel;
    readonly answer: (octets: Uint8Array | undefined) => void;
  }[] = [];
  ended: ServerCloseReason | undefined = undefined;
  isClosed = false;

  constructor(
    parts: {
      limits?: Partial<ServerLimits>;
      handler?: MessageHandler;
      admission?: Admission;
      proxy?: ProxyOptions;
    } = {},
  ) {
    const limits = { ...SERVER_LIMITS_DEFAULT, ...parts.limits };
    this.admission = parts.admission ?? new Admission(limits, this.world.clock);
    const byHand: MessageHandler = {
      answer: (_, channel) => new Promise((resolve) => this.pending.push({ channel, answer: resolve })),
    };
    this.session = new DohSession(
      this.http,
      {
        origin: { transport: "https", remote: this.http.remote, local: this.http.local, security: undefined },
        terms: { limits, admission: this.admission },
        handler: parts.handler ?? byHand,
        owner: {
          sessionEnded: (_, reason) => {
            this.ended = reason;
          },
          streamClosed: () => {
            this.isClosed = true;
          },
        },
        proxy: parts.proxy,
        runtime: this.world.runtimeOf([this.http.local.address]),
      },
      this.protocol,
    );
  }

  get handlers(): HttpSessionHandlers {
    assert.ok(this.http.handlers !== undefined);
    return this.http.handlers;
  }

  /** A whole request, a good query unless said otherwise. */
  ask(parts: RequestParts = {}): FakeExchange {
    const exchange = new FakeExchange(postOf(queryOctets("www.example."), parts), this.http);
    this.handlers.onRequest(exchange);
    return exchange;
  }

  /** Its answer has been taken. */
  over(exchange: FakeExchange): void {
    exchange.isOver = true;
    this.http.unsentOctets -= exchange.response?.body.length ?? 0;
    this.handlers.onOver(exchange);
  }

  /** Answers the oldest pending query, and lets the turn end. */
  async answer(octets: Uint8Array | undefined = queryOctets("www.example.")): Promise<void> {
    this.pending.shift()?.answer(octets);
    await this.world.clock.advance(0);
  }
}

export function postOf(body: Uint8Array, parts: RequestParts = {}): RequestParts {
  return { method: "POST", fields: { "content-type": "application/dns-message" }, body, ...parts };
}
