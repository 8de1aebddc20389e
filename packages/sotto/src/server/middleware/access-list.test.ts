import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { addressToText } from "@sotto/dns/wire";
import { AccessList, LOOPBACK_ONLY } from "./access-list.ts";

test("by default only this machine may ask", () => {
  const access = new AccessList(LOOPBACK_ONLY);
  for (const address of ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"])
    assert.ok(access.allows(address), address);
  for (const address of ["128.0.0.1", "126.255.255.255", "::", "::2", "::ffff:192.0.2.1", "2001:db8::1"])
    assert.ok(!access.allows(address), address);
});

test("the longest prefix decides, and of two equal ones the refusal", () => {
  const access = new AccessList({
    allow: ["192.0.2.0/24", "192.0.2.77/32", "198.51.100.1", "2001:db8::/32"],
    deny: ["192.0.2.64/26", "198.51.100.1/32", "2001:db8:1::/48", "0.0.0.0/0"],
    action: "refuse",
  });
  const rows: readonly (readonly [string, boolean])[] = [
    ["192.0.2.1", true],
    ["192.0.2.64", false],
    ["192.0.2.127", false],
    ["192.0.2.77", true],
    ["192.0.2.128", true],
    ["198.51.100.1", false],
    ["203.0.113.1", false],
    ["2001:db8::1", true],
    ["2001:db8:1::1", false],
    ["2001:db8:2::1", true],
    ["2001:db9::1", false],
  ];
  // Twice: the second time from memory.
  for (const [address, isAllowed] of [...rows, ...rows])
    assert.equal(access.allows(address), isAllowed, address);
});

test("a prefix of no bits means its whole family and not the other", () => {
  const access = new AccessList({ allow: ["0.0.0.0/0"], deny: [], action: "refuse" });
  assert.ok(access.allows("203.0.113.9"));
  assert.ok(access.allows("::ffff:203.0.113.9"));
  assert.ok(!access.allows("2001:db8::1"));
});

test("link-local addresses count without their interface, and what is no address may not ask", () => {
  const access = new AccessList({ allow: ["fe80::/10"], deny: [], action: "refuse" });
  assert.ok(access.allows("fe80::1%eth0"));
  for (const text of ["", "fe80", "localhost", "%eth0", "1.2.3"]) assert.ok(!access.allows(text), text);
});

test("a prefix that is none is refused when the list is made", () => {
  assert.throws(() => new AccessList({ allow: ["192.0.2.1/24"], deny: [], action: "refuse" }), RangeError);
});

test("any list gives the verdict that looking at every rule gives", () => {
  const random = new SeededRandom(2026);
  // Few different bits, so that prefixes lie within each other.
  const number = (family: 4 | 6): bigint =>
    family === 4
      ? BigInt(random.below(8)) << 29n
      : (BigInt(random.below(8)) << 125n) | BigInt(random.below(4));
  const text = (family: 4 | 6, value: bigint): string => {
    const octets = new Uint8Array(family === 4 ? 4 : 16);
    for (let i = octets.length - 1, rest = value; i >= 0; i--, rest >>= 8n) octets[i] = Number(rest & 255n);
    return addressToText(octets);
  };
  for (let list = 0; list < 200; list++) {
    const rules = Array.from({ length: random.below(12) }, () => {
      const family = random.chance(0.5) ? 4 : 6;
      const width = family === 4 ? 32 : 128;
      const bits = random.chance(0.5) ? random.below(5) : width - random.below(4);
      const value = (number(family) >> BigInt(width - bits)) << BigInt(width - bits);
      return { family, width, bits, value, isAllowed: random.chance(0.5) };
    });
    const texts = (isAllowed: boolean): string[] =>
      rules
        .filter((r) => r.isAllowed === isAllowed)
        .map((r) => `${text(r.family === 4 ? 4 : 6, r.value)}/${r.bits}`);
    const access = new AccessList({ allow: texts(true), deny: texts(false), action: "drop" });
    for (let i = 0; i < 40; i++) {
      const family = random.chance(0.5) ? 4 : 6;
      const address = number(family);
      const matching = rules.filter(
        (r) =>
          r.family === family && address >> BigInt(r.width - r.bits) === r.value >> BigInt(r.width - r.bits),
      );
      const longest = Math.max(...matching.map((r) => r.bits));
      const deciding = matching.filter((r) => r.bits === longest);
      const expected = deciding.length > 0 && deciding.every((r) => r.isAllowed);
      assert.equal(access.allows(text(family, address)), expected, `list ${list}, ${text(family, address)}`);
    }
  }
});
