import assert from "node:assert/strict";
import { test } from "node:test";
import { tryParseScopedAddress } from "./ip-address.ts";

test("a zone stays with a link-local address, and no other address has one (RFC 4007 §11)", () => {
  const cases: readonly [text: string, expected: string | undefined][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["2001:DB8:0::1", "2001:db8::1"],
    ["fe80::1", "fe80::1"],
    ["FE80:0::1%eth0", "fe80::1%eth0"],
    ["febf::1%wg-home.1", "febf::1%wg-home.1"],
    ["fe80::1%", undefined],
    ["fe80::1%a/b", undefined],
    ["fe80::1%eth0%eth1", undefined],
    [`fe80::1%${"x".repeat(65)}`, undefined],
    ["fec0::1%eth0", undefined],
    ["2001:db8::1%eth0", undefined],
    ["192.0.2.1%eth0", undefined],
    ["dns.example%eth0", undefined],
  ];
  for (const [text, expected] of cases) {
    const read = tryParseScopedAddress(text);
    assert.equal(read.ok ? read.value : undefined, expected, text);
  }
});
