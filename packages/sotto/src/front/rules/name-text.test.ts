import assert from "node:assert/strict";
import { test } from "node:test";
import { concatOctets, NAME_OCTETS_MAX, parseName } from "@sotto/dns/wire";
import { NameText, ROOT } from "./name-text.ts";

/** Writes the labels of a name before what is at `rest`, and gives where it is. */
function put(text: NameText, labels: string, rest: number): number {
  const { wire } = parseName(`${labels}.`);
  const ref = text.append(0, wire, 0, wire.length - 1, rest);
  assert.ok(ref !== undefined);
  return ref;
}

function isAt(text: NameText, ref: number, name: string): boolean {
  const { wire } = parseName(name);
  return text.isAt(ref, wire, 0, wire.length, 0, ROOT);
}

test("a name is its first labels and what it is linked to, in whatever case", () => {
  const text = new NameText();
  const top = put(text, "EXAMPLE", ROOT);
  const ref = put(text, "a.b", put(text, "c", top));
  assert.ok(isAt(text, ref, "a.B.c.example."));
  for (const other of ["a.b.c.", "a.b.c.exampl.", "a.b.c.example.d.", "a.b.example.", "a.b.d.example.", "."])
    assert.ok(!isAt(text, ref, other), other);
});

test("who knows what is above needs no look at it", () => {
  const text = new NameText();
  const top = put(text, "example", ROOT);
  const ref = put(text, "a", top);
  // Nothing is looked at from octet 2 on.
  const { wire } = parseName("a.invalid.");
  assert.ok(text.isAt(ref, wire, 0, wire.length, 2, top));
  assert.ok(!text.isAt(ref, wire, 0, wire.length, 2, top + 1));
});

test("all octets of labels are told from links", () => {
  const text = new NameText();
  const label = Uint8Array.from({ length: 63 }, (_, i) => i);
  for (const first of [0, 63, 126, 189]) {
    const wire = concatOctets([Uint8Array.of(63), label.map((octet) => octet + first), Uint8Array.of(0)]);
    const ref = text.append(0, wire, 0, wire.length - 1, ROOT);
    assert.ok(ref !== undefined && text.isAt(ref, wire, 0, wire.length, 0, ROOT));
    const other = wire.slice();
    other[40] = (other[40] ?? 0) ^ 0x80;
    assert.ok(!text.isAt(ref, other, 0, other.length, 0, ROOT));
  }
});

test("links of one, two and four octets lead to the same names", () => {
  const text = new NameText();
  const tops = Array.from({ length: 3000 }, (_, i) => [`top${i}`, put(text, `top${i}`, ROOT)] as const);
  const lengths = new Set<number>();
  for (const [name, top] of tops)
    for (let i = 0; i < 8; i++) {
      lengths.add(text.linkOctets(top));
      assert.ok(isAt(text, put(text, `n${i}`, top), `n${i}.${name}.`), `n${i}.${name}`);
    }
  assert.deepEqual([...lengths].sort(), [1, 2, 4]);
  assert.equal(text.linkOctets(ROOT), 1);
});

test("a copy has all labels", () => {
  const text = new NameText();
  const ref = put(text, "a.b", put(text, "c.d", put(text, "example", ROOT)));
  const into = new Uint8Array(NAME_OCTETS_MAX);
  text.copy(ref, into);
  const { wire } = parseName("a.b.c.d.example.");
  assert.deepEqual(into.subarray(0, wire.length), wire);
});

test("numbers before a name do not touch its neighbours", () => {
  const text = new NameText();
  const { wire } = parseName("a.example.");
  const refs = [0, 8, 2, 0].map((head) => text.append(head, wire, 0, wire.length - 1, ROOT) ?? 0);
  const [, long = 0, short = 0] = refs;
  text.writeBefore(long, 8, true, 0xffff_ffff);
  text.writeBefore(long, 4, true, 7);
  text.writeBefore(short, 2, false, 255);
  text.writeBefore(short, 1, false, 9);
  assert.deepEqual([text.numberBefore(long, 8, true), text.numberBefore(long, 4, true)], [0xffff_ffff, 7]);
  assert.deepEqual([text.numberBefore(short, 2, false), text.numberBefore(short, 1, false)], [255, 9]);
  for (const ref of refs) assert.ok(isAt(text, ref, "a.example."));
});
