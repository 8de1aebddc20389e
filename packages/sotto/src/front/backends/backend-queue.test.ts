import assert from "node:assert/strict";
import { test } from "node:test";
import {
  answers,
  answerTo,
  assertAnswered,
  type Behaviour,
  isSilent,
  names,
  type PoolWorld,
  poolWorld,
} from "./backends.test-support.ts";

/** A UDP backend with three places whose answers to `large…` are truncated, and whose TCP is as `overTcp` says. */
async function truncatingWorld(overTcp: Behaviour, queueMax = 1000): Promise<PoolWorld> {
  const place = await poolWorld(["udp"], {}, { limits: { connections: 1, inFlightMax: 3, queueMax } });
  const [backend] = place.backends;
  assert.ok(backend);
  backend.behaviour = (one) => {
    const name = one.query.questions[0]?.name.toString() ?? "";
    if (one.transport === "stream") overTcp(one);
    else if (name.startsWith("large")) one.reply(answerTo(one.query, { isTruncated: true, answers: [] }));
    else place.world.clock.startTimer("backend", 20, () => answers(one));
  };
  return place;
}

/** One query per connection, after a third of a second. */
const slowly =
  (place: () => PoolWorld): Behaviour =>
  (one) => {
    if (one.nthOnConnection > 1) return;
    place().world.clock.startTimer("slow backend", 300, () => {
      answers(one);
      one.end();
    });
  };

// All waited in one line: a truncated query at its head, for which TCP had no place, held up those that needed none.
test("who waits for a place over TCP is in nobody's way who goes over UDP", async () => {
  const place: PoolWorld = await truncatingWorld(slowly(() => place));
  const { world, pool, ask, settled, end } = place;
  const large = names(5, "large").map((name) => ask(name));
  await world.clock.advance(1000);
  assert.equal(pool.status.backends[0]?.queriesPerConnection, 1, "TCP is as poor as it is meant to be");
  // More than there are places: some have to wait in line.
  const small = names(9, "small").map((name) => ask(name));
  await world.clock.advance(250);
  for (const one of small) assertAnswered(one);
  assert.ok(large.some(({ outcomes }) => outcomes.length === 0));
  await settled(large);
  for (const one of large) assertAnswered(one);
  await end();
});

// The line was one for both: those who waited for a place over UDP were told that there was no connection.
test("that TCP cannot be had fails those who need it, and nobody else", async () => {
  const place = await truncatingWorld((one) => one.reset());
  const { world, backends, ask, settled, end } = place;
  await backends[0]?.kill();
  const large = names(3, "large").map((name) => ask(name, 900));
  await world.clock.advance(100);
  const more = [
    ...names(3, "large-too").map((name) => ask(name, 900)),
    ...names(9).map((name) => ask(name, 900)),
  ];
  await settled([...large, ...more]);
  for (const one of more.slice(3)) assertAnswered(one);
  for (const { outcomes } of large) assert.equal(outcomes[0]?.kind, "failed");
  await end();
});

test("so many wait for a place over TCP and no more", async () => {
  const place: PoolWorld = await truncatingWorld(
    slowly(() => place),
    4,
  );
  const { world, pool, ask, settled, end } = place;
  const first = names(3, "large-first").map((name) => ask(name));
  await world.clock.advance(1000);
  const all = [];
  for (const name of names(40, "large")) {
    all.push(ask(name));
    await world.clock.advance(5);
    // Two lines, and who was on a connection that ended goes to the head of its own.
    assert.ok((pool.status.backends[0]?.queued ?? 0) <= 4 + 4 + 3, `${pool.status.backends[0]?.queued} wait`);
  }
  assert.ok((pool.status.backends[0]?.counters.failures.busy ?? 0) > 0);
  await settled([...first, ...all]);
  await end();
});

// It had used up a try, and with `retries: 0` the client got SERVFAIL though nobody had been asked.
test("who only waited for a place has not used up a try when its backend is drained", async () => {
  const tcp = ["tcp", "tcp"] as const;
  const limits = { inFlightMax: 1 };
  const place = await poolWorld(tcp, { balancing: "ordered", retries: 0 }, { limits });
  const { world, pool, backends, ask, settled, end } = place;
  const [first] = backends;
  assert.ok(first);
  first.behaviour = isSilent;
  ask("asked.example.");
  const waiting = ask("waiting.example.");
  await world.clock.advance(100);
  assert.equal(pool.status.backends[0]?.queued, 1);
  pool.drain("b1");
  await settled([waiting]);
  assert.equal(assertAnswered(waiting), "b2");
  await end();
});

// The place of the socket that was replaced was free meanwhile, and whoever failed with an older one opened another there.
test("sockets that are left behind do not make more of those that take queries", async () => {
  const { world, pool, backends, ask, end } = await poolWorld(["udp"], {}, { limits: { sockets: 1 } });
  const [backend] = backends;
  assert.ok(backend);
  backend.behaviour = isSilent;
  for (const name of names(20)) {
    ask(name, 1_000_000);
    await world.clock.advance(10_000);
    const { sockets = 0 } = pool.status.backends[0] ?? {};
    assert.ok(sockets <= 1 + LEAVING_MOST, `${sockets} sockets`);
  }
  await end();
});

// Nobody in the queue was given a place any more, and all who came later waited behind them until their deadlines.
test("what fails by a bug of ours while it leaves the queue does not close it for others", async () => {
  const place = await poolWorld(["udp"], {}, { tellsClient: true, limits: { inFlightMax: 2 } });
  const { world, pool, backends, ask, settled } = place;
  const [backend] = backends;
  assert.ok(backend);
  backend.expectsProxy = true;
  const first = names(2).map((name) => ask(name, 5000, "192.0.2.10"));
  ask("bug.example.", 5000, "no address");
  const behind = ask("behind.example.", 5000, "192.0.2.10");
  await assert.rejects(settled([behind]), RangeError);
  await settled([...first, behind]);
  assertAnswered(behind);
  await world.clock.runUntil(pool.close());
});

/** Sockets that only wait for replies. */
const LEAVING_MOST = 16;
