import assert from "node:assert/strict";
import { test } from "node:test";
import { simRuntime } from "@sotto/dns/testing";
import {
  encodeMessage,
  MessageView,
  makeMessage,
  parseName,
  parseRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { loadFront, type PoolConfig } from "../config/index.ts";
import { FrontPools } from "./front-pools.ts";

function configs(settings: string): readonly PoolConfig[] {
  const loaded = loadFront(`pools: [{ name: main, ${settings} }]`, "/etc/sotto/front.yaml");
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return loaded.config.pools;
}

const QUESTION = { name: parseName("www.example."), type: RRType.A, class: RRClass.IN };
const ONE = '{ name: b1, address: "tcp://192.0.2.1" }';
const OTHER = '{ name: b2, address: "tcp://192.0.2.2" }';

// Whoever added a backend put one back into use that was being repaired, and began with an empty cache.
test("a pool that changes keeps what was drained by command, and its answers unless they would be others", async () => {
  const { events, runtimeOf } = simRuntime(1);
  const before = new FrontPools(configs(`backends: [${ONE}]`), undefined, runtimeOf(["192.0.2.9"]));
  before.poolOf("main").drain("b1");
  const told = events.named("front.backend.draining").length;
  const view = new MessageView();
  view.reset(encodeMessage(makeMessage({ questions: [QUESTION] })));
  const reply = {
    isResponse: true,
    questions: [QUESTION],
    answers: [parseRecord("www.example. 60 A 192.0.2.7")],
  };
  before.byName.get("main")?.cache?.store(view, encodeMessage(makeMessage(reply)), 0);
  const next = await before.prepare(configs(`backends: [${ONE}, ${OTHER}]`));
  const [pool] = next.status;
  assert.deepEqual(
    pool?.backends.map(({ name, state }) => [name, state]),
    [
      ["b1", "draining"],
      ["b2", "up"],
    ],
  );
  assert.equal(pool?.cache?.entries, 1);
  assert.equal(events.named("front.backend.draining").length, told, "nothing has changed that could be told");
  next.poolOf("main").resume("b1");
  assert.equal(next.status[0]?.backends[0]?.state, "up");
  const untrusting = await next.prepare(configs(`backends: [${ONE}], pass-ad: false`));
  assert.equal(untrusting.status[0]?.cache?.entries, 0);
  await Promise.all([before.close(), next.close(), untrusting.close()]);
});

// While a list of a million names was read for a reload a drain was accepted, and forgotten a second later.
test("what is drained and resumed while another configuration is prepared holds in it", async () => {
  const { runtimeOf } = simRuntime(1);
  const before = new FrontPools(configs(`backends: [${ONE}, ${OTHER}]`), undefined, runtimeOf(["192.0.2.9"]));
  before.poolOf("main").drain("b1");
  const next = await before.prepare(configs(`backends: [${ONE}, ${OTHER}], pass-ad: false`));
  before.poolOf("main").resume("b1");
  before.poolOf("main").drain("b2");
  next.adoptDrains(before);
  assert.deepEqual(next.poolOf("main").drained, ["b2"]);
  const less = await next.prepare(configs(`backends: [${ONE}]`));
  less.adoptDrains(next);
  assert.deepEqual(less.poolOf("main").drained, []);
  await Promise.all([before.close(), next.close(), less.close()]);
});

// A pool took 10,000 whatever its backends were said to take, and failed the next at once.
test("a pool takes as many queries as its backends have places", async () => {
  const { runtimeOf } = simRuntime(1);
  const settings =
    'backends: [{ address: "udp://192.0.2.1", in-flight: 11000, queue: 1000 }], health: { interval: 0s }';
  const pools = new FrontPools(configs(settings), undefined, runtimeOf(["192.0.2.9"]));
  let failed = 0;
  const ask = (): void =>
    pools.poolOf("main").forward({
      octets: encodeMessage(makeMessage({ questions: [QUESTION] })),
      question: QUESTION,
      deadlineMs: 4000,
      client: undefined,
      local: undefined,
      settle: () => void failed++,
    });
  for (let i = 0; i < 12_000; i++) ask();
  assert.equal(failed, 0);
  ask();
  assert.equal(failed, 1);
  await pools.close();
});
