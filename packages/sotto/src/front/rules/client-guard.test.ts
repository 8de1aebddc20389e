import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom, simRuntime } from "@sotto/dns/testing";
import { BANS_MAX, ClientBans } from "./client-bans.ts";
import { ClientGuard, type ClientGuardOptions } from "./client-guard.ts";
import { ClientAddresses, ClientMasking, prefixToText } from "./client-prefix.ts";

const addresses = new ClientAddresses();
const octets = (address: string): Uint8Array => addresses.octetsOf(address);

const OPTIONS: ClientGuardOptions = {
  masks: { ipv4Bits: 32, ipv6Bits: 56, exceptions: [] },
  queriesPerSecond: 10,
  burst: 10,
  overLimit: "refuse",
  banAfter: 5,
  ban: { forMs: 1000, maxMs: 3000 },
  banned: "drop",
};

test("a client that asks too much is over the limit, others are not, and soon it may ask again", () => {
  const guard = new ClientGuard(OPTIONS, simRuntime(1).runtimeOf(["127.0.0.1"]));
  for (let i = 0; i < 10; i++) assert.equal(guard.judge(octets("192.0.2.1"), 0), "pass");
  assert.equal(guard.foresee(octets("192.0.2.1"), 0), "over limit");
  assert.equal(guard.judge(octets("192.0.2.1"), 0), "over limit");
  assert.equal(guard.judge(octets("192.0.2.2"), 0), "pass");
  assert.equal(guard.judge(octets("192.0.2.1"), 100), "pass");
  assert.deepEqual(guard.counters, { overLimit: 1, banned: 0 });
});

test("who does not stop is banned, which is one event, and each time for longer up to a maximum", () => {
  const world = simRuntime(1);
  const guard = new ClientGuard(OPTIONS, world.runtimeOf(["127.0.0.1"]));
  const client = octets("2001:db8::1");
  let nowMs = 0;
  const lengths: number[] = [];
  for (let round = 0; round < 4; round++) {
    while (guard.judge(client, nowMs) !== "banned") nowMs++;
    const untilMs = guard.bans.bannedUntil(client, nowMs) ?? 0;
    lengths.push(Math.round((untilMs - nowMs) / 1000));
    assert.equal(guard.judge(octets("2001:db8:0:ff::9"), nowMs), "banned");
    assert.equal(guard.judge(octets("2001:db8:0:100::1"), nowMs), "pass");
    nowMs = untilMs;
    assert.notEqual(guard.judge(client, nowMs), "banned");
  }
  assert.deepEqual(lengths, [1, 2, 3, 3]);
  const events = world.events.named("front.client.banned");
  assert.equal(events.length, 4);
  assert.equal(events[0]?.["client"], "2001:db8::/56");
});

test("a ban is forgotten by a client that has behaved for as long as the longest ban", () => {
  const bans = new ClientBans(new SeededRandom(1));
  const terms = { forMs: 1000, maxMs: 4000 };
  assert.equal(bans.ban(octets("192.0.2.1"), 24, terms, 0), 1000);
  assert.equal(bans.ban(octets("192.0.2.9"), 24, terms, 500), 1000);
  assert.equal(bans.ban(octets("192.0.2.1"), 24, terms, 2000), 4000);
  assert.equal(bans.ban(octets("192.0.2.1"), 24, terms, 8001), 9001);
  assert.deepEqual(bans.status(8501), [{ client: "192.0.2.0/24", remainingMs: 500, count: 1 }]);
});

test("the ban of a network can be lifted by any of its addresses, and the next one is a first one", () => {
  const bans = new ClientBans(new SeededRandom(1));
  const terms = { forMs: 1000, maxMs: 8000 };
  bans.ban(octets("192.0.2.1"), 24, terms, 0);
  bans.ban(octets("2001:db8::1"), 56, terms, 0);
  for (const none of ["192.0.3.1", "192.0.2.0/25", "2001:db8:0:100::1", "::", "", "x"])
    assert.equal(bans.lift(none), false, none);
  assert.equal(bans.lift("192.0.2.77"), true);
  assert.equal(bans.lift("2001:db8:0:7::9"), true);
  assert.deepEqual(bans.status(1), []);
  assert.equal(bans.ban(octets("192.0.2.1"), 24, terms, 1), 1001);
});

test("a ban can be lifted", () => {
  const bans = new ClientBans(new SeededRandom(1));
  bans.ban(octets("192.0.2.1"), 32, { forMs: 1000, maxMs: 1000 }, 0);
  assert.equal(bans.lift("192.0.2.2/32"), false);
  assert.equal(bans.lift("192.0.2.1/32"), true);
  assert.equal(bans.bannedUntil(octets("192.0.2.1"), 1), undefined);
});

test("a full table forgets the ban that ends first", () => {
  const bans = new ClientBans(new SeededRandom(1));
  for (let i = 0; i <= BANS_MAX; i++)
    bans.ban(Uint8Array.of(10, i >>> 16, i >>> 8, i), 32, { forMs: 1000 + i, maxMs: 1e6 }, 0);
  assert.equal(bans.status(0).length, BANS_MAX);
  assert.equal(bans.bannedUntil(Uint8Array.of(10, 0, 0, 0), 0), undefined);
  assert.equal(bans.bannedUntil(Uint8Array.of(10, 0, 0, 1), 0), 1001);
});

test("a full table of bans that have ended forgets the one that ended first", () => {
  const bans = new ClientBans(new SeededRandom(1));
  const address = (i: number): Uint8Array => Uint8Array.of(10, i >>> 16, i >>> 8, i);
  for (let i = 0; i < BANS_MAX; i++) bans.ban(address(i), 32, { forMs: 1000 + i, maxMs: 1e9 }, 0);
  bans.ban(address(0), 32, { forMs: 1000, maxMs: 1e9 }, 100_000);
  bans.ban(address(BANS_MAX), 32, { forMs: 1000, maxMs: 1e9 }, 100_000);
  // The second one of its kind is gone, the first had been banned again.
  bans.ban(address(1), 32, { forMs: 1000, maxMs: 1e9 }, 100_000);
  bans.ban(address(3), 32, { forMs: 1000, maxMs: 1e9 }, 100_000);
  assert.deepEqual(
    bans.status(100_000).map(({ client, count }) => [client, count]),
    [
      ["10.0.0.0/32", 2],
      ["10.0.0.3/32", 2],
      ["10.0.39.16/32", 1],
      ["10.0.0.1/32", 1],
    ],
  );
});

test("networks behind one address have masks or factors of their own", () => {
  const masking = new ClientMasking({
    ipv4Bits: 32,
    ipv6Bits: 56,
    exceptions: [
      { prefix: "100.64.0.0/10", bits: 24 },
      { prefix: "203.0.113.0/24", factor: 50 },
      { prefix: "203.0.113.7/32", bits: 32 },
    ],
  });
  const facts = ["192.0.2.1", "100.64.1.1", "203.0.113.1", "203.0.113.7", "2001:db8::1"].map((address) => [
    masking.bits(octets(address)),
    masking.factor(octets(address)),
  ]);
  assert.deepEqual(facts, [
    [32, 1],
    [24, 1],
    [32, 50],
    [32, 1],
    [56, 1],
  ]);
});

test("addresses are read with zones and as sockets for both families tell them", () => {
  assert.deepEqual([...octets("::ffff:192.0.2.1")], [192, 0, 2, 1]);
  assert.equal(octets("fe80::1%eth0").length, 16);
  assert.equal(octets("nobody").length, 0);
  assert.equal(prefixToText(octets("192.0.2.255"), 25), "192.0.2.128/25");
  assert.equal(prefixToText(octets("2001:db8:ffff:ffff::1"), 56), "2001:db8:ffff:ff00::/56");
});
