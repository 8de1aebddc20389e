import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EdeCode,
  EdnsOptionCode,
  makeClientSubnet,
  makeEdns,
  makePadding,
  Rcode,
  tryReadKeepalive,
} from "@sotto/dns/wire";
import {
  channelOf,
  decoded,
  edeOf,
  isLater,
  open,
  optionsOf,
  queryOctets,
} from "./front-service.test-support.ts";

test("the client's id, case and connection, whatever the backend says of its own [7828-3.4-a 8467-4.1-b]", async () => {
  const { ask, first } = open();
  const answer = ask(queryOctets({ edns: makeEdns({ options: [makePadding(10)] }) }));
  assert.ok(isLater(answer));
  first.reply();
  const octets = await answer;
  assert.equal((octets?.length ?? 0) % 468, 0);
  const message = await decoded(octets);
  assert.equal(message.id, 0x1234);
  assert.equal(message.questions[0]?.name.toString(), "WWW.Example.");
  const keepalive = message.edns?.options.find(({ code }) => code === EdnsOptionCode.TcpKeepalive);
  const units = keepalive && tryReadKeepalive(keepalive.data);
  assert.ok(units?.ok);
  assert.equal(units.value, 123);
});

test("a client subnet that cannot be read is FORMERR and reaches no backend, unless the rules take it out", async () => {
  // With an option that a rule sets, one of 64 KiB makes more than a message holds.
  const data = new Uint8Array(65_400);
  const query = queryOctets({ edns: makeEdns({ options: [{ code: EdnsOptionCode.ClientSubnet, data }] }) });
  const set = { kind: "set", code: 65_001, data: new Uint8Array(300) } as const;
  const refusing = open({ verdict: { edits: [set] } });
  const refused = await decoded(refusing.ask(query));
  assert.equal(refused.rcode, Rcode.FormErr);
  assert.equal(refusing.first.asked.length, 0);
  assert.equal(refusing.service.outcomes.tls.malformed, 1);
  const strip = { kind: "strip", code: EdnsOptionCode.ClientSubnet } as const;
  const { ask, first } = open({ verdict: { edits: [strip] } });
  const answer = ask(query);
  assert.deepEqual(optionsOf(first.asked[0]), []);
  first.reply();
  assert.equal((await decoded(answer)).rcode, Rcode.NoError);
});

test("a copy for another pool is what the rules made of the query", async () => {
  const edits = [{ kind: "strip", code: EdnsOptionCode.ClientSubnet }] as const;
  const { ask, first, second } = open({ verdict: { edits, tees: ["second"] } });
  const subnet = makeClientSubnet({
    address: Uint8Array.of(192, 0, 2, 0),
    sourcePrefixBits: 24,
    scopePrefixBits: 0,
  });
  const answer = ask(queryOctets({ edns: makeEdns({ options: [subnet] }) }));
  assert.deepEqual(optionsOf(second.asked[0]), []);
  first.reply();
  await answer;
});

test("a rule routes to a pool with a cache of its own, and without trust in AD", async () => {
  const { ask, first, second } = open({ verdict: { pool: "second" } });
  const answer = ask(queryOctets({ authenticData: true }));
  assert.equal(first.asked.length, 0);
  second.reply({ authenticData: true });
  assert.equal((await decoded(answer)).authenticData, false);
  assert.ok(ask() instanceof Uint8Array);
  assert.equal(first.cache?.count, 0);
});

test("a delay is one of the clock's, and nothing is asked before", async () => {
  const { ask, first, world } = open({ verdict: { delayMs: 700 } });
  const answer = ask();
  await world.clock.advance(699);
  assert.equal(first.asked.length, 0);
  await world.clock.advance(1);
  first.reply();
  assert.equal((await decoded(answer)).answers.length, 1);
});

test("copies go to other pools, and their answers to nobody", async () => {
  const { ask, first, second } = open({ verdict: { tees: ["second"] } });
  const answer = ask();
  assert.equal(second.asked.length, 1);
  second.reply({ rcode: Rcode.Refused, answers: [] });
  first.reply();
  assert.equal((await decoded(answer)).rcode, Rcode.NoError);
});

test("who may not ask gets no rule and no backend", async () => {
  const { ask, first } = open();
  const message = await decoded(ask(queryOctets(), channelOf("udp", "192.0.2.1")));
  assert.deepEqual([message.rcode, edeOf(message)], [Rcode.Refused, EdeCode.Prohibited]);
  assert.equal(first.asked.length, 0);
});
