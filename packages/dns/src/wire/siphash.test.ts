import assert from "node:assert/strict";
import { test } from "node:test";
import { sipHash24 } from "./siphash.ts";

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString("hex");

test("the vectors of the SipHash paper and its reference code", () => {
  const key = Uint8Array.from({ length: 16 }, (_, i) => i);
  const data = Uint8Array.from({ length: 64 }, (_, i) => i);
  assert.equal(hex(sipHash24(key, data.subarray(0, 0))), "310e0edd47db6f72");
  assert.equal(hex(sipHash24(key, data.subarray(0, 1))), "fd67dc93c539f874");
  assert.equal(hex(sipHash24(key, data.subarray(0, 8))), "6224939a79f5f593");
  // The example of the paper's appendix A: a129ca6149be45e5.
  assert.equal(hex(sipHash24(key, data.subarray(0, 15))), "e545be4961ca29a1");
  assert.throws(() => sipHash24(new Uint8Array(8), data), RangeError);
});
