/** Queries that wait out an outage. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import type { SimWorld } from "@sotto/dns/testing";
import { Rcode } from "@sotto/dns/wire";
import { contextOf, type FakeUpstream, poolOf, queryOf } from "./fake-upstreams.test-support.ts";
import type { QueryContext } from "./responder.ts";
import type { UpstreamPool } from "./upstream-pool.ts";

const PATIENCE_MS = 4500;

function patientPool(): { world: SimWorld; pool: UpstreamPool; upstream: FakeUpstream } {
  const { world, pool, upstreams } = poolOf(1, "ordered", PATIENCE_MS);
  const [upstream] = upstreams;
  assert.ok(upstream !== undefined);
  return { world, pool, upstream };
}

/** What became of a query, and after how long. */
async function ask(
  { world, pool }: { world: SimWorld; pool: UpstreamPool },
  context: QueryContext = contextOf(world),
): Promise<readonly [string, number]> {
  const startMs = world.clock.nowMs();
  const running = pool.respond(queryOf(), context).then(
    () => "ok",
    (error: unknown) => (DnsError.is(error) ? error.code : "bug"),
  );
  return [await world.clock.runUntil(running), Math.round(world.clock.nowMs() - startMs)];
}

test("a query that nobody could be asked waits and is answered as soon as somebody can be", async () => {
  const scene = patientPool();
  const { world, upstream } = scene;
  upstream.behaviour = "ERR_CONNECT_REFUSED";
  upstream.mayBeTried = false;
  world.clock.startTimer("the server is back", 3000, () => {
    upstream.behaviour = Rcode.NoError;
    upstream.mayBeTried = true;
  });
  assert.deepEqual(await ask(scene), ["ok", 3000]);
  assert.equal(upstream.asked, 2, "nothing is tried in between");
});

test("one reply lets all go that wait", async () => {
  const scene = patientPool();
  const { world, pool, upstream } = scene;
  upstream.behaviour = "ERR_UNREACHABLE";
  upstream.mayBeTried = false;
  const waiting = Array.from({ length: 50 }, () => pool.respond(queryOf(), contextOf(world)));
  await world.clock.advance(1050);
  upstream.behaviour = Rcode.NoError;
  await pool.respond(queryOf(), contextOf(world));
  const startMs = world.clock.nowMs();
  await world.clock.runUntil(Promise.all(waiting));
  assert.equal(world.clock.nowMs(), startMs);
});

test("patience ends with a failure that tells what is wrong, and never later than the query's deadline", async () => {
  const scene = patientPool();
  const { world, upstream } = scene;
  upstream.behaviour = "ERR_CONNECT_TIMEOUT";
  upstream.mayBeTried = false;
  assert.deepEqual(await ask(scene), ["ERR_CONNECT_TIMEOUT", PATIENCE_MS]);
  assert.deepEqual(await ask(scene, contextOf(world, 2000)), ["ERR_CONNECT_TIMEOUT", 1900]);
  assert.deepEqual(await ask(scene, contextOf(world, 50)), ["ERR_CONNECT_TIMEOUT", 0], "no time to wait");
});

test("a last try that is cut short by the end of patience does not hide what went wrong before", async () => {
  const scene = patientPool();
  const { world, upstream } = scene;
  upstream.behaviour = "ERR_TLS_HANDSHAKE";
  upstream.mayBeTried = false;
  world.clock.startTimer("another try, which takes too long", 4000, () => {
    upstream.mayBeTried = true;
    upstream.behaviour = "ERR_CONNECT_TIMEOUT";
    upstream.gate = ({ deadlineMs }) =>
      new Promise((resolve) => {
        world.clock.startTimer("deadline", deadlineMs - world.clock.nowMs(), resolve);
      });
  });
  assert.deepEqual(await ask(scene), ["ERR_TLS_HANDSHAKE", PATIENCE_MS]);
  assert.equal(scene.pool.standings()[0]?.lastFailure?.code, "ERR_TLS_HANDSHAKE");
});

test("a server that proved who it is, and now does not, is given another chance while nothing leaves", async () => {
  const scene = patientPool();
  const { upstream } = scene;
  upstream.protection = "authenticated";
  assert.deepEqual(await ask(scene), ["ok", 0]);
  upstream.behaviour = "ERR_TLS_NOT_AUTHENTICATED";
  upstream.mayBeTried = false;
  scene.world.clock.startTimer("its own certificate again", 2000, () => {
    upstream.behaviour = Rcode.NoError;
    upstream.mayBeTried = true;
  });
  const others = ask(scene);
  assert.deepEqual(await ask(scene), ["ok", 2000]);
  assert.deepEqual((await others)[0], "ok", "not only the first who noticed");
});

test("who never proved who it is, and what is wrong with ourselves, is told at once", async () => {
  const scene = patientPool();
  for (const code of ["ERR_TLS_NOT_AUTHENTICATED", "ERR_CONFIG", "ERR_QUOTA_EXCEEDED"] as const) {
    scene.upstream.behaviour = code;
    assert.deepEqual(await ask(scene), [code, 0]);
  }
  scene.upstream.behaviour = Rcode.ServFail;
  assert.deepEqual(await ask(scene), ["ok", 0], "a reply is a reply");
});

test("upstreams that remember no failures are tried once a second while queries wait", async () => {
  const scene = patientPool();
  scene.upstream.behaviour = "ERR_CONNECT_REFUSED";
  assert.equal((await ask(scene))[0], "ERR_CONNECT_REFUSED");
  assert.ok(scene.upstream.asked >= 5 && scene.upstream.asked <= 6, `${scene.upstream.asked} times`);
});

test("who gave up does not wait, and contexts may be objects with getters", async () => {
  const scene = patientPool();
  const { world, pool, upstream } = scene;
  upstream.behaviour = "ERR_UNREACHABLE";
  upstream.isBackedOff = true;
  upstream.mayBeTried = false;
  const abort = new AbortController();
  class Context implements QueryContext {
    readonly deadlineMs = world.clock.nowMs() + 10_000;
    get signal(): AbortSignal {
      return abort.signal;
    }
  }
  const running = pool.respond(queryOf(), new Context()).catch((error: unknown) => error);
  await world.clock.advance(1000);
  abort.abort();
  const startMs = world.clock.nowMs();
  assert.ok(DnsError.is(await world.clock.runUntil(running)));
  assert.equal(world.clock.nowMs(), startMs);
});

test("no more than a thousand queries wait; the next fails at once", async () => {
  const scene = patientPool();
  const { world, pool, upstream } = scene;
  upstream.behaviour = "ERR_UNREACHABLE";
  upstream.mayBeTried = false;
  const waiting = Array.from({ length: 1000 }, () =>
    pool.respond(queryOf(), contextOf(world)).catch(() => undefined),
  );
  await world.clock.advance(200);
  assert.deepEqual(await ask(scene), ["ERR_UNREACHABLE", 0]);
  await world.clock.runUntil(Promise.all(waiting));
});
