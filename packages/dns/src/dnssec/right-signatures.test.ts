import assert from "node:assert/strict";
import { test } from "node:test";
import { ValidationBudget } from "./budget.ts";
import { RIGHT_SIGNATURES_MAX, RightSignatures } from "./right-signatures.ts";
import { checkSignatures, type SignatureCheck } from "./rrsig.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import { APEX, NOW_SECONDS, plainSet, signed, testKey, withSameTag } from "./test-signer.test-support.ts";

const KEY = testKey();
const WWW = signed(plainSet("www.example. 3600 IN A 192.0.2.1"), KEY);

function check(
  rrset: SignedRRset,
  right: RightSignatures,
  parts: Partial<SignatureCheck> = {},
): { kind: string; computed: number } {
  const budget = new ValidationBudget();
  const { kind } = checkSignatures(rrset, {
    keys: [KEY.dnskey],
    zone: APEX,
    nowSeconds: NOW_SECONDS,
    skew: { minSeconds: 0, maxSeconds: 0 },
    policy: { sha1: true },
    budget,
    right,
    ...parts,
  });
  return { kind, computed: budget.signatureChecks };
}

test("a signature that was right over the same octets by the same key is not computed again", () => {
  const right = new RightSignatures();
  assert.deepEqual(check(WWW, right), { kind: "right", computed: 1 });
  assert.deepEqual(check(WWW, right), { kind: "right", computed: 0 });
});

test("a known signature is not right over other octets, nor by another key", () => {
  const right = new RightSignatures();
  check(WWW, right);
  const { signatures } = WWW;
  const forged = { ...plainSet("www.example. 3600 IN A 192.0.2.2"), signatures };
  assert.deepEqual(check(forged, right), { kind: "wrong", computed: 1 });
  const moved = { ...plainSet("ww2.example. 3600 IN A 192.0.2.1"), signatures };
  assert.deepEqual(check(moved, right), { kind: "wrong", computed: 1 });
  const other = withSameTag(KEY, 0);
  assert.equal(check(WWW, right, { keys: [other] }).kind, "wrong");
  right.note(KEY.dnskey, Uint8Array.of(1), Uint8Array.of(2));
  assert.ok(right.has(KEY.dnskey, Uint8Array.of(1), Uint8Array.of(2)));
  assert.ok(!right.has(other, Uint8Array.of(1), Uint8Array.of(2)));
});

test("a known signature ends when its time has passed [rfc4035#5.3.1]", () => {
  const right = new RightSignatures();
  check(WWW, right);
  assert.equal(check(WWW, right, { nowSeconds: NOW_SECONDS + 100 * 86_400 }).kind, "wrong");
});

test("wrong signatures are not kept, and right ones only up to a limit", () => {
  const right = new RightSignatures();
  check({ ...plainSet("www.example. 3600 IN A 192.0.2.2"), signatures: WWW.signatures }, right);
  assert.equal(right.size, 0);
  for (let i = 0; i <= RIGHT_SIGNATURES_MAX; i++)
    right.note(KEY.dnskey, Uint8Array.of(1), Uint8Array.of(i >>> 8, i & 0xff));
  assert.equal(right.size, RIGHT_SIGNATURES_MAX);
  assert.ok(!right.has(KEY.dnskey, Uint8Array.of(1), Uint8Array.of(0, 0)));
  assert.ok(right.has(KEY.dnskey, Uint8Array.of(1), Uint8Array.of(0, 1)));
  right.note(KEY.dnskey, new Uint8Array(3000), Uint8Array.of(1));
  assert.ok(!right.has(KEY.dnskey, new Uint8Array(3000), Uint8Array.of(1)));
});
