import assert from "node:assert/strict";
import { test } from "node:test";
import { makeEdns } from "./edns/edns.ts";
import { makeKeepalive } from "./edns/keepalive.ts";
import { tryHexToOctets } from "./hex.ts";
import { RRClass } from "./iana/rr-class.ts";
import { RRType } from "./iana/rr-type.ts";
import { HeaderFlag, makeMessage } from "./message.ts";
import { encodeMessage } from "./message-encoder.ts";
import { MessageView, tryViewMessage } from "./message-view.ts";
import { parseName } from "./name.ts";

const question = { name: parseName("WWW.example."), type: RRType.AAAA, class: RRClass.CH };
const record = {
  owner: parseName("www.example."),
  type: RRType.A,
  class: RRClass.IN,
  ttl: 1,
  rdata: new Uint8Array(4),
};

/** A message with the four counts and the rest in hex. */
function wireOf(counts: readonly number[], rest: string): Uint8Array {
  const header = counts.map((count) => count.toString(16).padStart(4, "0")).join("");
  const read = tryHexToOctets(`12340100${header}${rest}`.replaceAll(" ", ""));
  assert.ok(read.ok);
  return read.value;
}

function view(octets: Uint8Array): MessageView {
  const read = tryViewMessage(octets);
  assert.ok(read.ok, read.ok ? "" : read.problem);
  return read.value;
}

const OPT = "00 0029 04d0 01 02 8003 0006 000b 0002 0005";

test("header, question and OPT are read without the records between them", () => {
  const message = makeMessage({
    id: 0xabcd,
    isResponse: true,
    opcode: 4,
    isTruncated: true,
    recursionDesired: true,
    authenticData: true,
    checkingDisabled: true,
    rcode: 0x123,
    questions: [question],
    answers: [record, record],
    authorities: [record],
    additionals: [record],
    edns: makeEdns({
      udpPayloadOctets: 4096,
      version: 3,
      dnssecOk: true,
      reservedFlags: 0x55,
      options: [{ code: 3, data: Uint8Array.of(1) }, makeKeepalive(300), makeKeepalive(1)],
    }),
  });
  const seen = view(encodeMessage(message));
  assert.equal(seen.id, message.id);
  assert.equal(seen.opcode, 4);
  assert.equal(seen.rcode, 0x123);
  assert.ok(seen.isResponse && seen.isTruncated && seen.recursionDesired);
  assert.ok(seen.authenticData && seen.checkingDisabled);
  assert.equal(seen.flags & HeaderFlag.RecursionAvailable, 0);
  assert.deepEqual(
    [seen.questionCount, seen.answerCount, seen.authorityCount, seen.additionalCount],
    [1, 2, 1, 2],
  );
  assert.deepEqual(seen.question, question);
  assert.equal(seen.qname, seen.qname, "decoded once");
  assert.equal(seen.qnameOctets, 13);
  assert.equal(seen.questionEnd, 12 + 13 + 4);
  assert.deepEqual(seen.edns, message.edns);
  assert.equal(seen.ednsVersion, 3);
  assert.equal(seen.dnssecOk, true);
  assert.deepEqual(seen.optionData(11), makeKeepalive(300).data, "the first of two");
  assert.equal(seen.optionData(12), undefined);
  assert.equal(seen.optionOffset(12), -1);
  assert.equal(seen.ednsProblem, undefined);
});

test("without OPT a view says what RFC 1035 means", () => {
  const seen = view(encodeMessage(makeMessage({ questions: [question], rcode: 5 })));
  assert.equal(seen.hasEdns, false);
  assert.equal(seen.udpPayloadOctets, 512);
  assert.equal(seen.ednsVersion, 0);
  assert.equal(seen.dnssecOk, false);
  assert.equal(seen.edns, undefined);
  assert.equal(seen.rcode, 5);
  assert.deepEqual(seen.options(), []);
  assert.equal(seen.optionData(11), undefined);
});

test("a payload size below 512 counts as 512 [6891-6.2.3-a]", () => {
  for (const [offered, counted] of [
    [0, 512],
    [511, 512],
    [512, 512],
    [513, 513],
    [65_535, 65_535],
  ] as const) {
    const seen = view(encodeMessage(makeMessage({ edns: makeEdns({ udpPayloadOctets: offered }) })));
    assert.equal(seen.udpPayloadOctets, counted);
  }
});

test("an OPT record with a fault is named, and the question still counts [6891-6.1.1-a]", async (context) => {
  const faults: readonly (readonly [string, readonly number[], string])[] = [
    ["more than one OPT record", [0, 0, 0, 2], OPT + OPT],
    ["OPT record outside the additional section", [0, 1, 0, 0], OPT],
    ["OPT record outside the additional section", [0, 0, 1, 0], OPT],
    ["OPT record with an owner other than the root", [0, 0, 0, 1], `0161${OPT}`],
    ["EDNS option runs past the OPT record", [0, 0, 0, 1], "00 0029 04d0 00000000 0005 000b0002 00"],
    ["EDNS option runs past the OPT record", [0, 0, 0, 1], "00 0029 04d0 00000000 0003 000b00"],
  ];
  for (const [fault, counts, rest] of faults) {
    await context.test(`${fault}, ${counts}`, () => {
      const seen = view(wireOf([1, ...counts.slice(1)], `0161 00 0001 0001 ${rest}`));
      assert.equal(seen.ednsProblem, fault);
      assert.equal(seen.qname.toString(), "a.");
    });
  }
});

test("what is not even a question is a problem", async (context) => {
  const bad: readonly (readonly [string, Uint8Array])[] = [
    ["message is shorter than its header", new Uint8Array(11)],
    ["question name runs past the end", wireOf([1, 0, 0, 0], "")],
    ["question name runs past the end", wireOf([1, 0, 0, 0], "0361")],
    ["question name has a bad label", wireOf([1, 0, 0, 0], "c00c 0001 0001")],
    ["question name has a bad label", wireOf([1, 0, 0, 0], "40 0001 0001")],
    ["question name is longer than 255 octets", wireOf([1, 0, 0, 0], `${"0161".repeat(128)} 00 0001 0001`)],
    ["question runs past the end", wireOf([1, 0, 0, 0], "00 0001 00")],
    ["question runs past the end", wireOf([2, 0, 0, 0], "00 0001 0001")],
    ["record runs past the end", wireOf([0, 1, 0, 0], "00 0001 0001 00000000 00")],
    ["record runs past the end", wireOf([0, 1, 0, 0], "00 0001 0001 00000000 0001")],
    ["message goes on after its last record", wireOf([1, 0, 0, 0], "00 0001 0001 00")],
    ["message goes on after its last record", wireOf([0, 0, 0, 0], "00")],
  ];
  for (const [problem, octets] of bad) {
    await context.test(problem, () => assert.deepEqual(tryViewMessage(octets), { ok: false, problem }));
  }
});

test("the longest name is a question, and a view can be used again and again", () => {
  const seen = new MessageView();
  const longest = wireOf([1, 0, 0, 0], `${"0161".repeat(127)} 00 0001 0001`);
  assert.equal(seen.reset(longest), undefined);
  assert.equal(seen.qname.labelCount, 127);
  assert.equal(seen.reset(wireOf([0, 0, 0, 1], OPT)), undefined);
  assert.equal(seen.hasEdns, true);
  assert.equal(seen.qname.isRoot, true);
  assert.equal(seen.qnameOctets, 0);
  assert.notEqual(seen.reset(new Uint8Array(3)), undefined);
  assert.equal(seen.hasEdns, false);
});

test("more than one question is counted and skipped", () => {
  const seen = view(wireOf([2, 0, 0, 0], "0161 00 0001 0001 c00c 0002 0001"));
  assert.equal(seen.questionCount, 2);
  assert.equal(seen.qtype, RRType.A);
  assert.equal(seen.questionEnd, 12 + 7);
});

test("thousands of options are searched in one walk", () => {
  const options = Array.from({ length: 10_000 }, (_, i) => ({ code: 1000 + i, data: new Uint8Array(0) }));
  const seen = view(
    encodeMessage(makeMessage({ edns: makeEdns({ options: [...options, makeKeepalive(7)] }) })),
  );
  assert.deepEqual(seen.optionData(11), makeKeepalive(7).data);
  assert.equal(seen.options().length, 10_001);
});
