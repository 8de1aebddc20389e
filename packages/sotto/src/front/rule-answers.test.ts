import assert from "node:assert/strict";
import { test } from "node:test";
import { EdeCode, parseName, parseRecord, Rcode, RRClass, RRType, rdataToText } from "@sotto/dns/wire";
import { channelOf, decoded, edeOf, isLater, open, queryOctets } from "./front-service.test-support.ts";

test("each way in which a rule ends a query", async () => {
  const errors = [{ code: EdeCode.Blocked, text: "list" }];
  const refused = await decoded(open({ verdict: { end: "refuse", rcode: Rcode.NXDomain, errors } }).ask());
  assert.deepEqual([refused.rcode, edeOf(refused)], [Rcode.NXDomain, EdeCode.Blocked]);
  assert.equal(open({ verdict: { end: "drop" } }).ask(), undefined);
  const truncating = open({ verdict: { end: "truncate" } });
  const truncated = await decoded(truncating.ask(queryOctets(), channelOf("udp")));
  assert.deepEqual([truncated.isTruncated, truncated.answers.length], [true, 0]);
  assert.ok(isLater(truncating.ask(queryOctets(), channelOf("tcp"))), "over streams it goes on");
  const owner = parseName("www.example.");
  const record = { ...parseRecord("x. 60 IN A 198.51.100.7"), owner };
  const answer = { rcode: Rcode.NoError, answers: [record], authorities: [], ttl: 60 };
  const local = await decoded(open({ verdict: { end: "answer", answer } }).ask());
  assert.equal(rdataToText(RRType.A, local.answers[0]?.rdata ?? new Uint8Array(0)), "198.51.100.7");
});

// Logged, copied and delayed was only what went to backends: a rule that logged and refused wrote nothing.
test("what a rule does beside its own answer is done: a line, a copy, a delay", async () => {
  const answer = { rcode: Rcode.NXDomain, answers: [], authorities: [], ttl: 60 };
  for (const end of ["refuse", "answer", "truncate", "drop"] as const) {
    const verdict = { end, answer, delayMs: 700, tees: ["second"], loggedBy: ["seen"], rule: "last" };
    const { ask, first, second, world, service } = open({ verdict });
    const given = ask(queryOctets(), channelOf("udp"));
    assert.equal(second.asked.length, 1, `${end}: a copy`);
    const [line] = world.events.named("front.query");
    assert.deepEqual(
      [line?.["rules"], line?.["endedBy"], line?.["end"], line?.["type"]],
      [["seen"], "last", end, "A"],
    );
    if (end === "drop") assert.equal(given, undefined);
    else {
      assert.ok(isLater(given), `${end}: later`);
      assert.equal(service.pending, 1);
      const message = decoded(given);
      await world.clock.advance(699);
      assert.equal(service.pending, 1);
      await world.clock.advance(1);
      assert.equal((await message).isTruncated, end === "truncate");
    }
    assert.deepEqual([service.pending, first.asked.length], [0, 0]);
  }
});

// Whoever is slowed down would have taken all places, and everybody else got SERVFAIL.
test("delays take half of the places, and what comes then is not delayed", async () => {
  const verdict = { end: "refuse", rcode: Rcode.Refused, delayMs: 700 } as const;
  const { ask, service, world } = open({ verdict, pendingMax: 4 });
  const later = [ask(), ask()];
  assert.ok(later.every(isLater));
  assert.ok(ask() instanceof Uint8Array);
  await world.clock.advance(700);
  assert.equal(service.pending, 0);
  assert.ok(isLater(ask()), "there is room again");
});

// Each such query had a whole zone sent to the pool on trial's connection, whoever asked.
test("zone transfers are not copied", () => {
  const questions = [{ name: parseName("example."), type: RRType.AXFR, class: RRClass.IN }];
  const verdict = { end: "refuse", rcode: Rcode.Refused, tees: ["second"] } as const;
  const { ask, second, service } = open({ verdict });
  assert.ok(ask(queryOctets({ questions }), channelOf("tcp")) instanceof Uint8Array);
  assert.deepEqual([second.asked.length, service.counters.teed], [0, 0]);
});
