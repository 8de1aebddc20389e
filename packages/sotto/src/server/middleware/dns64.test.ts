import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reply } from "@sotto/dns/transport";
import {
  makeMessage,
  parseName,
  parseRecord,
  Rcode,
  RRType,
  recordToText,
  rrTypeToText,
} from "@sotto/dns/wire";
import { cacheLifeSeconds } from "../cache-policy.ts";
import {
  FakeResponder,
  type QueryParts,
  queryOctets,
  queryOf,
  replyOf,
  viewOf,
} from "../queries.test-support.ts";
import { type Dns64Options, dns64, dns64Pointers } from "./dns64.ts";

const context = { signal: new AbortController().signal, deadlineMs: 1000 };
const OPTIONS: Dns64Options = {
  prefix: "64:ff9b::/96",
  exclude: ["::ffff:0:0/96"],
  ignoreAaaa: [parseName("six.example."), parseName("onlysix.example.")],
  clients: undefined,
  reverse: "alias",
};

/** What the world says, by `name TYPE`; other names have nothing. */
const WORLD: Readonly<Record<string, readonly string[]>> = {
  "four.example. A": ["four.example. 60 IN A 192.0.2.33"],
  "long.example. A": ["long.example. 86400 IN A 192.0.2.33"],
  "six.example. AAAA": ["six.example. 60 IN AAAA 2001:db8::6"],
  "six.example. A": ["six.example. 60 IN A 192.0.2.6"],
  "onlysix.example. AAAA": ["onlysix.example. 60 IN AAAA 2001:db8::7"],
  "onlymapped.example. AAAA": ["onlymapped.example. 60 IN AAAA ::ffff:192.0.2.1"],
  "both.example. AAAA": ["both.example. 60 IN AAAA 2001:db8::1", "both.example. 60 IN AAAA ::ffff:192.0.2.1"],
  "mapped.example. AAAA": ["mapped.example. 60 IN AAAA ::ffff:192.0.2.1"],
  "mapped.example. A": ["mapped.example. 60 IN A 192.0.2.1"],
  "dname.example. AAAA": [
    "example. 60 IN DNAME example.test.",
    "dname.example. 60 IN CNAME dname.example.test.",
  ],
  "dname.example. A": [
    "example. 60 IN DNAME example.test.",
    "example. 60 IN RRSIG DNAME 13 1 60 20300101000000 20200101000000 1 example. AAAA",
    "dname.example. 60 IN CNAME dname.example.test.",
    "dname.example.test. 60 IN A 192.0.2.40",
    "dname.example.test. 60 IN RRSIG A 13 3 60 20300101000000 20200101000000 1 test. AAAA",
  ],
  "alias.example. AAAA": ["alias.example. 60 IN CNAME four.example."],
  "alias.example. A": ["alias.example. 60 IN CNAME four.example.", "four.example. 60 IN A 192.0.2.33"],
  "private.example. A": ["private.example. 60 IN A 10.0.0.1"],
  "33.2.0.192.in-addr.arpa. PTR": ["33.2.0.192.in-addr.arpa. 60 IN PTR four.example."],
};

async function ask(
  name: string,
  parts: QueryParts = { type: RRType.AAAA },
  options: Dns64Options | "off" = OPTIONS,
  rcode: Rcode = Rcode.NoError,
): Promise<{ answers: string[]; reply: Reply; asked: string[] }> {
  const asked: string[] = [];
  const source = new FakeResponder((query) => {
    const key = `${query.view.qname} ${rrTypeToText(query.view.qtype)}`;
    asked.push(key);
    const reply = replyOf(query, WORLD[key] ?? []);
    return { ...reply, message: { ...reply.message, rcode } };
  });
  const given = options === "off" ? undefined : options;
  const reply = await dns64Pointers(given)(dns64(given)(source)).respond(queryOf(name, parts), context);
  const answers = reply.message.answers.map((record) => recordToText(record).replaceAll("\t", " "));
  return { answers, reply, asked };
}

test("AAAA is made of A when there is none, with the shorter TTL [6147-5.1.7-a]", async () => {
  assert.deepEqual((await ask("four.example.")).answers, ["four.example. 60 IN AAAA 64:ff9b::c000:221"]);
  assert.deepEqual((await ask("long.example.")).answers, ["long.example. 600 IN AAAA 64:ff9b::c000:221"]);
});

test("real AAAA records stay, without those that count as none", async () => {
  assert.deepEqual((await ask("both.example.")).answers, ["both.example. 60 IN AAAA 2001:db8::1"]);
  assert.deepEqual((await ask("mapped.example.")).answers, ["mapped.example. 60 IN AAAA 64:ff9b::c000:201"]);
  assert.deepEqual((await ask("six.example.")).answers, ["six.example. 60 IN AAAA 64:ff9b::c000:206"]);
});

test("aliases lead to what is made at their end", async () => {
  assert.deepEqual((await ask("alias.example.")).answers, [
    "alias.example. 60 IN CNAME four.example.",
    "four.example. 60 IN AAAA 64:ff9b::c000:221",
  ]);
});

test("every prefix length puts the address where RFC 6052 §2.4 says [6052-2.2-a]", async () => {
  for (const [prefix, expected] of [
    ["2001:db8::/32", "2001:db8:c000:221::"],
    ["2001:db8:100::/40", "2001:db8:1c0:2:21::"],
    ["2001:db8:122::/48", "2001:db8:122:c000:2:2100::"],
    ["2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"],
    ["2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"],
    ["2001:db8:122:344::/96", "2001:db8:122:344::c000:221"],
  ] as const) {
    const { answers } = await ask("four.example.", { type: RRType.AAAA }, { ...OPTIONS, prefix });
    assert.deepEqual(
      answers.map((text) => parseRecord(text).rdata),
      [parseRecord(`four.example. 60 IN AAAA ${expected}`).rdata],
    );
  }
});

test("reverse names of made addresses are aliases of the IPv4 ones [6147-5.3.1-a]", async () => {
  const nibbles = `1.2.2.0.0.0.0.c${".0".repeat(16)}.b.9.f.f.4.6.0.0.ip6.arpa.`;
  assert.deepEqual((await ask(nibbles, { type: RRType.PTR })).answers, [
    `${nibbles} 600 IN CNAME 33.2.0.192.in-addr.arpa.`,
    "33.2.0.192.in-addr.arpa. 60 IN PTR four.example.",
  ]);
  const other = nibbles.replace("b.9.f.f", "8.b.d.0");
  assert.deepEqual((await ask(other, { type: RRType.PTR })).asked, [`${other} PTR`]);
});

test("nothing is made for names that do not exist, for private addresses, for other types, and when it is off", async () => {
  assert.deepEqual((await ask("four.example.", { type: RRType.AAAA }, OPTIONS, Rcode.NXDomain)).answers, []);
  assert.deepEqual((await ask("private.example.")).answers, []);
  assert.deepEqual((await ask("four.example.", { type: RRType.MX })).asked, ["four.example. MX"]);
  assert.deepEqual((await ask("four.example.", { type: RRType.AAAA }, "off")).asked, ["four.example. AAAA"]);
});

test("who sets DO and CD gets what there is; what is made of unvalidated answers is not secure [6147-5.5-b]", async () => {
  const validating = { type: RRType.AAAA, edns: { dnssecOk: true }, checkingDisabled: true };
  assert.deepEqual((await ask("four.example.", validating)).asked, ["four.example. AAAA"]);
  assert.equal(
    (await ask("four.example.", { type: RRType.AAAA, edns: { dnssecOk: true } })).reply.security,
    "indeterminate",
  );
});

test("what is no prefix for this is refused", () => {
  for (const prefix of ["10.0.0.0/8", "64:ff9b::/95", "nonsense"])
    assert.throws(() => dns64({ ...OPTIONS, prefix }), RangeError, prefix);
});

test("a chain over a DNAME stays with its signatures, those over A go [6147-5.1.5-a]", async () => {
  assert.deepEqual((await ask("dname.example.")).answers, [
    "example. 60 IN DNAME example.test.",
    "example. 60 IN RRSIG DNAME 13 1 60 20300101000000 20200101000000 1 example. AAAA",
    "dname.example. 60 IN CNAME dname.example.test.",
    "dname.example.test. 60 IN AAAA 64:ff9b::c000:228",
  ]);
});

test("without an A there is what there was, but never an excluded address [6147-5.1.4-a]", async () => {
  assert.deepEqual((await ask("onlysix.example.")).answers, ["onlysix.example. 60 IN AAAA 2001:db8::7"]);
  assert.deepEqual((await ask("onlymapped.example.")).answers, []);
});

/** What becomes of replies for AAAA and for A that are like that. */
async function judged(aaaa: Partial<Reply>, a: Partial<Reply>): Promise<{ reply: Reply; asked: number }> {
  const source = new FakeResponder((query) => {
    const isA = query.view.qtype === RRType.A;
    const reply = replyOf(query, isA ? (WORLD["four.example. A"] ?? []) : []);
    return { ...reply, ...(isA ? a : aaaa) };
  });
  const query = queryOf("four.example.", { type: RRType.AAAA });
  const reply = await dns64(OPTIONS)(source).respond(query, context);
  return { reply, asked: source.queries.length };
}

const SERVFAIL = makeMessage({ isResponse: true, rcode: Rcode.ServFail });

test("what validation refused is neither translated nor hidden [6147-5.5-a]", async () => {
  const first = await judged({ message: SERVFAIL, security: "bogus" }, {});
  assert.equal(first.reply.message.rcode, Rcode.ServFail);
  assert.equal(first.asked, 1);
  const second = await judged({ security: "secure" }, { message: SERVFAIL, security: "bogus" });
  assert.equal(second.reply.message.rcode, Rcode.ServFail);
  assert.equal(second.reply.message.questions[0]?.type, RRType.AAAA);
});

test("a server that fails for AAAA does not keep A from being translated [6147-5.1.2-a]", async () => {
  const { reply } = await judged({ message: SERVFAIL }, {});
  assert.deepEqual(
    reply.message.answers.map(({ type }) => type),
    [RRType.AAAA],
  );
});

test("both halves secure make a secure answer, one does not", async () => {
  assert.equal((await judged({ security: "secure" }, { security: "secure" })).reply.security, "secure");
  assert.equal((await judged({ security: "secure" }, {})).reply.security, "indeterminate");
});

test("reverse names may have the records themselves, also behind an alias", async () => {
  const nibbles = `1.2.2.0.0.0.0.c${".0".repeat(16)}.b.9.f.f.4.6.0.0.ip6.arpa.`;
  const { answers } = await ask(nibbles, { type: RRType.PTR }, { ...OPTIONS, reverse: "records" });
  assert.deepEqual(answers, [`${nibbles} 60 IN PTR four.example.`]);
});

test("a reverse name that cannot be asked for is no alias", async () => {
  const nibbles = `2.2.2.0.0.0.0.c${".0".repeat(16)}.b.9.f.f.4.6.0.0.ip6.arpa.`;
  const { reply, answers } = await ask(nibbles, { type: RRType.PTR }, OPTIONS, Rcode.Refused);
  assert.equal(reply.message.rcode, Rcode.Refused);
  assert.deepEqual(answers, []);
});

test("only listed clients get made addresses, and nobody else gets them from a cache", async () => {
  const source = new FakeResponder((query) =>
    replyOf(query, query.view.qtype === RRType.A ? (WORLD["four.example. A"] ?? []) : []),
  );
  const member = dns64({ ...OPTIONS, clients: ["2001:db8::/32"] })(source);
  const askFrom = async (address: string | undefined): Promise<Reply> => {
    const query = queryOf("four.example.", { type: RRType.AAAA });
    const remote = address === undefined ? undefined : { address, port: 4711 };
    return member.respond({ ...query, origin: { ...query.origin, remote } }, context);
  };
  const served = await askFrom("2001:db8::9");
  assert.equal(served.message.answers.length, 1);
  const others = [await askFrom("192.0.2.9"), await askFrom(undefined)];
  for (const { message } of others) assert.equal(message.answers.length, 0);
  for (const reply of [served, ...others])
    assert.equal(cacheLifeSeconds(viewOf(queryOctets("x.")), reply), 0);
});
