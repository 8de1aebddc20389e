import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName, RRType } from "@sotto/dns/wire";
import { failsSentinel, type SentinelQuestion } from "./root-sentinel.ts";

const TRUSTED = [20326, 42];

function question(label: string, parts: Partial<SentinelQuestion> = {}): SentinelQuestion {
  const qname = parseName(`${label}.example.`);
  return { qname, qtype: RRType.A, isSecure: true, checkingDisabled: false, ...parts };
}

test("is-ta fails for keys that are not trusted, not-ta for those that are [8509-2.2]", () => {
  const cases: [string, boolean][] = [
    ["root-key-sentinel-is-ta-20326", false],
    ["root-key-sentinel-is-ta-38696", true],
    ["root-key-sentinel-not-ta-20326", true],
    ["root-key-sentinel-not-ta-38696", false],
    ["root-key-sentinel-is-ta-00042", false],
    ["root-key-sentinel-not-ta-00042", true],
    ["Root-Key-Sentinel-IS-ta-38696", true],
    ["root-key-sentinel-is-ta-99999", true],
  ];
  for (const [label, fails] of cases)
    for (const qtype of [RRType.A, RRType.AAAA])
      assert.equal(failsSentinel(question(label, { qtype }), TRUSTED), fails, label);
});

test("labels that are not exactly a sentinel's are not touched [8509-2.1]", () => {
  const labels = [
    "root-key-sentinel-is-ta-42",
    "root-key-sentinel-is-ta-042042",
    "root-key-sentinel-is-ta-3869x",
    "root-key-sentinel-is-ta-+0001",
    "root-key-sentinel-is-ta--0001",
    "root-key-sentinel-is-ta",
    "root-key-sentinel-not-ta-20326x",
    "root-key-sentinel-no-ta-20326",
    "xroot-key-sentinel-is-ta-38696",
    "www.root-key-sentinel-is-ta-38696",
    "www",
  ];
  for (const label of labels) assert.equal(failsSentinel(question(label), TRUSTED), false, label);
  const root = { ...question("www"), qname: parseName(".") };
  assert.equal(failsSentinel(root, TRUSTED), false);
});

test("other types, answers that are not secure and queries with CD are not touched [8509-2.1]", () => {
  const label = "root-key-sentinel-is-ta-38696";
  assert.equal(failsSentinel(question(label), TRUSTED), true);
  for (const qtype of [RRType.TXT, RRType.ANY, RRType.DNSKEY])
    assert.equal(failsSentinel(question(label, { qtype }), TRUSTED), false);
  assert.equal(failsSentinel(question(label, { isSecure: false }), TRUSTED), false);
  assert.equal(failsSentinel(question(label, { checkingDisabled: true }), TRUSTED), false);
});
