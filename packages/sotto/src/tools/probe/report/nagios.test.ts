import assert from "node:assert/strict";
import { test } from "node:test";
import { octetsToHex } from "@sotto/dns/wire";
import { makeSelfSigned } from "../../../operations/index.ts";
import type { Cell } from "../model.ts";
import { HOSTILE, INVENTED, inventedCell, inventedReport } from "./invented.test-support.ts";
import { NAGIOS_TESTS, nagiosResult } from "./nagios.ts";

const [good, bad] = INVENTED.map(({ report }) => report);
assert.ok(good && bad);

const CASES: readonly (readonly [
  test: string,
  good: string,
  goodExit: number,
  bad: string,
  badExit: number,
])[] = [
  [
    "all",
    "DNS SERVER OK - 7 of 9 rows released|released=7 partial=0 broken=0 rows=9",
    0,
    "DNS SERVER CRITICAL - 1 of 5 rows released, broken: keepalive|released=1 partial=1 broken=1 rows=5",
    2,
  ],
  [
    "lookup",
    "DNS SERVER OK - Lookup succeeded|rtt=12.5ms;250;500;0",
    0,
    "DNS SERVER CRITICAL - no query was answered",
    2,
  ],
  [
    "rtt",
    "DNS SERVER OK - RTT lookup succeeded in 12.5 ms|rtt=12.5ms;250;500;0",
    0,
    "DNS SERVER CRITICAL - no query was answered",
    2,
  ],
  [
    "keepalive",
    "DNS SERVER OK - Server sent keepalive: told 10.0 s, closed after 10.0 s",
    0,
    "DNS SERVER CRITICAL - told 30.0 s and closed after 4.0 s",
    2,
  ],
  [
    "OOOR",
    "DNS SERVER OK - Responses are not in query order: the second reply came 287 ms before the first",
    0,
    "DNS SERVER CRITICAL - Responses are in query order: replies came in the order of the queries in 3 rounds",
    2,
  ],
  [
    "tls-padding",
    "DNS SERVER OK - Padding found: replies of 468, 468 and 936 octets",
    0,
    "DNS SERVER UNKNOWN - no TLS",
    3,
  ],
  [
    "qname-min",
    "DNS SERVER UNKNOWN - the report has no such row",
    3,
    "DNS SERVER UNKNOWN - the report has no such row",
    3,
  ],
];

for (const [name, goodLine, goodExit, badLine, badExit] of CASES)
  test(`${name}: the line and the exit code of a good server, and of a bad one`, () => {
    assert.deepEqual(nagiosResult(good, name), { exit: goodExit, line: goodLine });
    assert.deepEqual(nagiosResult(bad, name), { exit: badExit, line: badLine });
  });

test("what is good to have is a warning when it is not there, and partial is one, too", () => {
  const of = (cell: Cell, name: string): number => nagiosResult(inventedReport("t", [cell]), name).exit;
  assert.equal(of(inventedCell("qname-minimisation", "none", "x"), "qname-min"), 1);
  assert.equal(of(inventedCell("keepalive", "none", "x"), "keepalive"), 2);
  assert.equal(of(inventedCell("keepalive", "off", "x"), "keepalive"), 2);
  assert.equal(of(inventedCell("keepalive", "partial", "x"), "keepalive"), 1);
  assert.equal(of(inventedCell("keepalive", "not testable", "x"), "all"), 3);
  assert.equal(of(inventedCell("keepalive", "partial", "x"), "all"), 1);
  assert.equal(of(inventedCell("tls", "none", "refused"), "all"), 2);
});

test("rtt is judged by its thresholds, whose ends are still within", () => {
  const exit = (warning: number, critical: number): number =>
    nagiosResult(good, "rtt", { warning, critical }).exit;
  assert.deepEqual([exit(12.5, 20), exit(12, 12.5), exit(5, 12)], [0, 1, 2]);
});

test("rtt is told of as many replies as a file can hold", () => {
  // A file of 64 MB has more of them than a call has room for arguments.
  const evidence = good.cells.find(({ row }) => row === "keepalive")?.evidence ?? [];
  const [query, reply] = (["prober", "target"] as const).map((wanted) =>
    evidence.find(({ who, octets }) => who === wanted && octets !== undefined),
  );
  assert.ok(query !== undefined && reply !== undefined);
  const cell = { ...inventedCell("udp", "released", "x"), evidence: [query, ...Array(9999).fill(reply)] };
  const report = inventedReport("t", Array(20).fill(cell));
  assert.match(nagiosResult(report, "rtt").line, /^DNS SERVER OK - RTT lookup succeeded in [0-9.]+ ms/);
});

test("the days of a certificate are read from the certificate itself", async () => {
  // Self-made ones are good for 90 days.
  const days = async (ageDays: number): Promise<ReturnType<typeof nagiosResult>> => {
    const now = Date.parse(good.startedAt);
    const { certificatePem } = await makeSelfSigned(["dns.example"], now - ageDays * 86_400_000);
    const der = Buffer.from(certificatePem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
    const step = { atMs: 1, who: "target" as const, what: "certificate", octets: octetsToHex(der) };
    const cell = { ...inventedCell("certificate", "released", "x"), evidence: [step] };
    return nagiosResult(inventedReport("t", [cell]), "tls-cert-valid");
  };
  const lines = await Promise.all([0, 77, 84, 89.5, 91.5].map(days));
  assert.deepEqual(
    lines.map(({ exit, line }) => [exit, line.replace(/ in \d+ /, " in N ").replace(/=\d+;14/, "=N;14")]),
    [
      [0, "DNS SERVER OK - Certificate will expire in N days|days=N;14;7"],
      [1, "DNS SERVER WARNING - Certificate will expire in N days|days=N;14;7"],
      [2, "DNS SERVER CRITICAL - Certificate will expire in N days|days=N;14;7"],
      [2, "DNS SERVER CRITICAL - Certificate expires today|days=0;14;7".replace("=0;", "=N;")],
      [2, "DNS SERVER CRITICAL - Certificate expired 2 days ago|days=-2;14;7"],
    ],
  );
});

test("a line is one line with one bar, whatever servers say", () => {
  const report = inventedReport("t", [inventedCell("keepalive", "broken", HOSTILE + "x".repeat(5000))]);
  for (const name of NAGIOS_TESTS) {
    const { line } = nagiosResult(report, name);
    assert.match(line, /^DNS SERVER [A-Z]+ - [^|\p{Cc}]*(?:\|[^|\p{Cc}]*)?$/u);
    assert.ok(line.length < 1200);
  }
});

test("a line is cut where its characters are counted as they stand there, and never within an escape", () => {
  // It was cut first and written out afterwards: of a thousand control characters came six thousand.
  for (const octets of ["\u0001", "x\u0001", "xx\u{e0001}", "\u{1f600}"]) {
    const report = inventedReport("t", [inventedCell("keepalive", "broken", octets.repeat(3000))]);
    const { line } = nagiosResult(report, "keepalive");
    assert.ok(line.length <= 1000 && line.length > 980, `${line.length} characters`);
    assert.match(line, /^DNS SERVER CRITICAL - (?:x|\\u0001|\\ue0001|\u{1f600})+\u2026$/u);
  }
});

test("figures stand behind a text that is too long, in the same line", () => {
  const rows = Array.from({ length: 300 }, (_, i) => inventedCell(`row-${i}`, "broken", "x"));
  const { line } = nagiosResult(inventedReport("t", rows), "all");
  assert.ok(line.length <= 1000, `${line.length} characters`);
  assert.match(line, /\u2026\|released=0 partial=0 broken=300 rows=300$/);
});
