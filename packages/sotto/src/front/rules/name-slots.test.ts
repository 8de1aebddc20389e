import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { NameSlots } from "./name-slots.ts";

/** All values with a hash, and others that look like it, in their order. */
function valuesOf(slots: NameSlots, hash: number): number[] {
  const values: number[] = [];
  for (let value = slots.first(hash); value !== 0; value = slots.next(hash)) values.push(value & VALUE_MASK);
  return values.sort((one, other) => one - other);
}

const VALUE_MASK = 0x7ff_ffff;

function hashOf(value: number): number {
  return Math.imul(value, 0x9e37_79b1) ^ 0x1234_5678;
}

test("what was put in is found, through all growth and when the one shard becomes many", () => {
  const slots = new NameSlots();
  for (let value = 1; value <= 120_000; value++) {
    if (slots.wantsSpread) slots.spread((one) => hashOf(one & VALUE_MASK));
    assert.ok(slots.put(hashOf(value), value));
    if (value % 2048 === 0)
      for (let one = 1; one <= value; one += 97)
        assert.ok(valuesOf(slots, hashOf(one)).includes(one), `${one} of ${value}`);
  }
  for (let value = 1; value <= 120_000; value++) assert.ok(valuesOf(slots, hashOf(value)).includes(value));
  assert.ok(slots.bytes < 120_000 * 11, `${slots.bytes} bytes`);
});

for (const [title, hash] of [
  ["smallest", 0],
  ["middle", 0x0080_0000],
  ["largest", 0x00ff_ff00],
] as const)
  test(`many values with the ${title} hash are all found, and nothing else`, () => {
    const slots = new NameSlots();
    const values = Array.from({ length: 1500 }, (_, i) => i + 1);
    for (const value of values) assert.ok(slots.put(hash, value));
    assert.deepEqual(valuesOf(slots, hash), values);
    assert.deepEqual(valuesOf(slots, hash ^ 0x0010_0000), []);
  });

test("values with few hashes near the end are found when the shard is laid out with fewer homes", () => {
  const random = new SeededRandom(5);
  const slots = new NameSlots();
  const expected = new Map<number, number[]>();
  for (let value = 1; value <= 4000; value++) {
    const hash = random.chance(0.9)
      ? 0x00ff_f000 + (random.below(16) << 8)
      : random.below(0x100_0000) & ~0xff;
    assert.ok(slots.put(hash, value));
    expected.set(hash, [...(expected.get(hash) ?? []), value]);
  }
  for (const [hash, values] of expected) assert.deepEqual(valuesOf(slots, hash), values);
});

test("a shard that is full says so, and keeps what it has", () => {
  const slots = new NameSlots();
  let count = 0;
  while (count < 100_000 && slots.put((count & 0xffff) << 8, count + 1)) count++;
  assert.ok(count > 50_000 && count < 65_536, `${count} values`);
  for (let i = 0; i < count; i += 101) assert.ok(valuesOf(slots, (i & 0xffff) << 8).includes(i + 1));
});

test("a value can be replaced where it was found", () => {
  const slots = new NameSlots();
  for (let value = 1; value <= 300; value++) slots.put(hashOf(value), value);
  assert.notEqual(slots.first(hashOf(7)), 0);
  slots.replace(hashOf(7), 0x700_0000);
  assert.deepEqual(valuesOf(slots, hashOf(7)), [0x700_0000]);
});
