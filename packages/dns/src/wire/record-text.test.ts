import assert from "node:assert/strict";
import { test } from "node:test";
import { RRClass } from "./iana/rr-class.ts";
import { parseName } from "./name.ts";
import { parseRecord, recordToText, tryParseRecord } from "./record-text.ts";

test("a record is one line of five columns", () => {
  const record = parseRecord("www.example. 300 IN A 192.0.2.1");
  assert.deepEqual(record, {
    owner: parseName("www.example."),
    type: 1,
    class: 1,
    ttl: 300,
    rdata: Uint8Array.of(192, 0, 2, 1),
  });
  assert.equal(recordToText(record), "www.example.\t300\tIN\tA\t192.0.2.1");
});

test("TTL and class stand in either order, and the class may be left out", async (context) => {
  for (const text of [
    "www.example. 5m IN A 192.0.2.1",
    "www.example. IN 300 A 192.0.2.1",
    "www.example. 300 A 192.0.2.1",
    "www.example.\tin 300 a 192.0.2.1 ; comment",
    "www.example. 300 CLASS1 TYPE1 192.0.2.1",
    "www.example. 300 IN TYPE1 \\# 4 c0000201",
    "www.example. 300 A ( 192.0.2.1\n )\n",
  ]) {
    await context.test(text, () =>
      assert.equal(recordToText(parseRecord(text)), "www.example.\t300\tIN\tA\t192.0.2.1"),
    );
  }
});

test("what is left out comes from the options", () => {
  const origin = parseName("example.");
  const record = parseRecord("www CNAME web", { origin, ttl: 7, class: RRClass.CH });
  assert.equal(recordToText(record), "www.example.\t7\tCH\tCNAME\tweb.example.");
});

test("unknown types and classes have the generic form", () => {
  const text = "a.example.\t1\tCLASS77\tTYPE65280\t\\# 3 ABCDEF";
  assert.equal(recordToText(parseRecord(text)), text);
  assert.equal(
    recordToText(parseRecord("a.example. 1 CH TYPE65280 \\# 0")),
    "a.example.\t1\tCH\tTYPE65280\t\\# 0",
  );
});

test("ANY is a class in a record and never its type", () => {
  assert.equal(parseRecord("a.example. 0 ANY A 192.0.2.1").class, RRClass.ANY);
  assert.equal(tryParseRecord("a.example. 0 IN ANY").ok, false);
});

test("texts that are not one record are problems", async (context) => {
  const bad: readonly (readonly [string, RegExp])[] = [
    ["", /empty text/],
    ["; only a comment", /empty text/],
    ["www.example. 300 IN A 192.0.2.1\nwww.example. 300 IN A 192.0.2.2", /more than one record/],
    ["www.example.", /no type/],
    ["www.example. 300 IN", /no type/],
    ["www.example. A 192.0.2.1", /no TTL/],
    ["www.example. 300 IN CH A 192.0.2.1", /"CH" is not a TTL, class or type/],
    ["www.example. 300 300 A 192.0.2.1", /"300" is not a TTL, class or type/],
    ["www.example. 300 NONSENSE 1", /"NONSENSE" is not a TTL, class or type/],
    ["www.example. 9999999999 A 192.0.2.1", /over 2147483647/],
    ["www.example. 300 A 192.0.2.256", /^A www.example.: /],
    ["www.example. 300 A", /^A www.example.: /],
    ["www.example. 300 A 192.0.2.1 192.0.2.2", /^A www.example.: /],
    ["www..example. 300 A 192.0.2.1", /empty label/],
    ["www.example. 300 TYPE65280 abc", /\\#/],
    ["www.example. 300 TYPE65536 \\# 0", /not a TTL, class or type/],
    ["www.example. 300 OPT \\# 0", /no record can be of type OPT/],
    ["www.example. 300 A ( 192.0.2.1", /never closed/],
  ];
  for (const [text, wrong] of bad) {
    await context.test(text.slice(0, 50), () => {
      const record = tryParseRecord(text);
      assert.ok(!record.ok);
      assert.match(record.problem, wrong);
      assert.throws(() => parseRecord(text), RangeError);
    });
  }
});
