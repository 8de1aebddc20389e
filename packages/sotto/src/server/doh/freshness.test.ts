import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeMessage,
  type Message,
  makeMessage,
  parseName,
  parseRecord,
  Rcode,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { cacheControlOf } from "./freshness.ts";

function answerOf(
  answers: readonly string[],
  authorities: readonly string[] = [],
  parts: Partial<Message> = {},
): Uint8Array {
  return encodeMessage(
    makeMessage({
      isResponse: true,
      questions: [{ name: parseName("www.example."), type: RRType.A, class: RRClass.IN }],
      answers: answers.map((text) => parseRecord(text)),
      authorities: authorities.map((text) => parseRecord(text)),
      ...parts,
    }),
  );
}

const SOA = (ttl: number, minimum: number): string =>
  `example. ${ttl} IN SOA ns.example. host.example. 1 3600 600 86400 ${minimum}`;

test("an answer is as fresh as its shortest record, a denial as its SOA record says [8484-5.1-a 8484-5.1-b]", () => {
  const rows: readonly (readonly [string, Uint8Array, string])[] = [
    ["one record", answerOf(["www.example. 300 IN A 192.0.2.1"]), "max-age=300"],
    [
      "an alias and its end",
      answerOf(["www.example. 300 IN CNAME x.example.", "x.example. 60 IN A 192.0.2.1"]),
      "max-age=60",
    ],
    ["a TTL of 0", answerOf(["www.example. 0 IN A 192.0.2.1"]), "max-age=0"],
    [
      "servers in the authority section, which nobody asked for",
      answerOf(["www.example. 300 IN A 192.0.2.1"], ["example. 5 IN NS ns.example."]),
      "max-age=300",
    ],
    ["no data", answerOf([], [SOA(900, 60)]), "max-age=60"],
    ["no such name", answerOf([], [SOA(30, 60)], { rcode: Rcode.NXDomain }), "max-age=30"],
    [
      "an alias to nothing",
      answerOf(["www.example. 300 IN CNAME x.example."], [SOA(900, 60)], { rcode: Rcode.NXDomain }),
      "max-age=60",
    ],
    ["a SOA record that was asked for", answerOf([SOA(900, 60)]), "max-age=900"],
    ["nothing at all", answerOf([]), "max-age=0"],
    ["a failure", answerOf([], [SOA(900, 60)], { rcode: Rcode.ServFail }), "no-store"],
    ["a refusal", answerOf([], [], { rcode: Rcode.Refused }), "no-store"],
  ];
  for (const [what, octets, expected] of rows) assert.equal(cacheControlOf(octets), expected, what);
});

test("a TTL with its highest bit set is zero", () => {
  const octets = answerOf(["www.example. 300 IN A 192.0.2.1"]);
  const at = octets.length - 10;
  octets[at] = 0x80;
  assert.equal(cacheControlOf(octets), "max-age=0");
});

test("an answer cut off anywhere is fresh for no longer than the whole one", () => {
  const octets = answerOf(["www.example. 300 IN A 192.0.2.1"], [SOA(900, 60)]);
  assert.equal(cacheControlOf(octets), "max-age=60");
  for (let end = 12; end < octets.length; end++)
    assert.equal(cacheControlOf(octets.subarray(0, end)), "max-age=0", `cut at ${end}`);
});
