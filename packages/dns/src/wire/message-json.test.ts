import assert from "node:assert/strict";
import { test } from "node:test";
import { makeEdns } from "./edns/edns.ts";
import { makeKeepalive } from "./edns/keepalive.ts";
import { makeMessage } from "./message.ts";
import { tryMessageFromJson } from "./message-from-json.ts";
import { messageToJson } from "./message-json.ts";
import { parseName } from "./name.ts";
import { parseRecord } from "./record-text.ts";

const question = { name: parseName("x\\.y.example."), type: 1, class: 1 };

const reply = makeMessage({
  id: 63_607,
  isResponse: true,
  isAuthoritative: true,
  recursionDesired: true,
  rcode: 0x123,
  questions: [question],
  answers: [
    parseRecord("x\\.y.example. 3600 IN A 192.0.2.1"),
    parseRecord('x\\.y.example. 3600 IN TXT "hi\\"" "a"'),
  ],
  authorities: [parseRecord("example. 1 CH TYPE65280 \\# 3 01FF02")],
  additionals: [{ owner: parseName("d.example."), type: 15, class: 255, ttl: 0, rdata: new Uint8Array(0) }],
  edns: makeEdns({ dnssecOk: true, options: [makeKeepalive(300)] }),
});

/** Reads a value that went through JSON text, and gives the message or the problem. */
function fromJson(value: unknown): unknown {
  const read = tryMessageFromJson(JSON.parse(JSON.stringify(value)));
  return read.ok ? read.value : read.problem;
}

test("a reply is written as kdig +json writes it", () => {
  assert.deepEqual(JSON.parse(JSON.stringify(messageToJson(reply))), {
    ID: 63_607,
    QR: 1,
    Opcode: 0,
    AA: 1,
    TC: 0,
    RD: 1,
    RA: 0,
    AD: 0,
    CD: 0,
    RCODE: 3,
    QDCOUNT: 1,
    ANCOUNT: 2,
    NSCOUNT: 1,
    ARCOUNT: 2,
    QNAME: "x\\.y.example.",
    QTYPE: 1,
    QTYPEname: "A",
    QCLASS: 1,
    QCLASSname: "IN",
    answerRRs: [
      {
        NAME: "x\\.y.example.",
        TYPE: 1,
        TYPEname: "A",
        CLASS: 1,
        CLASSname: "IN",
        TTL: 3600,
        rdataA: "192.0.2.1",
        RDLENGTH: 4,
        RDATAHEX: "C0000201",
      },
      {
        NAME: "x\\.y.example.",
        TYPE: 16,
        TYPEname: "TXT",
        CLASS: 1,
        CLASSname: "IN",
        TTL: 3600,
        rdataTXT: '"hi\\"" "a"',
        RDLENGTH: 6,
        RDATAHEX: "036869220161",
      },
    ],
    authorityRRs: [
      {
        NAME: "example.",
        TYPE: 65_280,
        TYPEname: "TYPE65280",
        CLASS: 3,
        CLASSname: "CH",
        TTL: 1,
        RDLENGTH: 3,
        RDATAHEX: "01FF02",
      },
    ],
    additionalRRs: [
      { NAME: "d.example.", TYPE: 15, TYPEname: "MX", CLASS: 255, CLASSname: "ANY", TTL: 0, RDLENGTH: 0 },
      {
        NAME: ".",
        TYPE: 41,
        TYPEname: "OPT",
        CLASS: 1232,
        TTL: 0x12008000,
        RDLENGTH: 6,
        RDATAHEX: "000B0002012C",
      },
    ],
  });
});

test("messages come back from JSON", () => {
  for (const message of [
    reply,
    makeMessage(),
    makeMessage({
      id: 1,
      questions: [question],
      reservedFlag: true,
      authenticData: true,
      checkingDisabled: true,
    }),
    makeMessage({ questions: [question, { ...question, type: 65_280, class: 9 }] }),
    makeMessage({
      opcode: 5,
      isTruncated: true,
      recursionAvailable: true,
      edns: makeEdns({ version: 1, reservedFlags: 5 }),
    }),
  ])
    assert.deepEqual(fromJson(messageToJson(message)), message);
});

test("names alone, numbers alone and rdata as text alone are enough", () => {
  const record = parseRecord("a.example. 60 IN MX 10 mail.example.");
  const expected = makeMessage({
    questions: [{ ...question, name: parseName("a.example.") }],
    answers: [record],
  });
  const names = { NAME: "a.example.", TYPEname: "MX", CLASSname: "IN", TTL: 60, rdataMX: "10 mail.example." };
  const numbers = {
    NAME: "a.example.",
    TYPE: 15,
    CLASS: 1,
    TTL: 60,
    RDATAHEX: "000a046d61696c076578616d706c6500",
  };
  assert.deepEqual(fromJson({ QNAME: "a.example.", QTYPEname: "A", answerRRs: [names] }), expected);
  assert.deepEqual(fromJson({ QNAME: "a.example.", QTYPE: 1, QCLASS: 1, answerRRs: [numbers] }), expected);
});

test("an RRset may be one object with a list of rdata", () => {
  const rrSet = [{ rdataA: "192.0.2.1" }, { RDATAHEX: "C0000202" }];
  assert.deepEqual(
    fromJson({ ANCOUNT: 2, answerRRs: [{ NAME: "a.example.", TYPE: 1, TTL: 5, rrSet }] }),
    makeMessage({
      answers: [parseRecord("a.example. 5 A 192.0.2.1"), parseRecord("a.example. 5 A 192.0.2.2")],
    }),
  );
});

test("unknown members do no harm, not even those every object has", () => {
  assert.deepEqual(fromJson({ comment: "x", dateSeconds: 1, answerRRs: [] }), makeMessage());
  assert.deepEqual(tryMessageFromJson(Object.create({ ID: 5 })), { ok: true, value: makeMessage() });
  assert.equal(
    fromJson({ answerRRs: [{ NAME: ".", TYPEname: "constructor" }] }),
    "answerRRs[0]: TYPEname is unknown",
  );
});

test("what contradicts itself or cannot be is a problem", async (context) => {
  const a = { NAME: "a.example.", TYPE: 1, TTL: 1, RDATAHEX: "C0000201" };
  const opt = { NAME: ".", TYPE: 41, CLASS: 1232, TTL: 0 };
  const bad: readonly (readonly [unknown, string])[] = [
    [null, "message: not an object"],
    [[], "message: not an object"],
    ["text", "message: not an object"],
    [{ ID: -1 }, "message: ID is not a whole number from 0 to 65535"],
    [{ ID: 1.5 }, "message: ID is not a whole number from 0 to 65535"],
    [{ ID: "1" }, "message: ID is not a whole number from 0 to 65535"],
    [{ QR: 2 }, "message: QR is not a whole number from 0 to 1"],
    [{ QR: true }, "message: QR is not a whole number from 0 to 1"],
    [{ RCODE: 16 }, "message: RCODE is not a whole number from 0 to 15"],
    [{ ANCOUNT: 1 }, "message: ANCOUNT is 1, but there are 0"],
    [{ QNAME: "a..b", QTYPE: 1 }, 'message: QNAME: name "a..b" has an empty label'],
    [{ QNAME: "a." }, "message: question without a type"],
    [{ QNAME: 5, QTYPE: 1 }, "message: QNAME is not a string"],
    [{ QNAME: "a.", QTYPE: 1, QTYPEname: "NS" }, "message: QTYPE and QTYPEname are different"],
    [{ answerRRs: {} }, "message: answerRRs is not a list of at most 65534"],
    [{ answerRRs: [5] }, "answerRRs[0]: not an object"],
    [{ answerRRs: [a, { ...a, TYPE: undefined }] }, "answerRRs[1]: record without a type"],
    [{ answerRRs: [{ ...a, TYPEname: "NONSENSE" }] }, "answerRRs[0]: TYPEname is unknown"],
    [{ answerRRs: [{ ...a, TTL: 2 ** 31 }] }, "answerRRs[0]: TTL is not a whole number from 0 to 2147483647"],
    [{ answerRRs: [{ ...a, rdataA: "192.0.2.2" }] }, "answerRRs[0]: RDATAHEX and rdataA are different"],
    [{ answerRRs: [{ ...a, RDLENGTH: 5 }] }, "answerRRs[0]: RDLENGTH is 5, but there are 4"],
    [{ answerRRs: [{ ...a, RDATAHEX: "C00002" }] }, "answerRRs[0]: A rdata is not 4 octets long"],
    [
      { answerRRs: [{ ...a, RDATAHEX: "C00" }] },
      "answerRRs[0]: RDATAHEX: hexadecimal text is not pairs of digits",
    ],
    [
      { answerRRs: [{ ...a, RDATAHEX: "00".repeat(65_536) }] },
      "answerRRs[0]: RDATAHEX is longer than 65535 octets",
    ],
    [{ answerRRs: [{ ...a, RDATAHEX: undefined }] }, "answerRRs[0]: A rdata is not 4 octets long"],
    [{ answerRRs: [opt] }, "message: OPT record outside the additional section"],
    [{ additionalRRs: [opt, opt] }, "message: more than one OPT record"],
    [
      { additionalRRs: [{ ...opt, NAME: "a." }] },
      "additionalRRs[0]: OPT record with an owner other than the root",
    ],
    [
      { additionalRRs: [{ ...opt, RDATAHEX: "000B" }] },
      "additionalRRs[0]: EDNS option runs past the OPT record",
    ],
  ];
  for (const [value, wrong] of bad) {
    await context.test(wrong, () => assert.equal(fromJson(value), wrong));
  }
});
