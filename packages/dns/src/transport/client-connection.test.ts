import assert from "node:assert/strict";
import { test } from "node:test";
import { frameMessage, makeEdns, makeKeepalive } from "@sotto/dns/wire";
import { UNEXPECTED_MAX } from "./client-connection.ts";
import { decode, questionOf, replyTo } from "./client-fakes.test-support.ts";
import { Bench, only } from "./connection-bench.test-support.ts";
import type { QueryOutcome } from "./connection-query.ts";

function nameOf(outcome: QueryOutcome | undefined): string | undefined {
  return outcome?.kind === "reply" ? decode(outcome.octets).questions[0]?.name.toString() : outcome?.kind;
}

test("replies may be cut at every octet, and at every pair of octets [1035-4.2.2-a 7858-3.3-a]", () => {
  for (const step of [1, 2, 3]) {
    let wireOctets = 0;
    for (let cut = 0; cut <= wireOctets; cut += 1) {
      const bench = new Bench();
      const asked = ["a.example.", "bb.example.", "ccc.example."].map((name) => bench.ask(name));
      const wire = concat(bench.sent().map((query) => frameMessage(replyTo(query))));
      wireOctets = wire.length;
      for (const piece of [wire.subarray(0, cut), wire.subarray(cut, cut + step), wire.subarray(cut + step)])
        bench.receive(piece);
      assert.deepEqual(
        asked.map(({ outcomes }) => nameOf(outcomes[0])),
        ["a.example.", "bb.example.", "ccc.example."],
        `cut at ${cut}, then after ${step}`,
      );
    }
  }
});

test("a reply that is borrowed is the octets it came in", () => {
  const bench = new Bench();
  const memories: ArrayBufferLike[] = [];
  bench.ask("www.example.", {
    borrowsReply: true,
    settle: (outcome) => {
      assert.equal(outcome.kind, "reply");
      memories.push(outcome.octets.buffer);
    },
  });
  const wire = frameMessage(replyTo(only(bench.sent())));
  bench.receive(wire);
  assert.deepEqual(memories, [wire.buffer]);
});

test("a reply belongs to its receiver: the octets it came in may be used again", () => {
  const bench = new Bench();
  const { outcomes } = bench.ask("www.example.");
  const wire = frameMessage(replyTo(only(bench.sent())));
  bench.receive(wire);
  wire.fill(0);
  assert.equal(nameOf(only(outcomes)), "www.example.");
});

test("replies may arrive one octet at a time", () => {
  const bench = new Bench();
  const { outcomes } = bench.ask("www.example.");
  for (const octet of frameMessage(replyTo(only(bench.sent())))) bench.receive(Uint8Array.of(octet));
  assert.equal(nameOf(only(outcomes)), "www.example.");
});

test("replies may come in any order and are matched by id and question [7766-7-b 7766-7-c 7858-3.3-d]", () => {
  const bench = new Bench();
  const names = ["a.example.", "b.example.", "c.example."];
  const asked = names.map((name) => bench.ask(name));
  for (const query of bench.sent().reverse()) bench.receive(frameMessage(replyTo(query)));
  assert.deepEqual(
    asked.map(({ outcomes }) => nameOf(only(outcomes))),
    names,
  );
});

test("what matches no query is ignored and counted [7766-7-c]", () => {
  const bench = new Bench();
  const { outcomes } = bench.ask("www.example.");
  const query = only(bench.sent());
  const cases = {
    "another id": replyTo({ ...query, id: query.id ^ 1 }),
    "another name": replyTo({ ...query, questions: [questionOf("wwx.example.")] }),
    "a longer name": replyTo({ ...query, questions: [questionOf("a.www.example.")] }),
    "another type": replyTo({ ...query, questions: [questionOf("www.example.", 28)] }),
    "two questions": replyTo({
      ...query,
      questions: [questionOf("www.example."), questionOf("www.example.")],
    }),
    "a query": replyTo(query, { isResponse: false }),
    "another opcode": replyTo(query, { opcode: 5 }),
    nothing: new Uint8Array(0),
    "one octet": new Uint8Array(1),
    "half a header": replyTo(query).subarray(0, 11),
  };
  for (const [name, octets] of Object.entries(cases)) {
    bench.receive(frameMessage(octets));
    assert.equal(outcomes.length, 0, name);
  }
  assert.equal(bench.machine.counters.unexpected, Object.keys(cases).length);
  bench.receive(frameMessage(replyTo(query)));
  assert.equal(nameOf(only(outcomes)), "www.example.");
  bench.receive(frameMessage(replyTo(query)));
  assert.equal(outcomes.length, 1);
  assert.equal(bench.machine.counters.unexpected, Object.keys(cases).length + 1);
});

test("a reply whose letters differ in case matches, and one without a question by its id", () => {
  const bench = new Bench();
  const first = bench.ask("www.example.");
  bench.receive(frameMessage(replyTo({ ...only(bench.sent()), questions: [questionOf("WwW.eXample.")] })));
  assert.equal(nameOf(only(first.outcomes)), "WwW.eXample.");
  const second = bench.ask("www.example.");
  bench.receive(frameMessage(replyTo({ ...only(bench.sent()), questions: [] }, { rcode: 1 })));
  assert.equal(only(second.outcomes).kind, "reply");
});

test("a reply that cannot be read fails its query at once", () => {
  const bench = new Bench();
  const { outcomes } = bench.ask("www.example.");
  bench.receive(frameMessage(replyTo(only(bench.sent())).subarray(0, -1)));
  assert.deepEqual(outcomes, [{ kind: "malformed", problem: "record runs past the end" }]);
  assert.equal(bench.machine.state, "open");
});

test("a peer that sends more unexpected messages than allowed is reset", () => {
  const bench = new Bench();
  const { outcomes } = bench.ask("www.example.");
  const query = only(bench.sent());
  const stray = frameMessage(replyTo({ ...query, id: query.id ^ 1 }));
  for (let i = 0; i < UNEXPECTED_MAX; i++) bench.receive(stray);
  assert.deepEqual(bench.calls, []);
  bench.receive(concat([stray, frameMessage(replyTo(query))]));
  assert.deepEqual(bench.calls, ["reset"]);
  assert.equal(only(outcomes).kind, "lost");
  assert.equal(bench.machine.state, "closed");
});

test("everything asked in one turn leaves in one write, with ids that are all different [7766-6.2.1-a 7766-6.2.1-b 7766-8-a 7858-3.3-b]", () => {
  const bench = new Bench({}, false);
  for (let i = 0; i < 50; i++) bench.ask(`n${i}.example.`);
  bench.turn();
  assert.equal(bench.writes.length, 0);
  bench.machine.open(0);
  bench.turn();
  assert.equal(bench.writes.length, 1);
  assert.equal(new Set(bench.sent().map(({ id }) => id)).size, 50);
});

test("an id stays taken until its late reply has come [7766-6.2.1-b]", () => {
  const bench = new Bench();
  const { outcomes } = bench.ask("late.example.", { deadlineMs: 100 });
  const late = only(bench.sent());
  bench.passUntil(100);
  assert.deepEqual(outcomes, [{ kind: "timeout", wasSent: true }]);
  assert.deepEqual(bench.machine.takenIds, [late.id]);
  bench.receive(frameMessage(replyTo(late)));
  assert.deepEqual(bench.machine.takenIds, []);
  assert.equal(bench.machine.counters.late, 1);
  assert.equal(bench.machine.counters.unexpected, 0);
});

test("no more than the limit is in flight; the rest follows as replies come", () => {
  const bench = new Bench({ inFlightMax: 3 });
  const asked = Array.from({ length: 7 }, (_, i) => bench.ask(`n${i}.example.`));
  const rounds: number[] = [];
  for (let queries = bench.sent(); queries.length > 0; queries = bench.sent()) {
    rounds.push(queries.length);
    bench.receive(concat(queries.map((query) => frameMessage(replyTo(query)))));
  }
  assert.deepEqual(rounds, [3, 3, 1]);
  assert.ok(asked.every(({ outcomes }) => only(outcomes).kind === "reply"));
});

// Where none had room, an acknowledgement was left to a query that did not leave.
test("what waits for room is not gathered: it does not leave with this turn", () => {
  const bench = new Bench({ inFlightMax: 3 });
  const gathered = (count: number): number => {
    for (let i = 0; i < count; i++) bench.ask(`n${i}.example.`);
    return bench.machine.gathered;
  };
  assert.equal(gathered(2), 2);
  const [first] = bench.sent();
  assert.equal(gathered(3), 1);
  bench.sent();
  assert.equal(bench.machine.gathered, 0);
  assert.equal(gathered(1), 0);
  assert.ok(first);
  bench.receive(frameMessage(replyTo(first)));
  assert.equal(bench.sent().length, 1);
});

test("a full queue refuses", () => {
  const bench = new Bench({ queueMax: 2 }, false);
  const asked = ["a.example.", "b.example.", "c.example."].map((name) => bench.ask(name));
  assert.deepEqual(
    asked.map(({ outcomes }) => outcomes),
    [[], [], [{ kind: "refused" }]],
  );
});

test("a stream that takes no more is written to again when it has drained", () => {
  const bench = new Bench();
  bench.takesWrites = false;
  bench.ask("a.example.");
  assert.equal(bench.sent().length, 1);
  bench.ask("b.example.");
  assert.equal(bench.sent().length, 0);
  bench.takesWrites = true;
  bench.machine.drained();
  assert.equal(bench.sent().length, 1);
});

test("every query has its own deadline, sent or not", () => {
  const bench = new Bench({ inFlightMax: 2 });
  const asked = [300, 100, 50].map((deadlineMs) => bench.ask(`d${deadlineMs}.example.`, { deadlineMs }));
  bench.sent();
  const seen: number[] = [];
  for (let nowMs = 50; nowMs <= 350; nowMs += 50) {
    bench.passUntil(nowMs);
    seen.push(asked.filter(({ outcomes }) => outcomes[0]?.kind === "timeout").length);
  }
  assert.deepEqual(seen, [1, 2, 2, 2, 2, 3, 3]);
});

test("a query that times out in total silence ends the use of the connection", () => {
  const bench = new Bench({ idleTimeoutMs: 60_000 });
  bench.ask("a.example.", { deadlineMs: 3000 });
  bench.sent();
  bench.passUntil(3000);
  assert.equal(bench.machine.takesQueries, false);
  assert.deepEqual(bench.calls, ["end"]);
});

test("a query that times out while others are answered leaves the connection in use", () => {
  const bench = new Bench();
  bench.ask("slow.example.", { deadlineMs: 3000 });
  bench.sent();
  bench.ask("fast.example.");
  bench.receive(frameMessage(replyTo(only(bench.sent()))), 2000);
  bench.passUntil(3000);
  assert.equal(bench.machine.takesQueries, true);
});

test("late replies that hold half of the ids in flight end the use of the connection", () => {
  const bench = new Bench({ inFlightMax: 4 });
  for (const deadlineMs of [100, 200]) bench.ask(`d${deadlineMs}.example.`, { deadlineMs });
  bench.ask("other.example.");
  bench.sent();
  bench.passUntil(199);
  assert.equal(bench.machine.state, "open");
  bench.passUntil(200);
  assert.equal(bench.machine.state, "draining");
});

test("a cancelled query is not settled, and an unsent one is not sent", () => {
  const bench = new Bench({ inFlightMax: 1 });
  const sent = bench.ask("a.example.");
  const unsent = bench.ask("b.example.");
  const query = only(bench.sent());
  bench.machine.cancel(unsent.query, 0);
  bench.machine.cancel(sent.query, 0);
  bench.receive(frameMessage(replyTo(query)));
  assert.equal(bench.sent().length, 0);
  assert.deepEqual([...sent.outcomes, ...unsent.outcomes], []);
  assert.equal(bench.machine.pending, 0);
});

test("the end of the peer, of the stream and our own lose every query exactly once, with what is needed to retry [7766-6.2.4-a]", () => {
  const ends: Record<string, (bench: Bench) => void> = {
    "peer ended": ({ machine }) => machine.peerEnded(10),
    "stream closed": ({ machine }) => machine.closed(new Error("reset"), 0),
    "shut down": ({ machine }) => machine.shutDown(10),
  };
  for (const [name, end] of Object.entries(ends)) {
    const bench = new Bench({ inFlightMax: 1 });
    const answered = bench.ask("a.example.");
    bench.receive(frameMessage(replyTo(only(bench.sent()))), 5);
    const sent = bench.ask("b.example.");
    const unsent = bench.ask("c.example.");
    bench.sent();
    end(bench);
    bench.machine.closed(undefined, 0);
    bench.machine.closed(undefined, 0);
    assert.equal(only(answered.outcomes).kind, "reply", name);
    const facts = [sent, unsent].map(({ outcomes }) => {
      const outcome = only(outcomes);
      return outcome.kind === "lost" ? [outcome.wasSent, outcome.repliesServed] : outcome.kind;
    });
    assert.deepEqual(
      facts,
      [
        [true, 1],
        [false, 1],
      ],
      name,
    );
    assert.equal(bench.timerAtMs, undefined, name);
    assert.equal(bench.machine.state, "closed", name);
  }
});

test("a lost query tells whether others were answered after it was sent", () => {
  const bench = new Bench();
  const first = bench.ask("a.example.");
  const second = bench.ask("b.example.");
  const [query] = bench.sent();
  assert.ok(query !== undefined);
  bench.receive(frameMessage(replyTo(query)), 10);
  bench.nowMs = 20;
  const third = bench.ask("c.example.");
  bench.sent();
  bench.machine.peerEnded(30);
  const passedOver = [second, third].map(({ outcomes }) => {
    const outcome = only(outcomes);
    return outcome.kind === "lost" && outcome.wasPassedOver;
  });
  assert.equal(only(first.outcomes).kind, "reply");
  assert.deepEqual(passedOver, [true, false]);
});

test("the idle time begins with the last reply, even with one that cannot be read", () => {
  const bench = new Bench({ idleTimeoutMs: 1000 });
  bench.ask("a.example.");
  bench.receive(frameMessage(replyTo(only(bench.sent())).subarray(0, -1)), 900);
  bench.passUntil(1899);
  assert.deepEqual(bench.calls, []);
  bench.passUntil(1900);
  assert.deepEqual(bench.calls, ["end"]);
});

test("an idle connection is closed by us, and reset when the peer does not close too [7766-6.2.3-b 7828-3.4-c]", () => {
  const bench = new Bench({ idleTimeoutMs: 1000 });
  bench.ask("a.example.");
  bench.receive(frameMessage(replyTo(only(bench.sent()))), 500);
  bench.passUntil(1499);
  assert.deepEqual(bench.calls, []);
  bench.passUntil(1500);
  assert.deepEqual(bench.calls, ["end"]);
  bench.passUntil(10_000);
  assert.deepEqual(bench.calls, ["end", "reset"]);
});

test("a connection with an outstanding query is not idle", () => {
  const bench = new Bench({ idleTimeoutMs: 1000, firstAnswerTimeoutMs: 60_000 });
  bench.ask("a.example.", { deadlineMs: 60_000 });
  bench.sent();
  bench.passUntil(30_000);
  assert.deepEqual(bench.calls, []);
});

test("what the peer's close of an idle connection teaches, unless it had told its timeout before", () => {
  const idle = new Bench({ idleTimeoutMs: 10_000 });
  idle.ask("a.example.", {});
  idle.receive(frameMessage(replyTo(only(idle.sent()))));
  idle.passUntil(3000);
  idle.machine.peerEnded(idle.nowMs);
  assert.equal(idle.machine.idleClosedAfterMs, 3000);
  const told = new Bench({ idleTimeoutMs: 10_000 });
  exchangeKeepalive(told, 300, true);
  told.passUntil(3000);
  told.machine.peerEnded(told.nowMs);
  assert.equal(told.machine.idleClosedAfterMs, undefined);
  const busy = new Bench({ idleTimeoutMs: 10_000 });
  exchangeKeepalive(busy, undefined, false);
  busy.ask("b.example.", { deadlineMs: 60_000 });
  busy.machine.peerEnded(busy.nowMs);
  assert.equal(busy.machine.idleClosedAfterMs, undefined);
});

/** Exchanges one query; the reply carries the option, or none. */
function exchangeKeepalive(bench: Bench, units: number | undefined, asksKeepalive: boolean): void {
  bench.ask("a.example.", { asksKeepalive, deadlineMs: bench.nowMs + 5000 });
  const options = units === undefined ? [] : [makeKeepalive(units)];
  bench.receive(frameMessage(replyTo(only(bench.sent()), { edns: makeEdns({ options }) })));
}

test("a keepalive timeout is honoured, overrides earlier ones, and closing begins before it ends [7828-3.2.2-b 9210-4.3-a]", () => {
  const bench = new Bench({ idleTimeoutMs: 2000 });
  exchangeKeepalive(bench, 300, true);
  bench.passUntil(28_900);
  assert.deepEqual(bench.calls, []);
  exchangeKeepalive(bench, 50, true);
  bench.passUntil(28_900 + 3900);
  assert.deepEqual(bench.calls, []);
  bench.passUntil(28_900 + 4999);
  assert.deepEqual(bench.calls, ["end"]);
});

test("a timeout of 0 stops sending and closes when the outstanding replies are there [7828-3.2.2-c]", () => {
  const bench = new Bench({ inFlightMax: 2 });
  const asked = ["a.example.", "b.example.", "c.example."].map((name) =>
    bench.ask(name, { asksKeepalive: true }),
  );
  const [first, second] = bench.sent();
  assert.ok(first !== undefined && second !== undefined);
  bench.receive(frameMessage(replyTo(first, { edns: makeEdns({ options: [makeKeepalive(0)] }) })));
  assert.equal(bench.machine.takesQueries, false);
  assert.deepEqual(bench.calls, []);
  assert.deepEqual(
    asked.map(({ outcomes }) => outcomes[0]?.kind),
    ["reply", undefined, "lost"],
  );
  assert.equal(bench.sent().length, 0);
  bench.receive(frameMessage(replyTo(second)));
  assert.deepEqual(bench.calls, ["end"]);
  assert.equal(asked[1]?.outcomes[0]?.kind, "reply");
});

test("a reply without the option that was asked for takes back what an earlier one gave [7828-3.2.2-d]", () => {
  const bench = new Bench({ idleTimeoutMs: 2000 });
  exchangeKeepalive(bench, 300, true);
  exchangeKeepalive(bench, undefined, true);
  bench.passUntil(2000);
  assert.deepEqual(bench.calls, ["end"]);
});

test("a reply without the option that was not asked for changes nothing", () => {
  const bench = new Bench({ idleTimeoutMs: 2000 });
  exchangeKeepalive(bench, 300, true);
  exchangeKeepalive(bench, undefined, false);
  bench.passUntil(28_000);
  assert.deepEqual(bench.calls, []);
});

test("a connection that may send so many queries moves the rest elsewhere", () => {
  const bench = new Bench({ queriesMax: 2 });
  const asked = ["a.example.", "b.example.", "c.example."].map((name) => bench.ask(name));
  const queries = bench.sent();
  assert.equal(queries.length, 2);
  bench.receive(concat(queries.map((query) => frameMessage(replyTo(query)))));
  assert.deepEqual(
    asked.map(({ outcomes }) => outcomes[0]?.kind),
    ["reply", "reply", "lost"],
  );
  assert.deepEqual(bench.calls, ["end"]);
});

test("a connection that never came about fails its queries", () => {
  const bench = new Bench({}, false);
  const { outcomes } = bench.ask("a.example.");
  const problem = new Error("refused");
  bench.machine.fail(problem);
  assert.deepEqual(outcomes, [{ kind: "failed", problem }]);
  assert.equal(bench.timerAtMs, undefined);
});

test("a query that is given after the end is our own mistake", () => {
  const bench = new Bench();
  bench.machine.shutDown(0);
  assert.throws(() => bench.ask("a.example."), /given to a connection that is closing/);
});

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
