import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMessage, makeMessage, parseRecord, Rcode, tryDecodeMessage } from "@sotto/dns/wire";
import { judgeStorm, StormQuery } from "./storm-query.ts";

const PLACE = 0x1f;
const NUMBER = 0xabc;
const NAME = "0000001f00000abc.storm.example.";
/** The sixteen characters as an address. */
const ADDRESS = "3030:3030:3030:3166:3030:3030:3061:6263";

function judge(octets: Uint8Array): string {
  const buffer = Buffer.from(octets);
  return judgeStorm(buffer, 0, buffer.length, PLACE, NUMBER);
}

function queryOf(hasOpt: boolean) {
  const query = new StormQuery(hasOpt);
  query.set(0x1234, PLACE, NUMBER);
  const message = tryDecodeMessage(query.framed().subarray(2));
  assert.ok(message.ok, "decodes");
  return message.value;
}

function answer(record: string | undefined, rcode: number = Rcode.NoError): Uint8Array {
  const { id, questions } = queryOf(false);
  const answers = record === undefined ? [] : [parseRecord(record)];
  return encodeMessage(makeMessage({ id, isResponse: true, rcode, questions, answers }));
}

test("a query has its id, the nonce of its client and number, and an OPT record when it is asked for", () => {
  for (const hasOpt of [false, true]) {
    const message = queryOf(hasOpt);
    assert.equal(message.id, 0x1234);
    assert.equal(message.questions[0]?.name.toString(), NAME);
    assert.equal(message.edns !== undefined, hasOpt);
  }
});

test("only the answer that repeats the nonce is right", () => {
  assert.equal(judge(answer(`${NAME} 60 IN AAAA ${ADDRESS}`)), "right");
  const wrong: readonly (readonly [what: string, octets: Uint8Array])[] = [
    ["another nonce in the address", answer(`${NAME} 60 IN AAAA ${ADDRESS.replace("6263", "6264")}`)],
    ["another client's in the address", answer(`${NAME} 60 IN AAAA ${ADDRESS.replace("3166", "3165")}`)],
    ["no record", answer(undefined)],
    ["another type", answer(`${NAME} 60 IN A 192.0.2.1`)],
    ["cut short", answer(`${NAME} 60 IN AAAA ${ADDRESS}`).subarray(0, 60)],
    ["a query", encodeMessage(queryOf(false))],
  ];
  for (const [what, octets] of wrong) assert.equal(judge(octets), "wrong", what);
  const other = Buffer.from(answer(`${NAME} 60 IN AAAA ${ADDRESS}`));
  other[13 + 15] = "d".charCodeAt(0);
  assert.equal(judge(other), "wrong", "another nonce in the question");
});

test("a failure that repeats the question is told apart from a wrong answer", () => {
  assert.equal(judge(answer(undefined, Rcode.ServFail)), "failed");
  const other = Buffer.from(answer(undefined, Rcode.ServFail));
  other[13] = "f".charCodeAt(0);
  assert.equal(judge(other), "wrong");
});
