/** Backends that are told whom we speak for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo, assertAnswered, poolWorld } from "./backends.test-support.ts";

test("each client has a connection of its own, which begins with a PROXY header that names it", async () => {
  for (const transport of ["tcp", "tls"] as const) {
    const { backends, ask, settled, end } = await poolWorld([transport], {}, { tellsClient: true });
    const [backend] = backends;
    assert.ok(backend);
    backend.expectsProxy = true;
    for (let round = 0; round < 2; round++) {
      const asked = [7, 8, 9].map((host) => ask(`n${host}-${round}.example.`, 5000, `203.0.113.${host}`));
      await settled(asked);
      for (const one of asked) assertAnswered(one);
    }
    assert.equal(backend.connectionsInAll, 3);
    assert.deepEqual(
      backend.heads.map((head) => head.kind === "proxied" && [head.source, head.destination.port]),
      [7, 8, 9].map((host) => [{ address: `203.0.113.${host}`, port: 4000 }, 853]),
    );
    await end();
  }
});

test("when there are too many clients the idle one used least recently makes room, and there are never more connections", async () => {
  const { backends, ask, settled, end } = await poolWorld(
    ["tcp"],
    {},
    { tellsClient: true, limits: { connections: 3 } },
  );
  const [backend] = backends;
  assert.ok(backend);
  backend.expectsProxy = true;
  const asked = Array.from({ length: 30 }, (_, i) => ask(`n${i}.example.`, 5000, `203.0.113.${i % 10}`));
  await settled(asked);
  for (const one of asked) assertAnswered(one);
  assert.ok(backend.connectionsMost <= 3, `${backend.connectionsMost}`);
  await end();
});

test("over UDP each datagram has the header, and over TCP after truncation its connection has", async () => {
  const { backends, ask, settled, end } = await poolWorld(["udp"], {}, { tellsClient: true });
  const [backend] = backends;
  assert.ok(backend);
  backend.expectsProxy = true;
  backend.behaviour = (one) =>
    one.reply(answerTo(one.query, one.transport === "udp" ? { isTruncated: true, answers: [] } : {}));
  const asked = ask("www.example.", 5000, "2001:db8::7");
  await settled([asked]);
  assertAnswered(asked);
  assert.deepEqual(
    backend.heads.map((head) => head.kind === "proxied" && head.source.address),
    ["2001:db8::7", "2001:db8::7"],
  );
  await end();
});

test("health checks speak for themselves", async () => {
  const { world, pool, backends, end } = await poolWorld(
    ["tcp"],
    { health: { intervalMs: 500, slowStartMs: 0 } },
    { tellsClient: true },
  );
  const [backend] = backends;
  assert.ok(backend);
  backend.expectsProxy = true;
  await world.clock.advance(3000);
  assert.ok(backend.checks.length >= 4);
  assert.deepEqual(backend.heads, [{ kind: "local" }]);
  assert.equal(pool.status.backends[0]?.state, "up");
  await end();
});
