import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameReader, frameMessage } from "@sotto/dns/wire";
import { SERVER_LIMITS_DEFAULT, type ServerLimits } from "./limits.ts";
import type { MessageHandler } from "./message-handler.ts";
import { type ServerCloseReason, ServerConnection } from "./server-connection.ts";

/** A connection whose queries are answered by hand, and everything it did. */
class Bench {
  nowMs = 0;
  readonly writes: Uint8Array[] = [];
  readonly calls: string[] = [];
  readonly pending: { id: number; answer: (octets: Uint8Array | undefined) => void }[] = [];
  readonly deferred: (() => void)[] = [];
  unsentOctets = 0;
  timerMs: number | undefined = undefined;
  ended: ServerCloseReason | undefined = undefined;
  readonly connection: ServerConnection;

  constructor(limits: Partial<ServerLimits> = {}, handler?: MessageHandler) {
    const byHand: MessageHandler = {
      answer: (octets) =>
        new Promise((resolve) => this.pending.push({ id: octets[1] ?? 0, answer: resolve })),
    };
    this.connection = new ServerConnection(
      { transport: "tcp", remote: undefined, local: undefined, security: undefined },
      { ...SERVER_LIMITS_DEFAULT, ...limits },
      handler ?? byHand,
      {
        write: (octets) => void this.writes.push(octets),
        unsentOctets: () => this.unsentOctets,
        end: () => void this.calls.push("end"),
        reset: () => void this.calls.push("reset"),
        pause: () => void this.calls.push("pause"),
        resume: () => void this.calls.push("resume"),
        defer: (run) => void this.deferred.push(run),
        setTimer: (delayMs) => {
          this.timerMs = delayMs === undefined ? undefined : this.nowMs + delayMs;
        },
        onEnded: (reason) => {
          this.ended = reason;
        },
      },
      () => this.nowMs,
    );
  }

  /** Answers the oldest pending query with this id, and lets the turn end. */
  async answer(id: number): Promise<void> {
    const at = this.pending.findIndex((query) => query.id === id);
    this.pending.splice(at, 1)[0]?.answer(query(id));
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 5; i++) await Promise.resolve();
    for (const run of this.deferred.splice(0)) run();
  }

  /** Ids of all replies written so far. */
  replies(): number[] {
    const ids: number[] = [];
    const reader = new FrameReader();
    for (const octets of this.writes) {
      reader.push(octets, (message) => {
        ids.push(message[1] ?? 0);
        return true;
      });
    }
    return ids;
  }

  passTime(ms: number): void {
    this.nowMs += ms;
    while (this.timerMs !== undefined && this.timerMs <= this.nowMs && this.ended === undefined) {
      this.timerMs = undefined;
      this.connection.onTimer();
    }
  }
}

function query(id: number): Uint8Array {
  const octets = new Uint8Array(17);
  octets[1] = id;
  return octets;
}

const echo: MessageHandler = { answer: (octets) => octets };

function joined(...ids: number[]): Uint8Array {
  return Uint8Array.from(ids.flatMap((id) => [...frameMessage(query(id))]));
}

test("three pipelined queries are answered whatever the cut points are [7766-8-b 7766-6.2.1.1-c 1035-4.2.2-a]", () => {
  const octets = joined(1, 2, 3);
  for (let first = 0; first <= octets.length; first++) {
    for (const second of [first, first + 1, first + 2, octets.length]) {
      const bench = new Bench({}, echo);
      bench.connection.receive(octets.subarray(0, first));
      bench.connection.receive(octets.subarray(first, second));
      bench.connection.receive(octets.subarray(second));
      assert.deepEqual(bench.replies(), [1, 2, 3], `cut at ${first} and ${second}`);
    }
  }
});

test("a query may arrive one octet at a time [7766-8-b]", () => {
  const bench = new Bench({}, echo);
  for (const octet of joined(1, 2)) bench.connection.receive(Uint8Array.of(octet));
  assert.deepEqual(bench.replies(), [1, 2]);
});

test("everything that is ready in one turn leaves in one write [7766-8-a 7858-3.3-b]", async () => {
  const sync = new Bench({}, echo);
  sync.connection.receive(joined(1, 2, 3, 4));
  assert.equal(sync.writes.length, 1);
  const later = new Bench();
  later.connection.receive(joined(1, 2, 3));
  for (const pending of later.pending.splice(0)) pending.answer(query(pending.id));
  await later.settle();
  assert.equal(later.writes.length, 1);
  assert.deepEqual(later.replies(), [1, 2, 3]);
});

test("queries are handed over together and answered in the order they become ready [7766-7-a 7766-6.2.1.1-d 7766-6.2.1.1-e]", async () => {
  const bench = new Bench();
  bench.connection.receive(joined(1, 2, 3));
  assert.equal(bench.pending.length, 3);
  await bench.answer(3);
  await bench.answer(1);
  await bench.answer(2);
  assert.deepEqual(bench.replies(), [3, 1, 2]);
});

test("what was asked before a FIN is still answered, and then the connection ends [1035-4.2.2-b]", async () => {
  const bench = new Bench();
  bench.connection.receive(joined(1, 2));
  bench.connection.onEnd();
  assert.deepEqual(bench.calls, []);
  await bench.answer(2);
  await bench.answer(1);
  assert.deepEqual(bench.replies(), [2, 1]);
  assert.deepEqual(bench.calls, ["end"]);
  assert.equal(bench.ended, "client closed");
});

test("after a reset nothing is sent any more [7766-6.2.4-b]", async () => {
  const bench = new Bench();
  bench.connection.receive(joined(1));
  bench.connection.onClose(false);
  await bench.answer(1);
  assert.equal(bench.writes.length, 0);
  assert.equal(bench.ended, "connection lost");
});

test("at the limit of queries in flight reading pauses, nothing of the chunk is lost, and all are answered", async () => {
  const bench = new Bench({ inFlightMax: 2 });
  bench.connection.receive(joined(1, 2, 3, 4, 5));
  assert.equal(bench.pending.length, 2);
  assert.deepEqual(bench.calls, ["pause"]);
  for (const id of [1, 2, 3, 4, 5]) await bench.answer(id);
  assert.deepEqual(bench.replies(), [1, 2, 3, 4, 5]);
  assert.equal(bench.calls.at(-1), "resume");
});

test("queries that wait for room when the client ends are answered too", async () => {
  const bench = new Bench({ inFlightMax: 1 });
  bench.connection.receive(joined(1, 2, 3));
  bench.connection.onEnd();
  for (const id of [1, 2, 3]) await bench.answer(id);
  assert.deepEqual(bench.replies(), [1, 2, 3]);
  assert.deepEqual(
    bench.calls.filter((call) => call === "end"),
    ["end"],
  );
});

test("a client that does not read is paused and then reset [7766-8-c]", () => {
  const bench = new Bench({ unsentOctetsMax: 10, writeStallTimeoutMs: 1000 }, echo);
  bench.connection.receive(joined(1));
  bench.unsentOctets = 19;
  bench.connection.receive(joined(2));
  assert.ok(bench.calls.includes("pause"));
  bench.passTime(999);
  assert.equal(bench.ended, undefined);
  bench.passTime(1);
  assert.equal(bench.ended, "write stall");
  assert.ok(bench.calls.includes("reset"));
});

test("the idle timer restarts on complete messages only, and keepalive tells it [7766-6.2.3-f 7828-3.3.2-b 9210-4.2-d]", () => {
  const bench = new Bench({ idleTimeoutMs: 3000, messageTimeoutMs: 60_000 }, echo);
  assert.equal(bench.connection.keepaliveUnits(), 30);
  bench.connection.receive(joined(1));
  bench.passTime(2999);
  assert.equal(bench.ended, undefined);
  bench.connection.receive(joined(2));
  bench.passTime(2999);
  assert.equal(bench.ended, undefined);
  bench.passTime(1);
  assert.equal(bench.ended, "idle timeout");
  assert.deepEqual(bench.calls, ["end"]);
});

test("a message that trickles in is given up after its own timeout [7766-8-c]", () => {
  const bench = new Bench({ messageTimeoutMs: 1000 }, echo);
  const octets = joined(1);
  for (let i = 0; i < 4; i++) {
    bench.connection.receive(octets.subarray(i, i + 1));
    bench.passTime(300);
  }
  assert.equal(bench.ended, "message timeout");
});

test("a connection without any query ends after the first-query timeout", () => {
  const bench = new Bench({ firstQueryTimeoutMs: 500 }, echo);
  bench.passTime(500);
  assert.equal(bench.ended, "first query timeout");
});

test("a connection with a query in flight is not idle", async () => {
  const bench = new Bench({ idleTimeoutMs: 1000 });
  bench.connection.receive(joined(1));
  bench.passTime(5000);
  assert.equal(bench.ended, undefined);
  await bench.answer(1);
  assert.deepEqual(bench.replies(), [1]);
  bench.passTime(1000);
  assert.equal(bench.ended, "idle timeout");
});

test("draining promises 0, answers what is in flight and ends [7828-3.3.2-c]", async () => {
  const bench = new Bench();
  bench.connection.receive(joined(1));
  bench.connection.drain();
  assert.equal(bench.connection.keepaliveUnits(), 0);
  await bench.answer(1);
  bench.passTime(0);
  assert.deepEqual(bench.replies(), [1]);
  assert.equal(bench.ended, "drained");
  const idle = new Bench();
  idle.connection.drain();
  assert.equal(idle.ended, "drained");
});

test("a frame too short for a header ends the connection", () => {
  for (const octets of [Uint8Array.of(0, 0), Uint8Array.of(0, 3, 1, 2, 3)]) {
    const bench = new Bench({}, echo);
    bench.connection.receive(octets);
    assert.equal(bench.ended, "malformed frame");
    assert.deepEqual(bench.calls, ["reset"]);
  }
});

test("an answer given as a view of a reused buffer is copied out before the next one", () => {
  const buffer = new Uint8Array(17);
  const bench = new Bench(
    {},
    {
      answer: (octets) => {
        buffer.set(octets);
        return buffer;
      },
    },
  );
  bench.connection.receive(joined(1, 2));
  assert.deepEqual(bench.replies(), [1, 2]);
});
