import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EdeCode,
  encodeMessage,
  type Message,
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
} from "@sotto/dns/wire";
import { BackendReplyReader } from "./backend-reply.ts";

const reader = new BackendReplyReader();
const question = { name: parseName("www.example."), type: RRType.A, class: RRClass.IN };
const answer = parseRecord("www.example. 300 IN A 192.0.2.1");
const soa = parseRecord("example. 900 IN SOA ns.example. admin.example. 1 2 3 4 60");

function read(parts: Partial<Message>) {
  const reply = reader.read(
    encodeMessage(makeMessage({ isResponse: true, recursionDesired: true, questions: [question], ...parts })),
  );
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
  const reply = reader.read(whole);
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
    assert.equal(reader.read(good.slice(0, length)).ok, false);
  const badVersion = encodeMessage(
    makeMessage({ isResponse: true, questions: [question], rcode: Rcode.BadVers, edns: makeEdns({}) }),
  );
  assert.equal(reader.read(badVersion).ok, false);
});
