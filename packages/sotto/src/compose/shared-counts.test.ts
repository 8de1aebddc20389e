import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom, SimClock } from "@sotto/dns/testing";
import { Admission, SERVER_LIMITS_DEFAULT } from "@sotto/dns/transport";
import { forgetWorker, ledgerOf, shareClients } from "./shared-clients.ts";
import { forgetThread, makeCountTable, SharedCounts, type SharedCountTable } from "./shared-counts.ts";

const random = new SeededRandom(3);

function threadsOf(table: SharedCountTable): SharedCounts[] {
  return Array.from({ length: table.threads }, (_, thread) => new SharedCounts(table, thread));
}

for (const [title, keys] of [
  ["a table with room", 64],
  ["a table that is too small", 2],
] as const)
  test(`counts of several threads are those of a model, in ${title}`, () => {
    const table = makeCountTable(3, keys, random);
    const threads = threadsOf(table);
    const model = threads.map(() => new Map<string, number>());
    const own = (thread: number, key: string): number => model[thread]?.get(key) ?? 0;
    for (let i = 0; i < 5000; i++) {
      const thread = random.below(3);
      const key = `4\u0020${random.below(40)}`;
      const change = own(thread, key) > 0 && random.chance(0.5) ? -1 : 1;
      threads[thread]?.add(key, change);
      model[thread]?.set(key, own(thread, key) + change);
      const sum = own(0, key) + own(1, key) + own(2, key);
      const seen = threads[thread]?.of(key) ?? 0;
      // Without a row the others' are not known, but one's own always are.
      if (keys === 64) assert.equal(seen, sum, `step ${i}`);
      else assert.ok(seen >= own(thread, key) && seen <= sum, `step ${i}`);
    }
    for (const [thread, counts] of model.entries())
      for (const [key, count] of counts) for (let i = 0; i < count; i++) threads[thread]?.add(key, -1);
    for (let i = 0; i < 40; i++) assert.equal(threads[0]?.of(`4\u0020${i}`), 0);
  });

test("what a thread had that has died is nobody's, and its lock is free again", () => {
  const table = makeCountTable(2, 8, random);
  const [a, b] = threadsOf(table) as [SharedCounts, SharedCounts];
  for (const one of [a, a, b]) one.add("client", 1);
  const cells = new Int32Array(table.buffer);
  const places = cells.length / (1 + 8 * 4);
  // Whoever dies with a lock keeps others from new rows only.
  for (let place = 0; place < places; place++) cells[place * (1 + 8 * 4)] = 1;
  b.add("other", 1);
  assert.deepEqual([b.of("other"), a.of("other"), b.of("client")], [1, 0, 3]);
  forgetThread(table, 0);
  assert.equal(b.of("client"), 1);
  b.add("third", 1);
  assert.equal(new SharedCounts(table, 0).of("third"), 1);
});

test("admissions of several workers hold a client to its limits together, and one that dies gives its places back", () => {
  const clock = new SimClock();
  const limits = { ...SERVER_LIMITS_DEFAULT, connectionsPerAddressMax: 3, handshakeRateMax: 4 };
  const shared = shareClients(2, limits, random);
  const workers = [0, 1].map((index) => new Admission(limits, clock, ledgerOf(shared, index, random)));
  const admit = (worker: number, address = "192.0.2.7"): ReturnType<Admission["admit"]> =>
    workers[worker]?.admit(address, false, true);
  const tickets = [admit(0), admit(1), admit(0)];
  assert.ok(tickets.every((ticket) => ticket !== undefined));
  assert.deepEqual([admit(1), admit(0)], [undefined, undefined]);
  assert.equal(workers[1]?.counters.refused["connections per address"], 1);
  assert.ok(admit(1, "192.0.2.8"));
  tickets[0]?.release();
  assert.ok(admit(1), "a place of the other");
  assert.equal(admit(1), undefined);
  forgetWorker(shared, 0);
  assert.equal(admit(1), undefined, "it has a place, but has begun four handshakes in this second");
  assert.equal(workers[1]?.counters.refused["handshake rate"], 1);
});

test("two workers that look at the same moment are not both let in", () => {
  const clock = new SimClock();
  const limits = { ...SERVER_LIMITS_DEFAULT, connectionsPerAddressMax: 1 };
  const shared = shareClients(2, limits, random);
  const ledger = ledgerOf(shared, 0, random);
  const other = new SharedCounts(shared.perClient, 1);
  // The other has looked before, and counts between our look and our count.
  const perClient = {
    of: (key: string) => ledger.perClient.of(key),
    add: (key: string, change: 1 | -1) => {
      if (change > 0) other.add(key, 1);
      return ledger.perClient.add(key, change);
    },
  };
  const worker = new Admission(limits, clock, { ...ledger, perClient });
  assert.equal(worker.admit("192.0.2.7", false, false), undefined);
  assert.deepEqual(
    [worker.connections, worker.counters.accepted, worker.counters.refused["connections per address"]],
    [0, 0, 1],
  );
  assert.equal(ledger.perSubnet.of("192.0.2.0/24"), 0);
});
