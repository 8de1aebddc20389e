import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { concatOctets, parseName } from "@sotto/dns/wire";
import { type NameReach, NameSet } from "./name-set.ts";

function setOf(...names: readonly (readonly [string, NameReach, number?])[]): NameSet {
  const set = new NameSet(new SeededRandom(7));
  for (const [text, reach, number] of names) {
    const { wire } = parseName(text);
    set.add(wire, 0, wire.length, reach, number);
  }
  return set;
}

function find(set: NameSet, text: string): number {
  return set.find(parseName(text).wire, 0);
}

test("an entry stands for itself, for what is below, or for both", () => {
  const set = setOf(["one.example.", "exact"], ["two.example.", "below"], ["three.example.", "suffix"]);
  const found = [
    "one.example.",
    "a.one.example.",
    "two.example.",
    "a.two.example.",
    "b.a.two.example.",
    "three.example.",
    "a.three.example.",
    "nthree.example.",
    "example.",
    ".",
  ].filter((name) => find(set, name) !== 0);
  assert.deepEqual(found, [
    "one.example.",
    "a.two.example.",
    "b.a.two.example.",
    "three.example.",
    "a.three.example.",
  ]);
});

test("case does not matter, and other octets are not taken for letters (RFC 4343 §3)", () => {
  const set = setOf(["Ads.EXAMPLE.", "exact"], ["\\@.example.", "exact"]);
  assert.equal(find(set, "aDS.example."), 1);
  assert.equal(find(set, "\\@.example."), 1);
  // 0x40 and 0x60 differ in the bit by which letters do.
  assert.equal(find(set, "\\096.example."), 0);
});

test("the longest entry counts, and the first number of a name stays", () => {
  const set = setOf(
    ["example.", "suffix", 5],
    ["deep.example.", "below", 6],
    ["deep.example.", "exact", 7],
    ["deep.example.", "suffix", 8],
    ["a.deep.example.", "exact"],
  );
  const numbers = ["x.example.", "deep.example.", "x.deep.example.", "a.deep.example.", "x.a.deep.example."];
  assert.deepEqual(
    numbers.map((name) => find(set, name)),
    [5, 7, 6, 1, 6],
  );
  assert.equal(set.size, 3);
});

test("an entry of two kinds keeps both, in whatever order they come", () => {
  assert.equal(find(setOf(["a.example.", "exact"], ["a.example.", "below", 9]), "a.example."), 1);
  assert.equal(find(setOf(["a.example.", "exact"], ["a.example.", "below", 9]), "b.a.example."), 9);
  assert.equal(find(setOf(["a.example.", "below", 9], ["a.example.", "exact"]), "a.example."), 1);
  assert.equal(find(setOf(["a.example.", "below"], ["a.example.", "exact", 4]), "b.a.example."), 1);
});

test("the root can be an entry, for itself and for all names", () => {
  assert.equal(find(setOf([".", "suffix"]), "."), 1);
  assert.equal(find(setOf([".", "suffix"]), "a.b.c."), 1);
  assert.equal(find(setOf([".", "exact"]), "a."), 0);
});

test("a name is found wherever it stands in a message", () => {
  const set = setOf(["a.example.", "exact"]);
  const octets = concatOctets([new Uint8Array(70_000), parseName("A.example.").wire]);
  assert.equal(set.find(octets, 70_000), 1);
});

test("a name of 127 labels is walked to its end", () => {
  const name = "a.".repeat(127);
  const set = setOf([name, "exact", 3]);
  assert.equal(find(set, name), 3);
  assert.equal(find(set, "a.".repeat(126)), 0);
});

for (const seed of [1, 2, 3, 4]) {
  test(`a set finds what a plain list finds, seed ${seed}`, () => {
    const random = new SeededRandom(seed);
    const set = new NameSet(random);
    const exact = new Map<string, number>();
    const below = new Map<string, number>();
    // Few labels, so that names are above and below each other, and many names, so that all tables grow.
    const labels = Array.from({ length: 12 }, (_, i) => String.fromCharCode(97 + i).repeat(1 + (i % 3)));
    const draw = (): string =>
      Array.from({ length: 1 + random.below(5) }, () => labels[random.below(12)] ?? "").join(".");
    for (let i = 0; i < 20_000; i++) {
      const name = draw();
      const reach = (["exact", "below", "suffix"] as const)[random.below(3)] ?? "exact";
      const number = random.chance(0.7) ? 1 : 1 + random.below(1000);
      const { wire } = parseName(`${name}.`);
      set.add(wire, 0, wire.length, reach, number);
      if (reach !== "below" && !exact.has(name)) exact.set(name, number);
      if (reach !== "exact" && !below.has(name)) below.set(name, number);
    }
    const expected = (name: string): number => {
      const own = exact.get(name);
      if (own !== undefined) return own;
      for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
        const above = below.get(name.slice(dot + 1));
        if (above !== undefined) return above;
      }
      return 0;
    };
    for (let i = 0; i < 20_000; i++) {
      const name = draw();
      assert.equal(find(set, `${name.toUpperCase()}.`), expected(name), name);
    }
    assert.equal(set.size, new Set([...exact.keys(), ...below.keys()]).size);
  });
}

for (const seed of [5, 6]) {
  test(`a large set of names that share their ends finds what a plain list finds, seed ${seed}`, () => {
    const random = new SeededRandom(seed);
    const set = new NameSet(random);
    const numbers = new Map<string, number>();
    // A hundred tops and thousands of names right below them, with all that links and numbers there are.
    const draw = (): string => {
      const top = `t${random.below(100)}`;
      const second = random.chance(0.5) ? `s${random.below(3000)}.${top}` : top;
      const name = random.chance(0.9) ? `host-${random.below(40_000)}.${second}` : second;
      return random.chance(0.2) ? `a.b.${name}` : name;
    };
    for (let i = 0; i < 60_000; i++) {
      const name = draw();
      const number = random.chance(0.8) ? 1 : 1 + random.below(random.chance(0.5) ? 255 : 100_000);
      const { wire } = parseName(`${name}.`);
      set.add(wire, 0, wire.length, "exact", number);
      if (!numbers.has(name)) numbers.set(name, number);
    }
    for (const [name, number] of numbers) assert.equal(find(set, `${name.toUpperCase()}.`), number, name);
    for (let i = 0; i < 60_000; i++) {
      const name = draw();
      assert.equal(find(set, `${name}.`), numbers.get(name) ?? 0, name);
    }
    assert.equal(set.size, numbers.size);
  });
}

test("a name of one label counts for what is below it, whenever it comes", () => {
  const set = setOf(["a.example.", "exact", 3], ["b.test.", "exact", 4]);
  assert.equal(find(set, "x.test."), 0);
  const { wire } = parseName("test.");
  set.add(wire, 0, wire.length, "suffix", 5);
  const names = [
    "test.",
    "x.test.",
    "b.test.",
    "x.b.test.",
    "a.example.",
    "x.example.",
    "example.",
    "invalid.",
  ];
  assert.deepEqual(
    names.map((name) => find(set, name)),
    [5, 5, 4, 5, 3, 0, 0, 0],
  );
});

test("numbers of a name may grow from one octet to four", () => {
  const set = setOf(["a.example.", "exact"], ["a.example.", "below", 9], ["b.example.", "exact", 255]);
  assert.deepEqual([find(set, "a.example."), find(set, "x.a.example.")], [1, 9]);
  const { wire } = parseName("b.example.");
  assert.equal(set.add(wire, 0, wire.length, "below", 256), "added");
  assert.equal(set.add(wire, 0, wire.length, "below", 7), "known");
  assert.deepEqual([find(set, "b.example."), find(set, "x.b.example.")], [255, 256]);
  assert.equal(set.size, 2);
});

test("two hundred thousand names take less than 32 bytes each and are all found", () => {
  const set = new NameSet(new SeededRandom(11));
  for (let i = 0; i < 200_000; i++) {
    const { wire } = parseName(`name-${i}.example-${i % 1000}.com.`);
    assert.equal(set.add(wire, 0, wire.length, "suffix"), "added");
  }
  assert.equal(set.size, 200_000);
  assert.ok(set.bytes < 200_000 * 32, `${set.bytes} bytes`);
  for (let i = 0; i < 200_000; i += 997) assert.equal(find(set, `name-${i}.example-${i % 1000}.com.`), 1);
  assert.equal(find(set, "name-200000.example-0.com."), 0);
});
