import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Message, tryDecodeMessage } from "@sotto/dns/wire";
import { MESSAGE_FIXTURES } from "./catalogue-messages.ts";
import type { Fixture, Transport } from "./fixture.ts";
import { decoded, query, TestWorld } from "./raw-clients.test-support.ts";

const world = new TestWorld();
before(() => world.start());
after(() => world.close());

const ID = 0x1234;
const QUERY = query("www.test. A", [], ID);
const SECOND = query("second.test. A", [], 0x4321);

function isRight(message: Message, name = "www.test."): void {
  assert.equal(message.id, name === "www.test." ? ID : 0x4321);
  assert.equal(message.isResponse, true);
  assert.equal(message.questions[0]?.name.toString(), name);
  assert.equal(message.answers.length, 1);
}

/** What one query gets over each transport of the fixture. */
const ONE_QUERY: Readonly<Record<string, (replies: Uint8Array[], transport: Transport) => void>> = {
  "never-answers": (replies) => assert.equal(replies.length, 0),
  refused: ([reply]) => {
    const message = decoded(reply);
    assert.equal(message.rcode, 5);
    assert.deepEqual(message.edns?.options, [{ code: 15, data: Uint8Array.of(0, 18) }]);
  },
  servfail: ([reply]) => assert.equal(decoded(reply).rcode, 2),
  truncated: ([reply], transport) => {
    const message = decoded(reply);
    assert.equal(message.isTruncated, transport === "udp");
    assert.equal(message.answers.length, transport === "udp" ? 0 : 1);
  },
  "truncated-without-tcp": (replies, transport) => {
    if (transport === "tcp") assert.equal(replies.length, 0);
    else assert.equal(decoded(replies[0]).isTruncated, true);
  },
  "wrong-id": (replies) => {
    assert.equal(replies.length, 1);
    assert.equal(decoded(replies[0]).id, ID ^ 0x5a5a);
  },
  "wrong-id-first": (replies) => {
    assert.deepEqual(
      replies.map((reply) => decoded(reply).id),
      [ID ^ 0x5a5a, ID],
    );
  },
  "wrong-question": (replies) => {
    const message = decoded(replies[0]);
    assert.equal(message.id, ID);
    assert.equal(message.questions[0]?.name.toString(), "other.question.test.");
  },
  "no-question": ([reply]) => {
    assert.equal(decoded(reply).questions.length, 0);
    assert.equal(decoded(reply).answers.length, 1);
  },
  "query-bit": ([reply]) => {
    assert.equal(decoded(reply).isResponse, false);
    assert.equal(decoded(reply).answers.length, 1);
  },
  "answers-twice": (replies) => {
    assert.equal(replies.length, 2);
    assert.deepEqual(replies[0], replies[1]);
    isRight(decoded(replies[0]));
  },
  unsolicited: (replies) => {
    assert.equal(replies.length, 2);
    assert.notEqual(decoded(replies[0]).id, ID);
    assert.equal(decoded(replies[0]).questions[0]?.name.toString(), "other.question.test.");
    isRight(decoded(replies[1]));
  },
  garbage: ([reply]) => {
    assert.ok(reply !== undefined);
    assert.equal((reply[0] ?? 0) * 256 + (reply[1] ?? 0), ID);
    assert.equal(tryDecodeMessage(reply).ok, false);
  },
  cut: ([reply]) => assert.equal(tryDecodeMessage(reply ?? new Uint8Array(0)).ok, false),
  "trailing-octets": ([reply]) => {
    assert.ok(reply !== undefined);
    assert.deepEqual([...reply.subarray(-4)], [0xde, 0xad, 0xbe, 0xef]);
    isRight(decoded(reply.subarray(0, -4)));
  },
  "empty-frame": (replies) => {
    assert.deepEqual(
      replies.map((reply) => reply.length > 0),
      [false, true],
    );
    isRight(decoded(replies[1]));
  },
  "split-length": (replies) => isRight(decoded(replies[0])),
  "octet-by-octet": (replies) => isRight(decoded(replies[0])),
};

/** Fixtures that need more than a query. */
const SPECIAL: Readonly<Record<string, (fixture: Fixture, transport: Transport) => Promise<void>>> = {
  delay: async (_fixture, transport) => {
    if (transport === "udp") return await delayedDatagram("good", "delay-300.test.", 300);
    for (const name of ["delay-300.test.", "d300-x.test.", "300.n17.delay.test."]) {
      const client = await world.connect("good", transport);
      client.send(query(`${name} A`, [], ID), query("www.test. A", [], 7));
      await world.until("the fast reply", () => client.messages.length === 1);
      assert.equal(decoded(client.messages[0]).id, 7, name);
      await world.clock.advance(299);
      assert.equal(client.messages.length, 1, name);
      await world.clock.advance(1);
      await world.until("the slow reply", () => client.messages.length === 2);
      assert.equal(decoded(client.messages[1]).id, ID, name);
      client.destroy();
    }
  },
  size: async (_fixture, transport) => {
    for (const octets of [512, 1232, 1400, 4096, 16_384, 65_535]) {
      const [reply] = await world.ask("good", transport, query(`size-${octets}.test. TXT`));
      const message = decoded(reply);
      const fits = transport !== "udp" || octets <= 1232;
      assert.equal(message.isTruncated, !fits);
      if (fits) assert.equal(reply?.length, octets);
    }
    const [smallest] = await world.ask("good", transport, query("s40.test. TXT", false));
    assert.equal(smallest?.length, 40);
    const [other] = await world.ask("good", transport, query("size-600.test. A"));
    assert.equal(other?.length, 600);
    assert.equal(decoded(other).answers.length, 1);
  },
  rcode: async (_fixture, transport) => {
    const [reply] = await world.ask("good", transport, query("rcode-4.test. A"));
    assert.equal(decoded(reply).rcode, 4);
  },
  "answers-late": async (_fixture, transport) => {
    if (transport === "udp") return await delayedDatagram("answers-late", "www.test.", 10_000);
    const client = await world.connect("answers-late", transport);
    client.send(QUERY);
    await world.untilEvent("answers-late", /^query/);
    await world.clock.advance(9999);
    assert.equal(client.messages.length, 0);
    await world.clock.advance(1);
    await world.until("the reply", () => client.messages.length === 1);
    isRight(decoded(client.messages[0]));
    client.destroy();
  },
  "old-id": async (fixture, transport) => {
    const replies = await world.ask(fixture.name, transport, QUERY, SECOND);
    const ids = replies.map((reply) => decoded(reply).id);
    assert.deepEqual(ids, [ID, ID, 0x4321]);
  },
  "length-too-long": async (fixture, transport) => {
    const client = await world.connect(fixture.name, transport as "tcp" | "tls");
    client.send(QUERY);
    assert.equal(await client.outcome(), "fin");
    assert.equal(client.messages.length, 0);
    const octets = Buffer.concat(client.chunks);
    assert.equal(octets.readUInt16BE(0), octets.length - 2 + 10);
    client.destroy();
  },
  "length-too-short": async (fixture, transport) => {
    const client = await world.connect(fixture.name, transport as "tcp" | "tls");
    client.send(QUERY);
    await world.until("the reply", () => client.messages.length === 1);
    const octets = Buffer.concat(client.chunks);
    assert.equal(octets.readUInt16BE(0), octets.length - 2 - 10);
    client.destroy();
  },
  "two-in-one": async (fixture, transport) => {
    const client = await world.connect(fixture.name, transport as "tcp" | "tls");
    client.send(QUERY);
    await world.untilEvent(fixture.name, /^reply$/);
    for (let turn = 0; turn < 20; turn++) await world.clock.advance(0);
    assert.equal(client.chunks.length, 0);
    client.send(SECOND);
    await world.until("the replies", () => client.messages.length === 2);
    assert.equal(client.chunks.length, 1);
    isRight(decoded(client.messages[0]));
    isRight(decoded(client.messages[1]), "second.test.");
    // Alone it leaves after a while.
    client.send(QUERY);
    await world.until("the third reply", () => client.messages.length === 3);
    client.destroy();
  },
  "half-fin": (fixture, transport) => half(fixture, transport, "fin"),
  "half-rst": (fixture, transport) => half(fixture, transport, "rst"),
  "half-silence": async (fixture, transport) => {
    const client = await world.connect(fixture.name, transport as "tcp" | "tls");
    client.send(QUERY);
    await world.untilEvent(fixture.name, /^silence$/);
    await world.until("half", () => client.partialOctets > 2);
    client.send(SECOND);
    assert.deepEqual(await client.finish(), []);
  },
  reversed: async (fixture, transport) => {
    const replies = await world.ask(fixture.name, transport, QUERY, SECOND);
    assert.deepEqual(
      replies.map((reply) => decoded(reply).id),
      [0x4321, ID],
    );
  },
  "in-order": async (fixture, transport) => {
    const client = await world.connect(fixture.name, transport as "tcp" | "tls");
    client.send(query("delay-300.test. A", [], ID), SECOND);
    await world.untilEvent(fixture.name, /^query/, 2);
    await world.clock.advance(299);
    assert.equal(client.messages.length, 0);
    await world.clock.advance(1);
    await world.until("both", () => client.messages.length === 2);
    assert.deepEqual(
      client.messages.map((reply) => decoded(reply).id),
      [ID, 0x4321],
    );
    client.destroy();
  },
  "first-only": async (fixture, transport) => {
    const client = await world.connect(fixture.name, transport as "tcp" | "tls");
    client.send(QUERY, SECOND);
    await world.untilEvent(fixture.name, /^ignored/);
    await world.until("the first", () => client.messages.length === 1);
    client.send(SECOND);
    await world.until("the one that came alone", () => client.messages.length === 2);
    assert.deepEqual(
      (await client.finish()).map((reply) => decoded(reply).id),
      [ID, 0x4321],
    );
  },
};

async function half(fixture: Fixture, transport: Transport, how: "fin" | "rst"): Promise<void> {
  const client = await world.connect(fixture.name, transport as "tcp" | "tls");
  client.send(QUERY);
  assert.equal(await client.outcome(), how);
  assert.equal(client.messages.length, 0);
  assert.ok(client.partialOctets > 2);
  client.destroy();
}

async function delayedDatagram(fixture: string, name: string, delayMs: number): Promise<void> {
  const asked = world.ask(fixture, "udp", query(`${name} A`));
  await world.untilEvent(fixture, /^query/);
  await world.clock.advance(delayMs - 1);
  assert.equal(world.events.filter(({ event }) => event.what === "reply").length, 0);
  await world.clock.advance(1);
  const [reply] = await asked;
  assert.equal(decoded(reply).questions[0]?.name.toString(), name);
}

test("every fixture about answers has a check here", () => {
  const checked = [...Object.keys(ONE_QUERY), ...Object.keys(SPECIAL)].sort();
  assert.deepEqual(checked, MESSAGE_FIXTURES.map(({ name }) => name).sort());
});

for (const fixture of MESSAGE_FIXTURES) {
  const { name, transports, about, switchedBy } = fixture;
  for (const transport of transports) {
    test(`${name} over ${transport}: ${about}`, async () => {
      const special = SPECIAL[name];
      if (special !== undefined) return await special(fixture, transport);
      ONE_QUERY[name]?.(await world.ask(name, transport, QUERY), transport);
    });
  }
  const one = ONE_QUERY[name];
  if (one === undefined || !switchedBy.includes("name")) continue;
  test(`${name}.test. does the same on the good server`, async () => {
    const replies = await world.ask("good", "tcp", query(`${name}.test. A`, [], ID));
    assert.equal(replies.length, (await world.ask(name, "tcp", QUERY)).length);
    if (name === "trailing-octets" || name === "garbage" || name === "cut" || replies.length === 0) return;
    const byPort = (await world.ask(name, "tcp", QUERY)).map((reply) => shape(reply));
    assert.deepEqual(
      replies.map((reply) => shape(reply)),
      byPort,
    );
  });
}

/** All but the names. */
function shape(octets: Uint8Array): unknown {
  if (octets.length === 0) return "empty";
  const { questions, answers, authorities, additionals, ...rest } = decoded(octets);
  return { ...rest, counts: [questions, answers, authorities, additionals].map((section) => section.length) };
}

test("replies octet by octet come in as many segments, and a length in two", async () => {
  for (const transport of ["tcp", "tls"] as const) {
    const client = await world.connect("octet-by-octet", transport);
    client.send(QUERY);
    await world.until("the reply", () => client.messages.length === 1);
    assert.ok(client.chunks.every((chunk) => chunk.length === 1));
    client.destroy();
    const other = await world.connect("split-length", transport);
    other.send(QUERY);
    await world.until("the reply", () => other.messages.length === 1);
    assert.deepEqual(
      other.chunks.map((chunk) => chunk.length === 1),
      [true, false],
    );
    other.destroy();
  }
});
