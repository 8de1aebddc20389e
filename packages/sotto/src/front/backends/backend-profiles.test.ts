import assert from "node:assert/strict";
import { test } from "node:test";
import { type TlsPolicy, tryParseUpstreamAddress, upstreamTlsPolicy } from "@sotto/dns/transport";
import type { BackendOptions } from "./backend-settings.ts";
import { assertAnswered, names, poolWorld } from "./backends.test-support.ts";

/** The nth backend, whose certificate is for dns.example, by another name or the right one. */
function optionsOf(nth: number, name: string, authenticate: TlsPolicy["authenticate"]): BackendOptions {
  const address = tryParseUpstreamAddress(`tls://${name}?ip=198.51.100.${nth}`);
  assert.ok(address.ok);
  const tls = upstreamTlsPolicy(address.value);
  return { name: `b${nth}`, address: address.value, tls: tls && { ...tls, authenticate } };
}

test("who should prove who it is and does not is asked when no other one over TLS can be [8310-6.5-a]", async () => {
  const { pool, ask, settled, end } = await poolWorld(["tls", "tls"], {
    balancing: "round robin",
    backends: [optionsOf(1, "other.example", "if possible"), optionsOf(2, "dns.example", "if possible")],
  });
  const askMany = async (prefix: string): Promise<string[]> => {
    const asked = names(20, prefix).map((name) => ask(name));
    await settled(asked);
    return [...new Set(asked.map(assertAnswered))].sort();
  };
  assert.deepEqual(await askMany("first"), ["b1", "b2"], "nothing is known yet");
  assert.deepEqual(
    pool.status.backends.map(({ authentication }) => authentication?.isAuthenticated),
    [false, true],
  );
  assert.deepEqual(await askMany("then"), ["b2"]);
  pool.drain("b2");
  assert.deepEqual(await askMany("alone"), ["b1"]);
  pool.resume("b2");
  assert.deepEqual(await askMany("again"), ["b2"]);
  await end();
});

// Queries and checks keep a connection open for as long as they come: a renewed certificate was not looked at before they ended.
test("a connection that proved nothing is left after a minute, so that a certificate that is renewed counts", async () => {
  const { world, pool, backends, ask, settled, end } = await poolWorld(["tls"], {
    backends: [{ ...optionsOf(1, "other.example", "if possible"), limits: { connections: 1 } }],
  });
  const [backend] = backends;
  assert.ok(backend);
  const askFor = async (seconds: number): Promise<void> => {
    for (const name of names(seconds, `s${seconds}`)) {
      const asked = ask(name);
      await settled([asked]);
      assert.equal(assertAnswered(asked), "b1");
      await world.clock.advance(1000);
    }
  };
  await askFor(50);
  assert.equal(backend.connectionsInAll, 1);
  await backend.rename("other.example");
  await askFor(20);
  assert.equal(backend.connectionsInAll, 2);
  assert.equal(pool.status.backends[0]?.authentication?.isAuthenticated, true);
  await askFor(100);
  assert.equal(backend.connectionsInAll, 2, "who is authenticated stays");
  assert.equal(pool.status.backends[0]?.counters.failures.connection, 0);
  await end();
});

test("encrypted for whomever is better than clear: a backend in clear is not asked in its place", async () => {
  const clear = tryParseUpstreamAddress("tcp://198.51.100.2");
  assert.ok(clear.ok);
  const { ask, settled, end } = await poolWorld(["tls", "tcp"], {
    balancing: "ordered",
    backends: [optionsOf(1, "other.example", "if possible"), { name: "b2", address: clear.value }],
  });
  for (const name of names(5)) {
    const asked = ask(name);
    await settled([asked]);
    assert.equal(assertAnswered(asked), "b1");
  }
  await end();
});

test("each change of what a backend proves is one event, and strict asks nobody else's name [8310-6.6-c]", async () => {
  const { world, pool, backends, ask, end } = await poolWorld(["tls"], {
    backends: [optionsOf(1, "other.example", "required")],
  });
  const asked = names(10).map((name) => ask(name, 1000));
  await world.clock.advance(2000);
  assert.ok(asked.every(({ outcomes }) => outcomes[0]?.kind === "failed"));
  assert.equal(backends[0]?.queries.length, 0);
  const events = world.events.named("front.backend.not-authenticated");
  assert.equal(events.length, 1);
  assert.match(String(events[0]?.["why"]), /other\.example/);
  assert.deepEqual(pool.status.backends[0]?.authentication?.isRequired, true);
  await end();
});
