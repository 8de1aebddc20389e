import assert from "node:assert/strict";
import { test } from "node:test";
import { tryParsePeerAddress, tryParsePrefix } from "./ip-address.ts";
import { PrefixTrie } from "./prefix-trie.ts";

test("the longest prefix that holds an address counts, of its own family only", () => {
  const trie = new PrefixTrie();
  for (const [i, text] of ["192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0"].entries()) {
    const prefix = tryParsePrefix(text);
    assert.ok(prefix.ok);
    trie.set(prefix.value, i + 1);
  }
  const found = [
    "192.0.2.1",
    "192.0.2.7",
    "::ffff:192.0.2.7",
    "198.51.100.1",
    "2001:db8::1%eth0",
    "2001:db9::1",
  ];
  assert.deepEqual(
    found.map((text) => {
      const address = tryParsePeerAddress(text);
      assert.ok(address.ok);
      return trie.longest(address.value);
    }),
    [1, 2, 2, 4, 3, 0],
  );
  assert.equal(tryParsePeerAddress("nobody").ok, false);
});
