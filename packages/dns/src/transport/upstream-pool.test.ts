import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { Rcode } from "@sotto/dns/wire";
import { contextOf, type FakeUpstream, poolOf, queryOf } from "./fake-upstreams.test-support.ts";

const counts = (upstreams: readonly FakeUpstream[]): number[] => upstreams.map(({ asked }) => asked);

test("the first upstream is asked as long as it works, the next when it fails", async () => {
  const { world, pool, upstreams } = poolOf(3);
  const [first, second] = upstreams;
  assert.ok(first !== undefined && second !== undefined);
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [1, 0, 0]);
  first.behaviour = "ERR_TIMEOUT";
  second.behaviour = "ERR_CONNECT_REFUSED";
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [2, 1, 1]);
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [2, 1, 2]);
});

test("a failed upstream is tried again after a while, and later each time", async () => {
  const { world, pool, upstreams } = poolOf(2);
  const [first] = upstreams;
  assert.ok(first !== undefined);
  first.behaviour = "ERR_TIMEOUT";
  const askedAtMs: number[] = [];
  const startMs = world.clock.nowMs();
  for (let second = 0; second < 40; second++) {
    const before = first.asked;
    await pool.respond(queryOf(), contextOf(world));
    if (first.asked > before) askedAtMs.push(world.clock.nowMs() - startMs);
    await world.clock.advance(1000);
  }
  assert.deepEqual(askedAtMs, [0, 5000, 15_000, 35_000]);
  first.behaviour = Rcode.NoError;
  await world.clock.advance(60_000);
  await pool.respond(queryOf(), contextOf(world));
  first.behaviour = "ERR_TIMEOUT";
  await pool.respond(queryOf(), contextOf(world));
  await world.clock.advance(5000);
  const before = first.asked;
  await pool.respond(queryOf(), contextOf(world));
  assert.equal(first.asked, before + 1);
});

test("when all are avoided they are asked nevertheless, and the last failure is told", async () => {
  const { world, pool, upstreams } = poolOf(2);
  for (const upstream of upstreams) upstream.behaviour = "ERR_CONNECT_REFUSED";
  for (let i = 1; i <= 2; i++) {
    await assert.rejects(pool.respond(queryOf(), contextOf(world)), (error) =>
      DnsError.is(error, "ERR_CONNECT_REFUSED"),
    );
    assert.deepEqual(counts(upstreams), [i, i]);
  }
});

test("SERVFAIL and REFUSED send the query on, but are the answer when nobody knows better", async () => {
  const { world, pool, upstreams } = poolOf(2);
  const [first, second] = upstreams;
  assert.ok(first !== undefined && second !== undefined);
  first.behaviour = Rcode.ServFail;
  assert.equal((await pool.respond(queryOf(), contextOf(world))).message.rcode, Rcode.NoError);
  second.behaviour = "ERR_TIMEOUT";
  assert.equal((await pool.respond(queryOf(), contextOf(world))).message.rcode, Rcode.ServFail);
  assert.deepEqual(counts(upstreams), [2, 2]);
});

test("a query that was given up goes to nobody else, and an NXDOMAIN is an answer", async () => {
  const { world, pool, upstreams } = poolOf(2);
  const [first] = upstreams;
  assert.ok(first !== undefined);
  first.behaviour = Rcode.NXDomain;
  assert.equal((await pool.respond(queryOf(), contextOf(world))).message.rcode, Rcode.NXDomain);
  first.behaviour = "ERR_ABORTED";
  await assert.rejects(pool.respond(queryOf(), contextOf(world)), (error) =>
    DnsError.is(error, "ERR_ABORTED"),
  );
  await assert.rejects(pool.respond(queryOf(), contextOf(world, 0)), (error) =>
    DnsError.is(error, "ERR_TIMEOUT"),
  );
  assert.deepEqual(counts(upstreams), [2, 0]);
});

test("one query at a time finds out whether a failed upstream is back, the others do not wait for it", async () => {
  const { world, pool, upstreams } = poolOf(2);
  const [first] = upstreams;
  assert.ok(first !== undefined);
  first.behaviour = "ERR_TIMEOUT";
  await pool.respond(queryOf(), contextOf(world));
  await world.clock.advance(5000);
  const gate = Promise.withResolvers<void>();
  first.gate = gate.promise;
  const probe = pool.respond(queryOf(), contextOf(world));
  for (let i = 0; i < 5; i++) await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [2, 6]);
  first.behaviour = Rcode.NoError;
  gate.resolve();
  await probe;
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [3, 6], "it is back");
});

test("queries that fail together count as one failure", async () => {
  const { world, pool, upstreams } = poolOf(2);
  const [first] = upstreams;
  assert.ok(first !== undefined);
  first.behaviour = "ERR_TIMEOUT";
  await Promise.all(Array.from({ length: 50 }, () => pool.respond(queryOf(), contextOf(world))));
  await world.clock.advance(5000);
  const before = first.asked;
  await pool.respond(queryOf(), contextOf(world));
  assert.equal(first.asked, before + 1);
});

test("an upstream that is backed off is asked when nobody else answers, and then as the last hope", async () => {
  const { world, pool, upstreams } = poolOf(3);
  const [first, second, third] = upstreams;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  first.isBackedOff = true;
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [0, 1, 0]);
  second.behaviour = Rcode.ServFail;
  third.behaviour = "ERR_TIMEOUT";
  first.behaviour = "ERR_CONNECT_REFUSED";
  assert.equal((await pool.respond(queryOf(), contextOf(world))).message.rcode, Rcode.ServFail);
  assert.deepEqual([...counts(upstreams), first.hoped], [1, 2, 1, 0], "there is an answer already");
  second.behaviour = "ERR_TIMEOUT";
  first.behaviour = Rcode.NoError;
  assert.equal((await pool.respond(queryOf(), contextOf(world))).message.rcode, Rcode.NoError);
  assert.equal(first.hoped, 1);
});

test("when all had failed the first reply forgives all, for it was the network", async () => {
  const { world, pool, upstreams } = poolOf(3);
  for (const upstream of upstreams) upstream.behaviour = "ERR_UNREACHABLE";
  await assert.rejects(pool.respond(queryOf(), contextOf(world)));
  const [first, second] = upstreams;
  assert.ok(first !== undefined && second !== undefined);
  second.behaviour = Rcode.NoError;
  await pool.respond(queryOf(), contextOf(world));
  first.behaviour = Rcode.NoError;
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [3, 2, 1]);
});

test("on another network the first upstream is the first again at once", async () => {
  const { world, pool, upstreams } = poolOf(2);
  const [first] = upstreams;
  assert.ok(first !== undefined);
  first.behaviour = "ERR_TIMEOUT";
  await pool.respond(queryOf(), contextOf(world));
  first.behaviour = Rcode.NoError;
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [1, 2]);
  for (const upstream of upstreams) upstream.networkEpoch++;
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [2, 2]);
});

test("weaker protection is for when stronger ones bring no reply, and a SERVFAIL is a reply [8310-5-c]", async () => {
  const { world, pool, upstreams } = poolOf(3);
  const [first, second, clear] = upstreams;
  assert.ok(first !== undefined && second !== undefined && clear !== undefined);
  clear.tier = 1;
  first.behaviour = Rcode.ServFail;
  second.behaviour = Rcode.ServFail;
  assert.equal((await pool.respond(queryOf(), contextOf(world))).message.rcode, Rcode.ServFail);
  assert.deepEqual(counts(upstreams), [1, 1, 0]);
  first.behaviour = "ERR_TLS_HANDSHAKE";
  second.behaviour = "ERR_TIMEOUT";
  assert.equal((await pool.respond(queryOf(), contextOf(world))).message.rcode, Rcode.NoError);
  assert.deepEqual(counts(upstreams), [2, 2, 1], "all of the better tier are tried before [8310-A-a]");
});

test("weaker protection waits for all that are known to do better on this network, also when they failed just now [8310-A-a]", async () => {
  const { world, pool, upstreams } = poolOf(3);
  const [first, second, clear] = upstreams;
  assert.ok(first !== undefined && second !== undefined && clear !== undefined);
  clear.tier = 2;
  first.protection = "authenticated";
  const ask = async (): Promise<number[]> => {
    const before = counts(upstreams);
    await pool.respond(queryOf(), contextOf(world));
    return counts(upstreams).map((count, i) => count - (before[i] ?? 0));
  };
  assert.deepEqual(await ask(), [1, 0, 0]);
  first.behaviour = "ERR_TIMEOUT";
  second.behaviour = "ERR_TIMEOUT";
  assert.deepEqual(await ask(), [1, 1, 1]);
  assert.deepEqual(await ask(), [1, 0, 1], "the second has never shown that it can");
  first.isBackedOff = true;
  assert.deepEqual(await ask(), [0, 0, 1], "it would fail at once");
  first.isBackedOff = false;
  first.behaviour = Rcode.NoError;
  assert.deepEqual(await ask(), [1, 0, 0]);
  first.behaviour = "ERR_TIMEOUT";
  await ask();
  const gate = Promise.withResolvers<void>();
  first.gate = gate.promise;
  const probe = ask();
  assert.deepEqual((await ask()).slice(1), [0, 1], "one at a time finds out, the others do not wait");
  gate.resolve();
  await probe;
  for (const upstream of upstreams) upstream.networkEpoch++;
  await ask();
  assert.deepEqual(await ask(), [0, 0, 1], "on this network it has not been seen yet");
});

test("who is absent is passed over, which is no failure of anybody", async () => {
  const { world, pool, upstreams } = poolOf(2);
  const [first, second] = upstreams;
  assert.ok(first !== undefined && second !== undefined);
  first.isAbsent = true;
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [0, 1]);
  first.isAbsent = false;
  first.turnsOutAbsent = true;
  first.behaviour = "ERR_UNREACHABLE";
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [1, 2], "it had to find out first");
  assert.deepEqual(
    pool.standings().map(({ state, failures }) => `${state} ${failures}`),
    ["untried 0", "clear 0"],
  );
  second.behaviour = "ERR_TIMEOUT";
  await assert.rejects(pool.respond(queryOf(), contextOf(world)), (error) =>
    DnsError.is(error, "ERR_TIMEOUT"),
  );
  second.isAbsent = true;
  await assert.rejects(pool.respond(queryOf(), contextOf(world)), /nobody is there to be asked/);
});

test("who cannot be connected with is not tried in another way", async () => {
  const { world, pool, upstreams } = poolOf(3);
  const [first, second, third] = upstreams;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  first.server = "tcp 192.0.2.1 853";
  second.server = first.server;
  second.tier = 1;
  third.tier = 2;
  first.behaviour = "ERR_CONNECT_TIMEOUT";
  await pool.respond(queryOf(), contextOf(world));
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [1, 0, 2]);
  await world.clock.advance(5000);
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [2, 0, 3]);
});

test("round robin takes turns within a tier, fastest takes the one that answers soonest", async () => {
  const turns = poolOf(3, "round-robin");
  for (let i = 0; i < 6; i++) await turns.pool.respond(queryOf(), contextOf(turns.world));
  assert.deepEqual(counts(turns.upstreams), [2, 2, 2]);
  const fast = poolOf(3, "fastest");
  for (const [i, upstream] of fast.upstreams.entries()) upstream.exchangeMs = 30 - 10 * i;
  for (let i = 0; i < 64; i++) await fast.pool.respond(queryOf(), contextOf(fast.world));
  const [slow = 0, middle = 0, best = 0] = counts(fast.upstreams);
  assert.ok(best > 50 && slow >= 1 && middle >= 1, `${slow} ${middle} ${best}`);
});

test("an upstream that proved who it was and does not any more is told of as an attack [8310-6.5-a]", async () => {
  const { world, pool, upstreams } = poolOf(2);
  const [first] = upstreams;
  assert.ok(first !== undefined);
  first.behaviour = "ERR_TLS_NOT_AUTHENTICATED";
  await pool.respond(queryOf(), contextOf(world));
  assert.equal(world.events.named("transport.upstream.attack-suspected").length, 0, "it never did");
  first.behaviour = Rcode.NoError;
  first.protection = "authenticated";
  await world.clock.advance(5000);
  await pool.respond(queryOf(), contextOf(world));
  first.behaviour = "ERR_TLS_NOT_AUTHENTICATED";
  await pool.respond(queryOf(), contextOf(world));
  assert.equal(world.events.named("transport.upstream.attack-suspected").length, 1);
  const [standing] = pool.standings();
  assert.equal(standing?.state, "failing");
  assert.equal(standing?.lastFailure?.code, "ERR_TLS_NOT_AUTHENTICATED");
  for (let i = 0; i < 5; i++) {
    await world.clock.advance(60_000);
    await pool.respond(queryOf(), contextOf(world));
  }
  assert.equal(world.events.named("transport.upstream.attack-suspected").length, 1, "said once");
  first.behaviour = Rcode.NoError;
  await world.clock.advance(60_000);
  await pool.respond(queryOf(), contextOf(world));
  const recovered = world.events.named("transport.upstream.working").at(-1);
  assert.deepEqual([recovered?.["from"], recovered?.["failures"]], ["failing", 6]);
  first.behaviour = "ERR_TLS_NOT_AUTHENTICATED";
  await pool.respond(queryOf(), contextOf(world));
  assert.equal(
    world.events.named("transport.upstream.attack-suspected").length,
    2,
    "and again after it was right",
  );
});

test("replies are counted by what protected them", async () => {
  const { world, pool, upstreams } = poolOf(1);
  const [upstream] = upstreams;
  assert.ok(upstream !== undefined);
  for (const protection of ["authenticated", "encrypted", "encrypted", "clear"] as const) {
    upstream.protection = protection;
    await pool.respond(queryOf(), contextOf(world));
  }
  assert.deepEqual(pool.standings()[0]?.repliesBy, { authenticated: 1, encrypted: 2, clear: 1 });
});

test("who asks more than may wait gets an error, and nobody less protection for it", async () => {
  const { world, pool, upstreams } = poolOf(2);
  const [first, second] = upstreams;
  assert.ok(first !== undefined && second !== undefined);
  second.tier = 2;
  first.behaviour = "ERR_QUOTA_EXCEEDED";
  await assert.rejects(pool.respond(queryOf(), contextOf(world)), (error) =>
    DnsError.is(error, "ERR_QUOTA_EXCEEDED"),
  );
  first.behaviour = Rcode.NoError;
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [2, 0]);
});

test("when all have failed lately the better protected are still asked first [8310-A-a]", async () => {
  const { world, pool, upstreams } = poolOf(3);
  const [authenticated, clear, other] = upstreams;
  assert.ok(authenticated !== undefined && clear !== undefined && other !== undefined);
  clear.tier = 2;
  for (const upstream of upstreams) upstream.behaviour = "ERR_CONNECT_TIMEOUT";
  await assert.rejects(pool.respond(queryOf(), contextOf(world)));
  assert.deepEqual(counts(upstreams), [1, 1, 1]);
  clear.behaviour = Rcode.NoError;
  other.behaviour = Rcode.NoError;
  await pool.respond(queryOf(), contextOf(world));
  assert.deepEqual(counts(upstreams), [2, 1, 2]);
});
