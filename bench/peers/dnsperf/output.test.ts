import assert from "node:assert/strict";
import { test } from "node:test";
import { readTotals } from "./output.ts";

/** As dnsperf 2.10.0 printed it, with a server that answered wrongly and left out some. */
const PRINTED = `DNS Performance Testing Tool
Version 2.10.0

[Status] Command line: dnsperf -s 127.0.0.1 -p 45353 -m udp -c 4 -q 20 -d q -l 0.5 -t 1 -T 1 -W
[Status] Sending queries (to 127.0.0.1:45353)
[Status] Started at: Sun Nov 29 11:37:22 2026
[Status] Stopping after 0.500000 seconds
[Timeout] Query timed out: msg id 96
[Timeout] Query timed out: msg id 193
[Status] Testing complete (time limit)

Statistics:

  Queries sent:         1487
  Queries completed:    1472 (98.99%)
  Queries lost:         15 (1.01%)

  Response codes:       NOERROR 1382 (93.89%), SERVFAIL 30 (2.04%), NXDOMAIN 30 (2.04%), REFUSED 30 (2.04%)
  Average packet size:  request 27, response 27
  Run time (s):         0.500158
  Queries per second:   2943.069990

  Average Latency (s):  0.000618 (min 0.000023, max 0.006965)
  Latency StdDev (s):   0.001007

`;

test("answers with NOERROR and NXDOMAIN are right, all others wrong, and the lost are told", () => {
  assert.deepEqual(readTotals(PRINTED), { answers: 1412, wrong: 60, lost: 15, runMs: 500.158 });
});

test("queries that it could not wait for are lost, too", () => {
  const interrupted = PRINTED.replace("lost:         15 (1.01%)", "lost:         5 (0.34%)").replace(
    "\n  Response",
    "  Queries interrupted:  10 (0.67%)\n\n  Response",
  );
  assert.equal(readTotals(interrupted)?.lost, 15);
});

test("without an answer there are no response codes, and everything is lost", () => {
  const silent = PRINTED.replace("completed:    1472 (98.99%)", "completed:    0 (0.00%)")
    .replace("lost:         15 (1.01%)", "lost:         1487 (100.00%)")
    .replace(/ +Response codes.*\n/, "");
  assert.deepEqual(readTotals(silent), { answers: 0, wrong: 0, lost: 1487, runMs: 500.158 });
});

test("what is no end of a run has no totals", () => {
  const rows: readonly (readonly [what: string, output: string])[] = [
    ["nothing", ""],
    ["it could not start", "Error: unable to open file: questions.txt\n"],
    ["it broke", "dnsperf: net.h:133: perf_net_sockeq: Assertion `sock_b' failed.\n"],
    ["cut off", PRINTED.slice(0, PRINTED.indexOf("  Run time"))],
    ["a run of no time", PRINTED.replace("0.500158", "0.000000")],
    ["no number", PRINTED.replace("1487", "many")],
    ["response codes that are not all", PRINTED.replace("SERVFAIL 30", "SERVFAIL 29")],
  ];
  for (const [what, output] of rows) assert.equal(readTotals(output), undefined, what);
});
