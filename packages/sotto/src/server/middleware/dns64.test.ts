import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reply } from "@sotto/dns/transport";
import { parseName, parseRecord, Rcode, RRType, recordToText, rrTypeToText } from "@sotto/dns/wire";
import { FakeResponder, type QueryParts, queryOf, replyOf } from "../queries.test-support.ts";
import { type Dns64Options, dns64 } from "./dns64.ts";

const context = { signal: new AbortController().signal, deadlineMs: 1000 };
const OPTIONS: Dns64Options = {
  prefix: "64:ff9b::/96",
  exclude: ["::ffff:0:0/96"],
  ignoreAaaa: [parseName("six.example.")],
};

/** What the world says, by `name TYPE`; other names have nothing. */
const WORLD: Readonly<Record<string, readonly string[]>> = {
  "four.example. A": ["four.example. 60 IN A 192.0.2.33"],
  "long.example. A": ["long.example. 86400 IN A 192.0.2.33"],
  "six.example. AAAA": ["six.example. 60 IN AAAA 2001:db8::6"],
  "six.example. A": ["six.example. 60 IN A 192.0.2.6"],
  "both.example. AAAA": ["both.example. 60 IN AAAA 2001:db8::1", "both.example. 60 IN AAAA ::ffff:192.0.2.1"],
  "mapped.example. AAAA": ["mapped.example. 60 IN AAAA ::ffff:192.0.2.1"],
  "mapped.example. A": ["mapped.example. 60 IN A 192.0.2.1"],
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
  const reply = await dns64(options === "off" ? undefined : options)(source).respond(
    queryOf(name, parts),
    context,
  );
  const answers = reply.message.answers.map((record) => recordToText(record).replaceAll("\t", " "));
  return { answers, reply, asked };
}

test("AAAA is made of A when there is none, with the shorter TTL", async () => {
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

test("every prefix length puts the address where RFC 6052 §2.4 says", async () => {
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

test("reverse names of made addresses are aliases of the IPv4 ones", async () => {
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

test("who sets DO and CD gets what there is; what is made of unvalidated answers is not secure", async () => {
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
