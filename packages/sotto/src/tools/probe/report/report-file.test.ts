import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { HOSTILE_REPORT, INVENTED } from "./invented.test-support.ts";
import { reportFileText, reportSchema, tryReadReportFile } from "./report-file.ts";

test("what is saved is read again", () => {
  assert.deepEqual(tryReadReportFile(reportFileText(INVENTED)), { ok: true, value: [...INVENTED] });
});

test("a report of a hostile server is saved and read as it is", () => {
  const read = tryReadReportFile(reportFileText([HOSTILE_REPORT]));
  assert.ok(read.ok);
  assert.equal(read.value[0]?.report.cells[0]?.observed, HOSTILE_REPORT.report.cells[0]?.observed);
});

test("members that a later version adds are passed over", () => {
  const text = reportFileText(INVENTED).replace('"version": 1,', '"version": 1, "later": true,');
  assert.ok(tryReadReportFile(text).ok);
});

const first = reportFileText(INVENTED);
const WRONG: readonly (readonly [name: string, text: string, problem: RegExp])[] = [
  ["no JSON", "{", /^is no JSON: /],
  [
    "another version",
    first.replace('"version": 1', '"version": 2'),
    /^is no report of sotto probe: version: /,
  ],
  ["an unknown verdict", first.replace('"released"', '"great"'), /reports\.0\.cells\.1\.verdict: /],
  ["half an octet", first.replace('"octets": "', '"octets": "1'), /evidence\.\d\.octets: /],
  ["no reports", '{"version":1}', /reports: /],
  ["a list", "[]", /^is no report/],
  [
    "too many cells",
    JSON.stringify({
      version: 1,
      reports: [{ ...INVENTED[0]?.report, cells: Array(1001).fill(INVENTED[0]?.report.cells[0]) }],
    }),
    /cells: /,
  ],
];

for (const [name, text, expected] of WRONG)
  test(`a file that is none of ours is told why: ${name}`, () => {
    const read = tryReadReportFile(text);
    assert.match(read.ok ? "read" : read.problem, expected);
  });

test("what is told of a file cannot steer a terminal", () => {
  const read = tryReadReportFile("\u001b[2J\u009b");
  assert.ok(!read.ok);
  assert.doesNotMatch(read.problem, /\p{Cc}/u);
});

test("the published schema is the one that files are read by", () => {
  const page = readFileSync(
    join(import.meta.dirname, "../../../../../../docs/reference/probe.schema.json"),
    "utf8",
  );
  assert.deepEqual(
    JSON.parse(page),
    reportSchema(),
    "docs/reference/probe.schema.json is stale, run npm run docs",
  );
});
