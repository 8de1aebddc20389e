import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { SeededRandom, simRuntime } from "@sotto/dns/testing";
import type { ExchangeRequest, ExchangeResult } from "@sotto/dns/transport";
import { makeMessage, parseName, RRClass, RRType } from "@sotto/dns/wire";
import { AuthorityEncryption } from "./authority-encryption.ts";
import { EncryptingExchange } from "./encrypting-exchange.ts";

const A = "192.0.2.1";
const SERVER = { address: A, port: 53 };

/** Answers after so long, or fails after so long; undefined: never, but for the deadline. */
type Plan = { readonly ms: number; readonly fails?: DnsError } | undefined;

class World {
  readonly world = simRuntime(1);
  readonly runtime = this.world.runtimeOf(["192.0.2.253"]);
  readonly memory = new AuthorityEncryption(this.runtime.clock);
  readonly asked: string[] = [];
  /** Clear queries that were given up after a late encrypted reply. */
  clearGivenUp = 0;
  plans: { clear: Plan; tls: Plan } = { clear: { ms: 10 }, tls: { ms: 50 } };
  readonly exchange = new EncryptingExchange(
    { exchange: (request) => this.#answer(request) },
    this.memory,
    { clearPort: 53, port: 853 },
    this.runtime,
  );

  #answer(request: ExchangeRequest): Promise<ExchangeResult> {
    const { transport, server, deadlineMs } = request;
    this.asked.push(`${transport} ${server.port}`);
    const { clock } = this.runtime;
    const plan = transport === "tls" ? this.plans.tls : this.plans.clear;
    return new Promise((resolve, reject) => {
      const leftMs = deadlineMs - clock.nowMs();
      const isLate = plan === undefined || plan.ms > leftMs;
      const ms = isLate ? leftMs : plan.ms;
      const failure = isLate ? new DnsError("ERR_TIMEOUT", "silence") : plan.fails;
      let isOver = false;
      clock.startTimer("answer", ms, () => {
        isOver = true;
        if (failure !== undefined) reject(failure);
        // Only the transport of the facts is looked at.
        else
          resolve({
            message: makeMessage({}),
            octets: new Uint8Array(),
            facts: { transport },
          } as ExchangeResult);
      });
      request.signal?.addEventListener("abort", () => {
        if (!isOver) this.clearGivenUp++;
        reject(new DnsError("ERR_ABORTED", "gave up"));
      });
    });
  }

  /** Which transport answered, and when. */
  async ask(more: Partial<ExchangeRequest> = {}): Promise<string> {
    const { clock } = this.runtime;
    const startMs = clock.nowMs();
    const running = this.exchange.exchange({
      question: { name: parseName("www.example."), type: RRType.A, class: RRClass.IN },
      server: SERVER,
      transport: "udp",
      recursionDesired: false,
      checkingDisabled: false,
      authenticData: false,
      edns: undefined,
      deadlineMs: startMs + 8000,
      ...more,
    });
    try {
      const { facts } = await this.world.clock.runUntil(running, 60_000);
      return `${facts.transport} after ${clock.nowMs() - startMs} ms`;
    } catch (error) {
      return `${DnsError.is(error) ? error.code : String(error)} after ${clock.nowMs() - startMs} ms`;
    }
  }

  async later(ms: number): Promise<void> {
    await this.world.clock.advance(ms);
  }
}

const REFUSED = new DnsError("ERR_CONNECT_REFUSED", "nobody listens");

test("a probe goes beside the clear query and delays nothing, whatever becomes of it [9539-4-a]", async () => {
  for (const tls of [undefined, { ms: 5 }, { ms: 3000 }, { ms: 1, fails: REFUSED }]) {
    const world = new World();
    world.plans = { clear: { ms: 10 }, tls };
    assert.equal(await world.ask(), "udp after 10 ms");
    assert.deepEqual(world.asked, ["udp 53", "tls 853"]);
    await world.later(10_000);
    assert.deepEqual(world.world.clock.pendingTimers, []);
  }
});

test("after a probe that worked queries are encrypted only [9539-4-c]", async () => {
  const world = new World();
  await world.ask();
  await world.later(100);
  world.asked.length = 0;
  assert.equal(await world.ask(), "tls after 50 ms");
  assert.equal(await world.ask({ transport: "tcp" }), "tls after 50 ms");
  assert.deepEqual(world.asked, ["tls 853", "tls 853"]);
  assert.equal(world.memory.counters.encrypted, 2);
});

test("a server that stops is asked in clear at once when it refuses, and after a second when it is silent", async () => {
  for (const [tls, ms] of [
    [{ ms: 30, fails: REFUSED }, 40],
    [undefined, 1010],
  ] as const) {
    const world = new World();
    await world.ask();
    await world.later(100);
    world.plans.tls = tls;
    assert.equal(await world.ask(), `udp after ${ms} ms`);
    await world.later(10_000);
    world.asked.length = 0;
    assert.equal(await world.ask(), "udp after 10 ms");
    assert.deepEqual(world.asked, ["udp 53"], "left alone for a day");
    assert.equal(world.memory.counters.fellBack, 1);
  }
});

test("when the clear query fails as well, a late encrypted reply still counts", async () => {
  const world = new World();
  await world.ask();
  await world.later(100);
  world.plans = { clear: { ms: 100, fails: REFUSED }, tls: { ms: 3000 } };
  assert.equal(await world.ask(), "tls after 3000 ms");
});

test("a late encrypted reply is taken when it comes, whatever the clear query waits for (seed 704260)", async () => {
  // It lay there until the silent clear query had given up: seconds for the client, and for TTLs that did not count them.
  for (const clear of [undefined, { ms: 5000 }, { ms: 4000, fails: REFUSED }]) {
    const world = new World();
    await world.ask();
    await world.later(100);
    world.plans = { clear, tls: { ms: 3000 } };
    assert.equal(await world.ask(), "tls after 3000 ms");
    assert.equal(world.clearGivenUp, 1, "nobody waits for it any more");
    assert.equal(world.memory.counters.encrypted, 1);
    await world.later(10_000);
    assert.deepEqual(world.world.clock.pendingTimers, []);
  }
});

test("an encrypted reply that comes after the clear one was taken counts for nothing", async () => {
  for (const clear of [{ ms: 10 }, { ms: 10, fails: REFUSED }]) {
    const world = new World();
    await world.ask();
    await world.later(100);
    world.plans = { clear, tls: { ms: 3000 } };
    const isTls = clear.fails !== undefined;
    assert.equal(await world.ask(), isTls ? "tls after 3000 ms" : "udp after 1010 ms");
    await world.later(10_000);
    assert.equal(world.memory.counters.encrypted, isTls ? 1 : 0);
    assert.equal(world.clearGivenUp, 0);
  }
});

test("when both fail, the failure of the clear query is told, and a clear reply counts that comes after an encrypted failure", async () => {
  for (const [clear, told] of [
    [{ ms: 2500, fails: REFUSED }, "ERR_CONNECT_REFUSED after 3500 ms"],
    [{ ms: 2500 }, "udp after 3500 ms"],
  ] as const) {
    const world = new World();
    await world.ask();
    await world.later(100);
    world.plans = { clear, tls: { ms: 3000, fails: new DnsError("ERR_TLS_HANDSHAKE", "no") } };
    assert.equal(await world.ask(), told);
    await world.later(10_000);
    assert.deepEqual(world.world.clock.pendingTimers, []);
  }
});

test("whoever gives up is not asked for in clear", async () => {
  const world = new World();
  await world.ask();
  await world.later(100);
  world.plans.tls = undefined;
  world.asked.length = 0;
  const abort = new AbortController();
  const answer = world.ask({ signal: abort.signal });
  abort.abort();
  assert.match(await answer, /^ERR_ABORTED/);
  assert.deepEqual(world.asked, ["tls 853"]);
  assert.equal(world.memory.choose(A), "encrypted");
});

test("servers at ports that somebody configured are asked as they are, and after the end nothing is probed", async () => {
  const world = new World();
  assert.equal(await world.ask({ server: { address: A, port: 5300 } }), "udp after 10 ms");
  world.exchange.close();
  assert.equal(await world.ask(), "udp after 10 ms");
  assert.deepEqual(world.asked, ["udp 5300", "udp 53"]);
});

test("failures of our own say nothing about the server", async () => {
  const world = new World();
  world.plans.tls = { ms: 1, fails: new DnsError("ERR_QUOTA_EXCEEDED", "too many connections") };
  await world.ask();
  await world.later(100);
  assert.equal(world.memory.choose(A), "probe");
});

const SILENT = new DnsError("ERR_TIMEOUT", "connected, and no reply");
const NO_CONNECTION = new DnsError("ERR_CONNECT_TIMEOUT", "no connection in time");

test("a probe gets its four seconds, however little time the one who asked has left [9539-4-b]", async () => {
  const world = new World();
  world.plans.tls = { ms: 2000 };
  const deadlineMs = world.runtime.clock.nowMs() + 100;
  assert.equal(await world.ask({ deadlineMs }), "udp after 10 ms");
  await world.later(3000);
  assert.equal(world.memory.choose(A), "encrypted");
});

test("while one query waits for a silent server the others do not", async () => {
  const world = new World();
  await world.ask();
  await world.later(100);
  world.plans.tls = undefined;
  assert.equal(await world.ask(), "udp after 1010 ms");
  world.asked.length = 0;
  for (let i = 0; i < 5; i++) assert.equal(await world.ask(), "udp after 10 ms");
  assert.deepEqual(world.asked, Array(5).fill("udp 53"));
  await world.later(10_000);
  assert.deepEqual(world.memory.known, { works: 0, fails: 1, probing: 0 });
  assert.equal(world.memory.counters.lost.silence, 1);
});

test("what the asker gave up is found out all the same, so that a dark port does not stay a favourite", async () => {
  const world = new World();
  await world.ask();
  await world.later(100);
  world.plans.tls = { ms: 2500, fails: NO_CONNECTION };
  const abort = new AbortController();
  world.runtime.clock.startTimer("another answer", 200, () => abort.abort());
  assert.equal(await world.ask({ signal: abort.signal }), "ERR_ABORTED after 200 ms");
  // Another server answers meanwhile: the network is not to blame.
  assert.equal(await world.ask({ server: { address: "192.0.2.2", port: 53 } }), "udp after 10 ms");
  await world.later(10_000);
  assert.equal(world.memory.choose(A), "clear");
  assert.equal(world.memory.counters.lost.timeout, 1);
});

test("when nobody answers at all it is the network, and everything stays as it was", async () => {
  for (const fails of [SILENT, NO_CONNECTION, new DnsError("ERR_UNREACHABLE", "no route")]) {
    const world = new World();
    await world.ask();
    await world.later(100);
    world.plans = { clear: undefined, tls: { ms: 2500, fails } };
    assert.match(await world.ask(), /^ERR_TIMEOUT/);
    await world.later(10_000);
    assert.equal(world.memory.choose(A), "encrypted", fails.code);
    assert.equal(world.memory.isDoubted(A), false);
  }
});

test("a clear query is still in time for those who have less than a second", async () => {
  const world = new World();
  await world.ask();
  await world.later(100);
  world.plans.tls = undefined;
  const deadlineMs = world.runtime.clock.nowMs() + 600;
  assert.equal(await world.ask({ deadlineMs }), "udp after 310 ms");
});

test("whatever happens over TLS, answers come as without it, and never more than a second later [9539-4-a]", async () => {
  const random = new SeededRandom(9539);
  const failures = [REFUSED, SILENT, NO_CONNECTION, new DnsError("ERR_TLS_HANDSHAKE", "alert")];
  const drawn = (msMax: number): Plan => {
    const ms = random.below(msMax);
    const fails = failures[random.below(failures.length)];
    if (random.chance(0.2)) return undefined;
    return random.chance(0.4) && fails !== undefined ? { ms, fails } : { ms };
  };
  for (let seed = 0; seed < 300; seed++) {
    const world = new World();
    const clear = { ms: random.below(300) };
    world.plans = { clear, tls: drawn(5000) };
    assert.equal(await world.ask(), `udp after ${clear.ms} ms`, `${seed}: while it is tried`);
    for (let i = 0; i < 4; i++) {
      await world.later(random.below(6000));
      world.plans = { clear, tls: drawn(5000) };
      const [, transport, ms] = /^(tls|udp) after (\d+) ms$/.exec(await world.ask()) ?? [];
      assert.ok(transport !== undefined && Number(ms) <= clear.ms + 1000, `${seed}: ${transport} ${ms} ms`);
    }
    await world.later(20_000);
    assert.deepEqual(world.world.clock.pendingTimers, []);
    const { started, succeeded, inconclusive, ...failed } = world.memory.counters.probes;
    const ended = Object.values(failed).reduce((sum, count) => sum + count, succeeded + inconclusive);
    assert.equal(ended, started, `${seed}: every probe has one outcome`);
    assert.equal(world.memory.known.probing, 0);
  }
});
