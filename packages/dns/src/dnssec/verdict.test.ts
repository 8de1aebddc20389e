import assert from "node:assert/strict";
import { test } from "node:test";
import { EdeCode } from "@sotto/dns/wire";
import { plainSet } from "./test-signer.test-support.ts";
import { bogus, INDETERMINATE, INSECURE, type Verdict, weakest } from "./verdict.ts";

const SECURE: Verdict = { status: "secure", ttlSecondsMax: 300 };
const BOGUS = bogus(EdeCode.DnssecBogus, "first");

test("the weakest of several counts: bogus, indeterminate, insecure, secure (RFC 4035 §4.3)", () => {
  const ranked: Verdict[] = [BOGUS, INDETERMINATE, INSECURE, SECURE];
  for (const [i, a] of ranked.entries())
    for (const [j, b] of ranked.entries()) {
      const expected = ranked[Math.min(i, j)];
      assert.equal(weakest([a, b]).status, expected?.status, `${a.status} ${b.status}`);
      assert.equal(weakest([SECURE, a, SECURE, b, SECURE]).status, expected?.status);
    }
});

test("the reasons of the first bogus part, and of the first insecure one, are told", () => {
  const other = bogus(EdeCode.SignatureExpired, "second");
  assert.equal(weakest([SECURE, BOGUS, other]), BOGUS);
  const insecure: Verdict = { status: "insecure", errors: [{ code: EdeCode.UnsupportedDsDigest, text: "" }] };
  assert.equal(weakest([SECURE, insecure, INSECURE]), insecure);
});

test("of secure parts the shortest life counts, and proofs stay", () => {
  const provedBy = [plainSet("a.example. NSEC b.example. A")];
  assert.deepEqual(
    weakest([SECURE, { status: "secure", ttlSecondsMax: 60, provedBy }, { ...SECURE, ttlSecondsMax: 100 }]),
    {
      status: "secure",
      ttlSecondsMax: 60,
      provedBy,
    },
  );
  assert.deepEqual(weakest([]), { status: "secure", ttlSecondsMax: Number.POSITIVE_INFINITY });
});
