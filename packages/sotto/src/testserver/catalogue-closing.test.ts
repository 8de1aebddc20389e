import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { CLOSING_FIXTURES } from "./catalogue-closing.ts";
import { decoded, query, type RawClient, TestWorld } from "./raw-clients.test-support.ts";

const world = new TestWorld();
before(() => world.start());
after(() => world.close());

type Stream = "tcp" | "tls";
type Outcome = Awaited<ReturnType<RawClient["outcome"]>>;
type Check = (transport: Stream) => Promise<void>;

/** Closed at once, so that there is not even TLS. */
function atAccept(name: string, how: "fin" | "rst"): Check {
  return async (transport) => {
    const client = await world.connect(name, transport);
    await world.until("the end", () => client.isClosed || client.hasTcpEnded);
    assert.equal(client.chunks.length, 0);
    if (transport === "tls") assert.equal(client.isOpen, false);
    if (transport === "tcp") assert.equal(await client.outcome(), how);
    else assert.equal(client.isReset, how === "rst");
    client.destroy();
  };
}

function atQuery(name: string, how: Outcome): Check {
  return async (transport) => {
    const client = await world.connect(name, transport);
    client.send(query("www.test. A"));
    assert.equal(await client.outcome(), how);
    assert.equal(client.messages.length, 0);
    client.destroy();
  };
}

/** So many answers to pipelined queries, and then the end. */
function afterAnswers(name: string, count: number, how: Outcome): Check {
  return async (transport) => {
    const client = await world.connect(name, transport);
    // One after the other: an RST takes with it what the client has not read.
    for (let id = 1; id <= count; id++) {
      client.send(query("www.test. A", [], id));
      if (id < count) await world.until("a reply", () => client.messages.length === id);
    }
    assert.equal(await client.outcome(), how);
    if (how !== "rst") assert.equal(client.messages.length, count);
    else assert.ok(client.messages.length >= count - 1);
    client.destroy();
  };
}

/** Answers, is idle for a second, and ends. */
function whenIdle(name: string, how: Outcome): Check {
  return async (transport) => {
    const client = await world.connect(name, transport);
    client.send(query("www.test. A"));
    await world.until("the reply", () => client.messages.length === 1);
    await world.clock.advance(999);
    client.send(query("again.test. A"));
    await world.until("the second reply", () => client.messages.length === 2);
    await world.clock.advance(1000);
    assert.equal(await client.outcome(), how);
    client.destroy();
  };
}

/** Sends one more query to a server that should not answer any more. */
async function isSilent(name: string, client: RawClient): Promise<void> {
  const before = client.messages.length;
  await world.untilEvent(name, /^silence$/);
  client.send(query("more.test. A"));
  assert.equal((await client.finish()).length, before);
}

const CHECKS: Readonly<Record<string, Check>> = {
  "port-closed": async () => {
    const client = await world.connect("port-closed", "tcp");
    assert.equal(client.isOpen, false);
    assert.equal(client.error, "ECONNREFUSED");
  },
  "drops-syn": async () => {
    const socket = connect(world.portOf("drops-syn", "tcp"), "127.0.0.1");
    let what = "";
    socket.on("connect", () => {
      what = "connected";
    });
    socket.on("error", () => {
      what = "failed";
    });
    // A connection to a server beside it, made later, is there long before.
    for (let i = 0; i < 20; i++) (await world.connect("good", "tcp")).destroy();
    assert.equal(what, "");
    socket.destroy();
  },
  "accept-fin": atAccept("accept-fin", "fin"),
  "accept-rst": atAccept("accept-rst", "rst"),
  "accept-silence": async (transport) => {
    world.events.length = 0;
    const socket = connect(world.portOf("accept-silence", transport), "127.0.0.1");
    const chunks: Buffer[] = [];
    socket.on("data", (octets: Buffer) => void chunks.push(octets));
    await world.untilEvent("accept-silence", /^silence$/);
    socket.write(query("www.test. A"));
    socket.end();
    await world.untilEvent("accept-silence", /^end: client-fin$/);
    await world.until("the end", () => socket.closed);
    assert.equal(chunks.length, 0);
  },
  "query-fin": atQuery("query-fin", "fin"),
  "query-rst": atQuery("query-rst", "rst"),
  "one-query": afterAnswers("one-query", 1, "fin"),
  "one-query-rst": afterAnswers("one-query-rst", 1, "rst"),
  "one-query-silence": async (transport) => {
    const client = await world.connect("one-query-silence", transport);
    client.send(query("www.test. A"));
    await world.until("the reply", () => client.messages.length === 1);
    await isSilent("one-query-silence", client);
  },
  "one-query-no-close-notify": afterAnswers("one-query-no-close-notify", 1, "fin without close_notify"),
  "one-query-only-close-notify": afterAnswers("one-query-only-close-notify", 1, "close_notify"),
  "after-3-fin": afterAnswers("after-3-fin", 3, "fin"),
  "after-3-rst": afterAnswers("after-3-rst", 3, "rst"),
  "after-50-fin": afterAnswers("after-50-fin", 50, "fin"),
  "connections-2": async () => {
    const two = [await world.connect("connections-2", "tcp"), await world.connect("connections-2", "tcp")];
    const third = await world.connect("connections-2", "tcp");
    assert.equal(await third.outcome(), "fin");
    for (const client of two) {
      client.send(query("www.test. A"));
      await world.until("a reply", () => client.messages.length === 1);
      await client.finish();
    }
    third.destroy();
    await world.untilEvent("connections-2", /^reply$/, 2);
    const next = await world.connect("connections-2", "tcp");
    next.send(query("www.test. A"));
    await world.until("a reply, when there is room again", () => next.messages.length === 1);
    next.destroy();
  },
  "idle-fin": whenIdle("idle-fin", "fin"),
  "idle-rst": whenIdle("idle-rst", "rst"),
  "idle-silence": async (transport) => {
    const client = await world.connect("idle-silence", transport);
    await world.untilEvent("idle-silence", transport === "tcp" ? /^accepted$/ : /^handshake done/);
    await world.clock.advance(1000);
    await isSilent("idle-silence", client);
  },
  "idle-no-close-notify": whenIdle("idle-no-close-notify", "fin without close_notify"),
  "idle-only-close-notify": whenIdle("idle-only-close-notify", "close_notify"),
  "fast-open": async (transport) => {
    const client = await world.connect("fast-open", transport);
    client.send(query("www.test. A"));
    await world.until("a reply", () => client.messages.length === 1);
    assert.equal(decoded(client.messages[0]).answers.length, 1);
    const { fastOpen } = world.tests.fixture("fast-open") ?? {};
    assert.equal(typeof fastOpen, "string");
    assert.equal(world.tests.fixture("good")?.fastOpen, undefined);
    client.destroy();
  },
};

test("every fixture about closing has a check here", () => {
  assert.deepEqual(Object.keys(CHECKS).sort(), CLOSING_FIXTURES.map(({ name }) => name).sort());
});

for (const { name, transports, about } of CLOSING_FIXTURES)
  for (const transport of transports)
    test(`${name} over ${transport}: ${about}`, async () => {
      assert.ok(transport !== "udp");
      await CHECKS[name]?.(transport);
    });
