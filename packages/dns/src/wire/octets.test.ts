import assert from "node:assert/strict";
import { test } from "node:test";
import { copyOctets, newOctets } from "./copy-octets.ts";
import { octetsToHex, tryHexToOctets } from "./hex.ts";
import { parseName } from "./name.ts";
import {
  concatOctets,
  OctetReader,
  OctetWriter,
  octetsEqual,
  setUint32,
  uint16At,
  uint32At,
} from "./octets.ts";

test("numbers are read and written in network byte order", () => {
  const writer = new OctetWriter(1);
  writer.uint8(0x01);
  writer.uint16(0x0203);
  writer.uint32(0xfffefdfc);
  writer.uint48(0x1234_5678_9abc);
  const octets = writer.finish();
  assert.equal(octetsToHex(octets), "010203fffefdfc123456789abc");
  const reader = new OctetReader(octets);
  assert.equal(reader.uint8(), 0x01);
  assert.equal(reader.uint16(), 0x0203);
  assert.equal(reader.uint32(), 0xfffefdfc);
  assert.equal(reader.uint48(), 0x1234_5678_9abc);
  assert.equal(reader.remaining, 0);
  assert.equal(reader.problem, undefined);
});

test("reading past the end fails once and gives zeros from then on", () => {
  const reader = new OctetReader(Uint8Array.of(1, 2, 3));
  assert.equal(reader.uint16(), 0x0102);
  assert.equal(reader.uint16(), 0);
  assert.equal(reader.problem, "ends too early");
  reader.fail("something else");
  assert.equal(reader.problem, "ends too early");
  assert.equal(reader.uint8(), 0);
  assert.equal(reader.take(1).length, 0);
  assert.equal(reader.rest().length, 0);
  assert.equal(reader.name().isRoot, true);
});

test("a reader stops at its end, and its names may point back before its start", () => {
  const octets = Uint8Array.of(1, 0x61, 0, 1, 0x62, 0xc0, 0, 9, 9);
  const reader = new OctetReader(octets, 3, 7);
  assert.equal(reader.name().toString(), "b.a.");
  assert.equal(reader.remaining, 0);
  const plain = new OctetReader(octets, 3, 7);
  plain.plainName();
  assert.equal(plain.problem, "compression pointer where none is allowed");
});

test("fields can be stepped over without being read", () => {
  const reader = new OctetReader(Uint8Array.of(9, 9, 1, 0x61, 0, 7));
  reader.skip(2);
  reader.skipPlainName();
  assert.equal(reader.uint8(), 7);
  reader.skip(1);
  assert.equal(reader.problem, "ends too early");
  const compressed = new OctetReader(Uint8Array.of(0, 0xc0, 0), 1);
  compressed.skipPlainName();
  assert.equal(compressed.problem, "compression pointer where none is allowed");
});

test("octets past the end count as zero", () => {
  assert.equal(uint16At(Uint8Array.of(1), 0), 0x0100);
  assert.equal(uint32At(Uint8Array.of(0xff), 0), 0xff000000);
  const four = new Uint8Array(4);
  setUint32(four, 0, 0xdeadbeef);
  assert.equal(uint32At(four, 0), 0xdeadbeef);
});

test("octets are joined and compared by value", () => {
  const joined = concatOctets([Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)]);
  assert.ok(octetsEqual(joined, Uint8Array.of(1, 2, 3)));
  assert.ok(!octetsEqual(joined, Uint8Array.of(1, 2)));
  assert.ok(!octetsEqual(joined, Uint8Array.of(1, 2, 4)));
});

test("a writer grows, starts again and gives copies", () => {
  const writer = new OctetWriter(2);
  writer.octets(new Uint8Array(100).fill(7));
  const first = writer.finish();
  writer.reset();
  writer.zeros(100);
  assert.ok(first.every((octet) => octet === 7));
  assert.equal(writer.view().length, 100);
  assert.ok(writer.view().every((octet) => octet === 0));
});

test("a repeated name becomes a pointer, a shared suffix too, in any case", () => {
  const writer = new OctetWriter();
  const name = parseName("www.example.");
  writer.name(name);
  writer.name(name);
  writer.name(parseName("WWW.EXAMPLE."));
  writer.name(parseName("ftp.Example."));
  writer.name(parseName("example."));
  writer.name(parseName("."));
  assert.equal(octetsToHex(writer.finish()), `${octetsToHex(name.wire)}c000c00003667470c004c00400`);
});

test("names past offset 16383 are no targets, but may point", () => {
  const writer = new OctetWriter();
  writer.name(parseName("example."));
  writer.zeros(0x3fff - writer.length);
  const atLimit = parseName("at.limit.");
  const over = parseName("over.it.");
  writer.name(atLimit);
  writer.name(over);
  const from = writer.length;
  writer.name(atLimit);
  assert.equal(writer.length - from, 2);
  writer.name(over);
  assert.equal(writer.length - from, 2 + over.wire.length);
  writer.name(parseName("limit."));
  assert.equal(writer.length - from, 2 + over.wire.length + 7, "its own offset is over the limit");
  writer.name(parseName("x.example."));
  assert.deepEqual(writer.view().subarray(-4), Uint8Array.of(1, 0x78, 0xc0, 0));
});

test("truncating forgets the names behind the cut and keeps those before it", () => {
  const writer = new OctetWriter();
  writer.name(parseName("a.example."));
  const kept = writer.length;
  writer.name(parseName("b.test."));
  writer.truncate(kept);
  writer.name(parseName("b.test."));
  assert.equal(writer.length - kept, 8);
  writer.name(parseName("c.example."));
  assert.deepEqual(writer.view().subarray(-4), Uint8Array.of(1, 0x63, 0xc0, 2));
});

test("more names than the table holds are still written right", () => {
  const writer = new OctetWriter();
  const names = Array.from({ length: 3000 }, (_, i) => parseName(`${i}.x.`));
  for (const name of names) writer.name(name);
  const octets = writer.finish();
  const reader = new OctetReader(octets);
  for (const name of names) assert.ok(reader.name().equals(name));
  assert.equal(reader.remaining, 0);
  assert.ok(octets.length < 3000 * 9, "the common suffix is compressed");
});

test("names that differ only where the hash does not look are not mistaken for each other", () => {
  const writer = new OctetWriter();
  const names = Array.from({ length: 60 }, (_, i) =>
    parseName(`a${String(i).padStart(3, "0")}xxxxxxxx.test.`),
  );
  for (const name of names) writer.name(name);
  const reader = new OctetReader(writer.finish());
  for (const name of names) assert.equal(reader.name().toString(), name.toString());
});

test("copies are independent of their source, whatever its kind and their length", () => {
  for (const length of [0, 1, 64, 65, 300, 1024, 1025, 70_000]) {
    for (const source of [new Uint8Array(length + 2).fill(5), Buffer.alloc(length + 2, 5)]) {
      const copy = copyOctets(source, 1, length + 1);
      source.fill(9);
      assert.equal(copy.length, length);
      assert.ok(copy.every((octet) => octet === 5));
      assert.equal(Object.getPrototypeOf(copy), Uint8Array.prototype);
    }
  }
});

test("new octets are zero and never handed out twice", () => {
  const pieces = Array.from({ length: 200 }, (_, i) => newOctets(65 + i));
  for (const [i, piece] of pieces.entries()) {
    assert.ok(piece.every((octet) => octet === 0));
    piece.fill(i);
  }
  for (const [i, piece] of pieces.entries()) assert.ok(piece.every((octet) => octet === i));
});

test("a slab that was transferred away is replaced", () => {
  const piece = newOctets(100);
  assert.ok(piece.buffer instanceof ArrayBuffer);
  structuredClone(piece, { transfer: [piece.buffer] });
  assert.equal(newOctets(100).length, 100);
});

test("hexadecimal text is pairs of digits of either case", () => {
  assert.deepEqual(tryHexToOctets("00fFAb"), { ok: true, value: Uint8Array.of(0, 255, 0xab) });
  for (const text of ["0", "0g", "0x00", " 00"]) assert.equal(tryHexToOctets(text).ok, false, text);
});
