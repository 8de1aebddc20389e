import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EdeCode,
  EdnsOptionCode,
  type Message,
  makeEdns,
  makePadding,
  parseName,
  parseRecord,
  Rcode,
  RRClass,
  RRType,
  recordToText,
  tryReadExtendedError,
} from "@sotto/dns/wire";
import { decoded, edeOf, isLater, open, queryOctets } from "./front-service.test-support.ts";
import type { Verdict } from "./rules/index.ts";

const ALIAS: Partial<Verdict> = {
  end: "answer",
  errors: [{ code: EdeCode.ForgedAnswer, text: "" }],
  answer: {
    rcode: Rcode.NoError,
    answers: [parseRecord("www.example. 60 IN CNAME garden.test.")],
    authorities: [],
    ttl: 60,
    target: parseName("garden.test."),
  },
};

function recordsOf({ answers }: Message): string[] {
  return answers.map((record) => recordToText(record).replaceAll("\t", " "));
}

// Stubs do not ask for what an alias leads to: whoever was sent to a walled garden, or to a safe search, got no address.
test("an alias from a rule is followed at a backend, and then in the cache", async () => {
  const { ask, first, service } = open({ verdict: ALIAS });
  const answer = ask(queryOctets({ authenticData: true, edns: makeEdns({ options: [makePadding(1)] }) }));
  assert.ok(isLater(answer));
  assert.equal(first.asked[0]?.question.name.toString(), "garden.test.");
  first.reply({ edns: makeEdns(), authenticData: true });
  const octets = await answer;
  assert.equal((octets?.length ?? 0) % 468, 0, "as large as for any client");
  const message = await decoded(octets);
  const joined = ["WWW.Example. 60 IN CNAME garden.test.", "garden.test. 300 IN A 192.0.2.1"];
  assert.deepEqual(recordsOf(message), joined);
  assert.deepEqual(
    [message.id, edeOf(message), message.authenticData],
    [0x1234, EdeCode.ForgedAnswer, false],
  );
  assert.equal(message.questions[0]?.name.toString(), "WWW.Example.");
  assert.deepEqual(recordsOf(await decoded(ask())), joined);
  assert.deepEqual([first.asked.length, service.pending], [0, 0]);
});

test("an alias: without its target it says so, and is SERVFAIL when nobody knows; without RD it is the answer", async () => {
  const { ask, first } = open({ verdict: ALIAS });
  const before = ask();
  first.reply({ rcode: Rcode.NXDomain, answers: [] });
  const missing = await decoded(before);
  assert.deepEqual([missing.rcode, missing.answers.length], [Rcode.NXDomain, 1]);
  const failed = ask();
  first.fail();
  assert.equal((await decoded(failed)).rcode, Rcode.ServFail);
  const alone = await decoded(ask(queryOctets({ recursionDesired: false })));
  assert.deepEqual([alone.answers.length, first.asked.length], [1, 0]);
});

// Whoever may not have zone transfers got the first message of one, of the zone that the rule's alias leads to, through the backend's trust in us.
test("an alias is not followed for a zone transfer, which is for those who may have one", () => {
  const { ask, first } = open({ verdict: ALIAS });
  for (const type of [RRType.AXFR, RRType.IXFR]) {
    const answer = ask(
      queryOctets({ questions: [{ name: parseName("www.example."), type, class: RRClass.IN }] }),
    );
    assert.ok(answer instanceof Uint8Array);
    assert.equal(first.asked.length, 0);
  }
});

// A stale target looked like a fresh one, and a front end before an authoritative server like a resolver.
test("what the target's answer says of itself is said of both: extended errors, and whether there is recursion", async () => {
  const { ask, first, world } = open({ verdict: ALIAS });
  const answer = ask();
  first.reply({ recursionAvailable: false });
  assert.equal((await decoded(answer)).recursionAvailable, false);
  await world.clock.advance(400_000);
  const stale = ask();
  first.isDown = true;
  first.fail();
  assert.deepEqual(errorCodesOf(await decoded(stale)), [EdeCode.ForgedAnswer, EdeCode.StaleAnswer]);
});

function errorCodesOf({ edns }: Message): (number | undefined)[] {
  const options = edns?.options.filter(({ code }) => code === EdnsOptionCode.ExtendedError) ?? [];
  return options.map(({ data }) => {
    const read = tryReadExtendedError(data);
    return read.ok ? read.value.code : undefined;
  });
}
