/** What requests of both versions of HTTP have in common: a body that is collected up to its limit, and octets that are counted. */
import type { Readable } from "node:stream";
import type { HttpExchange, HttpFieldName, HttpLimits, HttpSessionHandlers } from "../http.ts";

/** The session of an exchange, which counts for all of its own. */
export interface CountingSession {
  readonly limits: HttpLimits;
  partialOctets: number;
  unsentOctets: number;
}

/** See the head of this file. */
export abstract class NodeHttpExchange implements HttpExchange {
  abstract readonly method: string;
  abstract readonly target: string;
  body: Uint8Array = NO_OCTETS;
  isBodyTooLarge = false;
  /** Nothing more of it is to come. */
  protected isWhole = true;
  readonly #session: CountingSession;
  readonly #handlers: HttpSessionHandlers;
  #chunks: Buffer[] = [];
  #bodyOctets = 0;
  #partialOctets = 0;
  #unsentOctets = 0;

  constructor(session: CountingSession, handlers: HttpSessionHandlers) {
    this.#session = session;
    this.#handlers = handlers;
  }

  abstract field(name: HttpFieldName): string | undefined;
  abstract respond(status: number, fields: Readonly<Record<string, string>>, body: Uint8Array): void;
  abstract abandon(): void;

  /** It has been answered, or given up. */
  abstract get isSettled(): boolean;

  /** Delivers it after its body. `headOctets` is what it takes without; `declared` is what `content-length` says. */
  protected collect(input: Readable, headOctets: number, declared: string | undefined): void {
    const { bodyOctetsMax } = this.#session.limits;
    this.isWhole = false;
    this.#addPartial(headOctets);
    this.#handlers.onBegin(this);
    if (Number(declared ?? 0) > bodyOctetsMax) {
      this.#isTooLarge();
      return;
    }
    input.on("data", (chunk: Buffer) => {
      if (this.isBodyTooLarge) return;
      this.#bodyOctets += chunk.length;
      this.#addPartial(chunk.length);
      if (this.#bodyOctets > bodyOctetsMax) {
        this.#isTooLarge();
        return;
      }
      this.#chunks.push(chunk);
      this.#handlers.onBody(this);
    });
    input.on("end", () => {
      if (this.isBodyTooLarge) return;
      this.isWhole = true;
      if (this.isSettled) return;
      const [first] = this.#chunks;
      this.body = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
      this.#forget();
      this.#handlers.onRequest(this);
    });
  }

  #isTooLarge(): void {
    this.isBodyTooLarge = true;
    this.#forget();
    this.#handlers.onRequest(this);
  }

  #addPartial(octets: number): void {
    this.#partialOctets += octets;
    this.#session.partialOctets += octets;
  }

  #forget(): void {
    this.#chunks = [];
    this.#addPartial(-this.#partialOctets);
  }

  /** Octets of its answer, until it is over. */
  protected countUnsent(octets: number): void {
    this.#unsentOctets = octets;
    this.#session.unsentOctets += octets;
  }

  /** Its answer has gone to the system, or the other side has given up. */
  protected over(): void {
    this.#forget();
    this.#session.unsentOctets -= this.#unsentOctets;
    this.#unsentOctets = 0;
    this.#handlers.onOver(this);
  }
}

/** Several lines of a field as one. */
export function joinedField(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(", ") : value;
}

/** Header fields of one request; browsers send about twenty. */
export const FIELDS_MAX = 64;

const NO_OCTETS = new Uint8Array(0);
