import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "@sotto/dns/wire";
import { anchorStateToText, tryReadAnchorState } from "./anchor-state.ts";
import { CeremonyKey, DAY, START_SECONDS } from "./key-ceremony.test-support.ts";
import type { TrustPoint } from "./trust-point.ts";

const ZONE = parseName("a\\032strange\\;name.example.");
const NOW = START_SECONDS;
const KEYS = ["one", "two", "three", "four", "five"].map((word) => new CeremonyKey(word).dnskey);
const [VALID, PENDING, MISSING, REVOKED, REMOVED] = KEYS;

function samplePoint(): TrustPoint {
  assert.ok(VALID && PENDING && MISSING && REVOKED && REMOVED);
  return {
    zone: ZONE,
    keys: [
      { key: VALID, state: "valid", sinceSeconds: NOW - DAY },
      {
        key: PENDING,
        state: "add-pending",
        sinceSeconds: NOW,
        untilSeconds: NOW + 30 * DAY,
        vouchedBy: ["15/1", "8/20326"],
      },
      { key: MISSING, state: "missing", sinceSeconds: NOW },
      { key: REVOKED, state: "revoked", sinceSeconds: NOW },
      { key: REMOVED, state: "removed", sinceSeconds: 0 },
    ],
    configured: { zone: ZONE, ds: [], keys: [] },
    times: {
      askedSeconds: NOW,
      validatedSeconds: undefined,
      nextSeconds: NOW + 5400,
      failures: 3,
      intervalSeconds: 5400,
      retrySeconds: 3600,
    },
  };
}

/** A point as its reader sees it. */
function shape(points: readonly TrustPoint[]): unknown {
  return points.map(({ zone, keys, times }) => ({
    zone: zone.toString(),
    times,
    keys: keys.map(({ key, ...rest }) => ({ ...rest, rdata: [...key.rdata] })),
  }));
}

test("what is written is read again, whatever the state and the name", () => {
  const points = [samplePoint(), { ...samplePoint(), zone: parseName("."), keys: [] }];
  const read = tryReadAnchorState(anchorStateToText(points));
  assert.ok(read.ok, JSON.stringify(read));
  assert.deepEqual(shape(read.value), shape(points));
  assert.equal(anchorStateToText(read.value), anchorStateToText(points));
});

test("the file has a line for each zone and each key, for people to read", () => {
  const lines = anchorStateToText([samplePoint()]).split("\n");
  assert.equal(lines.filter((line) => line.startsWith("key ")).length, 5);
  const zone = String.raw`a\032strange\;name.example.`;
  assert.equal(
    lines[3],
    `zone ${zone} asked=20260101000000 validated=never next=20260101013000 failures=3 interval=5400 retry=3600`,
  );
  assert.match(
    lines[5] ?? "",
    /state=add-pending since=20260101000000 until=20260131000000 by=15\/1,8\/20326 DNSKEY 257 3 15 /,
  );
});

test("every prefix of a file is a problem, and so is every file with a line twice", () => {
  const text = anchorStateToText([samplePoint()]);
  for (let length = 0; length < text.trimEnd().length; length++)
    assert.equal(tryReadAnchorState(text.slice(0, length)).ok, false, `${length} characters`);
  const lines = text.trimEnd().split("\n");
  for (const [i, line] of lines.entries()) {
    if (line.startsWith(";")) continue;
    const doubled = [...lines.slice(0, i), line, ...lines.slice(i)].join("\n");
    assert.equal(tryReadAnchorState(doubled).ok, false, line);
  }
});

test("a problem tells the line and what is wrong there", () => {
  const text = anchorStateToText([samplePoint()]);
  const cases: [string, string, RegExp][] = [
    ["version 1", "version 2", /^line 1: .*another version/],
    ["state=valid", "state=trusted", /^line 5: "trusted" is not add-pending, valid/],
    ["failures=3", "failures=many", /^line 4: failures is not a number/],
    ["failures=3 ", "", /^line 4: failures is missing/],
    ["failures=3", "failures=3 colour=red", /^line 4: colour is not known/],
    ["next=20260101013000", "next=20260199013000", /^line 4: next is not a moment/],
    ["DNSKEY 257", "DNSKEY 385", /^line 5: key [0-9]+ has the REVOKE bit/],
    ["DNSKEY 257 3 15", "DNSKEY 257 3", /^line 5: /],
    ["key a", "key b", /^line 5: no line for the zone/],
    ["keys=5", "keys=4", /^line 10: the end tells of/],
    ["end ", "fin ", /^line 10: "fin" is not/],
  ];
  for (const [from, to, problem] of cases) {
    assert.ok(text.includes(from), from);
    const read = tryReadAnchorState(text.replace(from, to));
    assert.match(read.ok ? "read" : read.problem, problem, `${from} → ${to}`);
  }
  const long = tryReadAnchorState(text + " ".repeat(17 * 1024 * 1024));
  assert.match(long.ok ? "read" : long.problem, /longer than/);
});
