import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { AuthorityEncryption, type Circumstances, type EncryptionFailure } from "./authority-encryption.ts";

const A = "192.0.2.1";
const B = "2001:db8::2";
const DAY_MS = 86_400_000;
/** The server answered in clear meanwhile: whatever happened is its own fault. */
const ITS_FAULT: Circumstances = { sinceMs: 0, isAnsweredInClear: true, isNetworkAlive: true };

function make(): { clock: SimClock; table: AuthorityEncryption } {
  const clock = new SimClock();
  return { clock, table: new AuthorityEncryption(clock) };
}

test("an unknown server is probed once, beside clear queries [9539-4-a]", () => {
  const { table } = make();
  assert.equal(table.choose(A), "probe");
  table.noteProbe(A);
  assert.equal(table.choose(A), "clear");
  assert.equal(table.choose(B), "probe");
});

test("after an encrypted reply everything is encrypted, for three days without another one [9539-4-b] [9539-4-c]", async () => {
  const { clock, table } = make();
  table.noteProbe(A);
  table.noteReply(A);
  assert.equal(table.choose(A), "encrypted");
  await clock.advance(2 * DAY_MS);
  table.noteReply(A);
  await clock.advance(3 * DAY_MS - 1000);
  assert.equal(table.choose(A), "encrypted");
  await clock.advance(1000);
  assert.equal(table.choose(A), "probe");
});

test("after a failure the server is left alone for a day, also when it had worked [9539-4-b]", async () => {
  const { clock, table } = make();
  table.noteProbe(A);
  table.noteFailure(A, "connect", ITS_FAULT);
  table.noteReply(B);
  table.noteFailure(B, "timeout", ITS_FAULT);
  for (const address of [A, B]) assert.equal(table.choose(address), "clear");
  await clock.advance(DAY_MS - 1000);
  for (const address of [A, B]) assert.equal(table.choose(address), "clear");
  await clock.advance(1000);
  for (const address of [A, B]) assert.equal(table.choose(address), "probe");
});

test("no more than 32 probes are under way, and one that says nothing makes room", () => {
  const { table } = make();
  for (let i = 0; i < 32; i++) table.noteProbe(`192.0.2.${i + 100}`);
  assert.equal(table.choose(A), "clear");
  table.noteNothing("192.0.2.100");
  assert.equal(table.choose(A), "probe");
  assert.equal(table.choose("192.0.2.100"), "probe");
});

test("what was learnt is written as text and read again, with what is left of its time", async () => {
  const { clock, table } = make();
  table.noteReply(A);
  table.noteFailure(B, "handshake", ITS_FAULT);
  await clock.advance(DAY_MS / 2);
  const next = new AuthorityEncryption(clock);
  assert.deepEqual(next.tryLoad(table.toText()), { ok: true, value: 2 });
  assert.equal(next.choose(A), "encrypted");
  assert.equal(next.choose(B), "clear");
  await clock.advance(DAY_MS / 2);
  assert.equal(next.choose(B), "probe");
  assert.deepEqual(next.known, { works: 1, fails: 0, probing: 0 });
});

test("a damaged text is a problem with its line, and nothing of it is taken", () => {
  const head = "sotto authority encryption 1\n";
  for (const [text, line] of [
    ["", "first line"],
    ["something else\n", "first line"],
    [`${head}192.0.2.1 works\n`, "line 2"],
    [`${head}192.0.2.1 works 1\n192.0.2.2 maybe 1\n`, "line 3"],
    [`${head}nobody works 1\n`, "line 2"],
  ] as const) {
    const { table } = make();
    const loaded = table.tryLoad(text);
    assert.ok(!loaded.ok && loaded.problem.includes(line), text);
    assert.deepEqual(table.known, { works: 0, fails: 0, probing: 0 });
  }
});

test("a time to come counts as now: a wrong clock must not keep anything for ever", async () => {
  const { clock, table } = make();
  const seconds = Math.floor(clock.wallMs() / 1000) + 10_000_000;
  assert.ok(table.tryLoad(`sotto authority encryption 1\n${A} fails ${seconds}\n`).ok);
  assert.equal(table.choose(A), "clear");
  await clock.advance(DAY_MS);
  assert.equal(table.choose(A), "probe");
});

test("the table is bounded: the oldest leave", () => {
  const { table } = make();
  for (let i = 0; i < 100_001; i++)
    table.noteFailure(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, "connect", ITS_FAULT);
  assert.equal(table.known.fails, 100_000);
  assert.equal(table.choose("10.0.0.0"), "probe");
  assert.equal(table.choose("10.0.0.1"), "clear");
});

test("what is written down again is news only, so that a busy server is not written every time", () => {
  const { table } = make();
  table.noteReply(A);
  const { revision } = table;
  for (let i = 0; i < 100; i++) table.noteReply(A);
  assert.equal(table.revision, revision);
  table.noteFailure(A, "query", ITS_FAULT);
  assert.equal(table.revision, revision + 1);
});

test("a failure counts when it can only be the server's, and is counted by what it was", async () => {
  const nobody = { sinceMs: 0, isAnsweredInClear: false, isNetworkAlive: false };
  const others = { ...nobody, isNetworkAlive: true };
  const itself = { ...nobody, isAnsweredInClear: true };
  const cases: [EncryptionFailure, Circumstances, boolean][] = [
    ["connect", nobody, false],
    ["connect", others, true],
    ["connect", itself, true],
    ["timeout", nobody, false],
    ["timeout", others, true],
    ["timeout", itself, true],
    // A question that nobody answers.
    ["silence", nobody, false],
    ["silence", others, false],
    ["silence", itself, true],
    ["handshake", nobody, true],
    ["query", nobody, true],
  ];
  for (const [failure, circumstances, counts] of cases) {
    for (const worked of [false, true]) {
      const { clock, table } = make();
      if (worked) table.noteReply(A);
      else table.noteProbe(A);
      await clock.advance(1000);
      table.noteFailure(A, failure, { ...circumstances, sinceMs: clock.wallMs() });
      const kept = worked ? "encrypted" : "probe";
      assert.equal(table.choose(A), counts ? "clear" : kept, `${failure} ${JSON.stringify(circumstances)}`);
      const { probes, lost } = table.counters;
      assert.equal(probes[failure], counts && !worked ? 1 : 0);
      assert.equal(lost[failure], counts && worked ? 1 : 0);
      assert.equal(probes.inconclusive, counts || worked ? 0 : 1);
    }
  }
});

test("a query without a reply among others that are answered says nothing about the server", async () => {
  const { clock, table } = make();
  table.noteReply(A);
  const sinceMs = clock.wallMs();
  await clock.advance(500);
  table.noteReply(A);
  table.noteSilence(A, sinceMs);
  assert.equal(table.isDoubted(A), false);
  table.noteFailure(A, "silence", { sinceMs, isAnsweredInClear: true, isNetworkAlive: true });
  assert.equal(table.choose(A), "encrypted");
});

test("a server that is silent is doubted until anything comes of what is under way there", () => {
  const ends: [string, (table: AuthorityEncryption) => void][] = [
    ["a reply", (table) => table.noteReply(A)],
    ["a failure", (table) => table.noteFailure(A, "timeout", ITS_FAULT)],
    ["the end", (table) => table.noteNothing(A)],
  ];
  for (const [name, end] of ends) {
    const { clock, table } = make();
    table.noteReply(A);
    table.noteSilence(A, clock.wallMs());
    assert.equal(table.isDoubted(A), true, name);
    end(table);
    assert.equal(table.isDoubted(A), false, name);
  }
});
