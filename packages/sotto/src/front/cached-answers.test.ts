import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EdeCode,
  EdnsOptionCode,
  makeClientSubnet,
  makeEdns,
  octetsEqual,
  Rcode,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { decoded, edeOf, isLater, open, optionsOf, queryOctets } from "./front-service.test-support.ts";

test("the second answer comes from the cache in the call, with another id and case, and octet by octet the same otherwise", async () => {
  const { ask, first, world, service } = open();
  const query = queryOctets();
  const answer = ask(query);
  first.reply();
  const fresh = await answer;
  const cached = ask(query);
  assert.ok(cached instanceof Uint8Array && fresh !== undefined);
  assert.ok(octetsEqual(cached, fresh));
  await world.clock.advance(100_000);
  const later = await decoded(ask(queryOctets({ id: 7, name: "www.EXAMPLE." })));
  assert.equal(later.id, 7);
  assert.equal(later.questions[0]?.name.toString(), "www.EXAMPLE.");
  assert.equal(later.answers[0]?.ttl, 200);
  assert.equal(first.asked.length, 0);
  assert.deepEqual([service.outcomes.tls.answered, service.outcomes.tls["answered from cache"]], [1, 2]);
});

// Whoever stood before an authoritative server looked like an open resolver.
test("recursion is offered where the backend offers it, by the cache, too", async () => {
  const { ask, first } = open();
  for (const isThere of [false, true]) {
    const query = queryOctets({ name: `${isThere}.example.` });
    const answer = ask(query);
    first.reply({ recursionAvailable: isThere });
    assert.equal((await decoded(answer)).recursionAvailable, isThere);
    const again = ask(query);
    assert.ok(again instanceof Uint8Array, "it comes from the cache");
    assert.equal((await decoded(again)).recursionAvailable, isThere);
  }
});

test("answers for one client are asked for each time", async () => {
  const { ask, first } = open();
  const subnet = makeClientSubnet({
    address: Uint8Array.of(192, 0, 2, 0),
    sourcePrefixBits: 24,
    scopePrefixBits: 0,
  });
  for (let i = 0; i < 2; i++) {
    const answer = ask(queryOctets({ edns: makeEdns({ options: [subnet] }) }));
    const sent = tryDecodeMessage(first.asked[0]?.octets ?? new Uint8Array(0));
    assert.ok(sent.ok);
    assert.deepEqual(
      sent.value.edns?.options.map(({ code }) => code),
      [EdnsOptionCode.ClientSubnet],
    );
    first.reply();
    assert.equal((await decoded(answer)).answers.length, 1);
  }
  const other = ask();
  assert.ok(isLater(other), "what was for a subnet is not for all");
});

test("a renewal asks as the rules say: a subnet that is taken out stays out, and its answer is for all", async () => {
  const edits = [{ kind: "strip", code: EdnsOptionCode.ClientSubnet }] as const;
  const { ask, first, second, world } = open({ verdict: { edits } });
  const subnet = makeClientSubnet({
    address: Uint8Array.of(192, 0, 2, 0),
    sourcePrefixBits: 24,
    scopePrefixBits: 0,
  });
  const query = queryOctets({ edns: makeEdns({ options: [subnet] }) });
  const answer = ask(query);
  first.reply();
  await answer;
  await world.clock.advance(290_000);
  assert.ok(ask(query) instanceof Uint8Array, "it still lives, and is renewed");
  assert.deepEqual(optionsOf(first.asked[0]), []);
  assert.equal(second.asked.length, 0);
});

test("a renewal that fails leaves the answer that still lives", async () => {
  for (const rcode of [Rcode.ServFail, Rcode.Refused]) {
    const { ask, first, world } = open();
    const answer = ask();
    first.reply();
    await answer;
    await world.clock.advance(290_000);
    assert.equal((await decoded(ask())).answers[0]?.ttl, 10);
    first.reply({ rcode, answers: [] });
    const after = ask();
    assert.ok(after instanceof Uint8Array, `rcode ${rcode}`);
    assert.equal((await decoded(after)).answers[0]?.ttl, 10, `rcode ${rcode}`);
  }
});

test("while all backends are down what has ended is given, for thirty seconds, and says so", async () => {
  const { ask, first, world, service } = open();
  const answer = ask();
  first.reply();
  await answer;
  await world.clock.advance(400_000);
  const failed = ask();
  first.fail();
  assert.equal((await decoded(failed)).rcode, Rcode.ServFail, "one is still up");
  const failing = ask();
  first.isDown = true;
  first.fail();
  assert.equal((await decoded(failing)).answers[0]?.ttl, 30, "it went down meanwhile");
  const stale = ask();
  assert.ok(stale instanceof Uint8Array, "without waiting for anybody");
  const message = await decoded(stale);
  assert.equal(message.answers[0]?.ttl, 30);
  assert.equal(edeOf(message), EdeCode.StaleAnswer);
  assert.equal(service.counters.stale, 2);
  await world.clock.advance(600_000);
  const old = ask();
  first.fail();
  const none = await decoded(old);
  assert.deepEqual([none.rcode, edeOf(none)], [Rcode.ServFail, EdeCode.NoReachableAuthority]);
});

test("a failure does not take the place of what could still be given", async () => {
  const { ask, first, world } = open();
  const answer = ask();
  first.reply();
  await answer;
  await world.clock.advance(400_000);
  const failing = ask();
  first.reply({ rcode: Rcode.ServFail, answers: [] });
  assert.equal((await decoded(failing)).rcode, Rcode.ServFail);
  first.isDown = true;
  const stale = await decoded(ask());
  assert.deepEqual([stale.answers.length, edeOf(stale)], [1, EdeCode.StaleAnswer]);
});

test("what is fresh is not called stale when the backends went down meanwhile", async () => {
  const { ask, first, service } = open();
  const [one, two] = [ask(), ask()];
  first.reply();
  await one;
  first.isDown = true;
  first.fail();
  const message = await decoded(two);
  assert.deepEqual([message.answers[0]?.ttl, edeOf(message)], [300, undefined]);
  assert.equal(service.counters.stale, 0);
});

// A penalty for clients that ask too much made their queries dearer: what had been delayed was always asked anew.
test("what is delayed is answered from the cache, too, once its time has come", async () => {
  const { ask, first, world, service } = open({ verdict: { delayMs: 700 } });
  const before = ask();
  await world.clock.advance(700);
  first.reply();
  assert.equal((await decoded(before)).answers.length, 1);
  const answer = ask(queryOctets({ id: 77, name: "www.EXAMPLE." }));
  assert.ok(isLater(answer));
  await world.clock.advance(700);
  const message = await decoded(answer);
  assert.deepEqual([first.asked.length, message.id, message.answers.length], [0, 77, 1]);
  assert.equal(service.outcomes.tls["answered from cache"], 1);
  assert.equal(service.pending, 0);
});

// A copy for a pool on trial took the packet cache away from all whose queries were copied.
test("a query of which a copy is made is answered from the cache all the same", async () => {
  const { ask, first, second } = open({ verdict: { tees: ["second"] } });
  const before = ask();
  first.reply();
  await decoded(before);
  assert.ok(ask() instanceof Uint8Array);
  assert.deepEqual([first.asked.length, second.asked.length], [0, 2]);
});
