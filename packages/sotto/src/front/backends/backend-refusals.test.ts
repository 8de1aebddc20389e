/** Backends over UDP of which the system says that nobody is there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo, assertAnswered, names, poolWorld } from "./backends.test-support.ts";

// Each refusal was a try, and three of them came within a millisecond: whoever restarted his only resolver lost all queries of that time.
test("the only backend over UDP restarts: queries wait for it within their time, and it is not flooded meanwhile", async () => {
  const { world, pool, backends, ask, settled, end } = await poolWorld(["udp"]);
  const [backend] = backends;
  assert.ok(backend);
  await backend.killUdp();
  const asked = names(100).map((name) => ask(name));
  await world.clock.advance(1000);
  assert.deepEqual(
    asked.flatMap(({ outcomes }) => outcomes),
    [],
  );
  assert.ok((pool.status.backends[0]?.counters.sent ?? 0) <= 1000, "ten times a second at most");
  await backend.openUdp();
  await settled(asked);
  for (const one of asked) assertAnswered(one);
  await end();
});

test("a backend over UDP that refuses is left alone for a while, and others are asked at once", async () => {
  const { world, backends, ask, settled, end } = await poolWorld(["udp", "udp"], { balancing: "ordered" });
  const [first, second] = backends;
  assert.ok(first && second);
  await first.killUdp();
  const one = ask("one.example.");
  await world.clock.advance(20);
  assert.equal(assertAnswered(one), "b2");
  await first.openUdp();
  const soon = ask("soon.example.");
  await settled([soon]);
  assert.equal(assertAnswered(soon), "b2");
  await world.clock.advance(200);
  const later = ask("later.example.");
  await settled([later]);
  assert.equal(assertAnswered(later), "b1");
  await end();
});

// "No connection" was all that was told.
test("a query whose answer does not fit, and whose backend takes no TCP, fails with why connecting did", async () => {
  const { backends, ask, settled, end } = await poolWorld(["udp"]);
  const [backend] = backends;
  assert.ok(backend);
  await backend.kill();
  backend.behaviour = ({ query, reply }) => reply(answerTo(query, { isTruncated: true }));
  // The second one comes while connecting is not tried.
  for (const one of [ask("one.example."), ask("two.example.")]) {
    await settled([one]);
    const [outcome] = one.outcomes;
    assert.ok(outcome?.kind === "failed");
    assert.equal(outcome.problem.code, "ERR_CONNECT_REFUSED");
  }
  await end();
});
