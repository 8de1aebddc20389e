import assert from "node:assert/strict";
import { test } from "node:test";
import { addressToText, tryParseAddress } from "@sotto/dns/wire";
import { ROOT_HINTS } from "./root-hints.ts";

test("the public root has thirteen servers with one address of each family", () => {
  assert.equal(new Set(ROOT_HINTS.map((hint) => hint.name.key)).size, 13);
  assert.equal(new Set(ROOT_HINTS.map((hint) => hint.address)).size, 26);
  for (const { address } of ROOT_HINTS) {
    const parsed = tryParseAddress(address);
    assert.ok(parsed.ok, address);
    assert.equal(addressToText(parsed.value), address);
  }
});
