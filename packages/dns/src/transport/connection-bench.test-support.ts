/** A client connection's machine without I/O, for tests. */
import assert from "node:assert/strict";
import { SeededRandom } from "@sotto/dns/testing";
import { encodeMessage, FrameReader, type Message, makeMessage } from "@sotto/dns/wire";
import { ClientConnection } from "./client-connection.ts";
import { decode, questionOf } from "./client-fakes.test-support.ts";
import type { ConnectionLimits } from "./connection-limits.ts";
import type { ConnectionQuery, QueryOutcome } from "./connection-query.ts";

/** A machine with a host that only remembers, and a peer that reads what was written. */
export class Bench {
  readonly machine: ClientConnection;
  readonly writes: Uint8Array[] = [];
  readonly calls: string[] = [];
  timerAtMs: number | undefined = undefined;
  takesWrites = true;
  nowMs = 0;
  #wantsFlush = false;
  readonly #peer = new FrameReader();

  constructor(limits: Partial<ConnectionLimits> = {}, isOpen = true) {
    this.machine = new ClientConnection(
      limits,
      {
        write: (octets) => {
          this.writes.push(octets);
          return this.takesWrites;
        },
        end: () => this.calls.push("end"),
        reset: () => this.calls.push("reset"),
        setTimer: (atMs) => {
          this.timerAtMs = atMs;
        },
        requestFlush: () => {
          this.#wantsFlush = true;
        },
      },
      new SeededRandom(1),
    );
    if (isOpen) this.machine.open(0);
  }

  /** Gives a query; its outcomes are collected. */
  ask(
    name: string,
    parts: Partial<ConnectionQuery> = {},
  ): { outcomes: QueryOutcome[]; query: ConnectionQuery } {
    const outcomes: QueryOutcome[] = [];
    const question = questionOf(name);
    const query: ConnectionQuery = {
      octets: encodeMessage(makeMessage({ questions: [question] })),
      question,
      deadlineMs: 5000,
      asksKeepalive: false,
      settle: (outcome) => outcomes.push(outcome),
      ...parts,
    };
    this.machine.send(query);
    return { outcomes, query };
  }

  /** Ends the turn. */
  turn(): void {
    if (!this.#wantsFlush) return;
    this.#wantsFlush = false;
    this.machine.flush(this.nowMs);
  }

  /** Queries that were written since the last call. */
  sent(): Message[] {
    this.turn();
    const messages: Message[] = [];
    for (const octets of this.writes.splice(0))
      this.#peer.push(octets, (message) => messages.push(decode(message.slice())) > 0);
    return messages;
  }

  receive(octets: Uint8Array, nowMs = this.nowMs): void {
    this.nowMs = nowMs;
    this.machine.receive(octets, nowMs);
    this.turn();
  }

  /** Lets time pass to `nowMs`, firing timers on the way. */
  passUntil(nowMs: number): void {
    while (this.timerAtMs !== undefined && this.timerAtMs <= nowMs) {
      this.nowMs = this.timerAtMs;
      this.timerAtMs = undefined;
      this.machine.onTimer(this.nowMs);
      this.turn();
    }
    this.nowMs = nowMs;
  }
}

export function only<T>(items: readonly T[]): T {
  const [first] = items;
  assert.ok(first !== undefined && items.length === 1, `${items.length} items instead of one`);
  return first;
}
