/**
 * A client's query on its way to backends, and the answer that it waits for: one object for all who deal with it, because there is
 * one for each query.
 */
import type { Endpoint } from "@sotto/dns/runtime";
import type { LaterAnswer, QueryChannel } from "@sotto/dns/transport";
import type { MessageView, Parsed, Question } from "@sotto/dns/wire";
import type { BackendReply } from "./backend-reply.ts";
import type { ForwardOutcome, ForwardQuery } from "./backends/index.ts";
import type { FrontPool } from "./front-pool.ts";
import type { Verdict } from "./rules/index.ts";

/** Octets of its own; undefined: the client gets none. */
type Answer = Uint8Array | undefined;

/** The service. */
export interface PassedQueryHost {
  /** Why a reply cannot be passed on. */
  refuses(query: PassedQuery, octets: Uint8Array, backend: string): string | undefined;
  /** Makes the answer, which goes to {@link PassedQuery.answer}. */
  settled(query: PassedQuery, outcome: ForwardOutcome): void;
}

export interface PassedQueryParts {
  readonly pool: FrontPool;
  /** Of octets of its own. */
  readonly view: MessageView;
  readonly channel: QueryChannel;
  readonly edits: Verdict["edits"];
  readonly delayMs: number;
  /** Its answer is for everybody who asks the same. */
  readonly mayShare: boolean;
}

/** See the head of this file. */
export class PassedQuery implements ForwardQuery, LaterAnswer {
  readonly pool: FrontPool;
  readonly view: MessageView;
  readonly channel: QueryChannel;
  readonly edits: Verdict["edits"];
  readonly delayMs: number;
  readonly mayShare: boolean;
  /** As the backends get it. */
  octets: Uint8Array;
  deadlineMs = 0;
  /** Of the service: what it has read of the reply that becomes the outcome. */
  reply: (Parsed<BackendReply> & { readonly ok: true }) | undefined = undefined;
  readonly #host: PassedQueryHost;
  #isAnswered = false;
  #answer: Answer = undefined;
  #call: ((answer: Answer) => void) | undefined = undefined;

  constructor({ pool, view, channel, edits, delayMs, mayShare }: PassedQueryParts, host: PassedQueryHost) {
    this.pool = pool;
    this.view = view;
    this.channel = channel;
    this.edits = edits;
    this.delayMs = delayMs;
    this.mayShare = mayShare;
    this.octets = view.octets;
    this.#host = host;
  }

  /** Decoded when somebody asks. */
  get question(): Question {
    return this.view.question;
  }

  get client(): Endpoint | undefined {
    return this.channel.origin.remote;
  }

  get local(): Endpoint | undefined {
    return this.channel.origin.local;
  }

  refuses(octets: Uint8Array, backend: string): string | undefined {
    return this.#host.refuses(this, octets, backend);
  }

  settle(outcome: ForwardOutcome): void {
    this.#host.settled(this, outcome);
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** False, and nothing done, when it has its answer already. */
  answer(answer: Answer): boolean {
    if (this.#isAnswered) return false;
    this.#isAnswered = true;
    const call = this.#call;
    if (call === undefined) this.#answer = answer;
    else call(answer);
    return true;
  }

  // biome-ignore lint/suspicious/noThenProperty: listeners take promises, and this does for them what one would.
  then(call: (answer: Answer) => void): void {
    if (this.#isAnswered) call(this.#answer);
    else this.#call = call;
  }
}
