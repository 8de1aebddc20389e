/** What a client connection makes of silence. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { frameMessage } from "@sotto/dns/wire";
import { replyTo } from "./client-fakes.test-support.ts";
import { Bench, only } from "./connection-bench.test-support.ts";
import type { QueryOutcome } from "./connection-query.ts";

test("a connection that has never answered is given up before its queries' deadline, one that has when it falls silent", () => {
  const fresh = new Bench({ firstAnswerTimeoutMs: 5000, idleTimeoutMs: 60_000 });
  const first = fresh.ask("a.example.", { deadlineMs: 60_000 });
  fresh.sent();
  fresh.passUntil(4999);
  assert.deepEqual(first.outcomes, []);
  fresh.passUntil(5000);
  assert.deepEqual(first.outcomes, [{ kind: "timeout", wasSent: true }]);
  assert.deepEqual(fresh.calls, ["end"]);
  const proven = new Bench({ firstAnswerTimeoutMs: 5000, idleTimeoutMs: 60_000 });
  proven.ask("a.example.", { deadlineMs: 60_000 });
  proven.receive(frameMessage(replyTo(only(proven.sent()))));
  const second = proven.ask("b.example.", { deadlineMs: 60_000 });
  proven.sent();
  proven.passUntil(1499);
  assert.equal(second.outcomes.length, 0);
  proven.passUntil(1500);
  assert.equal(second.outcomes[0]?.kind, "lost");
});

test("a connection that is silent after a pause loses its query in time for another try, and gets no more [7858-3.4-d]", () => {
  const afterPause = (pauseMs: number): { bench: Bench; outcomes: QueryOutcome[] } => {
    const bench = new Bench({
      answerAfterPauseTimeoutMs: 2000,
      silenceTimeoutMs: 6000,
      idleTimeoutMs: 60_000,
    });
    bench.ask("a.example.");
    bench.receive(frameMessage(replyTo(only(bench.sent()))), 0);
    bench.passUntil(pauseMs);
    const { outcomes } = bench.ask("b.example.", { deadlineMs: pauseMs + 5000 });
    return { bench, outcomes };
  };
  const dead = afterPause(1000);
  dead.bench.sent();
  dead.bench.passUntil(2999);
  assert.equal(dead.outcomes.length, 0);
  dead.bench.passUntil(3000);
  assert.deepEqual(
    dead.outcomes.map(({ kind }) => kind),
    ["lost"],
  );
  assert.equal(dead.bench.machine.takesQueries, false);
  const slow = afterPause(1000);
  const query = only(slow.bench.sent());
  slow.bench.ask("c.example.", { deadlineMs: 6000 });
  slow.bench.receive(frameMessage(replyTo(only(slow.bench.sent()))), 1500);
  slow.bench.passUntil(5000);
  assert.equal(slow.outcomes.length, 0, "another reply shows that the connection works");
  slow.bench.receive(frameMessage(replyTo(query)), 5000);
  assert.equal(slow.outcomes[0]?.kind, "reply");
  const busy = afterPause(999);
  busy.bench.sent();
  busy.bench.passUntil(5998);
  assert.deepEqual(busy.outcomes, []);
  busy.bench.passUntil(5999);
  assert.deepEqual(busy.outcomes, [{ kind: "timeout", wasSent: true }]);
});

test("queries with little patience do not keep a dead connection in use", () => {
  const bench = new Bench({ idleTimeoutMs: 60_000 });
  bench.ask("a.example.");
  bench.receive(frameMessage(replyTo(only(bench.sent()))), 0);
  for (let nowMs = 0; nowMs < 1200; nowMs += 300) {
    assert.equal(bench.machine.takesQueries, true);
    assert.equal(bench.machine.isSuspect(nowMs), false);
    bench.ask("b.example.", { deadlineMs: nowMs + 300 });
    bench.sent();
    bench.passUntil(nowMs + 300);
  }
  assert.equal(bench.machine.takesQueries, false);
});

test("queries that were sent into the same silence are lost together, so that they go on at once", () => {
  const bench = new Bench({ silenceTimeoutMs: 1500, idleTimeoutMs: 60_000 });
  bench.ask("a.example.", { deadlineMs: 9000 });
  bench.receive(frameMessage(replyTo(only(bench.sent()))), 0);
  const asked = [0, 500, 1400].map((atMs) => {
    bench.passUntil(atMs);
    const { outcomes } = bench.ask(`at-${atMs}.example.`, { deadlineMs: 9000 });
    bench.sent();
    return outcomes;
  });
  bench.passUntil(1499);
  assert.deepEqual(asked.flat(), []);
  bench.passUntil(1500);
  const kinds = asked.map((outcomes) => outcomes.map(({ kind }) => kind));
  assert.deepEqual(kinds, [["lost"], ["lost"], ["lost"]]);
  assert.deepEqual(bench.calls, ["end"]);
  assert.equal(bench.machine.pending, 0);
});

test("a server that takes long is waited for twice as long as it took last", () => {
  const bench = new Bench({ answerAfterPauseTimeoutMs: 1000, idleTimeoutMs: 60_000 });
  bench.ask("a.example.", { deadlineMs: 9000 });
  bench.receive(frameMessage(replyTo(only(bench.sent()))), 1200);
  bench.passUntil(5000);
  const { outcomes } = bench.ask("b.example.", { deadlineMs: 60_000 });
  bench.sent();
  bench.passUntil(7399);
  assert.equal(outcomes.length, 0);
  bench.passUntil(7400);
  assert.equal(outcomes[0]?.kind, "lost");
});
