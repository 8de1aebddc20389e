import assert from "node:assert/strict";
import { test } from "node:test";
import { makeEdns, tryReadOptions } from "./edns/edns.ts";
import { makeKeepalive } from "./edns/keepalive.ts";
import { makePadding } from "./edns/padding.ts";
import { octetsToHex, tryHexToOctets } from "./hex.ts";
import { RRClass } from "./iana/rr-class.ts";
import { RRType } from "./iana/rr-type.ts";
import { type Message, makeMessage } from "./message.ts";
import { tryDecodeMessage } from "./message-decoder.ts";
import { encodeMessage, encodeQuery, paddingOctets } from "./message-encoder.ts";
import { Name, parseName } from "./name.ts";
import { concatOctets, OctetWriter } from "./octets.ts";
import type { ResourceRecord } from "./record.ts";

function octets(hex: string): Uint8Array {
  const read = tryHexToOctets(hex.replaceAll(" ", ""));
  assert.ok(read.ok);
  return read.value;
}

function decode(wire: Uint8Array): Message {
  const message = tryDecodeMessage(wire);
  assert.ok(message.ok, message.ok ? "" : message.problem);
  return message.value;
}

function problemOf(wire: Uint8Array): string {
  const message = tryDecodeMessage(wire);
  return message.ok ? "no problem" : message.problem;
}

/** Header with the four counts, then the rest. */
function wireOf(counts: readonly number[], rest: string, flags = "0000"): Uint8Array {
  const header = counts.map((count) => count.toString(16).padStart(4, "0")).join("");
  return octets(`1234${flags}${header}${rest}`);
}

function address(owner: string, last: number, ttl = 300): ResourceRecord {
  return {
    owner: parseName(owner),
    type: RRType.A,
    class: RRClass.IN,
    ttl,
    rdata: Uint8Array.of(192, 0, 2, last),
  };
}

const question = { name: parseName("www.example."), type: RRType.A, class: RRClass.IN };
const QUESTION = "03777777076578616d706c6500 0001 0001";
const OPT = "00 0029 04d0 00 00 8000 0000";

test("a query is written and read octet for octet", () => {
  const query = makeMessage({
    id: 0x1234,
    recursionDesired: true,
    questions: [question],
    edns: makeEdns({ dnssecOk: true }),
  });
  const wire = encodeMessage(query);
  assert.equal(octetsToHex(wire), octetsToHex(wireOf([1, 0, 0, 1], QUESTION + OPT, "0100")));
  assert.deepEqual(decode(wire), query);
});

test("a name that is known already is taken for the question's when it is spelt alike", () => {
  const name = parseName("www.example.");
  const question = { name, type: RRType.A, class: RRClass.IN };
  const record = { owner: name, type: RRType.A, class: RRClass.IN, ttl: 1, rdata: new Uint8Array(4) };
  const octets = encodeMessage(makeMessage({ questions: [question], answers: [record] }));
  const plain = tryDecodeMessage(octets);
  const known = tryDecodeMessage(octets, name);
  const otherCase = tryDecodeMessage(octets, parseName("WWW.example."));
  assert.ok(plain.ok && known.ok && otherCase.ok);
  assert.deepEqual([known.value, otherCase.value], [plain.value, plain.value]);
  assert.equal(known.value.questions[0]?.name, name);
  assert.equal(known.value.answers[0]?.owner, name);
});

test("every header bit stands for itself", () => {
  const names = [
    "isResponse",
    "isAuthoritative",
    "isTruncated",
    "recursionDesired",
    "recursionAvailable",
    "reservedFlag",
    "authenticData",
    "checkingDisabled",
  ] as const;
  const bits = [0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010];
  for (const [i, name] of names.entries()) {
    const wire = encodeMessage(makeMessage({ [name]: true }));
    assert.equal(((wire[2] ?? 0) << 8) | (wire[3] ?? 0), bits[i], name);
    assert.deepEqual(decode(wire), makeMessage({ [name]: true }));
  }
  const numbers = makeMessage({ id: 0xffff, opcode: 15, rcode: 15 });
  assert.deepEqual(decode(encodeMessage(numbers)), numbers);
});

test("the response code has twelve bits with EDNS", () => {
  for (const rcode of [0, 15, 16, 23, 4095]) {
    const message = makeMessage({ isResponse: true, rcode, edns: makeEdns() });
    assert.equal(decode(encodeMessage(message)).rcode, rcode);
  }
});

test("names in rdata are expanded on reading and compressed on writing in the types of RFC 1035 only", () => {
  const target = parseName("mail.example.");
  const rdata = concatOctets([Uint8Array.of(0, 10), target.wire]);
  const owner = parseName("example.");
  const mx = { owner, type: RRType.MX, class: RRClass.IN, ttl: 1, rdata };
  const kx = { ...mx, type: RRType.KX };
  const message = makeMessage({ answers: [mx, kx] });
  const wire = encodeMessage(message);
  assert.equal(
    octetsToHex(wire.subarray(12)),
    `${octetsToHex(owner.wire)}000f0001000000010009000a046d61696cc00c` +
      `c00c00240001000000010010000a${octetsToHex(target.wire)}`,
  );
  assert.deepEqual(decode(wire), message);
  // RFC 3597 §4: compressed names are accepted in the types that are not written so.
  const compressed = octets(`${octetsToHex(owner.wire)} 0024 0001 00000001 0009 000a 046d61696c c00c`);
  assert.deepEqual(decode(concatOctets([wireOf([0, 1, 0, 0], ""), compressed])).answers, [kx]);
});

test("SOA, MINFO and NAPTR carry their names between other fields", () => {
  const a = parseName("a.example.").wire;
  const b = parseName("b.example.").wire;
  const strings = octets("0001 0002 0175 03534950 0121");
  const table: readonly (readonly [number, Uint8Array])[] = [
    [RRType.SOA, concatOctets([a, b, new Uint8Array(20).fill(9)])],
    [RRType.MINFO, concatOctets([a, b])],
    [RRType.NAPTR, concatOctets([strings, a])],
    [RRType.SRV, concatOctets([new Uint8Array(6).fill(1), a])],
    [RRType.PX, concatOctets([new Uint8Array(2), a, b])],
  ];
  for (const [type, rdata] of table) {
    const answers = [{ owner: parseName("example."), type, class: RRClass.IN, ttl: 5, rdata }];
    assert.deepEqual(decode(encodeMessage(makeMessage({ answers }))).answers, answers);
  }
});

test("rdata with names that does not have the form of its type is a problem", async (context) => {
  const bad: readonly (readonly [string, string, string])[] = [
    [
      "CNAME with something after the name",
      "0005 0001 00000000 0002 0000",
      "rdata is longer than its content",
    ],
    ["CNAME without a name", "0005 0001 00000000 0000", "name runs past the end"],
    ["MX of one octet", "000f 0001 00000000 0001 00", "ends too early"],
    ["SOA of two names only", "0006 0001 00000000 0002 0000", "ends too early"],
    ["SOA that is one octet short", `0006 0001 00000000 0015 0000${"00".repeat(19)}`, "ends too early"],
    [
      "SOA that is one octet long",
      `0006 0001 00000000 0017 0000${"00".repeat(21)}`,
      "rdata is longer than its content",
    ],
    ["NAPTR whose strings run past the end", "0023 0001 00000000 0005 00000000ff", "ends too early"],
    [
      "NS that points into its own rdata",
      "0002 0001 00000000 0002 c017",
      "compression pointer does not point backwards",
    ],
    ["A of three octets", "0001 0001 00000000 0003 c00002", "A rdata is not 4 octets long"],
  ];
  for (const [title, record, wrong] of bad) {
    await context.test(title, () => {
      const problem = problemOf(wireOf([0, 1, 0, 0], `00${record}`));
      // Types whose whole check belongs to rdata/ have texts of their own there.
      if (title.startsWith("A ")) assert.notEqual(problem, "no problem");
      else assert.equal(problem, wrong);
    });
  }
});

test("a message that is cut anywhere is a problem, and so is every octet after its end", () => {
  const wire = encodeMessage(
    makeMessage({
      questions: [question],
      answers: [address("www.example.", 1)],
      edns: makeEdns({ options: [makeKeepalive(1)] }),
    }),
  );
  for (let end = 0; end < wire.length; end++)
    assert.notEqual(problemOf(wire.subarray(0, end)), "no problem", `${end}`);
  assert.equal(problemOf(concatOctets([wire, Uint8Array.of(0)])), "message goes on after its last record");
  assert.equal(problemOf(new Uint8Array(65_536)), "message is longer than 65535 octets");
});

test("a header alone is a message, eleven octets are not", () => {
  assert.deepEqual(decode(new Uint8Array(12)), makeMessage());
  assert.equal(problemOf(new Uint8Array(11)), "message is shorter than its header");
});

test("a TTL with its top bit set counts as zero", () => {
  const wire = (ttl: string): Uint8Array => wireOf([0, 1, 0, 0], `00 0001 0001 ${ttl} 0004 c0000201`);
  assert.equal(decode(wire("7fffffff")).answers[0]?.ttl, 0x7fff_ffff);
  assert.equal(decode(wire("80000000")).answers[0]?.ttl, 0);
  assert.equal(decode(wire("ffffffff")).answers[0]?.ttl, 0);
});

test("two OPT records are a problem [6891-6.1.1-a]", () => {
  assert.equal(problemOf(wireOf([0, 0, 0, 2], OPT + OPT)), "more than one OPT record");
});

test("an OPT record outside the additional section or beneath another owner is a problem [6891-6.1.1-a]", () => {
  assert.equal(problemOf(wireOf([0, 1, 0, 0], OPT)), "OPT record outside the additional section");
  assert.equal(problemOf(wireOf([0, 0, 1, 0], OPT)), "OPT record outside the additional section");
  assert.equal(problemOf(wireOf([0, 0, 0, 1], `0161${OPT}`)), "OPT record with an owner other than the root");
});

test("an option that does not end with its OPT record is a problem [6891-6.1.1-a]", () => {
  for (const options of ["00", "000b", "000b00", "000b0001", "000b000300ff", "000b0000000b0001"]) {
    const length = (options.length / 2).toString(16).padStart(4, "0");
    const opt = `00 0029 04d0 00000000 ${length} ${options}`;
    assert.equal(problemOf(wireOf([0, 0, 0, 1], opt)), "EDNS option runs past the OPT record", options);
    assert.equal(tryReadOptions(octets(options)).ok, false);
  }
});

test("unknown options, flags and versions are read and written back [6891-6.1.2-a]", () => {
  const edns = makeEdns({
    version: 7,
    reservedFlags: 0x7abc,
    udpPayloadOctets: 0,
    options: [
      { code: 65_001, data: Uint8Array.of(1, 2, 3) },
      { code: 0, data: new Uint8Array(0) },
    ],
  });
  assert.deepEqual(decode(encodeMessage(makeMessage({ edns }))).edns, edns);
});

test("thousands of options are read one by one [6891-6.1.2-a]", () => {
  const options = Array.from({ length: 16_000 }, (_, i) => ({ code: i, data: new Uint8Array(0) }));
  const edns = makeEdns({ options });
  const wire = encodeMessage(makeMessage({ edns }));
  assert.equal(wire.length, 12 + 11 + 64_000);
  assert.deepEqual(decode(wire).edns, edns);
});

test("empty rdata of the classes ANY and NONE stays empty both ways", () => {
  for (const type of [RRType.A, RRType.MX, RRType.SOA, RRType.CNAME]) {
    for (const rrClass of [RRClass.ANY, RRClass.NONE]) {
      const answers = [
        { owner: parseName("a.example."), type, class: rrClass, ttl: 0, rdata: new Uint8Array(0) },
      ];
      assert.deepEqual(decode(encodeMessage(makeMessage({ opcode: 5, answers }))).answers, answers);
    }
  }
});

test("64 kB of one-octet labels are refused or read in linear work", () => {
  const labels = new Uint8Array(65_000);
  for (let at = 0; at < labels.length; at += 2) labels.set([1, 0x61], at);
  assert.equal(problemOf(concatOctets([wireOf([1, 0, 0, 0], ""), labels])), "name is longer than 255 octets");
  // Records whose owners are long chains: each costs at most 126 pointers and 255 octets.
  const link = (target: number): Uint8Array =>
    Uint8Array.of(1, 0x61, 0xc0 | (target >>> 8), target & 0xff, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0);
  const chain: Uint8Array[] = [Uint8Array.of(0, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0)];
  let at = 12 + 11;
  let target = 12;
  for (let i = 0; i < 125; i++) {
    chain.push(link(target));
    target = at;
    at += 14;
  }
  for (let i = 0; i < 4000; i++) chain.push(link(target).subarray(2));
  const wire = concatOctets([wireOf([0, 126 + 4000, 0, 0], ""), ...chain]);
  const message = decode(wire);
  assert.equal(message.answers.length, 4126);
  assert.equal(message.answers.at(-1)?.owner.labelCount, 125);
});

test("a count that promises more than there is is a problem, whatever it promises", () => {
  for (const counts of [
    [65_535, 0, 0, 0],
    [0, 65_535, 0, 0],
    [0, 0, 65_535, 0],
    [0, 0, 0, 65_535],
  ])
    assert.notEqual(problemOf(wireOf(counts, "00 0001 0001")), "no problem");
});

test("owners that point to an earlier owner are the same object", () => {
  const wire = encodeMessage(
    makeMessage({ questions: [question], answers: [address("www.example.", 1), address("WWW.example.", 2)] }),
  );
  const message = decode(wire);
  assert.equal(message.answers[0]?.owner, message.questions[0]?.name);
  assert.equal(message.answers[1]?.owner, message.questions[0]?.name);
});

test("what was decoded does not change with the octets it came from", () => {
  const edns = makeEdns({ options: [makePadding(100)] });
  const key = {
    owner: Name.root,
    type: 65_280,
    class: RRClass.IN,
    ttl: 1,
    rdata: new Uint8Array(100).fill(3),
  };
  const message = makeMessage({ questions: [question], answers: [address("www.example.", 1), key], edns });
  const wire = Buffer.from(encodeMessage(message));
  const read = decode(wire);
  wire.fill(0xff);
  assert.deepEqual(read, message);
});

test("without an own writer every result is a copy", () => {
  const first = encodeMessage(makeMessage({ id: 1 }));
  encodeMessage(makeMessage({ id: 2 }));
  assert.equal(first[1], 1);
});

test("when records do not fit, whole RRsets are left out and TC is set", () => {
  const answers = [address("a.example.", 1), address("b.example.", 2), address("b.example.", 3)];
  const message = makeMessage({
    isResponse: true,
    questions: [question],
    answers,
    authorities: [address("c.example.", 4)],
    additionals: [address("d.example.", 5)],
    edns: makeEdns(),
  });
  const whole = encodeMessage(message);
  assert.deepEqual(decode(encodeMessage(message, { octetsMax: whole.length })), message);
  for (let octetsMax = 0; octetsMax < whole.length; octetsMax++) {
    const cut = decode(encodeMessage(message, { octetsMax }));
    assert.equal(cut.isTruncated, true);
    assert.deepEqual(cut.questions, message.questions);
    assert.deepEqual(cut.edns, message.edns);
    assert.ok([0, 1, 3].includes(cut.answers.length), `${cut.answers.length} answers at ${octetsMax}`);
    assert.deepEqual(cut.answers, answers.slice(0, cut.answers.length));
    if (cut.answers.length < 3) assert.equal(cut.authorities.length, 0);
    if (octetsMax >= 12 + 17 + 11) assert.ok(encodeMessage(message, { octetsMax }).length <= octetsMax);
  }
});

test("padding brings the message to the next multiple of the block [8467-4.1-a 8467-3-a]", () => {
  const message = makeMessage({
    questions: [question],
    edns: makeEdns({ options: [makeKeepalive(undefined)] }),
  });
  const wire = encodeMessage(message, { padBlockOctets: 128 });
  assert.equal(wire.length, 128);
  const options = decode(wire).edns?.options ?? [];
  assert.equal(options.at(-1)?.code, 12);
  assert.ok(options.at(-1)?.data.every((octet) => octet === 0));
});

test("padding is counted without the two length octets of TCP [8467-3-b]", () => {
  const message = makeMessage({ questions: [question], edns: makeEdns() });
  for (const block of [128, 468])
    assert.equal(encodeMessage(message, { padBlockOctets: block }).length % block, 0);
});

test("an empty padding option costs four octets, and without room for it there is no padding [8467-4.1-c]", () => {
  assert.equal(paddingOctets(124, 128, 65_535), 0);
  assert.equal(paddingOctets(125, 128, 65_535), 127);
  assert.equal(paddingOctets(128, 128, 65_535), 124);
  assert.equal(paddingOctets(500, 468, 512), 8);
  assert.equal(paddingOctets(508, 468, 512), 0);
  assert.equal(paddingOctets(509, 468, 512), undefined);
});

test("a padded message never exceeds the size limit [7830-4-a]", () => {
  const message = makeMessage({ questions: [question], edns: makeEdns() });
  const bare = encodeMessage(message).length;
  for (let octetsMax = bare; octetsMax < bare + 6; octetsMax++) {
    const wire = encodeMessage(message, { padBlockOctets: 468, octetsMax });
    assert.equal(wire.length, octetsMax < bare + 4 ? bare : octetsMax);
    decode(wire);
  }
});

test("a message is padded once at most [7830-3-a]", () => {
  const wire = encodeMessage(makeMessage({ edns: makeEdns() }), { padBlockOctets: 128 });
  assert.equal(decode(wire).edns?.options.filter((option) => option.code === 12).length, 1);
});

test("what cannot be written throws", () => {
  const records = new Array<ResourceRecord>(65_535).fill(address(".", 1));
  assert.throws(() => encodeMessage(makeMessage({ answers: records })), RangeError);
  const huge = { ...address(".", 1), type: 99, rdata: new Uint8Array(65_536) };
  assert.throws(() => encodeMessage(makeMessage({ answers: [huge] })), RangeError);
  const edns = makeEdns({ options: [makePadding(65_535), makePadding(65_535)] });
  assert.throws(() => encodeMessage(makeMessage({ edns })), RangeError);
  assert.deepEqual(
    decode(encodeMessage(makeMessage({ id: 9 }))),
    makeMessage({ id: 9 }),
    "the next one is fine",
  );
});

test("malformed rdata of our own making is written as it is", () => {
  const broken = { ...address("a.example.", 1), type: RRType.MX, rdata: Uint8Array.of(0, 1, 5, 0x61) };
  const writer = new OctetWriter();
  const wire = encodeMessage(makeMessage({ answers: [broken] }), { writer });
  assert.deepEqual(wire.subarray(-4), broken.rdata);
});

test("a query is encoded as the message of the same parts is", () => {
  const question = { name: parseName("Www.Example."), type: RRType.AAAA, class: RRClass.IN };
  const option = makeKeepalive(undefined);
  for (const edns of [undefined, makeEdns(), makeEdns({ dnssecOk: true, options: [option] })])
    for (const flags of [0, 1, 2, 4, 7])
      for (const padBlockOctets of [0, 128]) {
        const parts = {
          recursionDesired: (flags & 1) !== 0,
          checkingDisabled: (flags & 2) !== 0,
          authenticData: (flags & 4) !== 0,
          edns,
        };
        const expected = encodeMessage(makeMessage({ ...parts, questions: [question] }), { padBlockOctets });
        assert.deepEqual(encodeQuery({ ...parts, question }, padBlockOctets), expected);
      }
});
