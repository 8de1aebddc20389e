import assert from "node:assert/strict";
import { test } from "node:test";
import { ValidationBudget } from "./budget.ts";

test("a purse has 300 checks, of which 16 may fail", () => {
  const budget = new ValidationBudget();
  for (let i = 0; i < 300; i++) assert.ok(budget.takeSignature(), `${i}`);
  assert.equal(budget.isSpent, true);
  assert.equal(budget.takeSignature(), false);
  assert.equal(budget.signatureChecks, 300);
  const failing = new ValidationBudget();
  let checks = 0;
  while (failing.takeSignature()) {
    checks++;
    failing.noteFailure();
  }
  assert.equal(checks, 16);
  assert.equal(failing.signatureChecks, 16);
  assert.equal(failing.isSpent, true);
});

test("a purse has 12000 rounds of hashing, and a hash costs three besides its iterations", () => {
  const count = (iterations: number): number => {
    const budget = new ValidationBudget();
    let hashes = 0;
    while (budget.takeHash(iterations)) hashes++;
    assert.equal(budget.isSpent, true);
    assert.equal(budget.takeSignature(), true, "signatures are paid for apart");
    return hashes;
  };
  assert.equal(count(0), 4000);
  assert.equal(count(150), Math.ceil(12_000 / 153));
  assert.equal(count(65_535), 1);
});

test("a fresh purse is not spent", () => {
  const budget = new ValidationBudget();
  assert.equal(budget.isSpent, false);
  assert.equal(budget.signatureChecks, 0);
});
