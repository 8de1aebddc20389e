import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { encodeMessage, makeEdns, makeMessage, makePadding, Rcode } from "@sotto/dns/wire";
import {
  answers,
  answerTo,
  assertAnswered,
  decode,
  fails,
  isSilent,
  names,
  poolWorld,
  questionOf,
} from "./backends.test-support.ts";
import type { ForwardOutcome } from "./forward-query.ts";

test("a thousand queries share four connections, and each gets its own answer", async () => {
  const { pool, backends, ask, settled, end } = await poolWorld(["tcp"]);
  const asked = names(1000).map((name) => ask(name));
  await settled(asked);
  for (const one of asked) assert.equal(assertAnswered(one), "b1");
  assert.equal(backends[0]?.connectionsInAll, 4);
  const [status] = pool.status.backends;
  assert.equal(status?.counters.sent, 1000);
  assert.equal(status?.counters.answered, 1000);
  assert.equal(status?.inFlight, 0);
  await end();
});

test("one query after the other keeps to one connection", async () => {
  const { backends, ask, settled, end } = await poolWorld(["tcp"]);
  for (const name of names(20)) {
    const asked = ask(name);
    await settled([asked]);
    assertAnswered(asked);
  }
  assert.equal(backends[0]?.connectionsInAll, 1);
  await end();
});

test("a backend that answers in order holds up only what shares the connection with its slow name", async () => {
  const { world, backends, ask, settled, end } = await poolWorld(["tcp"]);
  const [backend] = backends;
  assert.ok(backend);
  let isHeld = false;
  const held: (() => void)[] = [];
  backend.behaviour = (query) => {
    // All that comes later on the first connection waits for the slow one.
    if (query.query.questions[0]?.name.toString() === "slow.example.") isHeld = true;
    if (isHeld && query.nthOnConnection > 0 && held.length < 4) held.push(() => answers(query));
    else answers(query);
  };
  const slow = ask("slow.example.");
  const others = names(40).map((name) => ask(name));
  await world.clock.advance(100);
  assert.ok(others.filter(({ outcomes }) => outcomes.length > 0).length >= 36);
  for (const go of held) go();
  await settled([slow, ...others]);
  await end();
});

test("few queries of one turn take a connection each, so that a slow one holds nobody up", async () => {
  const { world, backends, ask, settled, end } = await poolWorld(["tcp"]);
  const [backend] = backends;
  assert.ok(backend);
  await settled(names(100).map((name) => ask(name)));
  const held: (() => void)[] = [];
  const waits = new Set<unknown>();
  backend.behaviour = (query) => {
    if (query.query.questions[0]?.name.toString() === "slow.example.") waits.add(query.reset);
    if (waits.has(query.reset)) held.push(() => answers(query));
    else answers(query);
  };
  const slow = ask("slow.example.");
  const others = names(3, "quick").map((name) => ask(name));
  await world.clock.advance(100);
  assert.equal(slow.outcomes.length, 0);
  for (const one of others) assertAnswered(one);
  for (const go of held) go();
  await settled([slow]);
  await end();
});

test("what is truncated over UDP is asked over TCP at the same backend", async () => {
  const { pool, backends, ask, settled, end } = await poolWorld(["udp"]);
  const [backend] = backends;
  assert.ok(backend);
  backend.behaviour = (one) =>
    one.transport === "udp"
      ? one.reply(answerTo(one.query, { isTruncated: true, answers: [] }))
      : answers(one);
  const asked = names(10).map((name) => ask(name));
  await settled(asked);
  for (const one of asked) assertAnswered(one);
  assert.equal(backend.queries.filter(({ transport }) => transport === "stream").length, 10);
  assert.equal(pool.status.backends[0]?.counters.truncated, 10);
  await end();
});

test("over UDP a lost datagram is sent again, ids are random, and a forged reply does not end the wait", async () => {
  const { world, backends, ask, settled, end } = await poolWorld(["udp"]);
  const [backend] = backends;
  assert.ok(backend);
  const ids = new Set<number>();
  backend.behaviour = (one) => {
    ids.add(one.query.id);
    const wrongId = answerTo({ ...one.query, id: one.query.id ^ 1 });
    const wrongName = answerTo({ ...one.query, questions: [questionOf("other.example.")] });
    if (one.nth > 50) {
      one.reply(wrongId);
      one.reply(wrongName);
      answers(one);
    }
  };
  const asked = names(50).map((name) => ask(name));
  await settled(asked);
  for (const one of asked) assertAnswered(one);
  assert.ok(ids.size > 45, "the same id is kept when a query is sent again");
  assert.equal(backend.queries.length, 100);
  assert.ok(world.network.use.datagramSockets <= 5);
  await end();
});

test("UDP sockets are replaced after so many queries and after some time", async () => {
  const { world, backends, ask, settled, end } = await poolWorld(["udp"], {}, { limits: { sockets: 1 } });
  const ports = new Set<number>();
  for (let round = 0; round < 3; round++) {
    const asked = ask(`r${round}.example.`);
    await settled([asked]);
    for (const { port, address } of world.network.boundDatagramEndpoints)
      if (address === "192.0.2.1") ports.add(port);
    await world.clock.advance(11_000);
  }
  assert.equal(ports.size, 3);
  assert.equal(backends[0]?.queries.length, 3);
  await end();
});

test("SERVFAIL of one backend is asked elsewhere; when all say so, it is the answer", async () => {
  const { backends, ask, settled, end } = await poolWorld(["tcp", "tcp"], { balancing: "ordered" });
  const [first, second] = backends;
  assert.ok(first && second);
  first.behaviour = fails(Rcode.ServFail);
  const one = ask("one.example.");
  await settled([one]);
  assert.equal(assertAnswered(one), "b2");
  second.behaviour = fails(Rcode.ServFail);
  const two = ask("two.example.");
  await settled([two]);
  const [outcome] = two.outcomes;
  assert.ok(outcome?.kind === "reply");
  assert.equal(decode(outcome.octets).rcode, Rcode.ServFail);
  assert.equal(outcome.tries, 2);
  // NXDOMAIN is an answer.
  first.behaviour = fails(Rcode.NXDomain);
  const three = ask("three.example.");
  await settled([three]);
  assert.deepEqual(three.outcomes[0]?.kind === "reply" && three.outcomes[0].backend, "b1");
  await end();
});

// The front end found out that a reply was of no use when it was the outcome, and another backend was never asked.
test("a reply that the query has no use for is asked elsewhere; when there is nobody else, that is why it fails", async () => {
  const { world, pool, backends, settled, end } = await poolWorld(["tcp", "tcp"], { balancing: "ordered" });
  const ask = (isUseless: (backend: string) => boolean): ForwardOutcome[] => {
    const outcomes: ForwardOutcome[] = [];
    const question = questionOf("one.example.");
    pool.forward({
      octets: encodeMessage(makeMessage({ questions: [question] })),
      question,
      deadlineMs: world.clock.nowMs() + 5000,
      client: undefined,
      local: undefined,
      refuses: (_octets, backend) => (isUseless(backend) ? "it is of no use" : undefined),
      settle: (outcome) => outcomes.push(outcome),
    });
    return outcomes;
  };
  const one = ask((backend) => backend === "b1");
  await settled([{ name: "one.example.", outcomes: one }]);
  assert.equal(assertAnswered({ name: "one.example.", outcomes: one }), "b2");
  const none = ask(() => true);
  await settled([{ name: "one.example.", outcomes: none }]);
  const [outcome] = none;
  assert.ok(outcome?.kind === "failed" && outcome.tries === 2);
  assert.equal(outcome.problem.code, "ERR_REPLY_UNUSABLE");
  assert.match(outcome.problem.message, /b1 \(it is of no use\), b2 \(it is of no use\)/);
  assert.equal(backends[0]?.queries.length, 2);
  await end();
});

test("garbage, wrong ids and wrong questions never reach the client", async () => {
  const { pool, backends, ask, settled, end } = await poolWorld(["tcp", "tcp"], { balancing: "ordered" });
  const [bad] = backends;
  assert.ok(bad);
  const kinds = [
    (octets: Uint8Array) => octets.fill(0xff, 12),
    (octets: Uint8Array) => octets.subarray(0, 20),
    (octets: Uint8Array) => octets.with(0, (octets[0] ?? 0) ^ 0x55),
    (octets: Uint8Array) => octets.with(14, (octets[14] ?? 0) ^ 0x1),
    (octets: Uint8Array) => Uint8Array.of(...octets, 1, 2, 3),
    // No question and no error.
    (octets: Uint8Array) => octets.slice(0, 12).fill(0, 4),
  ];
  bad.behaviour = (one) => one.reply(kinds[one.nth % kinds.length]?.(answerTo(one.query)) ?? one.octets);
  for (const name of names(18)) {
    const asked = ask(name);
    await settled([asked]);
    assert.equal(assertAnswered(asked), "b2");
  }
  assert.ok((pool.status.backends[0]?.counters.failures.malformed ?? 0) > 0);
  await end();
});

test("a stopped backend costs its queries one patience, and later ones nothing", async () => {
  const { world, pool, backends, ask, settled, end } = await poolWorld(["tcp", "tcp", "tcp"], {
    health: { intervalMs: 1000, slowStartMs: 0 },
  });
  await settled(names(400, "warm").map((name) => ask(name)));
  const { patienceMs } = pool;
  assert.ok(patienceMs <= 60, `${patienceMs} ms`);
  const [stopped] = backends;
  assert.ok(stopped);
  stopped.behaviour = isSilent;
  stopped.checkBehaviour = isSilent;
  const asked = names(90).map((name) => ask(name));
  await settled(asked);
  for (const one of asked) {
    assertAnswered(one);
    const [outcome] = one.outcomes;
    assert.ok(outcome?.kind === "reply" && outcome.tookMs <= patienceMs + 30, `${JSON.stringify(outcome)}`);
  }
  assert.equal(pool.status.backends[0]?.state, "up", "it is only suspect until a check fails, too");
  await world.clock.advance(2000);
  assert.equal(pool.status.backends[0]?.state, "down");
  const later = names(90, "later").map((name) => ask(name));
  await settled(later);
  for (const one of later) assert.ok(one.outcomes[0]?.kind === "reply" && one.outcomes[0].tookMs < 30);
  // It goes on: two good checks bring it back.
  stopped.behaviour = answers;
  stopped.checkBehaviour = answers;
  await world.clock.advance(10_000);
  assert.equal(pool.status.backends[0]?.state, "up");
  assert.deepEqual(
    world.events.published.filter(({ name }) => name.startsWith("front.")).map(({ name }) => name),
    ["front.backend.down", "front.backend.up"],
  );
  const [down] = world.events.named("front.backend.down");
  assert.equal(down?.["pool"], "main");
  assert.equal(down?.["backend"], "b1");
  await end();
});

test("a killed backend loses no query: what it had goes to the others at once", async () => {
  const { world, pool, backends, ask, settled, end } = await poolWorld(["tcp", "tcp"]);
  const [killed] = backends;
  assert.ok(killed);
  killed.behaviour = isSilent;
  const asked = names(100).map((name) => ask(name));
  await world.clock.advance(25);
  await killed.kill();
  await settled(asked);
  for (const one of asked) assert.equal(assertAnswered(one), "b2");
  assert.ok(asked.every(({ outcomes }) => outcomes[0]?.kind === "reply" && outcomes[0].tookMs < 200));
  const later = names(50, "later").map((name) => ask(name));
  await settled(later);
  for (const one of later) assert.equal(assertAnswered(one), "b2");
  assert.equal(pool.isDown, false);
  await end();
});

test("the only backend restarts: queries wait for it within their time", async () => {
  const { world, backends, ask, settled, end } = await poolWorld(["tcp"]);
  const [backend] = backends;
  assert.ok(backend);
  const before = ask("before.example.");
  await settled([before]);
  await backend.kill();
  const during = names(20).map((name) => ask(name));
  await world.clock.advance(700);
  assert.ok(during.every(({ outcomes }) => outcomes.length === 0));
  await backend.open();
  await settled(during);
  for (const one of during) assertAnswered(one);
  await end();
});

test("when nobody can be reached the failure names pool, backends and why, at the deadline", async () => {
  const { backends, ask, settled, end } = await poolWorld(["tcp", "tcp"]);
  await Promise.all(backends.map((backend) => backend.kill()));
  const asked = ask("www.example.", 3000);
  await settled([asked]);
  const [outcome] = asked.outcomes;
  assert.ok(outcome?.kind === "failed");
  assert.ok(DnsError.is(outcome.problem));
  assert.match(outcome.problem.message, /pool main/);
  await end();
});

test("places and queue are bounded: what is too much goes elsewhere or fails at once, the rest in order", async () => {
  const { world, pool, backends, ask, settled, end } = await poolWorld(
    ["tcp"],
    { retries: 0 },
    { limits: { inFlightMax: 10, queueMax: 5 } },
  );
  const [backend] = backends;
  assert.ok(backend);
  const held: (() => void)[] = [];
  backend.behaviour = (one) => held.push(() => answers(one));
  const asked = names(15).map((name) => ask(name));
  await world.clock.advance(50);
  assert.equal(backend.queries.length, 10);
  assert.equal(pool.isSaturated, true);
  assert.equal(pool.status.backends[0]?.queued, 5);
  const tooMuch = ask("much.example.", 1000);
  await settled([tooMuch]);
  assert.equal(tooMuch.outcomes[0]?.kind, "failed");
  backend.behaviour = answers;
  for (const go of held) go();
  await settled(asked);
  for (const one of asked) assertAnswered(one);
  assert.equal(pool.isSaturated, false);
  await end();
});

test("who waits in the queue past its deadline fails then, and its place is free", async () => {
  const { world, pool, backends, ask, settled, end } = await poolWorld(
    ["tcp"],
    { retries: 0 },
    { limits: { inFlightMax: 1, queueMax: 2 } },
  );
  const [backend] = backends;
  assert.ok(backend);
  backend.behaviour = isSilent;
  const holder = ask("holder.example.", 4000);
  const waiting = [ask("a.example.", 1000), ask("b.example.", 1000)];
  await settled(waiting);
  for (const { outcomes } of waiting) assert.equal(outcomes[0]?.kind, "failed");
  assert.equal(holder.outcomes.length, 0);
  const next = ask("c.example.", 3900);
  backend.behaviour = answers;
  await world.clock.advance(10);
  assert.equal(pool.status.backends[0]?.queued, 1, "those that are over have left");
  await settled([holder, next]);
  await end();
});

test("a drained backend gets no new queries, keeps those it has, and comes back by command", async () => {
  const { world, pool, backends, ask, settled, end } = await poolWorld(["tcp", "tcp"], {
    balancing: "ordered",
  });
  const [drained] = backends;
  assert.ok(drained);
  const held: (() => void)[] = [];
  drained.behaviour = (one) => held.push(() => answers(one));
  const first = ask("first.example.");
  await world.clock.advance(30);
  assert.equal(pool.drain("b1"), true);
  assert.equal(pool.drain("nobody"), false);
  const second = ask("second.example.");
  await settled([second]);
  assert.equal(assertAnswered(second), "b2");
  for (const go of held) go();
  await settled([first]);
  assert.equal(assertAnswered(first), "b1");
  assert.equal(pool.status.backends[0]?.state, "draining");
  assert.equal(pool.resume("b1"), true);
  drained.behaviour = answers;
  const third = ask("third.example.");
  await settled([third]);
  assert.equal(assertAnswered(third), "b1");
  await end();
});

// Each query waited its whole time for somebody whom only an operator brings back.
test("when all backends are drained a query fails at once, and what they have goes on", async () => {
  const { world, pool, backends, ask, settled, end } = await poolWorld(["tcp"]);
  const [backend] = backends;
  assert.ok(backend);
  const held: (() => void)[] = [];
  backend.behaviour = (query) => held.push(() => answers(query));
  const before = ask("before.example.");
  await world.clock.advance(50);
  pool.drain("b1");
  const after = ask("after.example.");
  const [outcome] = after.outcomes;
  assert.ok(outcome?.kind === "failed");
  assert.match(outcome.problem.message, /b1 is draining/);
  for (const go of held) go();
  await settled([before]);
  assertAnswered(before);
  await end();
});

test("when all backends are slow, no more than a fifth of the queries is asked twice", async () => {
  const { world, backends, ask, settled, end } = await poolWorld(["udp", "udp", "udp"], {
    health: { intervalMs: 0, failuresMax: 1_000_000 },
  });
  await settled(names(300, "warm").map((name) => ask(name)));
  const before = backends.reduce((sum, { queries }) => sum + queries.length, 0);
  for (const backend of backends)
    backend.behaviour = (one) => {
      world.clock.startTimer("slow backend", 240, () => answers(one));
    };
  const asked = [];
  for (let i = 0; i < 2000; i++) {
    asked.push(ask(`n${i}.example.`));
    if (i % 10 === 9) await world.clock.advance(5);
  }
  await settled(asked);
  for (const one of asked) assertAnswered(one);
  const sent = backends.reduce((sum, { queries }) => sum + queries.length, 0) - before;
  assert.ok(sent > 2000 && sent <= 2000 * 1.2 + 200, `${sent} sent`);
  await world.clock.advance(3000);
  await end();
});

test("over TLS queries are padded to 128, ask for keepalive once per connection, and tickets are used", async () => {
  const { world, backends, ask, settled, end } = await poolWorld(
    ["tls"],
    {},
    { limits: { idleTimeoutMs: 2000 } },
  );
  const [backend] = backends;
  assert.ok(backend);
  for (let round = 0; round < 3; round++) {
    await settled([ask(`a${round}.example.`)]);
    await settled([ask(`b${round}.example.`)]);
    await world.clock.advance(5000);
  }
  assert.equal(backend.connectionsInAll, 3);
  assert.equal(backend.resumed, 2);
  for (const { octets, query, nthOnConnection } of backend.queries) {
    assert.equal(octets.length % 128, 0);
    const keepalives = query.edns?.options.filter(({ code }) => code === 11).length;
    assert.equal(keepalives, nthOnConnection === 1 ? 1 : 0);
  }
  await end();
});

test("closing settles every query once, and leaves nothing behind", async () => {
  const { world, pool, backends, ask, end } = await poolWorld(["tcp", "udp"]);
  for (const backend of backends) backend.behaviour = isSilent;
  const asked = names(50).map((name) => ask(name));
  await world.clock.advance(20);
  await world.clock.runUntil(pool.close());
  for (const { outcomes } of asked) {
    assert.equal(outcomes.length, 1);
    assert.ok(outcomes[0]?.kind === "failed" && DnsError.is(outcomes[0].problem, "ERR_CLOSED"));
  }
  const after = ask("after.example.");
  assert.equal(after.outcomes[0]?.kind, "failed");
  await end();
});

test("hash: a question always goes to the same backend, whatever the case, and elsewhere only while that one is gone", async () => {
  const { pool, ask, settled, end } = await poolWorld(["tcp", "udp", "tcp"], { balancing: "hash" });
  const homes = new Map<string, string>();
  for (const name of names(60)) {
    const asked = ask(name);
    await settled([asked]);
    homes.set(name, assertAnswered(asked));
  }
  assert.equal(new Set(homes.values()).size, 3);
  pool.drain("b2");
  for (const [name, home] of homes) {
    const asked = ask(name);
    await settled([asked]);
    const now = assertAnswered(asked);
    assert.ok(home === "b2" ? now !== "b2" : now === home, `${name}: ${home}, then ${now}`);
  }
  pool.resume("b2");
  for (const [name, home] of homes) {
    const asked = ask(name);
    await settled([asked]);
    assert.equal(assertAnswered(asked), home);
  }
  await end();
});

test("who comes back after a failure starts with a small share", async () => {
  const { world, pool, backends, ask, settled, end } = await poolWorld(["tcp", "tcp"], {
    balancing: "weighted random",
    health: { intervalMs: 500, downIntervalMs: 200, rise: 1, fall: 1, slowStartMs: 20_000 },
  });
  const [first] = backends;
  assert.ok(first);
  first.checkBehaviour = isSilent;
  await world.clock.runUntil(() => pool.status.backends[0]?.state === "down");
  first.checkBehaviour = answers;
  await world.clock.runUntil(() => pool.status.backends[0]?.state === "starting");
  await settled(names(200).map((name) => ask(name)));
  const early = first.queries.length;
  assert.ok(early > 2 && early < 50, `${early} of 200`);
  await world.clock.advance(21_000);
  await settled(names(200).map((name) => ask(name)));
  assert.ok(first.queries.length - early > 70, `${first.queries.length - early} of 200`);
  assert.equal(pool.status.backends[0]?.state, "up");
  await end();
});

test("a check that is answered wrongly takes a backend down: another rcode than expected", async () => {
  const { world, pool, backends, end } = await poolWorld(["udp"], {
    health: { intervalMs: 500, fall: 2, rcodes: [Rcode.NoError] },
  });
  const [backend] = backends;
  assert.ok(backend);
  backend.checkBehaviour = fails(Rcode.Refused);
  await world.clock.runUntil(() => pool.isDown);
  assert.match(pool.status.backends[0]?.why ?? "", /REFUSED/);
  await end();
});

// Only the lower four bits of the code were looked at: BADVERS was NOERROR, and each query that went there of no use.
test("a check that is answered with an extended code or an OPT record that cannot be read takes a backend down", async () => {
  const { world, pool, backends, end } = await poolWorld(["tcp", "udp"], {
    health: { intervalMs: 500, fall: 2 },
  });
  const [first, second] = backends;
  assert.ok(first && second);
  first.checkBehaviour = ({ query, reply }) => reply(answerTo(query, { rcode: Rcode.BadVers }));
  second.checkBehaviour = ({ query, reply }) => {
    const octets = answerTo(query, { edns: makeEdns({ options: [makePadding(8)] }) });
    reply(octets.with(octets.length - 9, 200));
  };
  await world.clock.runUntil(() => pool.isDown);
  const [one, other] = pool.status.backends;
  assert.match(one?.why ?? "", /BADVERS/);
  assert.match(other?.why ?? "", /runs past the OPT record/);
  await end();
});

test("while replies over TCP are waited for, queries over UDP go on", async () => {
  const { world, backends, ask, settled, end } = await poolWorld(["udp"], {}, { limits: { connections: 1 } });
  const [backend] = backends;
  assert.ok(backend);
  const isLarge = (name: string): boolean => name.startsWith("large");
  backend.behaviour = (one) => {
    const name = one.query.questions[0]?.name.toString() ?? "";
    if (one.transport === "udp" && isLarge(name))
      one.reply(answerTo(one.query, { isTruncated: true, answers: [] }));
    else if (one.transport === "udp") answers(one);
    else if (one.nthOnConnection === 1) {
      // One query per connection, and slowly.
      world.clock.startTimer("slow backend", 300, () => {
        answers(one);
        one.end();
      });
    }
  };
  const large = names(6, "large").map((name) => ask(name));
  await world.clock.advance(700);
  const small = names(20, "small").map((name) => ask(name));
  await world.clock.advance(50);
  assert.ok(small.every(({ outcomes }) => outcomes[0]?.kind === "reply"));
  await settled(large);
  await end();
});

test("over TLS each query has a record of its own, unless the backend is said to read them all", async () => {
  for (const joinsRecords of [false, true]) {
    const { backends, ask, settled, end } = await poolWorld(
      ["tls"],
      {},
      { limits: { joinsRecords, connections: 1 } },
    );
    const [backend] = backends;
    assert.ok(backend);
    await settled([ask("first.example.")]);
    const before = backend.chunks;
    const asked = names(10).map((name) => ask(name));
    await settled(asked);
    for (const one of asked) assertAnswered(one);
    assert.equal(backend.chunks - before, joinsRecords ? 1 : 10);
    await end();
  }
});
