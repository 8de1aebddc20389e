import assert from "node:assert/strict";
import { test } from "node:test";
import type { DnsError } from "@sotto/dns/runtime";
import {
  encodeMessage,
  type Message,
  makeMessage,
  parseName,
  parseRecord,
  type Question,
  Rcode,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import {
  answers,
  type BackendQuery,
  decode,
  fails,
  type PoolWorld,
  poolWorld,
} from "./backends.test-support.ts";
import { TransferProgress } from "./transfer-progress.ts";

const soa = (serial: number): string => `example. 60 SOA ns.example. admin.example. ${serial} 1 1 1 1`;
const A = "www.example. 60 A 192.0.2.1";
const question = (type: number): Question => ({ name: parseName("example."), type, class: RRClass.IN });

function messageOf(texts: readonly string[], parts: Partial<Message> = {}): Uint8Array {
  const answers = texts.map((text) => parseRecord(text));
  return encodeMessage(
    makeMessage({ isResponse: true, questions: [question(RRType.AXFR)], answers, ...parts }),
  );
}

function queryOf(type: number, serial?: number): Uint8Array {
  const authorities = serial === undefined ? [] : [parseRecord(soa(serial))];
  return encodeMessage(makeMessage({ id: 7, questions: [question(type)], authorities }));
}

const CASES: readonly [string, number, number | undefined, readonly (readonly string[])[]][] = [
  ["AXFR in one message", RRType.AXFR, undefined, [[soa(5), A, soa(5)]]],
  ["AXFR, one record per message", RRType.AXFR, undefined, [[soa(5)], [A], [A], [soa(5)]]],
  ["AXFR of an empty zone", RRType.AXFR, undefined, [[soa(5), soa(5)]]],
  ["IXFR, nothing new", RRType.IXFR, 5, [[soa(5)]]],
  ["IXFR, older than the client", RRType.IXFR, 6, [[soa(5)]]],
  ["IXFR, newer across the end of the circle", RRType.IXFR, 0xffff_ff00, [[soa(5)], [A], [soa(5)]]],
  [
    "IXFR with the whole zone",
    RRType.IXFR,
    4,
    [
      [soa(5), A],
      [A, soa(5)],
    ],
  ],
  ["IXFR with one difference", RRType.IXFR, 4, [[soa(5), soa(4), A], [soa(5), A], [soa(5)]]],
  [
    "IXFR with two differences, one record per message",
    RRType.IXFR,
    3,
    [[soa(5)], [soa(3)], [A], [soa(4)], [A], [soa(4)], [A], [soa(5)], [A], [soa(5)]],
  ],
];

for (const [name, type, serial, messages] of CASES)
  test(`the end is found and not before: ${name}`, () => {
    const progress = new TransferProgress(queryOf(type, serial), type);
    const steps = messages.map((texts) => progress.note(messageOf(texts)));
    assert.deepEqual(steps, [...messages.slice(1).map(() => "goes on"), "ends"]);
  });

test("errors end a transfer, garbage does too", () => {
  const query = queryOf(RRType.AXFR);
  assert.equal(new TransferProgress(query, RRType.AXFR).note(messageOf([], { rcode: 5 })), "ends");
  assert.equal(new TransferProgress(query, RRType.AXFR).note(messageOf([A])), "malformed");
  assert.equal(
    new TransferProgress(query, RRType.AXFR).note(messageOf([soa(5), A]).subarray(0, 70)),
    "malformed",
  );
  assert.equal(new TransferProgress(query, RRType.AXFR).note(new Uint8Array(3)), "malformed");
});

/** A pool with one backend, and a transfer from it. */
async function transferWorld(behaviour: (query: BackendQuery) => void, given?: PoolWorld) {
  const place = given ?? (await poolWorld(["udp"]));
  const [backend] = place.backends;
  assert.ok(backend);
  backend.behaviour = behaviour;
  const messages: Message[] = [];
  const ends: (DnsError | undefined)[] = [];
  const cancelled: true[] = [];
  const transfer = place.pool.openTransfer(
    {
      octets: queryOf(RRType.AXFR),
      question: question(RRType.AXFR),
      deadlineMs: place.world.clock.nowMs() + 60_000,
      client: undefined,
      local: undefined,
    },
    {
      onMessage: (octets) => messages.push(decode(octets)),
      onEnd: (problem) => ends.push(problem),
      onCancelled: () => cancelled.push(true),
    },
  );
  assert.ok(transfer);
  return { ...place, transfer, backend, messages, ends, cancelled };
}

test("a transfer has a connection of its own, messages come in order with the client's id, and it ends once", async () => {
  const { world, backend, messages, ends, ask, settled, end } = await transferWorld((one) => {
    if (one.query.questions[0]?.type !== RRType.AXFR) return;
    for (const texts of [[soa(5), A], [A, A], [soa(5)]]) one.reply(messageOf(texts, { id: one.query.id }));
  });
  await world.clock.runUntil(() => ends.length > 0);
  assert.deepEqual(ends, [undefined]);
  assert.deepEqual(
    messages.map(({ id, answers }) => [id, answers.length]),
    [
      [7, 2],
      [7, 2],
      [7, 1],
    ],
  );
  assert.equal(backend.connectionsInAll, 1);
  await settled([ask("www.example.", 100)]);
  await end();
});

test("a transfer that falls silent, breaks or sends another id fails once, with the backend's name", async () => {
  const behaviours: ((one: BackendQuery) => void)[] = [
    (one) => one.reply(messageOf([soa(5)], { id: one.query.id })),
    (one) => one.reset(),
    (one) => one.reply(messageOf([soa(5), soa(5)], { id: one.query.id ^ 1 })),
  ];
  for (const behaviour of behaviours) {
    const { world, ends, end } = await transferWorld(behaviour);
    await world.clock.runUntil(() => ends.length > 0);
    await world.clock.advance(100_000);
    assert.equal(ends.length, 1);
    assert.match(String(ends[0]?.message), /transfer of example\. from backend b1/);
    await end();
  }
});

test("a transfer can be paused, cancelled, and ends with the pool", async () => {
  const { world, transfer, messages, ends, cancelled, end } = await transferWorld((one) => {
    for (let i = 0; i < 50; i++) one.reply(messageOf([i === 0 ? soa(5) : A], { id: one.query.id }));
  });
  await world.clock.advance(12);
  transfer.pause();
  await world.clock.advance(60);
  const before = messages.length;
  await world.clock.advance(5000);
  assert.equal(messages.length, before);
  transfer.resume();
  await world.clock.advance(100);
  assert.equal(messages.length, 50);
  transfer.cancel();
  transfer.resume();
  await world.clock.advance(100_000);
  assert.deepEqual(ends, []);
  assert.equal(cancelled.length, 1);
  await end();
  const other = await transferWorld(() => undefined);
  await other.world.clock.advance(50);
  await other.end();
  assert.equal(other.ends[0]?.code, "ERR_CLOSED");
});

test("a pool is idle when neither a query nor a transfer is under way, whoever asked", async () => {
  const { world, pool, transfer, ask, settled, end } = await transferWorld((one) => {
    if (one.query.questions[0]?.type === RRType.A) answers(one);
  });
  let isIdle = false;
  void pool.idle().then(() => {
    isIdle = true;
  });
  const asked = ask("www.example.");
  transfer.cancel();
  await Promise.resolve();
  assert.equal(isIdle, false, "a query is under way");
  await settled([asked]);
  assert.equal(isIdle, true);
  await pool.idle();
  await end();
  const other = await transferWorld(() => undefined);
  let isOtherIdle = false;
  void other.pool.idle().then(() => {
    isOtherIdle = true;
  });
  await other.world.clock.advance(1000);
  assert.equal(isOtherIdle, false, "a transfer is under way");
  other.transfer.cancel();
  await world.clock.advance(0);
  assert.equal(isOtherIdle, true);
  await other.end();
});

// Whoever checked with a name that the servers do not have got no zone from them.
test("with all backends down a transfer is tried all the same: the checks may be wrong", async () => {
  const place = await poolWorld(["udp"], { health: { intervalMs: 500, fall: 1, rcodes: [Rcode.NoError] } });
  const [backend] = place.backends;
  assert.ok(backend);
  backend.checkBehaviour = fails(Rcode.Refused);
  await place.world.clock.runUntil(() => place.pool.isDown);
  const { ends, end } = await transferWorld(
    ({ query, reply }) => reply(messageOf([soa(5), A, soa(5)], { id: query.id })),
    place,
  );
  await place.world.clock.runUntil(() => ends.length > 0);
  assert.deepEqual(ends, [undefined]);
  await end();
});
