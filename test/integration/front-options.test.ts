/** What clients are told of a backend's EDNS options, and what of them may be given to others. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  type ClientSubnet,
  type EdnsOption,
  EdnsOptionCode,
  encodeMessage,
  type Message,
  makeClientSubnet,
  makeEdns,
  makeMessage,
  makePadding,
  parseRecord,
  Rcode,
  tryReadClientSubnet,
} from "@sotto/dns/wire";
import { type LoadedFront, loadFront } from "../../packages/sotto/src/config/index.ts";
import { addressIn, askFront, startTestFront, type TestFront } from "./front.test-support.ts";
import { ScriptedBackend } from "./scripted-backend.test-support.ts";

const OWN: ClientSubnet = { address: Uint8Array.of(192, 0, 2, 0), sourcePrefixBits: 24, scopePrefixBits: 0 };
const OTHER: ClientSubnet = { ...OWN, address: Uint8Array.of(198, 51, 100, 0) };
const HIDDEN: ClientSubnet = { ...OWN, address: new Uint8Array(4), sourcePrefixBits: 0 };
/** Of a connection or a hop, which no client may see from the backend. */
const BETWEEN_NEIGHBOURS: readonly EdnsOption[] = [
  { code: EdnsOptionCode.TcpKeepalive, data: Uint8Array.of(0, 77) },
  { code: EdnsOptionCode.Cookie, data: new Uint8Array(16) },
  makePadding(33),
  { code: EdnsOptionCode.Nsid, data: Uint8Array.of(98, 49) },
];

const KEEPALIVE: EdnsOption = { code: EdnsOptionCode.TcpKeepalive, data: new Uint8Array(0) };

/** An answer whose last octet counts the queries, with these options. */
function answer({ id, questions }: Message, nth: number, options: readonly EdnsOption[]): Uint8Array {
  const owner = questions[0]?.name.toString() ?? ".";
  return encodeMessage(
    makeMessage({
      id,
      isResponse: true,
      questions,
      answers: [parseRecord(`${owner} 300 A 192.0.2.${nth}`)],
      edns: makeEdns({ options: [...BETWEEN_NEIGHBOURS, ...options] }),
    }),
  );
}

/** A front end whose pool has a cache and the scripted backend. */
async function start(
  context: TestContext,
  optionsOf: (query: Message) => readonly EdnsOption[],
  { pool = "", rules = "" } = {},
): Promise<{ front: TestFront; backend: ScriptedBackend }> {
  const backend = await ScriptedBackend.open(({ query, reply }) =>
    reply(answer(query, backend.seen.length, optionsOf(query))),
  );
  context.after(() => backend[Symbol.asyncDispose]());
  const front = await startTestFront(context, rules, {
    pools: `  - { name: scripted, backends: [{ address: "tcp://127.0.0.1:${backend.port}" }], health: { interval: 0s }, cache: 1MiB${pool} }\n`,
  });
  return { front, backend };
}

const codesOf = (message: Message | undefined): number[] =>
  message?.edns?.options.map(({ code }) => code) ?? [];

function scopeIn(message: Message | undefined): number | undefined {
  const option = message?.edns?.options.find(({ code }) => code === EdnsOptionCode.ClientSubnet);
  const subnet = option && tryReadClientSubnet(option.data);
  return subnet?.ok === true ? subnet.value.scopePrefixBits : undefined;
}

function echo(query: Message, scopePrefixBits: number): readonly EdnsOption[] {
  const option = query.edns?.options.find(({ code }) => code === EdnsOptionCode.ClientSubnet);
  const subnet = option && tryReadClientSubnet(option.data);
  return subnet?.ok === true ? [makeClientSubnet({ ...subnet.value, scopePrefixBits })] : [];
}

test("nothing that is between neighbours comes through, over any transport", {
  timeout: 20_000,
}, async (context) => {
  const { front } = await start(context, () => []);
  for (const transport of ["udp", "tcp", "tls", "https"] as const) {
    const options = transport === "tcp" || transport === "tls" ? [KEEPALIVE] : [];
    const reply = await askFront(front, { transport, name: `${transport}.example.`, options });
    assert.deepEqual(
      codesOf(reply),
      options.map(({ code }) => code),
      transport,
    );
    const [told] = reply?.edns?.options ?? [];
    assert.notDeepEqual(told?.data, Uint8Array.of(0, 77), "the timer of its own connection");
  }
});

test("a client that tells its subnet learns for which one the answer is, and nobody else gets it", {
  timeout: 20_000,
}, async (context) => {
  const { front, backend } = await start(context, (query) => echo(query, 20));
  const asOwn = { name: "one.example.", options: [makeClientSubnet(OWN)] };
  const first = await askFront(front, asOwn);
  assert.equal(scopeIn(first), 20);
  const byOther = await askFront(front, { ...asOwn, options: [makeClientSubnet(OTHER)] });
  assert.notEqual(addressIn(byOther), addressIn(first));
  const plain = await askFront(front, { name: "one.example." });
  assert.notEqual(addressIn(plain), addressIn(first));
  assert.equal(scopeIn(plain), undefined, "who sends none gets none");
  const before = backend.seen.length;
  const again = await askFront(front, { name: "one.example." });
  assert.equal(addressIn(again), addressIn(plain), "an answer for all is kept");
  assert.notEqual(
    addressIn(await askFront(front, asOwn)),
    addressIn(plain),
    "and not given to who tells a subnet",
  );
  assert.ok(backend.seen.length > before);
});

test("an answer for a network that nobody asked for is given once", { timeout: 20_000 }, async (context) => {
  const { front } = await start(context, () => [makeClientSubnet({ ...OWN, scopePrefixBits: 24 })]);
  const first = await askFront(front, { name: "one.example." });
  const second = await askFront(front, { name: "one.example." });
  assert.ok(addressIn(first) !== undefined && addressIn(first) !== addressIn(second));
  assert.equal(scopeIn(first), undefined);
});

test("an answer for another subnet than was asked for reaches nobody", {
  timeout: 20_000,
}, async (context) => {
  const { front } = await start(context, () => [makeClientSubnet({ ...OTHER, scopePrefixBits: 24 })]);
  const reply = await askFront(front, { name: "one.example.", options: [makeClientSubnet(OWN)] });
  assert.equal(reply?.rcode, Rcode.ServFail);
  assert.equal(front.front.status.front.unusable, 1);
});

test("a rule tells the client's subnet, but not that of who wants none to be told", {
  timeout: 20_000,
}, async (context) => {
  const rules = "rules: [{ name: subnet, then: { client-subnet: { set: client, ipv4: 16 } } }]\n";
  const { front, backend } = await start(context, (query) => echo(query, 16), { rules });
  const seen = async (name: string, options: readonly EdnsOption[]): Promise<readonly unknown[]> => {
    const reply = await askFront(front, { name, options });
    const query = backend.seen.find(({ questions }) => questions[0]?.name.toString() === name);
    const option = query?.edns?.options.find(({ code }) => code === EdnsOptionCode.ClientSubnet);
    return [[...(option?.data ?? [])], scopeIn(reply)];
  };
  assert.deepEqual(await seen("none.example.", []), [[0, 1, 16, 0, 127, 0], undefined]);
  assert.deepEqual(await seen("hidden.example.", [makeClientSubnet(HIDDEN)]), [[0, 1, 0, 0], 16]);
  assert.deepEqual(await seen("other.example.", [makeClientSubnet(OWN)]), [[0, 1, 16, 0, 127, 0], undefined]);
  const loopback = { ...OWN, address: Uint8Array.of(127, 0, 0, 0) };
  assert.deepEqual(await seen("same.example.", [makeClientSubnet(loopback)]), [[0, 1, 16, 0, 127, 0], 16]);
});

test("options that a pool passes go both ways, and never from the cache", {
  timeout: 20_000,
}, async (context) => {
  const version = { code: EdnsOptionCode.ZoneVersion, data: Uint8Array.of(1, 0, 0, 0, 0, 7) };
  const { front, backend } = await start(
    context,
    ({ edns }) =>
      edns?.options.some(({ code }) => code === EdnsOptionCode.ZoneVersion) === true ? [version] : [],
    { pool: ", pass-options: [zone-version]" },
  );
  const asks = {
    name: "one.example.",
    options: [{ code: EdnsOptionCode.ZoneVersion, data: new Uint8Array(0) }],
  };
  const plain = await askFront(front, { name: "one.example." });
  assert.deepEqual(codesOf(plain), []);
  for (let i = 0; i < 2; i++) {
    const reply = await askFront(front, asks);
    assert.deepEqual(reply?.edns?.options, [version]);
    assert.notEqual(addressIn(reply), addressIn(plain));
  }
  assert.equal(addressIn(await askFront(front, { name: "one.example." })), addressIn(plain));
  assert.ok(
    backend.seen.every(({ edns }) => !edns?.options.some(({ code }) => code === EdnsOptionCode.Nsid)),
  );
});

test("options that do not fit into a client's datagram are left out, and the datagram is no larger", {
  timeout: 20_000,
}, async (context) => {
  const large = { code: 65001, data: new Uint8Array(500) };
  const { front } = await start(context, () => [large], { pool: ", pass-options: [65001]" });
  const small = await askFront(front, { name: "one.example.", edns: { udpPayloadOctets: 512 } });
  assert.deepEqual([small?.isTruncated, codesOf(small)], [true, []]);
  const whole = await askFront(front, { name: "one.example.", edns: { udpPayloadOctets: 1232 } });
  assert.deepEqual([whole?.isTruncated, codesOf(whole)], [false, [65001]]);
  const plain = await askFront(front, { name: "one.example.", edns: false });
  assert.equal(plain?.edns, undefined);
});

test("what cannot go through is refused with line and reason", () => {
  const load = (option: string): LoadedFront =>
    loadFront(
      `listen: [{ transport: udp, address: 127.0.0.1, port: 0 }]
pools:
  - name: main
    backends: [{ address: "tcp://192.0.2.1" }]
    pass-options: [nsid, ${option}]
`,
      "front.yaml",
    );
  assert.ok(load("zone-version").ok);
  const rows: readonly (readonly [string, RegExp])[] = [
    ["keepalive", /^5 pools\[0\]\.pass-options\[1\] option keepalive does not go through: .*RFC 7828/],
    ["12", /^5 pools\[0\]\.pass-options\[1\] option 12 does not go through: .*RFC 7830/],
    ["cookie", /RFC 7873/],
    ["client-subnet", /passed anyway/],
    ["extended-error", /passed anyway/],
  ];
  for (const [option, expected] of rows) {
    const loaded = load(option);
    assert.ok(!loaded.ok, option);
    const told = loaded.problems.map(({ line, path, message }) => `${line} ${path} ${message}`);
    assert.match(told.join("\n"), expected);
  }
});
