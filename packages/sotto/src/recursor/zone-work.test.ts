import assert from "node:assert/strict";
import { test } from "node:test";
import { InfraCache } from "@sotto/dns/cache";
import { DnsError, SharedWaits } from "@sotto/dns/runtime";
import { type SimClock, simRuntime } from "@sotto/dns/testing";
import { makeEdns, parseName, RRClass, RRType } from "@sotto/dns/wire";
import { makeAttempt } from "./attempt.ts";
import { answer, FakeAuthorities } from "./authorities.test-support.ts";
import { type Attempt, Inquiry } from "./inquiry.ts";
import { ServerSelection } from "./server-selection.ts";
import { ZoneWork } from "./zone-work.ts";

const AUTH = "198.51.100.2";
const zone = parseName("example.");
const sought = { name: parseName("www.example."), type: RRType.A };

/** Work at a zone with one server that answers after 10 ms, and an attempt at it. */
function begin(): { clock: SimClock; work: ZoneWork; attempt: Attempt } {
  const world = simRuntime(1);
  const { clock } = world;
  const exchange = new FakeAuthorities({ [AUTH]: () => answer("www.example. 300 A 192.0.2.1") }, clock);
  const servers = [{ name: parseName("ns.example."), addresses: [AUTH] }];
  const infra = new InfraCache({}, clock);
  const selection = new ServerSelection({ zone, servers }, ["ipv4"], infra, world.random, new Set());
  const asking = { port: 53, cookies: false, mixCase: false, edns: makeEdns() };
  const inquiry = new Inquiry(exchange, asking, new SharedWaits({ name: "patience" }, clock));
  const choice = selection.choose(clock.nowMs());
  assert.ok(choice.kind === "ask");
  const attempt = makeAttempt({ ...choice, transport: "udp" }, sought, clock.nowMs(), 8000);
  assert.equal(attempt.question.class, RRClass.IN);
  return { clock, work: new ZoneWork(selection, inquiry), attempt };
}

test("look-ups that find nothing after a reply was there already are nobody's failure", async () => {
  const { clock, work, attempt } = begin();
  work.inquiry.start(attempt);
  await clock.advance(20);
  const lookUp = Promise.withResolvers<void>();
  const arrival = await work.waitForAddress([lookUp.promise], 1000);
  assert.equal(arrival?.kind, "reply");
  assert.equal(work.looksUp, true);
  // Two replies in one turn led here, and unhandled it ended the process.
  lookUp.reject(new DnsError("ERR_TIMEOUT", "no address"));
  await clock.advance(0);
  assert.equal(work.isOpen, false);
  assert.deepEqual(clock.pendingTimers, []);
});

test("a reply ends the wait for an address, and look-ups that all fail do, too", async () => {
  const { clock, work, attempt } = begin();
  work.inquiry.start(attempt);
  const [a, b] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const first = work.waitForAddress([a.promise, b.promise], 1000);
  await clock.advance(20);
  assert.equal((await first)?.kind, "reply");
  const again = Promise.withResolvers<void>();
  const second = work.waitForAddress([again.promise], 1000);
  for (const lookUp of [a, b, again]) lookUp.reject(new Error("no address"));
  assert.equal(await second, undefined);
  await clock.advance(0);
  assert.equal(work.looksUp, false);
  assert.deepEqual(clock.pendingTimers, []);
});
