import assert from "node:assert/strict";
import { test } from "node:test";
import { tryHexToOctets } from "./hex.ts";
import {
  labelToText,
  NAME_OCTETS_MAX,
  Name,
  parseName,
  readEscape,
  skipName,
  tryParseName,
  tryReadName,
} from "./name.ts";

function octets(hex: string): Uint8Array {
  const read = tryHexToOctets(hex.replaceAll(" ", ""));
  assert.ok(read.ok);
  return read.value;
}

/** The problem of reading a name at `offset`, or its text. */
function readAt(message: Uint8Array, offset: number): string {
  const read = tryReadName(message, offset);
  return read.ok ? `${read.value.name.toString()} ${read.value.next}` : read.problem;
}

/** 255 octets: three labels of 63, one of 61, the root. */
const longest = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}.`;

test("text and wire form stand for each other", async (context) => {
  const names: readonly (readonly [string, string])[] = [
    [".", "00"],
    ["a.", "0161 00"],
    ["www.Example.", "03777777 074578616d706c65 00"],
    ["a\\.b.example.", "03612e62 076578616d706c65 00"],
    ["\\000\\255\\032.", "0300ff20 00"],
    ['\\@\\$\\(\\)\\;\\"\\\\.', "0740 24 28 29 3b 22 5c 00"],
    ["*.example.", "012a 076578616d706c65 00"],
  ];
  for (const [text, hex] of names) {
    await context.test(text, () => {
      assert.deepEqual(parseName(text).wire, octets(hex));
      assert.equal(new Name(octets(hex)).toString(), text);
      assert.equal(JSON.stringify(new Name(octets(hex))), JSON.stringify(text));
    });
  }
});

test("a name without a final dot is relative to its origin, and @ is the origin", () => {
  const origin = parseName("example.");
  assert.equal(parseName("www", origin).toString(), "www.example.");
  assert.equal(parseName("www.", origin).toString(), "www.");
  assert.equal(parseName("@", origin), origin);
  assert.equal(parseName("\\@", origin).toString(), "\\@.example.");
  assert.equal(parseName("www").toString(), "www.");
});

test("bad names in text are problems", async (context) => {
  const bad: readonly (readonly [string, RegExp])[] = [
    ["", /empty/],
    ["..", /empty label/],
    [".a", /empty label/],
    ["a..b", /empty label/],
    ["a".repeat(64), /more than 63 octets/],
    [`e.${longest}`, /longer than 255/],
    ["a\\", /bad escape/],
    ["\\256", /bad escape/],
    ["\\25", /bad escape/],
    ["\\2x5", /bad escape/],
    ["b\u00fccher.example.", /A-label/],
    ["\u{1f600}.", /A-label/],
    ["\\\u00fc.", /bad escape/],
  ];
  for (const [text, wrong] of bad) {
    await context.test(JSON.stringify(text.slice(0, 20)), () => {
      const name = tryParseName(text);
      assert.ok(!name.ok);
      assert.match(name.problem, wrong);
      assert.throws(() => parseName(text), RangeError);
    });
  }
});

test("a name of 255 octets is a name, one of 256 is not", () => {
  assert.equal(parseName(longest).wire.length, NAME_OCTETS_MAX);
  assert.equal(tryParseName(longest.replace(/d\.$/, "dd.")).ok, false);
  assert.equal(readAt(parseName(longest).wire, 0), `${longest} 255`);
  const tooLong = new Uint8Array(256);
  for (let at = 0; at < 254; at += 2) tooLong.set([1, 0x61], at);
  assert.equal(readAt(tooLong, 0), `${"a.".repeat(127)} 255`);
  tooLong.set([2, 0x61, 0x61], 252);
  assert.equal(readAt(tooLong, 0), "name is longer than 255 octets");
});

test("pointers are followed backwards, and the name ends behind the first of them", () => {
  //           0: example.            9: www -> 0       15: -> 9
  const message = octets("076578616d706c6500 03777777c000 c009");
  assert.equal(readAt(message, 9), "www.example. 15");
  assert.equal(readAt(message, 15), "www.example. 17");
});

test("pointers to nowhere good are problems", async (context) => {
  const bad: readonly (readonly [string, string, number, string])[] = [
    ["to itself", "c000", 0, "compression pointer does not point backwards"],
    ["forwards", "c0020000", 0, "compression pointer does not point backwards"],
    ["a loop of two", "0161c003 0162c000", 0, "compression pointer does not point backwards"],
    ["into its own labels", "0161 0162 c000", 0, "compression pointer does not point backwards"],
    ["behind its own start", "00 0161 0162 c003", 1, "compression pointer does not point backwards"],
    ["to labels that run into the pointer", "05 0161 c000", 1, "label runs past the end"],
    ["cut in half", "00 c0", 1, "compression pointer runs past the end"],
    ["of label type 01", "40", 0, "label type is unknown"],
    ["of label type 10", "80", 0, "label type is unknown"],
  ];
  for (const [title, hex, offset, wrong] of bad) {
    await context.test(title, () => assert.equal(readAt(octets(hex), offset), wrong));
  }
});

test("at most 126 pointers are followed", () => {
  const chain = (length: number): Uint8Array => {
    const message = new Uint8Array(1 + 2 * length);
    for (let i = 0; i < length; i++) {
      const target = i === 0 ? 0 : 1 + 2 * (i - 1);
      message.set([0xc0 | (target >>> 8), target & 0xff], 1 + 2 * i);
    }
    return message;
  };
  assert.equal(readAt(chain(126), 1 + 2 * 125), `. ${1 + 2 * 126}`);
  assert.equal(readAt(chain(127), 1 + 2 * 126), "too many compression pointers");
});

test("a name that is cut anywhere is a problem, not an exception", () => {
  const whole = octets("076578616d706c6500 03777777c000");
  for (let end = 0; end < 9; end++) assert.equal(tryReadName(whole.subarray(0, end), 0).ok, false, `${end}`);
  for (let end = 9; end < 15; end++) assert.equal(tryReadName(whole.subarray(0, end), 9).ok, false, `${end}`);
  assert.equal(tryReadName(whole, 99).ok, false);
});

test("what was read does not change with the message it came from", () => {
  const message = Buffer.from(parseName("www.example.").wire);
  const read = tryReadName(message, 0);
  assert.ok(read.ok);
  message.fill(0x7a);
  assert.equal(read.value.name.toString(), "www.example.");
});

test("a name can be skipped without being read", () => {
  const message = octets("076578616d706c6500 03777777c000");
  assert.equal(skipName(message, 0, message.length), 9);
  assert.equal(skipName(message, 9, message.length), 15);
  assert.equal(skipName(message, 0, 8), -1);
  assert.equal(skipName(message, 9, 14), -1);
  assert.equal(skipName(octets("41"), 0, 1), -1);
  assert.equal(skipName(message, 15, 15), -1);
});

test("names are equal without regard to ASCII case only", () => {
  assert.ok(parseName("WwW.ExAmPlE.").equals(parseName("www.example.")));
  assert.ok(!parseName("a.example.").equals(parseName("b.example.")));
  assert.ok(!parseName("\\224.").equals(parseName("\\192.")));
  assert.ok(!parseName("[.").equals(parseName("{.")));
  assert.equal(parseName("WWW.").key, parseName("www.").key);
  assert.equal(parseName("WWW.").toString(), "WWW.");
  assert.equal(parseName("WWW.").toLowerCase().toString(), "www.");
});

test("a key with something before it tells names and that apart, and not case", () => {
  const keys = [parseName("a.example.").keyWith(1, 0, 255), parseName("A.EXAMPLE.").keyWith(1, 0, 255)];
  assert.equal(keys[0], keys[1]);
  assert.equal(keys[0], `\u0001\u0000\u00ff${parseName("a.example.").key}`);
  assert.notEqual(keys[0], parseName("a.example.").keyWith(1, 1, 255));
});

test("ancestors are compared by labels", () => {
  const example = parseName("example.");
  assert.ok(parseName("www.EXAMPLE.").isBelow(example));
  assert.ok(example.isAtOrBelow(example));
  assert.ok(!example.isBelow(example));
  assert.ok(!parseName("notexample.").isAtOrBelow(example));
  assert.ok(!parseName("x\\.example.").isAtOrBelow(example));
  assert.ok(!parseName("x\\007example.").isAtOrBelow(example));
  assert.ok(example.isAtOrBelow(Name.root));
  assert.ok(!Name.root.isAtOrBelow(example));
});

test("parents and suffixes end at the root", () => {
  const name = parseName("a.b.c.");
  assert.equal(name.labelCount, 3);
  assert.deepEqual(
    name.labels().map((label) => labelToText(label)),
    ["a", "b", "c"],
  );
  assert.equal(name.parent().toString(), "b.c.");
  assert.equal(name.suffix(1).toString(), "c.");
  assert.equal(name.suffix(0), Name.root);
  assert.equal(name.suffix(9), name);
  assert.equal(Name.root.parent(), Name.root);
  assert.equal(Name.root.labelCount, 0);
});

test("labels are prepended up to the limits", () => {
  const label = new Uint8Array(63).fill(0x61);
  const longer = parseName("example.").tryPrepend(label);
  assert.ok(longer.ok);
  assert.equal(longer.value.toString(), `${"a".repeat(63)}.example.`);
  assert.equal(parseName("example.").tryPrepend(new Uint8Array(64)).ok, false);
  assert.equal(parseName("example.").tryPrepend(new Uint8Array(0)).ok, false);
  assert.equal(parseName(longest).tryPrepend(Uint8Array.of(0x61)).ok, false);
});

test("a suffix is replaced as DNAME does it", () => {
  const from = parseName("old.example.");
  const to = parseName("new.test.");
  assert.equal(parseName("a.b.OLD.example.").replaceSuffix(from, to)?.toString(), "a.b.new.test.");
  assert.equal(from.replaceSuffix(from, to)?.toString(), "new.test.");
  assert.equal(parseName("other.example.").replaceSuffix(from, to), undefined);
  assert.equal(
    parseName(`x.${"y".repeat(60)}.old.example.`).replaceSuffix(from, parseName(longest)),
    undefined,
  );
});

test("names sort as in the example of RFC 4034 §6.1", () => {
  const sorted = [
    "example.",
    "a.example.",
    "yljkjljk.a.example.",
    "Z.a.example.",
    "zABC.a.EXAMPLE.",
    "z.example.",
    "\\001.z.example.",
    "*.z.example.",
    "\\200.z.example.",
  ].map((text) => parseName(text));
  for (const [i, name] of sorted.entries()) {
    for (const [k, other] of sorted.entries()) assert.equal(Math.sign(name.compare(other)), Math.sign(i - k));
  }
});

test("an escape is three digits up to 255 or one other character", () => {
  assert.deepEqual(readEscape("\\065", 0), { octet: 65, length: 4 });
  assert.deepEqual(readEscape("x\\.", 1), { octet: 0x2e, length: 2 });
  for (const text of ["\\", "\\1", "\\12", "\\256", "\\1a2"])
    assert.equal(readEscape(text, 0), undefined, text);
});
