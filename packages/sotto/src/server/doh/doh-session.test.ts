import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { Admission, type MessageHandler, SERVER_LIMITS_DEFAULT } from "@sotto/dns/transport";
import { queryOctets } from "../queries.test-support.ts";
import { DohBench, FakeExchange, PATH, postOf } from "./doh.test-support.ts";

const echo: MessageHandler = { answer: (octets) => octets };
const silent: MessageHandler = { answer: () => undefined };

test("a DNS answer is status 200 with its type, length and freshness [8484-4.2.1-a]", () => {
  const { response } = new DohBench({ handler: echo }).ask();
  assert.equal(response?.status, 200);
  assert.deepEqual(response?.fields, {
    "content-type": "application/dns-message",
    "content-length": String(queryOctets("www.example.").length),
    "cache-control": "max-age=0",
  });
  assert.deepEqual(response?.body, queryOctets("www.example."));
});

test("an answer is the request's own: what the handler does with its buffer later does not matter", () => {
  const buffer = queryOctets("www.example.");
  const bench = new DohBench({ handler: { answer: () => buffer } });
  const exchange = bench.ask();
  buffer.fill(0xff);
  assert.deepEqual(exchange.response?.body, queryOctets("www.example."));
});

test("a 405 names the methods, a refusal is not cached, and refusals are counted by status", () => {
  const bench = new DohBench({ handler: echo });
  const exchange = bench.ask({ method: "DELETE" });
  assert.equal(exchange.response?.fields["allow"], "GET, HEAD, POST");
  assert.equal(exchange.response?.fields["cache-control"], "no-store");
  bench.ask({ target: "/other" });
  bench.ask({ target: "/other" });
  assert.deepEqual(bench.protocol.refusals, { 405: 1, 404: 2 });
});

test("a query without an answer is given up, and not left open", async () => {
  assert.equal(new DohBench({ handler: silent }).ask().isAbandoned, true);
  const bench = new DohBench();
  const exchange = bench.ask();
  bench.pending.shift()?.answer(undefined);
  await bench.world.clock.advance(0);
  assert.equal(exchange.isAbandoned, true);
});

test("answers leave in the order in which they are ready [7766-7-a]", async () => {
  const bench = new DohBench();
  const [first, second] = [bench.ask(), bench.ask()];
  bench.pending.pop()?.answer(queryOctets("b.example."));
  await bench.world.clock.advance(0);
  assert.equal(first.status, undefined);
  assert.deepEqual(second.response?.body, queryOctets("b.example."));
  await bench.answer(queryOctets("a.example."));
  assert.deepEqual(first.response?.body, queryOctets("a.example."));
});

test("beyond the queries in flight requests wait, reading pauses, and each place that gets free is taken", async () => {
  const bench = new DohBench({ limits: { inFlightMax: 2 } });
  const exchanges = [1, 2, 3, 4].map(() => bench.ask());
  assert.equal(bench.pending.length, 2);
  assert.equal(bench.admission.inFlight, 2);
  assert.deepEqual(bench.http.calls, ["pause"]);
  await bench.answer();
  assert.equal(bench.pending.length, 2);
  await bench.answer();
  assert.deepEqual(bench.http.calls, ["pause", "resume"]);
  await bench.answer();
  await bench.answer();
  assert.equal(bench.admission.inFlight, 0);
  assert.ok(exchanges.every(({ response }) => response?.status === 200));
});

test("requests that wait count with what they cost, until they wait no more", async () => {
  const bench = new DohBench({ limits: { inFlightMax: 1, bufferedOctetsMax: 100_000 } });
  const [, second, third] = [bench.ask(), bench.ask(), bench.ask()];
  assert.ok(bench.admission.bufferedOctets >= 2 * 4096, `${bench.admission.bufferedOctets} octets`);
  assert.ok(second !== undefined && third !== undefined);
  bench.over(second);
  bench.over(third);
  assert.equal(bench.admission.bufferedOctets, 0);
  for (let i = 0; i < 100 && bench.ended === undefined; i++) bench.ask({ target: "/" });
  assert.equal(bench.ended, "buffers full");
  assert.equal(bench.admission.bufferedOctets, 0);
});

// The rest of a body lay unread with the system, and its client was blamed for it.
test("a body has no time limit while reading is paused, and all of it afterwards", async () => {
  const bench = new DohBench({ limits: { inFlightMax: 1, messageTimeoutMs: 1000 } });
  bench.ask();
  bench.ask();
  const exchange = new FakeExchange(postOf(new Uint8Array(0)), bench.http);
  bench.handlers.onBegin(exchange);
  assert.deepEqual(bench.http.calls, ["pause"]);
  await bench.world.clock.advance(3000);
  assert.equal(exchange.status, undefined);
  await bench.answer();
  assert.deepEqual(bench.http.calls, ["pause", "resume"]);
  await bench.world.clock.advance(999);
  assert.equal(exchange.status, undefined);
  await bench.world.clock.advance(1);
  assert.equal(exchange.status, 408);
});

test("a client that ends after it was told why counts with that reason", async () => {
  const bench = new DohBench({ limits: { messageTimeoutMs: 1000 } });
  const exchange = new FakeExchange(postOf(new Uint8Array(0)), bench.http);
  bench.handlers.onBegin(exchange);
  await bench.world.clock.advance(1000);
  assert.equal(exchange.status, 408);
  bench.handlers.onEnd();
  bench.over(exchange);
  assert.equal(bench.ended, "message timeout");
});

test("a request that is given up while it waits is never asked", async () => {
  const bench = new DohBench({ limits: { inFlightMax: 1 } });
  const [, second] = [bench.ask(), bench.ask()];
  assert.ok(second !== undefined);
  bench.over(second);
  await bench.answer();
  assert.equal(bench.pending.length, 0);
  assert.deepEqual(bench.http.calls, ["pause", "resume"]);
});

test("a request that is given up while it is asked keeps its place until it is answered", async () => {
  const bench = new DohBench({ limits: { inFlightMax: 1 } });
  for (let i = 0; i < 50; i++) bench.over(bench.ask());
  assert.equal(bench.pending.length, 1, "resetting streams makes no more queries than the limit");
  await bench.answer();
  assert.equal(bench.admission.inFlight, 0);
});

test("when all places are taken connections wait for their turn", async () => {
  const admission = new Admission(
    { ...SERVER_LIMITS_DEFAULT, inFlightTotalMax: 1 },
    new DohBench().world.clock,
  );
  const [one, other] = [new DohBench({ admission }), new DohBench({ admission })];
  one.ask();
  other.ask();
  assert.equal(other.pending.length, 0);
  await one.answer();
  assert.equal(other.pending.length, 1);
  await other.answer();
});

test("a client that does not take its answers is asked no more, and is reset in the end", async () => {
  const bench = new DohBench({ limits: { unsentOctetsMax: 58, writeStallTimeoutMs: 3000 }, handler: echo });
  const [first, second, third] = [bench.ask(), bench.ask(), bench.ask()];
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  assert.equal(third.status, undefined);
  await bench.world.clock.advance(2500);
  bench.over(first);
  assert.equal(third.status, 200, "there is room again");
  await bench.world.clock.advance(2999);
  assert.equal(bench.ended, undefined);
  await bench.world.clock.advance(1);
  assert.equal(bench.ended, "write stall");
  assert.equal(bench.http.calls.at(-1), "resume");
  assert.ok(bench.http.calls.includes("reset"));
});

test("answers that wait for another one of ours have all their time from when that is made", async () => {
  const bench = new DohBench({ limits: { writeStallTimeoutMs: 1000 } });
  const [first, second] = [bench.ask(), bench.ask()];
  bench.http.heldUpBy = first;
  bench.pending.pop()?.answer(queryOctets("www.example."));
  await bench.world.clock.advance(3000);
  assert.equal(second?.status, 200);
  await bench.answer();
  assert.equal(first?.status, 200);
  await bench.world.clock.advance(999);
  assert.equal(bench.ended, undefined);
  await bench.world.clock.advance(1);
  assert.equal(bench.ended, "write stall");
});

test("a connection without a request, an idle one and one with half a request end in their time", async () => {
  const limits = { firstQueryTimeoutMs: 4000, idleTimeoutMs: 2000, messageTimeoutMs: 1000 };
  const fresh = new DohBench({ limits, handler: echo });
  await fresh.world.clock.advance(3999);
  assert.equal(fresh.ended, undefined);
  await fresh.world.clock.advance(1);
  assert.equal(fresh.ended, "first query timeout");
  assert.deepEqual(fresh.http.calls.slice(0, 3), ["leave", "pause", "end"]);

  const idle = new DohBench({ limits, handler: echo });
  idle.over(idle.ask());
  await idle.world.clock.advance(1999);
  idle.over(idle.ask());
  await idle.world.clock.advance(1999);
  assert.equal(idle.ended, undefined);
  await idle.world.clock.advance(1);
  assert.equal(idle.ended, "idle timeout");

  const slow = new DohBench({ limits, handler: echo });
  const exchange = new FakeExchange(postOf(new Uint8Array(0)), slow.http);
  slow.handlers.onBegin(exchange);
  await slow.world.clock.advance(999);
  slow.http.partialOctets = 40;
  slow.handlers.onBody(exchange);
  assert.equal(slow.admission.bufferedOctets, 40);
  await slow.world.clock.advance(1);
  assert.equal(exchange.response?.status, 408);
  slow.http.partialOctets = 0;
  slow.over(exchange);
  assert.equal(slow.ended, "message timeout");
  assert.equal(slow.admission.bufferedOctets, 0);
});

test("a query in flight keeps its connection open whatever the idle timeout", async () => {
  const bench = new DohBench({ limits: { idleTimeoutMs: 1000 } });
  const exchange = bench.ask();
  await bench.world.clock.advance(5000);
  assert.equal(bench.ended, undefined);
  await bench.answer();
  bench.over(exchange);
  await bench.world.clock.advance(1000);
  assert.equal(bench.ended, "idle timeout");
});

test("the last of so many queries is answered, then the connection ends", async () => {
  const bench = new DohBench({ limits: { queriesMax: 2 } });
  const [first, second] = [bench.ask(), bench.ask()];
  assert.deepEqual(bench.http.calls, ["leave", "pause"]);
  assert.equal(bench.ask().response?.status, 503);
  await bench.answer();
  await bench.answer();
  assert.equal(second?.response?.status, 200);
  for (const exchange of [first, second]) if (exchange !== undefined) bench.over(exchange);
  assert.equal(bench.ended, undefined, "the refusal has not been taken");
  bench.http.unsentOctets = 0;
  bench.handlers.onOver(new FakeExchange());
  assert.equal(bench.ended, "query limit");
  assert.ok(bench.http.calls.includes("end"));
});

test("a connection of a certain age tells its client to go, and goes when nothing is under way", async () => {
  const bench = new DohBench({ limits: { durationMaxMs: 3000, idleTimeoutMs: 2500 }, handler: echo });
  bench.over(bench.ask());
  await bench.world.clock.advance(1500);
  bench.over(bench.ask());
  await bench.world.clock.advance(1500);
  assert.deepEqual(bench.http.calls.slice(0, 1), ["leave"]);
  await bench.world.clock.advance(50);
  assert.equal(bench.ended, "duration limit");
});

test("draining tells the client to go, answers what is under way and what still comes, then ends", async () => {
  const bench = new DohBench();
  const first = bench.ask();
  bench.session.drain();
  assert.deepEqual(bench.http.calls, ["leave"]);
  const second = bench.ask();
  await bench.answer();
  await bench.answer();
  assert.deepEqual([first.response?.status, second.response?.status], [200, 200]);
  bench.over(first);
  bench.over(second);
  await bench.world.clock.advance(50);
  assert.equal(bench.ended, "drained");
  assert.ok(bench.http.calls.includes("end"));
  bench.handlers.onClose(undefined);
  assert.equal(bench.isClosed, true);
  assert.deepEqual(bench.world.clock.pendingTimers, []);
});

test("an idle connection makes room, and one that has been ended is reset when its client does not end", async () => {
  const bench = new DohBench({ handler: echo });
  bench.over(bench.ask());
  assert.notEqual(bench.session.idleSinceMs, Number.POSITIVE_INFINITY);
  bench.session.displace();
  assert.equal(bench.ended, "displaced");
  assert.equal(bench.http.calls.includes("reset"), false);
  await bench.world.clock.advance(2000);
  assert.equal(bench.http.calls.at(-1), "reset");
});

test("who holds most is reset when the buffers are full, and nothing stays counted", () => {
  const bench = new DohBench({ limits: { bufferedOctetsMax: 100 }, handler: echo });
  for (let i = 0; i < 3; i++) bench.ask();
  assert.equal(bench.ended, undefined);
  bench.ask();
  assert.equal(bench.ended, "buffers full");
  assert.equal(bench.admission.bufferedOctets, 0);
});

test("a connection that breaks is counted as lost, one with bad HTTP as malformed, and answers that come later go nowhere", async () => {
  for (const [problem, reason] of [
    [new DnsError("ERR_CONNECTION_LOST", "gone"), "connection lost"],
    [new DnsError("ERR_MESSAGE_MALFORMED", "no HTTP"), "malformed frame"],
    [undefined, "client closed"],
  ] as const) {
    const bench = new DohBench();
    const exchange = bench.ask();
    bench.handlers.onClose(problem);
    assert.equal(bench.ended, reason);
    await bench.answer();
    assert.equal(exchange.response, undefined);
    assert.equal(bench.admission.inFlight, 0);
    assert.deepEqual(bench.world.clock.pendingTimers, []);
  }
});

test("a client of HTTP/1.1 that ends its side still gets its answers", async () => {
  const bench = new DohBench();
  const exchange = bench.ask();
  bench.handlers.onEnd();
  assert.equal(bench.ended, undefined);
  await bench.answer();
  assert.equal(exchange.response?.status, 200);
  bench.over(exchange);
  assert.equal(bench.ended, "client closed");
});

test("keepalive is never promised: HTTP has its own way", () => {
  const bench = new DohBench();
  bench.ask();
  assert.equal(bench.pending[0]?.channel.keepaliveUnits(), undefined);
});

test("a trusted proxy is believed request by request, and nobody else", () => {
  const fields = { "content-type": "application/dns-message", "x-forwarded-for": "198.51.100.7" };
  const proxy = (address: string): { isTrusted: (one: string) => boolean; place: "http header" } => ({
    isTrusted: (one) => one === address,
    place: "http header",
  });
  const bench = new DohBench({ proxy: proxy("192.0.2.1") });
  bench.ask({ fields });
  bench.ask();
  assert.deepEqual(
    bench.pending.map(({ channel }) => channel.origin.remote?.address),
    ["198.51.100.7", "192.0.2.1"],
  );
  assert.equal(bench.ask({ fields: { ...fields, forwarded: "for=unknown" } }).response?.status, 400);
  for (const parts of [{ proxy: proxy("192.0.2.99") }, {}]) {
    const direct = new DohBench(parts);
    direct.ask({ fields });
    assert.equal(direct.pending[0]?.channel.origin.remote?.address, "192.0.2.1");
  }
});

test("a changed path counts for connections that are open", () => {
  const bench = new DohBench({ handler: echo });
  bench.protocol.path = "/other";
  assert.equal(bench.ask({ target: PATH }).response?.status, 404);
  assert.equal(bench.ask({ target: "/other" }).response?.status, 200);
});

test("thousands of requests in any order of answers and losses leave nothing behind", async () => {
  const bench = new DohBench({ limits: { inFlightMax: 7 } });
  const { random } = bench.world;
  const open = new Set<FakeExchange>();
  let answered = 0;
  for (let i = 0; i < 5000; i++) {
    const dice = random.below(4);
    if (dice < 2 && open.size < 20) open.add(bench.ask(dice === 0 ? {} : { target: "/nope" }));
    else if (dice === 2) await bench.answer();
    const done = [...open].find(({ response }) => response !== undefined);
    // One in five is given up before it has its answer.
    const [oldest] = open;
    const over = done ?? (random.below(5) === 0 ? oldest : undefined);
    if (over === undefined) continue;
    if (over.response !== undefined) answered++;
    open.delete(over);
    bench.over(over);
    assert.ok(bench.admission.inFlight <= 7);
  }
  while (bench.pending.length > 0) await bench.answer();
  for (const exchange of open) bench.over(exchange);
  assert.ok(answered > 1000);
  assert.equal(bench.http.unsentOctets, 0);
  assert.equal(bench.admission.inFlight, 0);
  assert.equal(bench.admission.bufferedOctets, 0);
  bench.session.drain();
  assert.equal(bench.ended, "drained");
});
