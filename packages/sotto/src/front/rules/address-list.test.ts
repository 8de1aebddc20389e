import assert from "node:assert/strict";
import { test } from "node:test";
import { tryParseAddress } from "@sotto/dns/wire";
import { loadAddressSet } from "./address-list.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a list of networks has a prefix or an address a line, and comments", () => {
  const loaded = loadAddressSet(
    encode("# networks\n192.0.2.0/24 ; office\r\n\n2001:db8::/32\n198.51.100.7"),
    "net.txt",
  );
  assert.ok(loaded.ok);
  const has = (text: string): boolean => {
    const address = tryParseAddress(text);
    return address.ok && loaded.value.prefixes.longest(address.value) !== 0;
  };
  assert.deepEqual(["192.0.2.9", "2001:db8::9", "198.51.100.7", "198.51.100.8", "::"].map(has), [
    true,
    true,
    true,
    false,
    false,
  ]);
  assert.deepEqual(loaded.value.report, { source: "net.txt", lines: 5, prefixes: 3, bad: 0, problems: [] });
});

test("bad lines are told with file, line, what and hint; no list is a problem as a whole", () => {
  const loaded = loadAddressSet(encode("192.0.2.0/24\n192.0.2.1/24\n"), "net.txt");
  assert.ok(loaded.ok);
  assert.match(
    loaded.value.report.problems[0] ?? "",
    /^net\.txt:2: .*bits set behind.*, one prefix or address a line$/,
  );
  const page = loadAddressSet(encode("<html>\n<body>\n"), "net.txt");
  assert.ok(!page.ok);
  assert.match(page.problem, /^net\.txt is no list of addresses: 2 lines cannot be read/);
  const large = loadAddressSet(new Uint8Array(17 * 1024 * 1024), "net.txt");
  assert.ok(!large.ok);
  assert.match(large.problem, /is larger than/);
});
