import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { FrameReader, frameMessage } from "@sotto/dns/wire";
import { Admission } from "./admission.ts";
import { SERVER_LIMITS_DEFAULT, type ServerLimits } from "./limits.ts";
import type { MessageHandler } from "./message-handler.ts";
import type { QueryOrigin } from "./responder.ts";
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
  readonly admission: Admission;

  constructor(
    limits: Partial<ServerLimits> = {},
    handler?: MessageHandler,
    admission?: Admission,
    security?: QueryOrigin["security"],
  ) {
    this.admission = admission ?? new Admission({ ...SERVER_LIMITS_DEFAULT, ...limits }, new SimClock());
    const byHand: MessageHandler = {
      answer: (octets) =>
        new Promise((resolve) => this.pending.push({ id: octets[1] ?? 0, answer: resolve })),
    };
    this.connection = new ServerConnection(
      {
        transport: security === undefined ? "tcp" : "tls",
        remote: undefined,
        local: undefined,
        security,
      },
      { limits: { ...SERVER_LIMITS_DEFAULT, ...limits }, admission: this.admission },
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

test("over TLS the last reply of a turn is written apart, for clients that take one message per record [7858-3.3-b]", () => {
  const security = {
    protocol: "TLSv1.3",
    cipher: "TLS_AES_256_GCM_SHA384",
    group: "X25519",
    alpn: "dot",
    resumed: false,
    serverName: undefined,
    peerChain: [],
    chainProblem: undefined,
  };
  const bench = new Bench({}, echo, undefined, security);
  bench.connection.receive(joined(1, 2, 3));
  assert.deepEqual(
    bench.writes.map(({ length }) => length),
    [38, 19],
  );
  bench.connection.receive(joined(4));
  assert.equal(bench.writes.length, 3);
  assert.deepEqual(bench.replies(), [1, 2, 3, 4]);
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

test("an answer of several messages leaves as fast as the client takes it, and its maker learns that the client has gone", async () => {
  const bench = new Bench({ unsentOctetsMax: 100 });
  bench.connection.receive(joined(7));
  const { parts } = bench.connection;
  assert.equal(parts.sendPart(query(7)), true);
  bench.unsentOctets = 100;
  await bench.settle();
  assert.deepEqual(bench.replies(), [7]);
  assert.equal(parts.sendPart(query(7)), false);
  const rooms: boolean[] = [];
  parts.whenRoom((isThere) => rooms.push(isThere));
  await bench.settle();
  assert.equal(rooms.length, 0, "the system has taken nothing");
  bench.unsentOctets = 0;
  bench.connection.onDrain();
  assert.deepEqual(rooms, [true]);
  await bench.answer(7);
  assert.deepEqual(bench.replies(), [7, 7, 7]);
  bench.unsentOctets = 100;
  parts.sendPart(query(7));
  await bench.settle();
  assert.equal(parts.sendPart(query(7)), false);
  parts.whenRoom((isThere) => rooms.push(isThere));
  bench.connection.onClose(false);
  assert.deepEqual(rooms, [true, false]);
  assert.equal(parts.sendPart(query(7)), false);
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

test("queries behind a limit of unsent octets are answered when the system takes everything at once [7766-6.2.1.1-c]", async () => {
  // The kernel took each write within the call, so that Node never told of a drain: what was held of the chunk was
  // answered by the idle timer, or never when the client had ended.
  const bench = new Bench({ unsentOctetsMax: 30 }, echo);
  bench.connection.receive(joined(1, 2, 3, 4, 5, 6));
  bench.connection.onEnd();
  for (let i = 0; i < 6; i++) await bench.settle();
  assert.deepEqual(bench.replies(), [1, 2, 3, 4, 5, 6]);
  assert.equal(bench.ended, "client closed");
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
  bench.passTime(49);
  assert.equal(bench.ended, undefined, "the client may close first");
  bench.passTime(1);
  assert.deepEqual(bench.replies(), [1]);
  assert.equal(bench.ended, "drained");
  const idle = new Bench();
  idle.connection.drain();
  assert.equal(idle.ended, "drained");
});

test("a frame too short for a header ends the connection, after what was asked before is answered", async () => {
  for (const octets of [Uint8Array.of(0, 0), Uint8Array.of(0, 3, 1, 2, 3)]) {
    const bench = new Bench();
    bench.connection.receive(joined(1));
    bench.connection.receive(Uint8Array.of(...octets, ...joined(2)));
    assert.equal(bench.ended, undefined);
    await bench.answer(1);
    assert.equal(bench.ended, "malformed frame");
    assert.deepEqual(bench.calls, ["end"]);
    assert.deepEqual(bench.replies(), [1]);
    assert.equal(bench.pending.length, 0, "what follows is not believed");
  }
});

test("octets that the system took without saying so do not delay the idle timer", () => {
  const bench = new Bench({ idleTimeoutMs: 2000, writeStallTimeoutMs: 10_000 }, echo);
  // A TLS socket still holds the octets when the write returns, and never tells of draining below its high-water mark.
  bench.unsentOctets = 19;
  bench.connection.receive(joined(1));
  bench.unsentOctets = 0;
  bench.passTime(1999);
  assert.equal(bench.ended, undefined);
  bench.passTime(1);
  assert.equal(bench.ended, "idle timeout");
});

test("a client that takes octets slowly is not stalled", () => {
  const bench = new Bench({ idleTimeoutMs: 60_000, writeStallTimeoutMs: 1000 }, echo);
  bench.unsentOctets = 100;
  bench.connection.receive(joined(1));
  for (let left = 90; left > 0; left -= 10) {
    bench.unsentOctets = left;
    bench.passTime(1000);
    assert.equal(bench.ended, undefined, `${left} octets left`);
  }
  bench.passTime(1000);
  assert.equal(bench.ended, "write stall");
});

test("the last query that a connection may ask is answered with keepalive 0, then it ends [7766-10-a 9210-4.2-f]", () => {
  const units: number[] = [];
  const bench = new Bench(
    { queriesMax: 2 },
    {
      answer: (octets, channel) => {
        units.push(channel.keepaliveUnits() ?? -1);
        return octets;
      },
    },
  );
  bench.connection.receive(joined(1, 2, 3));
  assert.deepEqual(bench.replies(), [1, 2]);
  assert.deepEqual(units, [100, 0]);
  assert.equal(bench.ended, "query limit");
  assert.deepEqual(bench.calls, ["end"]);
});

test("a connection past its time is told to go, answers what it is asked, and ends [7766-10-a 9210-4.2-f]", async () => {
  const idle = new Bench({ durationMaxMs: 3000 }, echo);
  idle.connection.receive(joined(1));
  idle.passTime(3000);
  assert.equal(idle.ended, "duration limit");
  const busy = new Bench({ durationMaxMs: 3000 });
  busy.connection.receive(joined(1));
  busy.passTime(3000);
  assert.equal(busy.connection.keepaliveUnits(), 0);
  await busy.answer(1);
  busy.connection.receive(joined(2));
  await busy.answer(2);
  busy.passTime(100);
  assert.deepEqual(busy.replies(), [1, 2]);
  assert.equal(busy.ended, "duration limit");
  const endless = new Bench({ durationMaxMs: 3000 }, echo);
  for (let i = 0; i < 200 && endless.ended === undefined; i++) {
    endless.connection.receive(joined(i & 0xff));
    endless.passTime(40);
  }
  assert.equal(endless.ended, "duration limit", "a client that never pauses");
  assert.equal(endless.nowMs, 8000);
});

/** What waits is called by the test. */
function laterBy(wait: (call: (answer: Uint8Array) => void) => void): MessageHandler {
  // biome-ignore lint/suspicious/noThenProperty: as simple as a LaterAnswer may be.
  return { answer: () => ({ then: wait }) };
}

test("an answer that comes as soon as it is waited for leaves with the others of the turn", async () => {
  const bench = new Bench(
    {},
    laterBy((call) => call(query(7))),
  );
  bench.connection.receive(joined(1, 2));
  await bench.settle();
  assert.equal(bench.connection.inFlight, 0);
  assert.deepEqual([bench.writes.length, bench.replies()], [1, [7, 7]]);
});

test("answers of several connections that come by turns are one write for each", async () => {
  const calls: ((answer: Uint8Array) => void)[] = [];
  const handler = laterBy((call) => void calls.push(call));
  const [one, other] = [new Bench({}, handler), new Bench({}, handler)];
  for (const bench of [one, other, one, other]) bench.connection.receive(joined(1));
  for (const [nth, call] of calls.entries()) call(query(nth));
  await one.settle();
  await other.settle();
  assert.deepEqual([one.writes.length, other.writes.length], [1, 1]);
  assert.equal(`${one.replies()} and ${other.replies()}`, "0,2 and 1,3");
});

const tellsKeepalive: MessageHandler = {
  answer: (octets, channel) => {
    channel.keepaliveUnits();
    return octets;
  },
};

/** Holds connections open so that a part of the limit is used. */
function loadedAdmission(limits: Partial<ServerLimits>, connections: number): Admission {
  const admission = new Admission({ ...SERVER_LIMITS_DEFAULT, ...limits }, new SimClock());
  for (let i = 0; i < connections; i++) assert.ok(admission.admit(`192.0.2.${i}`, false, false));
  return admission;
}

test("under load timers and the promise of keepalive shrink together [7828-3.3.2-b 7828-3.3.2-c 7766-6.2.3-d 9210-4.2-e]", () => {
  let before = Number.POSITIVE_INFINITY;
  for (const [connections, isLess] of [
    [0, false],
    [50, false],
    [60, true],
    [80, true],
    [95, true],
  ] as const) {
    const admission = loadedAdmission({ connectionsMax: 100 }, connections);
    const limits = { idleTimeoutMs: 10_000, firstQueryTimeoutMs: 10_000 };
    let units = -1;
    const bench = new Bench(
      limits,
      {
        answer: (octets, channel) => {
          units = channel.keepaliveUnits() ?? -1;
          return octets;
        },
      },
      admission,
    );
    bench.connection.receive(joined(1));
    assert.equal(units < before, connections === 0 || isLess, `${connections} connections: ${units}`);
    before = units;
    bench.passTime(units * 100 - 1);
    assert.equal(bench.ended, undefined);
    bench.passTime(1);
    assert.equal(bench.ended, "idle timeout", `${connections} connections`);
    const silent = new Bench(limits, echo, admission);
    silent.passTime(units * 100 - 1);
    assert.equal(silent.ended, undefined);
    silent.passTime(1);
    assert.equal(silent.ended, "first query timeout");
  }
});

test("a promise once given is kept when the load grows afterwards [7828-3.3.2-b]", () => {
  const admission = loadedAdmission({ connectionsMax: 100 }, 0);
  const bench = new Bench({ idleTimeoutMs: 10_000 }, echo, admission);
  bench.connection.receive(joined(1));
  assert.equal(bench.connection.keepaliveUnits(), 100);
  for (let i = 0; i < 90; i++) admission.admit(`192.0.2.${i}`, false, false);
  bench.passTime(9999);
  assert.equal(bench.ended, undefined);
  bench.passTime(1);
  assert.equal(bench.ended, "idle timeout");
});

test("a full server tells clients to go [7828-3.3.2-c 7828-5-a]", () => {
  const admission = loadedAdmission({ connectionsMax: 100 }, 99);
  const bench = new Bench({}, tellsKeepalive, admission);
  bench.connection.receive(joined(1));
  assert.equal(bench.connection.keepaliveUnits(), 0);
  bench.passTime(100);
  assert.equal(bench.ended, "overload");
  assert.deepEqual(bench.replies(), [1]);
});

test("when all places for queries are taken connections take turns [7766-6.2.1.1-d]", async () => {
  const limits = { inFlightTotalMax: 2, inFlightMax: 100 };
  const admission = loadedAdmission(limits, 0);
  const greedy = new Bench(limits, undefined, admission);
  greedy.connection.receive(joined(1, 2, 3, 4, 5, 6));
  const modest = new Bench(limits, undefined, admission);
  modest.connection.receive(joined(11, 12));
  // Each may hand over the message that it was reading when it found out.
  assert.deepEqual(
    [greedy, modest].map(({ pending }) => pending.map(({ id }) => id)),
    [[1, 2], [11]],
  );
  await greedy.answer(1);
  await greedy.answer(2);
  assert.deepEqual(
    greedy.pending.map(({ id }) => id),
    [3],
    "who waited first comes first",
  );
  await greedy.answer(3);
  assert.deepEqual(
    modest.pending.map(({ id }) => id),
    [11, 12],
    "the next turn is another's",
  );
  for (const [bench, id] of [
    [modest, 11],
    [greedy, 4],
    [modest, 12],
    [greedy, 5],
    [greedy, 6],
  ] as const) {
    assert.ok(
      bench.pending.some((query) => query.id === id),
      `${id} is in flight`,
    );
    await bench.answer(id);
    assert.ok(admission.inFlight <= 3, `${admission.inFlight} in flight`);
  }
  assert.deepEqual(
    [greedy.replies(), modest.replies()],
    [
      [1, 2, 3, 4, 5, 6],
      [11, 12],
    ],
  );
  assert.equal(admission.inFlight, 0);
});

test("when the buffers of all connections are full the one that holds most is reset, others go on", () => {
  const admission = loadedAdmission({ bufferedOctetsMax: 1000 }, 0);
  const unread = new Bench({}, echo, admission);
  unread.unsentOctets = 990;
  unread.connection.receive(joined(1));
  const other = new Bench({}, echo, admission);
  other.unsentOctets = 38;
  other.connection.receive(joined(2, 3));
  assert.equal(unread.ended, "buffers full");
  assert.deepEqual(unread.calls, ["reset"]);
  assert.deepEqual(other.replies(), [2, 3]);
  assert.deepEqual(other.calls, []);
  assert.equal(admission.bufferedOctets, 38);
});

test("octets in buffers are counted, and given back whatever the end", () => {
  const admission = loadedAdmission({}, 0);
  const half = new Bench({}, echo, admission);
  half.connection.receive(joined(1).subarray(0, 10));
  assert.equal(admission.bufferedOctets, 10);
  half.connection.onClose(false);
  assert.equal(admission.bufferedOctets, 0);
  const unread = new Bench({}, echo, admission);
  unread.unsentOctets = 5000;
  unread.connection.receive(joined(1));
  assert.equal(admission.bufferedOctets, 5000);
  unread.connection.abort();
  assert.equal(admission.bufferedOctets, 0);
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
