import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { simRuntime } from "@sotto/dns/testing";
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
      const ms = plan?.ms ?? deadlineMs - clock.nowMs();
      const failure = plan === undefined ? new DnsError("ERR_TIMEOUT", "silence") : plan.fails;
      clock.startTimer("answer", ms, () => {
        if (failure !== undefined) reject(failure);
        // Only the transport of the facts is looked at.
        else
          resolve({
            message: makeMessage({}),
            octets: new Uint8Array(),
            facts: { transport },
          } as ExchangeResult);
      });
      request.signal?.addEventListener("abort", () => reject(new DnsError("ERR_ABORTED", "gave up")));
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
    assert.deepEqual(world.asked, ["tls 853", "udp 53"]);
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
