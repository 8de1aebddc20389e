import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError, type DnsErrorCode } from "@sotto/dns/runtime";
import { type RememberedServer, ServerMemory } from "./server-memory.ts";

function serverOf(parts: Partial<RememberedServer> = {}): RememberedServer {
  return { key: "a|853", address: "192.0.2.1", isTls: true, hasPins: false, ...parts };
}

function failure(code: DnsErrorCode): DnsError {
  return new DnsError(code, `it failed with ${code}`, { stage: "connect" });
}

/** Milliseconds for which a server is not tried after a failure at `nowMs`. */
function patienceAfter(
  memory: ServerMemory,
  server: RememberedServer,
  code: DnsErrorCode,
  nowMs: number,
): number {
  memory.noteFailure(server, failure(code), nowMs);
  let waitMs = 0;
  while (memory.refusal(server, nowMs + waitMs) !== undefined) waitMs += 50;
  return waitMs;
}

test("each kind of failure has its own patience, which grows to a limit [9210-4.1-a]", () => {
  const expected: [DnsErrorCode, number, number][] = [
    ["ERR_UNREACHABLE", 1000, 10_000],
    ["ERR_CONNECT_REFUSED", 250, 5000],
    ["ERR_CONNECT_TIMEOUT", 2000, 30_000],
    ["ERR_TLS_HANDSHAKE", 2000, 30_000],
    ["ERR_TLS_NOT_AUTHENTICATED", 5000, 60_000],
    ["ERR_CONNECTION_LOST", 0, 5000],
  ];
  for (const [code, firstMs, mostMs] of expected) {
    const memory = new ServerMemory();
    const other = serverOf({ key: "other", address: "192.0.2.2" });
    const seen: number[] = [];
    for (let i = 0, nowMs = 0; i < 12; i++, nowMs += 60_000) {
      // Somebody else answers all the time, so that it is not the network.
      for (let agoMs = 60_000; agoMs >= 0; agoMs -= 4000) memory.noteSuccess(other, nowMs - agoMs);
      seen.push(patienceAfter(memory, serverOf(), code, nowMs));
    }
    assert.equal(seen[0], firstMs, code);
    assert.equal(seen.at(-1), mostMs, code);
    assert.ok(
      seen.every((ms, i) => i === 0 || ms >= (seen[i - 1] ?? 0)),
      `${code}: ${seen.join(" ")}`,
    );
  }
});

test("the reason is told, with the time that is left, and a reply ends it", () => {
  const memory = new ServerMemory();
  memory.noteSuccess(serverOf({ key: "other" }), 0);
  memory.noteFailure(serverOf(), failure("ERR_TLS_NOT_AUTHENTICATED"), 0);
  const refusal = memory.refusal(serverOf(), 1000);
  assert.equal(refusal?.code, "ERR_TLS_NOT_AUTHENTICATED");
  assert.match(refusal?.message ?? "", /it failed with .*; not tried again for another 4000 ms/);
  assert.equal(refusal?.stage, "connect");
  assert.equal(memory.refusal(serverOf({ key: "a|853|other policy" }), 1000), undefined);
  memory.noteSuccess(serverOf(), 1500);
  assert.equal(memory.refusal(serverOf(), 1500), undefined);
});

test("an address that answers in clear and not over TLS is left alone for an hour, with pins for five minutes [7858-3.1-f 7858-3.1-g]", () => {
  for (const code of ["ERR_CONNECT_REFUSED", "ERR_CONNECT_TIMEOUT", "ERR_TLS_HANDSHAKE"] as const) {
    for (const hasPins of [false, true]) {
      const memory = new ServerMemory();
      memory.noteSuccess(serverOf({ key: "clear", isTls: false }), 0);
      assert.equal(patienceAfter(memory, serverOf({ hasPins }), code, 100), hasPins ? 300_000 : 3_600_000);
    }
  }
  const memory = new ServerMemory();
  memory.noteSuccess(serverOf({ key: "clear", isTls: false, address: "192.0.2.9" }), 0);
  assert.equal(
    patienceAfter(memory, serverOf(), "ERR_CONNECT_REFUSED", 100),
    250,
    "another address says nothing",
  );
});

test("who once answered over TLS has it: blocking its port for a while does not send an hour of queries in clear", () => {
  for (const code of ["ERR_CONNECT_REFUSED", "ERR_CONNECT_TIMEOUT", "ERR_TLS_HANDSHAKE"] as const) {
    const memory = new ServerMemory();
    memory.noteSuccess(serverOf(), 0);
    memory.noteSuccess(serverOf({ key: "clear", isTls: false }), 100);
    for (let nowMs = 200; nowMs < 60_000; nowMs += 1000) {
      memory.noteSuccess(serverOf({ key: "clear", isTls: false }), nowMs);
      assert.ok(patienceAfter(memory, serverOf(), code, nowMs) <= 30_000, code);
    }
    const dayMs = 86_400_000;
    memory.noteSuccess(serverOf({ key: "clear", isTls: false }), dayMs);
    assert.equal(patienceAfter(memory, serverOf(), code, dayMs), 3_600_000, "that was long ago");
  }
});

test("when nobody answers it is the network: short fixed intervals, and the first answer forgives all", () => {
  const memory = new ServerMemory();
  const servers = ["a", "b", "c"].map((key) => serverOf({ key }));
  for (let nowMs = 10_000; nowMs < 600_000; nowMs += 3000)
    for (const server of servers)
      assert.ok(patienceAfter(memory, server, "ERR_CONNECT_TIMEOUT", nowMs) <= 2000);
  const [first, second] = servers;
  assert.ok(first && second);
  memory.noteFailure(second, failure("ERR_UNREACHABLE"), 600_000);
  memory.noteSuccess(first, 600_010);
  assert.equal(memory.refusal(second, 600_010), undefined);
});

test("a path that loses SYNs with data is not given any for an hour [7413-4.1.3.1-a]", () => {
  const memory = new ServerMemory();
  assert.equal(memory.mayFastOpen(serverOf(), 0), true);
  memory.noteFailure(serverOf(), failure("ERR_CONNECT_TIMEOUT"), 0, { askedFastOpen: true });
  assert.equal(memory.refusal(serverOf(), 0), undefined, "an ordinary connection is tried first");
  assert.equal(memory.mayFastOpen(serverOf(), 3_599_999), false);
  assert.equal(memory.mayFastOpen(serverOf({ key: "other" }), 1), true);
  assert.equal(memory.mayFastOpen(serverOf(), 3_600_000), true);
  memory.noteFailure(serverOf(), failure("ERR_CONNECTION_LOST"), 3_600_000, { askedFastOpen: true });
  memory.noteFailure(serverOf(), failure("ERR_CONNECT_TIMEOUT"), 3_600_001, { askedFastOpen: true });
  assert.notEqual(memory.refusal(serverOf(), 3_600_001), undefined, "it was not Fast Open");
  memory.forgetAll();
  assert.equal(memory.mayFastOpen(serverOf(), 3_600_001), true);
  for (const code of ["ERR_ABORTED", "ERR_TLS_NOT_AUTHENTICATED", "ERR_UNREACHABLE"] as const)
    memory.noteFailure(serverOf(), failure(code), 3_600_002, { askedFastOpen: true });
  assert.equal(memory.mayFastOpen(serverOf(), 3_600_002), true, "SYNs with data had no part in these");
});

test("who has no other hope may try a server that is backed off, once in two seconds", () => {
  const memory = new ServerMemory();
  memory.noteFailure(serverOf(), failure("ERR_TLS_NOT_AUTHENTICATED"), 0);
  assert.notEqual(memory.refusal(serverOf(), 1999, true), undefined);
  assert.equal(memory.refusal(serverOf(), 2000, true), undefined);
  assert.notEqual(memory.refusal(serverOf(), 2000, false), undefined);
  memory.noteFailure(serverOf(), failure("ERR_TLS_NOT_AUTHENTICATED"), 2000);
  assert.notEqual(memory.refusal(serverOf(), 3999, true), undefined);
});

test("who comes late to a try that takes long after a failure does not wait for its end", () => {
  const memory = new ServerMemory();
  assert.equal(memory.refusalWhileTried(serverOf(), 0, 60_000), undefined, "it has never failed");
  memory.noteFailure(serverOf(), failure("ERR_CONNECT_TIMEOUT"), 0);
  assert.equal(memory.refusalWhileTried(serverOf(), 5000, 5999), undefined);
  const refusal = memory.refusalWhileTried(serverOf(), 5000, 6000);
  assert.equal(refusal?.code, "ERR_CONNECT_TIMEOUT");
  assert.match(refusal?.message ?? "", /; it is being tried again since 1000 ms$/);
});

test("memory is bounded", () => {
  const memory = new ServerMemory();
  for (let i = 0; i < 5000; i++)
    memory.noteFailure(serverOf({ key: `server ${i}` }), failure("ERR_TLS_NOT_AUTHENTICATED"), 0);
  assert.equal(memory.refusal(serverOf({ key: "server 0" }), 1), undefined);
  assert.notEqual(memory.refusal(serverOf({ key: "server 4999" }), 1), undefined);
});

test("what was learnt in clear is forgotten with the network it was learnt on [7858-8-a]", () => {
  const memory = new ServerMemory();
  memory.noteSuccess(serverOf({ key: "clear", isTls: false }), 0);
  memory.forgetAll();
  memory.noteSuccess(serverOf({ key: "other", address: "192.0.2.9" }), 50);
  assert.equal(patienceAfter(memory, serverOf(), "ERR_CONNECT_REFUSED", 100), 250);
});
