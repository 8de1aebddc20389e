import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { ADDRESS, StubWorld } from "./stub-world.test-support.ts";

test("a port that is blocked for a while costs that while in clear and a minute more [8310-5-c]", async (context) => {
  for (const blockedMs of [1000, 5000, 30_000]) {
    const world = new StubWorld();
    context.after(() => world.close());
    await world.serve();
    const stub = world.stub({
      upstreams: [`${ADDRESS}@853#dns.example`],
      profile: "opportunistic",
      cacheBytesMax: 0,
    });
    const ask = async (): Promise<string> => (await world.settled(stub.query("www.example", "A"))).protection;
    assert.equal(await ask(), "authenticated");
    // Whoever sits on the path breaks what is open and refuses what is new.
    await world.tls?.listener?.close();
    for (const { stream } of world.tls?.streams ?? []) stream.reset();
    const { clock } = world.world;
    const startMs = clock.nowMs();
    const seen = new Set<string>();
    for (; clock.nowMs() < startMs + blockedMs; await clock.advance(500)) seen.add(await ask());
    assert.deepEqual([...seen], ["clear"]);
    await world.serveTls();
    let lateMs = 0;
    for (; (await ask()) !== "authenticated"; lateMs += 500) await clock.advance(500);
    assert.ok(lateMs <= 60_000, `${blockedMs} ms blocked, back after ${lateMs} ms`);
  }
});

test("a zone that never answers sends nobody's queries in clear, not even those for itself", async (context) => {
  const world = new StubWorld();
  context.after(() => world.close());
  await world.serve();
  world.silentAbout = "slow.attacker.example.";
  const stub = world.stub({
    upstreams: [`${ADDRESS}@853#dns.example`],
    profile: "opportunistic",
    cacheBytesMax: 0,
  });
  const ask = async (name: string): Promise<string> => {
    try {
      return (await world.settled(stub.query(name, "A"))).protection;
    } catch (error) {
      return DnsError.is(error) ? error.code : String(error);
    }
  };
  assert.equal(await ask("www.example"), "authenticated");
  for (let i = 0; i < 5; i++) {
    assert.equal(await ask("slow.attacker.example"), "ERR_TIMEOUT");
    assert.equal(await ask("www.example"), "authenticated");
  }
  assert.equal(world.clearQueries, 0);
});
