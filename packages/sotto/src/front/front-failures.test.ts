import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { EdeCode, parseName, Rcode, RRClass, RRType } from "@sotto/dns/wire";
import {
  channelOf,
  decoded,
  edeOf,
  errorOf,
  isLater,
  open,
  queryOctets,
} from "./front-service.test-support.ts";

// Names and addresses of backends, and what each of them did, were in the text of the extended error, for whoever asked.
test("clients learn that nobody has answered, and not who", async () => {
  const { ask, first } = open();
  const failed = ask();
  first.fail();
  const useless = ask();
  first.reply({ rcode: Rcode.BadCookie });
  for (const answer of [failed, useless]) {
    const text = errorOf(await decoded(answer))?.text ?? "";
    assert.ok(text.length > 0);
    assert.doesNotMatch(text, /b1/);
  }
});

test("clients that may have transfers are told no names of backends either; the log has them", async () => {
  const { ask, first, world } = open({ transfers: ["127.0.0.1"] });
  const openTransfer = (_: unknown, { onEnd }: { onEnd(problem: DnsError): void }) =>
    void onEnd(new DnsError("ERR_CONNECTION_LOST", "transfer of example. from backend b1: it ended"));
  Object.defineProperty(first, "backends", { value: { isDown: false, openTransfer } });
  const questions = [{ name: parseName("example."), type: RRType.AXFR, class: RRClass.IN }];
  const parts = { sendPart: () => true, whenRoom: () => undefined };
  const message = await decoded(ask(queryOctets({ questions }), { ...channelOf("tcp"), parts }));
  assert.deepEqual([message.rcode, edeOf(message)], [Rcode.ServFail, EdeCode.NetworkError]);
  assert.doesNotMatch(errorOf(message)?.text ?? "", /b1/);
  assert.match(String(world.events.named("front.query.failed")[0]?.["problem"]), /b1/);
});

test("a pool that breaks costs one query, and nothing waits for it", async () => {
  const { ask, first, service, world } = open({ verdict: { delayMs: 5 } });
  const broken = { forward: () => assert.fail("broken"), isDown: false, openTransfer: () => undefined };
  Object.defineProperty(first, "backends", { get: () => broken });
  const answer = ask();
  await world.clock.advance(5);
  assert.equal((await decoded(answer)).rcode, Rcode.ServFail);
  assert.equal(service.outcomes.tls.bug, 1);
  await service.idle();
});

test("what cannot be passed on is SERVFAIL, and what is too much is, too", async () => {
  const { ask, first, service } = open({ pendingMax: 1 });
  const answer = ask();
  const busy = await decoded(ask(queryOctets({ name: "other.example." })));
  assert.deepEqual([busy.rcode, edeOf(busy)], [Rcode.ServFail, EdeCode.NotReady]);
  first.reply({ rcode: Rcode.BadCookie });
  const bad = await decoded(answer);
  assert.deepEqual([bad.rcode, edeOf(bad)], [Rcode.ServFail, EdeCode.InvalidData]);
  assert.equal(service.counters.unusable, 1);
  await service.idle();
});

// It was thrown out of a timer, which ends the process.
test("a cache that breaks once a delay is over costs one query", async () => {
  const { ask, first, service, world } = open({ verdict: { delayMs: 5 } });
  Object.defineProperty(first, "cache", { value: { find: () => assert.fail("broken") } });
  const answer = ask();
  await world.clock.advance(5);
  assert.equal((await decoded(answer)).rcode, Rcode.ServFail);
  assert.equal(service.outcomes.tls.bug, 1);
  await service.idle();
});

// The exception went on into the backend's connection, which lost its place in the stream of replies, and with it those of other clients.
test("who fails when told its answer takes no other client's with it", async () => {
  const { ask, first, service, world } = open();
  const broken = ask();
  assert.ok(isLater(broken));
  broken.then(() => {
    throw new Error("a client's connection has a bug");
  });
  const other = ask(queryOctets({ name: "other.example." }));
  first.reply();
  first.reply();
  assert.equal((await decoded(other)).answers.length, 1);
  assert.equal(service.pending, 0);
  assert.equal(world.events.named("server.bug").length, 1);
});
