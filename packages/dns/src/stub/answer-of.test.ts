import assert from "node:assert/strict";
import { test } from "node:test";
import { type Message, makeMessage, parseName, parseRecord, Rcode, RRType } from "@sotto/dns/wire";
import { answerOf } from "./answer-of.ts";

const NAME = parseName("www.example.");
const RECORDS = [
  parseRecord("www.example. 300 IN CNAME a.example."),
  parseRecord("a.example. 200 IN A 192.0.2.1"),
];

const ttlOf = (parts: Partial<Message>): number =>
  answerOf(makeMessage({ isResponse: true, answers: RECORDS, ...parts }), NAME, RRType.A).ttlSeconds;

test("an answer is kept as long as its shortest record, and not at all when it is cut off or a failure", () => {
  assert.equal(ttlOf({}), 200);
  assert.equal(ttlOf({ isTruncated: true }), 0);
  for (const rcode of [Rcode.ServFail, Rcode.Refused, Rcode.FormErr]) assert.equal(ttlOf({ rcode }), 0);
  const soa = parseRecord("example. 100 IN SOA ns.example. host.example. 1 2 3 4 50");
  assert.equal(ttlOf({ answers: [], authorities: [soa] }), 50);
  assert.equal(ttlOf({ answers: [], authorities: [soa], rcode: Rcode.NXDomain }), 50);
  assert.equal(ttlOf({ answers: [], authorities: [soa], rcode: Rcode.ServFail }), 0);
  assert.equal(ttlOf({ answers: [] }), 0, "nothing says for how long");
});

test("a TTL with its top bit set is none (RFC 2181 §8)", () => {
  const [alias, address] = RECORDS;
  assert.ok(alias !== undefined && address !== undefined);
  assert.equal(ttlOf({ answers: [alias, { ...address, ttl: 0x8000_0000 }] }), 0);
});

test("aliases in a circle end, and are no answer", () => {
  const circle = [
    parseRecord("www.example. 9 CNAME b.example."),
    parseRecord("b.example. 9 CNAME www.example."),
  ];
  const found = answerOf(makeMessage({ answers: circle }), NAME, RRType.A);
  assert.deepEqual(found.records, []);
  assert.equal(found.ttlSeconds, 0);
});
