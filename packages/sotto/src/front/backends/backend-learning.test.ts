import assert from "node:assert/strict";
import { test } from "node:test";
import { EdnsOptionCode, encodeMessage, makeEdns, makeMessage, Rcode } from "@sotto/dns/wire";
import {
  answers,
  answerTo,
  assertAnswered,
  type Behaviour,
  names,
  poolWorld,
  questionOf,
} from "./backends.test-support.ts";
import type { ForwardOutcome } from "./forward-query.ts";

/** One query per connection, which then ends. */
const answersOnce: Behaviour = (one) => {
  if (one.nthOnConnection > 1) return;
  answers(one);
  one.end();
};

const hasNoEdns: Behaviour = (one) =>
  one.query.edns === undefined
    ? answers(one)
    : one.reply(answerTo(one.query, { rcode: Rcode.FormErr, questions: [], answers: [], edns: undefined }));

test("a backend that closes after each answer is learnt: one query per connection, never more connections than allowed", async () => {
  const { pool, backends, ask, settled, end } = await poolWorld(["tcp"]);
  const [backend] = backends;
  assert.ok(backend);
  backend.behaviour = answersOnce;
  const first = names(50, "a").map((name) => ask(name));
  await settled(first);
  for (const one of first) assertAnswered(one);
  assert.equal(pool.status.backends[0]?.queriesPerConnection, 1);
  const before = backend.queries.length;
  const second = names(50, "b").map((name) => ask(name));
  await settled(second);
  for (const one of second) assertAnswered(one);
  assert.equal(backend.queries.length - before, 50, "none is sent in vain");
  assert.ok(backend.connectionsMost <= 4, `${backend.connectionsMost} at once`);
  await end();
});

test("what was learnt of a backend is tried again after a while", async () => {
  const { world, pool, backends, ask, settled, end } = await poolWorld(["tcp"]);
  const [backend] = backends;
  assert.ok(backend);
  backend.behaviour = answersOnce;
  const first = names(10, "a").map((name) => ask(name));
  await settled(first);
  assert.equal(pool.status.backends[0]?.queriesPerConnection, 1);
  backend.behaviour = answers;
  await world.clock.advance(61_000);
  assert.equal(pool.status.backends[0]?.queriesPerConnection, undefined);
  const before = backend.connectionsInAll;
  const second = names(100, "b").map((name) => ask(name));
  await settled(second);
  for (const one of second) assertAnswered(one);
  assert.ok(backend.connectionsInAll - before <= 4);
  await end();
});

test("a backend that answers only the first query of a connection and ignores the others is learnt, too", async () => {
  const { pool, backends, ask, settled, end } = await poolWorld(["tcp"]);
  const [backend] = backends;
  assert.ok(backend);
  backend.behaviour = (one) => {
    if (one.nthOnConnection === 1) answers(one);
  };
  for (let round = 0; round < 3; round++)
    await settled(names(8, `a${round}-`).map((name) => ask(name, 10_000)));
  assert.equal(pool.status.backends[0]?.queriesPerConnection, 1);
  const last = names(20, "b").map((name) => ask(name));
  await settled(last);
  for (const one of last) assertAnswered(one);
  await end();
});

test("queries of a turn share a connection and a write once an answer has overtaken another, until connecting fails", async () => {
  const { world, backends, ask, settled, end } = await poolWorld(["tcp"]);
  const [backend] = backends;
  assert.ok(backend);
  /** Connections on which so many at once come, and the pieces that they come in. */
  const spread = async (prefix: string): Promise<readonly number[]> => {
    const [queriesBefore, chunksBefore] = [backend.queries.length, backend.chunks];
    const asked = names(12, prefix).map((name) => ask(name));
    await settled(asked);
    for (const one of asked) assertAnswered(one);
    const used = new Set(backend.queries.slice(queriesBefore).map(({ reset }) => reset));
    return [used.size, backend.chunks - chunksBefore];
  };
  await settled(names(100).map((name) => ask(name)));
  assert.deepEqual(await spread("before"), [4, 4]);

  let held: (() => void) | undefined;
  backend.behaviour = (one) => {
    if (held === undefined) held = () => answers(one);
    else {
      answers(one);
      held();
    }
  };
  // Five, so that two of them share one of the four connections.
  const five = names(5, "overtaken").map((name) => ask(name));
  await settled(five);
  backend.behaviour = answers;
  assert.deepEqual(await spread("after"), [1, 1]);

  await backend.kill();
  const lost = ask("lost.example.", 500);
  await settled([lost]);
  await backend.open();
  await world.clock.advance(5000);
  await settled(names(100, "again").map((name) => ask(name)));
  assert.deepEqual(await spread("anew"), [4, 4]);
  await end();
});

test("more than a server works on at once on a connection go to others", async () => {
  const { backends, ask, settled, end } = await poolWorld(["tcp"]);
  const [backend] = backends;
  assert.ok(backend);
  await settled(names(100).map((name) => ask(name)));
  backend.behaviour = (one) => {
    backend.behaviour = (later) => {
      answers(later);
      answers(one);
      backend.behaviour = answers;
    };
  };
  await settled(names(5, "overtaken").map((name) => ask(name)));
  const before = backend.queries.length;
  await settled(names(40, "many").map((name) => ask(name)));
  const counts = new Map<unknown, number>();
  for (const { reset } of backend.queries.slice(before)) counts.set(reset, (counts.get(reset) ?? 0) + 1);
  assert.deepEqual(
    [...counts.values()].sort((a, b) => a - b),
    [8, 16, 16],
  );
  await end();
});

test("a backend without EDNS is asked again without, and from then on at once", async () => {
  const { backends, ask, settled, end } = await poolWorld(["udp"]);
  const [backend] = backends;
  assert.ok(backend);
  backend.behaviour = hasNoEdns;
  for (const name of names(3)) {
    const asked = ask(name);
    await settled([asked]);
    assertAnswered(asked);
  }
  assert.deepEqual(
    backend.queries.map(({ query }) => query.edns !== undefined),
    [true, false, false, false],
  );
  await end();
});

test("a client's option that a backend cannot stand takes EDNS from that query alone", async () => {
  // A malformed client subnet is FORMERR (RFC 7871 §7.1.2), not always with an OPT record: whoever sent one took DO from everybody.
  const { world, pool, backends, ask, settled, end } = await poolWorld(["udp"]);
  const [backend] = backends;
  assert.ok(backend);
  backend.behaviour = (one) =>
    (one.query.edns?.options.length ?? 0) === 0
      ? answers(one)
      : one.reply(answerTo(one.query, { rcode: Rcode.FormErr, answers: [], edns: undefined }));
  const outcomes: ForwardOutcome[] = [];
  const question = questionOf("odd.example.");
  const option = { code: EdnsOptionCode.ClientSubnet, data: Uint8Array.of(9, 9) };
  pool.forward({
    octets: encodeMessage(makeMessage({ questions: [question], edns: makeEdns({ options: [option] }) })),
    question,
    deadlineMs: world.clock.nowMs() + 5000,
    client: undefined,
    local: undefined,
    settle: (outcome) => outcomes.push(outcome),
  });
  await world.clock.runUntil(() => outcomes.length > 0);
  assertAnswered({ name: "odd.example.", outcomes });
  const other = ask("other.example.");
  await settled([other]);
  assert.deepEqual(
    backend.queries.map(({ query }) => query.edns !== undefined),
    [true, false, true],
  );
  await end();
});

test("that a backend has no EDNS is forgotten after a while, also while queries are under way", async () => {
  // Any reply to a query without EDNS made it known for another quarter of an hour, so that a busy backend was never asked again.
  const { world, backends, ask, settled, end } = await poolWorld(["udp"]);
  const [backend] = backends;
  assert.ok(backend);
  backend.behaviour = hasNoEdns;
  await settled([ask("first.example.")]);
  await world.clock.advance(899_800);
  const held: (() => void)[] = [];
  backend.behaviour = (one) => void held.push(() => answers(one));
  const slow = ask("slow.example.");
  await world.clock.runUntil(() => held.length > 0);
  await world.clock.advance(400);
  held[0]?.();
  await settled([slow]);
  backend.behaviour = answers;
  await settled([ask("next.example.")]);
  assert.deepEqual(
    [backend.queries[2], backend.queries.at(-1)].map((one) => one?.query.edns !== undefined),
    [false, true],
  );
  await end();
});
