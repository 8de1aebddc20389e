import assert from "node:assert/strict";
import { test } from "node:test";
import { EdeCode, parseName, recordToText } from "@sotto/dns/wire";
import { FakeResponder, queryOf, replyOf } from "../queries.test-support.ts";
import { privateAddresses } from "./private-addresses.ts";

const context = { signal: new AbortController().signal, deadlineMs: 1000 };
const OPTIONS = {
  prefixes: ["10.0.0.0/8", "192.168.0.0/16", "fc00::/7"],
  except: [parseName("corp.example.")],
};

/** What is left of records for a name. */
async function left(name: string, ...records: string[]): Promise<{ answers: string[]; errors: number[] }> {
  const source = new FakeResponder((query) => replyOf(query, records));
  const member = privateAddresses(OPTIONS)(source);
  const { message, extendedErrors } = await member.respond(queryOf(name), context);
  return {
    answers: message.answers.map((record) => recordToText(record).replaceAll("\t", " ")),
    errors: extendedErrors.map(({ code }) => code),
  };
}

test("private addresses of names outside are removed, and the client is told so", async () => {
  assert.deepEqual(await left("www.example.", "www.example. 60 IN A 10.1.2.3"), {
    answers: [],
    errors: [EdeCode.Blocked],
  });
  assert.deepEqual(
    (await left("www.example.", "www.example. 60 IN A 192.168.1.1", "www.example. 60 IN A 192.0.2.1"))
      .answers,
    ["www.example. 60 IN A 192.0.2.1"],
  );
});

test("IPv6, mapped IPv4 and the hints of SVCB count as well", async () => {
  for (const record of [
    "www.example. 60 IN AAAA fd00::1",
    "www.example. 60 IN AAAA ::ffff:10.0.0.1",
    "www.example. 60 IN HTTPS 1 . ipv4hint=192.0.2.1,10.0.0.1",
    "www.example. 60 IN SVCB 1 svc.example. ipv6hint=fc00::2",
  ])
    assert.deepEqual((await left("www.example.", record)).answers, [], record);
});

test("other addresses and other records stay", async () => {
  const records = ["www.example. 60 IN AAAA 2001:db8::1", "www.example. 60 IN HTTPS 1 . ipv4hint=192.0.2.1"];
  for (const record of records)
    assert.deepEqual(await left("www.example.", record), { answers: [record], errors: [] });
});

test("below private domains every address is right, also behind an alias", async () => {
  const inside = "host.corp.example. 60 IN A 10.1.2.3";
  assert.deepEqual((await left("host.corp.example.", inside)).answers, [inside]);
  const alias = "www.example. 60 IN CNAME host.corp.example.";
  assert.deepEqual((await left("www.example.", alias, inside)).answers, [alias, inside]);
});

test("signatures go with the set that lost a record", async () => {
  const signature = "www.example. 60 IN RRSIG A 13 2 60 20300101000000 20200101000000 1 example. AAAA";
  const { answers } = await left(
    "www.example.",
    "www.example. 60 IN A 10.0.0.1",
    "www.example. 60 IN A 192.0.2.1",
    signature,
  );
  assert.deepEqual(answers, ["www.example. 60 IN A 192.0.2.1"]);
});

test("a text that is no prefix is refused", () => {
  assert.throws(() => privateAddresses({ prefixes: ["10.0.0.0/40"], except: [] }), RangeError);
});
