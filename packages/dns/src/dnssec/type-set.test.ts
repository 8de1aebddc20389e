import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { encodeRdataOf, parseName, RRType } from "@sotto/dns/wire";
import { bitmapAnswers, bitmapHas } from "./type-set.ts";

const NEXT = parseName("next.example.");

/** NSEC rdata with these types, and where they begin. */
function setOf(types: readonly RRType[]): { readonly rdata: Uint8Array; readonly start: number } {
  const rdata = encodeRdataOf("NSEC", { next: NEXT, types: types.toSorted((a, b) => a - b) });
  assert.ok(rdata.ok);
  return { rdata: rdata.value, start: NEXT.wire.length };
}

test("the set of RFC 4034 §4.3 has A, MX, RRSIG, NSEC and TYPE1234, and nothing else", () => {
  const { rdata, start } = setOf([1, 15, 46, 47, 1234]);
  assert.equal(
    Buffer.from(rdata.subarray(start)).toString("hex"),
    "0006400100000003041b000000000000000000000000000000000000000000000000000020",
  );
  const found = Array.from({ length: 65_536 }, (_, type) => type).filter((type) =>
    bitmapHas(rdata, start, type),
  );
  assert.deepEqual(found, [1, 15, 46, 47, 1234]);
});

test("random sets have exactly their types", () => {
  const random = new SeededRandom(4034);
  for (let i = 0; i < 200; i++) {
    const types = new Set<number>();
    for (let n = random.below(12); n >= 0; n--)
      types.add(random.chance(0.5) ? random.below(260) : random.uint16());
    const { rdata, start } = setOf([...types]);
    for (const type of types) {
      assert.ok(bitmapHas(rdata, start, type), `${type}`);
      for (const near of [type - 1, type + 1, type ^ 0x100, type ^ 8])
        if (near >= 0 && near < 65_536)
          assert.equal(bitmapHas(rdata, start, near), types.has(near), `${near}`);
    }
  }
});

test("an empty set, and octets that are cut off, have no types", () => {
  assert.equal(bitmapHas(new Uint8Array(0), 0, RRType.A), false);
  for (const octets of [[0], [0, 1], [0, 200], [1, 1, 0xff]])
    assert.equal(bitmapHas(Uint8Array.from(octets), 0, RRType.A), false, `${octets}`);
  assert.equal(bitmapAnswers(Uint8Array.of(0, 200), 0, RRType.ANY), false);
});

test("ANY has an answer where there is anything but what denials bring along (RFC 6840 §4.2, RFC 9824 §2) [6840-4.2-a]", () => {
  const cases: [RRType[], boolean][] = [
    [[], false],
    [[RRType.RRSIG, RRType.NSEC], false],
    [[RRType.RRSIG, RRType.NSEC, RRType.NXNAME], false],
    [[RRType.RRSIG, RRType.NSEC, RRType.A], true],
    [[RRType.TXT], true],
    [[1234], true],
    // The same bits in another window are other types.
    [[256 + RRType.RRSIG], true],
    [[256 + RRType.NXNAME], true],
    [[65_535], true],
  ];
  for (const [types, expected] of cases) {
    const { rdata, start } = setOf(types);
    assert.equal(bitmapAnswers(rdata, start, RRType.ANY), expected, `${types}`);
    assert.equal(bitmapAnswers(rdata, start, RRType.A), types.includes(RRType.A));
  }
});
