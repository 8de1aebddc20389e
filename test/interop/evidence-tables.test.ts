/** The program that takes the tables of 2016, short: that it probes, writes all files, and leaves nothing behind. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { tryReadReportFile } from "../../packages/sotto/src/tools/probe/index.ts";
import { peerTest, runCommand, temporaryFolder } from "./peers.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const NODE = join(ROOT, "node_modules/.bin/node");
const PROGRAM = join(ROOT, "scripts/tables/evidence.ts");
const PROGRAMS = ["nsd", "unbound", "drill", "unshare", "ip", "setpriv", "taskset"];

peerTest("two servers and a client become a table of 2016 and of today", PROGRAMS, async (context) => {
  const folder = temporaryFolder(context);
  const [written, temporary] = [join(folder, "written"), join(folder, "temporary")];
  for (const one of [written, temporary]) mkdirSync(one);
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning", PROGRAM];
  const wanted = ["--short", "--only", "sotto,unbound,drill", "--write", "--folder", written];
  const run = await runCommand(NODE, [...flags, ...wanted], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: temporary },
    timeoutMs: 90_000,
  });
  assert.deepEqual(readdirSync(temporary), []);
  assert.deepEqual(readdirSync(written).sort(), ["tables.html", "tables.json", "tables.md"], run.stderr);
  const text = readFileSync(join(written, "tables.json"), "utf8");
  const reports = tryReadReportFile(text);
  assert.ok(reports.ok);
  const wordOf = (title: string, row: string): string | undefined =>
    reports.value.find((one) => one.title.startsWith(title))?.report.cells.find((cell) => cell.row === row)
      ?.verdict;
  for (const row of ["pipelining", "out-of-order", "keepalive", "tls", "certificate", "padding"])
    assert.deepEqual([wordOf("Sotto", row), wordOf("unbound", row)], ["released", "released"], row);
  assert.equal(wordOf("drill", "tls"), "none");
  // Fast Open needs a namespace, the signed root port 53, and both need root.
  if (process.getuid?.() === 0) {
    assert.equal(wordOf("Sotto", "fast-open"), "released");
    for (const row of ["dnssec", "extended-errors", "qname-minimisation"])
      assert.deepEqual([wordOf("Sotto", row), wordOf("unbound", row)], ["released", "released"], row);
    assert.equal(run.code, 0, run.stderr);
  }
  const page = readFileSync(join(written, "tables.md"), "utf8");
  assert.match(page, /\| Feature \| Unbound 2016 \|.* Sotto serve \| unbound \d/);
  // Nobody has to know where it was taken.
  for (const one of [text, page, readFileSync(join(written, "tables.html"), "utf8")])
    assert.ok(!one.includes(ROOT) && !one.includes(temporary));
});
