import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { EdnsOptionCode, type Message, makeKeepalive, makePadding } from "@sotto/dns/wire";
import { OPTION_FIXTURES } from "./catalogue-options.ts";
import type { Transport } from "./fixture.ts";
import { decoded, query, TestWorld } from "./raw-clients.test-support.ts";

const world = new TestWorld();
before(() => world.start());
after(() => world.close());

const KEEPALIVE = makeKeepalive(undefined);
const PADDED = makePadding(20);

/** The data of each option with this code. */
function optionsOf(message: Message, code: number): number[][] {
  return (message.edns?.options ?? []).filter((one) => one.code === code).map(({ data }) => [...data]);
}

/** What three queries on one connection get to see of keepalive: data of the option, undefined without it. */
async function keepalives(
  fixture: string,
  transport: Transport,
  options = [KEEPALIVE],
): Promise<(number[] | undefined)[]> {
  const queries = [1, 2, 3].map((id) => query("www.test. A", options, id));
  const replies = await world.ask(fixture, transport, ...queries);
  assert.equal(replies.length, 3);
  return replies.map((reply) => {
    const found = optionsOf(decoded(reply), EdnsOptionCode.TcpKeepalive);
    assert.ok(found.length <= 1);
    return found[0];
  });
}

const ABSENT = [undefined, undefined, undefined];

/** What is seen when the option was asked for, and when the query had only OPT. */
const KEEPALIVE_CHECKS: Readonly<
  Record<string, { readonly asked: (number[] | undefined)[]; readonly unasked?: (number[] | undefined)[] }>
> = {
  "keepalive-absent": { asked: ABSENT },
  "keepalive-0": {
    asked: [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
  },
  "keepalive-1": {
    asked: [
      [0, 1],
      [0, 1],
      [0, 1],
    ],
  },
  "keepalive-max": {
    asked: [
      [255, 255],
      [255, 255],
      [255, 255],
    ],
  },
  "keepalive-lies-long": {
    asked: [
      [2, 88],
      [2, 88],
      [2, 88],
    ],
  },
  "keepalive-lies-short": {
    asked: [
      [0, 10],
      [0, 10],
      [0, 10],
    ],
  },
  "keepalive-one-octet": { asked: [[100], [100], [100]] },
  "keepalive-three-octets": {
    asked: [
      [0, 100, 0],
      [0, 100, 0],
      [0, 100, 0],
    ],
  },
  "keepalive-empty": { asked: [[], [], []] },
  "keepalive-changes": {
    asked: [
      [0, 100],
      [0, 20],
      [0, 0],
    ],
    unasked: [
      [0, 100],
      [0, 20],
      [0, 0],
    ],
  },
  "keepalive-vanishes": { asked: [[0, 100], undefined, undefined] },
  "keepalive-unasked": {
    asked: [
      [0, 100],
      [0, 100],
      [0, 100],
    ],
    unasked: [
      [0, 100],
      [0, 100],
      [0, 100],
    ],
  },
  "keepalive-udp": {
    asked: [
      [0, 100],
      [0, 100],
      [0, 100],
    ],
    unasked: [
      [0, 100],
      [0, 100],
      [0, 100],
    ],
  },
};

/** Milliseconds after which the fixture closes an idle connection, where that is not the usual time. */
const IDLE_TIMES: Readonly<Record<string, number>> = {
  "keepalive-1": 100,
  "keepalive-lies-long": 1000,
  "keepalive-lies-short": 60_000,
};

for (const [name, { asked, unasked = ABSENT }] of Object.entries(KEEPALIVE_CHECKS)) {
  const transports: readonly Transport[] = name === "keepalive-udp" ? ["udp", "tcp", "tls"] : ["tcp", "tls"];
  for (const transport of transports) {
    test(`${name} over ${transport}: the option is as told`, async () => {
      assert.deepEqual(await keepalives(name, transport), asked);
      assert.deepEqual(await keepalives(name, transport, []), unasked);
    });
  }
}

for (const [name, idleMs] of Object.entries(IDLE_TIMES)) {
  test(`${name}: an idle connection is closed after ${idleMs} ms`, async () => {
    const client = await world.connect(name, "tcp");
    client.send(query("www.test. A", [KEEPALIVE]));
    await world.until("the reply", () => client.messages.length === 1);
    await world.clock.advance(idleMs - 1);
    await world.untilEvent(name, /^reply$/);
    assert.equal(world.events.filter(({ event }) => event.what === "end: server").length, 0);
    await world.clock.advance(1);
    assert.equal(await client.outcome(), "fin");
    client.destroy();
  });
}

test("the good server says its true idle time, and never over UDP or unasked", async () => {
  assert.deepEqual(await keepalives("good", "tcp"), [
    [0, 100],
    [0, 100],
    [0, 100],
  ]);
  assert.deepEqual(await keepalives("good", "tls", []), ABSENT);
  assert.deepEqual(await keepalives("good", "udp"), ABSENT);
  const client = await world.connect("good", "tcp");
  await world.clock.advance(10_000);
  assert.equal(await client.outcome(), "fin");
  client.destroy();
});

/** What a padding fixture does; `edns` and `none` are replies to queries with OPT alone and without. */
interface PaddingSeen {
  readonly octets: number;
  /** Each option's data. */
  readonly padding: number[][];
  readonly message: Message;
}

async function padded(
  fixture: string,
  transport: Transport,
  options: Parameters<typeof query>[1],
): Promise<PaddingSeen> {
  const [reply] = await world.ask(fixture, transport, query("www.test. A", options));
  const message = decoded(reply);
  return { octets: reply?.length ?? 0, padding: optionsOf(message, EdnsOptionCode.Padding), message };
}

const PADDING_CHECKS: Readonly<Record<string, (transport: Transport) => Promise<void>>> = {
  "padding-none": async (transport) =>
    assert.deepEqual((await padded("padding-none", transport, [PADDED])).padding, []),
  "padding-block-128": async (transport) => {
    const { octets, padding } = await padded("padding-block-128", transport, [PADDED]);
    assert.equal(padding.length, 1);
    assert.equal(octets, 128);
  },
  "padding-too-small": async (transport) => {
    const { padding } = await padded("padding-too-small", transport, [PADDED]);
    assert.deepEqual(padding, [[0, 0, 0, 0, 0, 0, 0]]);
  },
  "padding-nonzero": async (transport) => {
    const { octets, padding } = await padded("padding-nonzero", transport, [PADDED]);
    assert.equal(octets, 468);
    assert.ok(padding[0]?.every((octet) => octet === 0xff));
  },
  "padding-twice": async (transport) => {
    const { octets, padding } = await padded("padding-twice", transport, [PADDED]);
    assert.equal(padding.length, 2);
    assert.equal(octets, 468);
  },
  "padding-first": async (transport) => {
    const { octets, message } = await padded("padding-first", transport, [PADDED, KEEPALIVE]);
    assert.equal(octets, 468);
    assert.deepEqual(
      message.edns?.options.map(({ code }) => code),
      [EdnsOptionCode.Padding, EdnsOptionCode.TcpKeepalive],
    );
  },
  "padding-unasked": async (transport) => {
    assert.equal((await padded("padding-unasked", transport, [])).octets, 468);
    assert.equal((await padded("padding-unasked", transport, false)).message.edns, undefined);
  },
  "padding-without-edns": async (transport) => {
    const { octets, padding } = await padded("padding-without-edns", transport, false);
    assert.equal(padding.length, 1);
    assert.equal(octets, 468);
  },
  "padding-in-clear": async (transport) => {
    const seen = await padded("padding-in-clear", transport, [PADDED]);
    assert.deepEqual([seen.padding.length, seen.octets], [1, 468]);
  },
  "padding-over-size": async (transport) => {
    const { octets, padding } = await padded("padding-over-size", transport, [PADDED]);
    assert.equal(padding[0]?.length, 4000);
    assert.ok(octets > 1232);
  },
};

test("the good server pads to 468 over TLS when it is asked, and never otherwise", async () => {
  const right = await padded("good", "tls", [PADDED]);
  assert.equal(right.octets, 468);
  assert.ok(right.padding[0]?.every((octet) => octet === 0));
  assert.deepEqual((await padded("good", "tls", [])).padding, []);
  for (const transport of ["udp", "tcp"] as const)
    assert.deepEqual((await padded("good", transport, [PADDED])).padding, []);
});

/** What queries with OPT get; all answer queries without OPT rightly. */
const EDNS_CHECKS: Readonly<Record<string, (replies: Uint8Array[]) => void>> = {
  "edns-formerr": ([reply]) => {
    assert.equal(decoded(reply).rcode, 1);
    assert.equal(decoded(reply).edns, undefined);
  },
  "edns-formerr-with-opt": ([reply]) => {
    assert.equal(decoded(reply).rcode, 1);
    assert.notEqual(decoded(reply).edns, undefined);
  },
  "edns-notimp": ([reply]) => {
    assert.equal(decoded(reply).rcode, 4);
    assert.equal(decoded(reply).edns, undefined);
  },
  "edns-drop": (replies) => assert.equal(replies.length, 0),
  "edns-drop-unknown": (replies) => assert.equal(replies.length, 0),
  "edns-badvers": ([reply]) => {
    assert.equal(decoded(reply).rcode, 16);
    assert.equal(decoded(reply).edns?.version, 0);
  },
  "edns-echo": ([reply]) => assert.deepEqual(optionsOf(decoded(reply), UNKNOWN.code), [[1, 2, 3]]),
  "edns-no-opt": ([reply]) => {
    assert.equal(decoded(reply).edns, undefined);
    assert.equal(decoded(reply).answers.length, 1);
  },
  "edns-do-cleared": ([reply]) => assert.equal(decoded(reply).edns?.dnssecOk, false),
  "edns-two-opts": ([reply]) => {
    assert.ok(reply !== undefined);
    assert.equal(((reply[10] ?? 0) << 8) | (reply[11] ?? 0), 2);
    // The last record is an OPT without options: root, type 41, 1232 octets, and zeros.
    assert.deepEqual([...reply.subarray(-11)], [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
  },
  "edns-version-1": ([reply]) => assert.equal(decoded(reply).edns?.version, 1),
  "edns-unasked": ([reply]) => assert.notEqual(decoded(reply).edns, undefined),
};

const UNKNOWN = { code: 65_001, data: Uint8Array.of(1, 2, 3) };

for (const fixture of OPTION_FIXTURES) {
  const { name, transports, about } = fixture;
  for (const transport of transports) {
    const padding = PADDING_CHECKS[name];
    const edns = EDNS_CHECKS[name];
    if (padding !== undefined) test(`${name} over ${transport}: ${about}`, () => padding(transport));
    if (edns === undefined) continue;
    test(`${name} over ${transport}: ${about}`, async () => {
      edns(await world.ask(name, transport, query("www.test. A", [UNKNOWN])));
      const [plain] = await world.ask(name, transport, query("www.test. A", false));
      assert.equal(decoded(plain).answers.length, 1);
      assert.equal(decoded(plain).edns !== undefined, name === "edns-unasked");
    });
  }
}

test("a server that drops unknown options answers known ones", async () => {
  const [reply] = await world.ask("edns-drop-unknown", "tcp", query("www.test. A", [KEEPALIVE]));
  assert.equal(decoded(reply).answers.length, 1);
});

test("the good server copies DO, echoes nothing, and answers other versions with BADVERS", async () => {
  const message = decoded((await world.ask("good", "tcp", query("www.test. A", [UNKNOWN])))[0]);
  assert.equal(message.edns?.dnssecOk, true);
  assert.deepEqual(message.edns?.options, []);
  const other = query("www.test. A", []);
  // The version stands six octets before the end of an OPT without options, in the middle of its TTL.
  other[other.length - 5] = 7;
  assert.equal(decoded((await world.ask("good", "tcp", other))[0]).rcode, 16);
});

test("every fixture about EDNS has a check here", () => {
  const checked = [KEEPALIVE_CHECKS, PADDING_CHECKS, EDNS_CHECKS].flatMap((checks) => Object.keys(checks));
  assert.deepEqual(checked.sort(), OPTION_FIXTURES.map(({ name }) => name).sort());
});
