// The library on the oldest Node that it supports and on the newest of each line before ours: its tests from the sources, then what
// test/packages/smoke.test.ts does with the packages. `node scripts/test-nodes.mjs [part of a file name …]` runs some tests only.
// Goes on after a failure, so that one run tells everything.
import { join } from "node:path";
import { installNodes } from "./nodes.mjs";
import { run, withConsumer } from "./packages.mjs";

const runTests = join(import.meta.dirname, "run-tests.mjs");
const parts = process.argv.slice(2);
const failures = [];

function attempt(what, args, environment) {
  console.log(`\n== ${what}`);
  try {
    run(process.execPath, [runTests, ...args], { env: { ...process.env, ...environment } });
  } catch (problem) {
    failures.push(`${what}: ${problem.message}`);
  }
}

const nodes = installNodes();
for (const { version, node } of nodes)
  attempt(`the library on Node ${version}`, ["library", ...parts, `--node=${node}`], {});
if (parts.length === 0)
  withConsumer((_packages, environment) => {
    for (const { version, node } of nodes)
      attempt(`the packages on Node ${version}`, ["packages", "smoke", `--node=${node}`], environment);
  });
for (const failure of failures) console.error(failure);
process.exitCode = failures.length === 0 ? 0 : 1;
