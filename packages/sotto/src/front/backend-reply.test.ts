import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import {
  type ClientSubnet,
  EdeCode,
  type EdnsOption,
  EdnsOptionCode,
  encodeMessage,
  type Message,
  makeClientSubnet,
  makeEdns,
  makeExtendedError,
  makeMessage,
  makePadding,
  parseName,
  parseRecord,
  Rcode,
  RRClass,
  RRType,
  tryDecodeMessage,
  tryReadClientSubnet,
  tryViewMessage,
} from "@sotto/dns/wire";
import { type AskedBackend, BackendReplyReader } from "./backend-reply.ts";

const reader = new BackendReplyReader();
const question = { name: parseName("www.example."), type: RRType.A, class: RRClass.IN };
const answer = parseRecord("www.example. 300 IN A 192.0.2.1");
const soa = parseRecord("example. 900 IN SOA ns.example. admin.example. 1 2 3 4 60");

const ASKED = askedWith([]);

function askedWith(
  options: readonly EdnsOption[],
  changes: AskedBackend["changes"] = [],
  passed: number[] = [],
): AskedBackend {
  const view = tryViewMessage(
    encodeMessage(makeMessage({ questions: [question], edns: makeEdns({ options }) })),
  );
  assert.ok(view.ok);
  return { view: view.value, changes, passed: new Set(passed) };
}

function replyOctets(parts: Partial<Message>): Uint8Array {
  return encodeMessage(
    makeMessage({ isResponse: true, recursionDesired: true, questions: [question], ...parts }),
  );
}

function read(parts: Partial<Message>, asked = ASKED) {
  const reply = reader.read(replyOctets(parts), asked);
  assert.ok(reply.ok);
  const message = tryDecodeMessage(reply.value.base);
  assert.ok(message.ok);
  return { ...reply.value, message: message.value };
}

test("the backend's OPT record ends here, what it says about the answer does not", () => {
  const error = makeExtendedError({ code: EdeCode.Blocked, text: "by order" });
  const { message, errors, lifeSeconds } = read({
    answers: [answer],
    edns: makeEdns({ options: [makePadding(200), error] }),
  });
  assert.equal(message.edns, undefined);
  assert.equal(message.answers.length, 1);
  assert.deepEqual(errors, [{ code: EdeCode.Blocked, text: "by order" }]);
  // Reasons are for this one query.
  assert.equal(lifeSeconds, 0);
});

test("positive replies live by their TTLs, negative ones by their SOA, and without one not at all", () => {
  assert.equal(read({ answers: [answer] }).lifeSeconds, Number.POSITIVE_INFINITY);
  const negative = read({ rcode: Rcode.NXDomain, authorities: [soa] });
  assert.equal(negative.lifeSeconds, 60);
  assert.equal(negative.message.authorities[0]?.ttl, 60);
  assert.equal(read({ authorities: [soa] }).lifeSeconds, 60);
  assert.equal(read({}).lifeSeconds, 0);
  const alias = parseRecord("www.example. 300 IN CNAME other.example.");
  assert.equal(read({ answers: [alias], authorities: [soa] }).lifeSeconds, 60);
  assert.equal(read({ answers: [alias], authorities: [] }).lifeSeconds, 0);
});

test("records behind the OPT record stay whole, names that point among them too", () => {
  const octets = encodeMessage(
    makeMessage({
      isResponse: true,
      questions: [question],
      answers: [answer],
      edns: makeEdns({ options: [makePadding(50)] }),
    }),
  );
  // A further additional record whose owner is in full, and one that points to it.
  const owner = [5, 111, 116, 104, 101, 114, 0];
  const fixed = [0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9];
  const more = [...owner, ...fixed, 0xc0 | (octets.length >>> 8), octets.length & 0xff, ...fixed];
  const whole = Uint8Array.from([...octets, ...more]);
  whole[11] = 3;
  const reply = reader.read(whole, ASKED);
  assert.ok(reply.ok);
  const message = tryDecodeMessage(reply.value.base);
  assert.ok(message.ok);
  assert.equal(message.value.edns, undefined);
  assert.deepEqual(
    message.value.additionals.map(({ owner: name }) => name.toString()),
    ["other.", "other."],
  );
});

test("what cannot be read, and what is between us and the backend, is a problem", () => {
  const good = encodeMessage(makeMessage({ isResponse: true, questions: [question], answers: [answer] }));
  for (let length = 0; length < good.length; length++)
    assert.equal(reader.read(good.slice(0, length), ASKED).ok, false);
  const badVersion = encodeMessage(
    makeMessage({ isResponse: true, questions: [question], rcode: Rcode.BadVers, edns: makeEdns({}) }),
  );
  assert.equal(reader.read(badVersion, ASKED).ok, false);
});

const ipv4 = (
  a: number,
  b: number,
  c: number,
  sourcePrefixBits: number,
  scopePrefixBits = 0,
): ClientSubnet => ({
  address: Uint8Array.of(a, b, c, 0),
  sourcePrefixBits,
  scopePrefixBits,
});
const SET = (subnet: ClientSubnet): AskedBackend["changes"] => [{ kind: "set", ...makeClientSubnet(subnet) }];
const STRIP: AskedBackend["changes"] = [{ kind: "strip", code: EdnsOptionCode.ClientSubnet }];
const OWN = ipv4(192, 0, 2, 24);
const IPV6: ClientSubnet = { address: new Uint8Array(16), sourcePrefixBits: 0, scopePrefixBits: 0 };

interface SubnetRow {
  readonly title: string;
  readonly client?: ClientSubnet;
  readonly changes?: AskedBackend["changes"];
  readonly reply?: ClientSubnet;
  /** Scope that the client is told; none: no option; a text: the reply is dropped. */
  readonly told?: number | "dropped";
  /** Whether it may be kept. */
  readonly isKept?: true;
}

const SUBNETS: readonly SubnetRow[] = [
  { title: "nobody asked", isKept: true },
  { title: "nobody asked, answered for all", reply: ipv4(192, 0, 2, 24), isKept: true },
  { title: "nobody asked, answered for one network", reply: ipv4(192, 0, 2, 24, 24) },
  { title: "asked and answered", client: OWN, reply: ipv4(192, 0, 2, 24, 20), told: 20 },
  { title: "a longer scope", client: OWN, reply: ipv4(192, 0, 2, 24, 28), told: 28 },
  { title: "asked, and the backend says nothing", client: OWN, told: 0 },
  { title: "another network", client: OWN, reply: ipv4(192, 0, 3, 24, 24), told: "dropped" },
  { title: "another length", client: OWN, reply: ipv4(192, 0, 0, 16, 16), told: "dropped" },
  { title: "another family", client: OWN, reply: { ...IPV6, sourcePrefixBits: 24 }, told: "dropped" },
  { title: "who hides is told", client: ipv4(0, 0, 0, 0), reply: ipv4(198, 51, 100, 24, 24), told: 24 },
  { title: "a rule takes it out", client: OWN, changes: STRIP, isKept: true },
  {
    title: "a rule sets less of it",
    client: OWN,
    changes: SET(ipv4(192, 0, 0, 16)),
    reply: ipv4(192, 0, 0, 16, 16),
    told: 16,
  },
  {
    title: "a rule sets another one",
    client: OWN,
    changes: SET(ipv4(198, 51, 100, 24)),
    reply: ipv4(198, 51, 100, 24, 24),
  },
  {
    title: "a rule sets another one, answered for all",
    client: OWN,
    changes: SET(ipv4(198, 51, 100, 24)),
    told: 0,
  },
  { title: "a rule sets one unasked", changes: SET(OWN), reply: ipv4(192, 0, 2, 24, 24) },
  {
    title: "a rule sets one, answered for another one",
    changes: SET(OWN),
    reply: ipv4(192, 0, 3, 24, 24),
    told: "dropped",
  },
  {
    title: "family 0",
    client: { ...IPV6, address: new Uint8Array(0) },
    reply: { ...IPV6, scopePrefixBits: 48 },
  },
];

for (const { title, client, changes = [], reply, told, isKept = false } of SUBNETS)
  test(`client subnet: ${title}`, () => {
    const asked = askedWith(client === undefined ? [] : [subnetOption(client)], changes);
    const options = reply === undefined ? [] : [subnetOption(reply)];
    const got = reader.read(replyOctets({ answers: [answer], edns: makeEdns({ options }) }), asked);
    if (told === "dropped") {
      assert.ok(!got.ok);
      assert.match(got.problem, /another client subnet/);
      return;
    }
    assert.ok(got.ok);
    const [option] = got.value.options;
    const subnet = option && tryReadClientSubnet(option.data);
    const expected =
      told === undefined || client === undefined ? undefined : { ...client, scopePrefixBits: told };
    assert.deepEqual(subnet?.ok === true ? subnet.value : undefined, expected);
    assert.equal(got.value.lifeSeconds > 0, isKept);
  });

function subnetOption(subnet: ClientSubnet): EdnsOption {
  // Family 0, which no sensible client sends.
  return subnet.address.length === 0
    ? { code: EdnsOptionCode.ClientSubnet, data: new Uint8Array(4) }
    : makeClientSubnet(subnet);
}

test("a client subnet that cannot be read is no answer to who asked, and is kept for nobody", () => {
  const broken = { code: EdnsOptionCode.ClientSubnet, data: Uint8Array.of(0, 1) };
  const parts = { answers: [answer], edns: makeEdns({ options: [broken] }) };
  assert.equal(read(parts).lifeSeconds, 0);
  assert.equal(reader.read(replyOctets(parts), askedWith([makeClientSubnet(OWN)])).ok, false);
});

test("whatever stands in client subnets, a reply is read or is a problem", () => {
  const random = new SeededRandom(11);
  const some = (): EdnsOption => {
    const data = random.octets(random.uint16() % 22);
    // Mostly families that exist.
    if (data.length > 1) data.set([0, random.uint16() % 3]);
    return { code: EdnsOptionCode.ClientSubnet, data };
  };
  for (let i = 0; i < 3000; i++) {
    const asked = askedWith([some()], i % 3 === 0 ? [{ kind: "set", ...some() }] : []);
    const reply = reader.read(
      replyOctets({ answers: [answer], edns: makeEdns({ options: [some()] }) }),
      asked,
    );
    if (reply.ok) for (const { data } of reply.value.options) assert.ok(tryReadClientSubnet(data).ok);
  }
});

test("options that a pool passes go to the client, so many and no more, and are kept for nobody", () => {
  const option = (code: number, octets = 1): EdnsOption => ({ code, data: new Uint8Array(octets) });
  const replied = [option(EdnsOptionCode.Nsid), makePadding(9), option(EdnsOptionCode.ReportChannel, 9)];
  const parts = { answers: [answer], edns: makeEdns({ options: replied }) };
  const codes = (passed: number[]) => read(parts, askedWith([], [], passed)).options.map(({ code }) => code);
  assert.deepEqual(codes([]), []);
  assert.deepEqual(codes([EdnsOptionCode.ReportChannel]), [EdnsOptionCode.ReportChannel]);
  assert.equal(read(parts, askedWith([], [], [EdnsOptionCode.ReportChannel])).lifeSeconds, 0);
  assert.equal(read(parts, askedWith([], [], [65001])).lifeSeconds, Number.POSITIVE_INFINITY);
  const many = Array.from({ length: 30 }, () => option(65001, 20));
  const passed = read({ edns: makeEdns({ options: many }) }, askedWith([], [], [65001])).options;
  assert.equal(passed.length, 8);
  const large = [option(65001, 400), option(65001, 113)];
  assert.equal(read({ edns: makeEdns({ options: large }) }, askedWith([], [], [65001])).options.length, 1);
});
