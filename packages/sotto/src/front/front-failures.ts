/**
 * Queries that get no answer of a backend: what the client is told, and what the log. Clients are strangers: who the backends are, and
 * what each of them did, is for the log.
 */
import { DnsError, type Events } from "@sotto/dns/runtime";
import type { QueryChannel } from "@sotto/dns/transport";
import { EdeCode, type ExtendedError, type MessageView, Rcode } from "@sotto/dns/wire";
import { bareResponse, type QueryGate } from "../server/index.ts";
import type { FrontPool } from "./front-pool.ts";

/** See the head of this file. Each answer is counted. */
export class FrontFailures {
  readonly #gate: QueryGate;
  readonly #events: Events;

  constructor(gate: QueryGate, events: Events) {
    this.#gate = gate;
    this.#events = events;
  }

  tooBusy(view: MessageView, channel: QueryChannel): Uint8Array {
    return this.#fail(view, channel, TOO_BUSY);
  }

  unusable(view: MessageView, channel: QueryChannel): Uint8Array {
    return this.#fail(view, channel, UNUSABLE);
  }

  noTarget(view: MessageView, channel: QueryChannel): Uint8Array {
    return this.#fail(view, channel, NO_TARGET);
  }

  noBackend({ name }: FrontPool, problem: DnsError, view: MessageView, channel: QueryChannel): Uint8Array {
    this.#publish(name, problem);
    const errors = DnsError.is(problem, "ERR_REPLY_UNUSABLE") ? UNUSABLE : NO_BACKEND;
    return this.#fail(view, channel, errors);
  }

  noTransfer({ name }: FrontPool, problem: DnsError, view: MessageView, channel: QueryChannel): Uint8Array {
    // A client that went away is nothing that failed.
    if (!DnsError.is(problem, "ERR_ABORTED")) this.#publish(name, problem);
    return this.#fail(view, channel, TRANSFER_FAILED);
  }

  /** For clients that may not have any. */
  transferForbidden(view: MessageView, channel: QueryChannel): Uint8Array {
    return this.#gate.refuse("refused", view, channel, Rcode.Refused, NO_TRANSFER);
  }

  #publish(pool: string, { message: problem }: DnsError): void {
    this.#events.publish("front.query.failed", { pool, problem });
  }

  #fail(view: MessageView, channel: QueryChannel, errors: readonly ExtendedError[]): Uint8Array {
    return this.#gate.refuse("failed", view, channel, Rcode.ServFail, errors);
  }

  /** We are what failed. */
  bug(where: string, error: unknown, view: MessageView, channel: QueryChannel): Uint8Array | undefined {
    this.publishBug(where, error);
    this.#gate.count("bug", channel, undefined);
    try {
      return bareResponse(view, channel, Rcode.ServFail, BROKEN, this.#gate.cookies);
    } catch {
      // The same bug once more, already published and counted: no answer is all that is left.
      return undefined;
    }
  }

  publishBug(where: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#events.publish("server.bug", { where, error: text });
  }
}

const NO_BACKEND: readonly ExtendedError[] = [
  { code: EdeCode.NoReachableAuthority, text: "no backend has answered" },
];
const UNUSABLE: readonly ExtendedError[] = [
  { code: EdeCode.InvalidData, text: "what the backends answered cannot be passed on" },
];
const TOO_BUSY: readonly ExtendedError[] = [{ code: EdeCode.NotReady, text: "too many queries are waiting" }];
const TRANSFER_FAILED: readonly ExtendedError[] = [
  { code: EdeCode.NetworkError, text: "the zone transfer could not be had to its end" },
];
const NO_TRANSFER: readonly ExtendedError[] = [
  { code: EdeCode.Prohibited, text: "zone transfers are for those named in the configuration" },
];
const NO_TARGET: readonly ExtendedError[] = [
  { code: EdeCode.NoReachableAuthority, text: "what the answer of a rule leads to cannot be found out" },
];
const BROKEN: readonly ExtendedError[] = [{ code: EdeCode.Other, text: "internal error" }];
