// Finds the test files of a suite and runs them with the Node of node_modules:
// `node scripts/run-tests.mjs unit|interop [part of a file name …] [--flag-of-node …]`.
// Plain JavaScript, because the installed Node may be too old for the sources.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

const SUITES = {
  unit: ["packages/dns/src", "packages/sotto/src", "test"],
  interop: ["test/interop"],
};

/** Longest run of one test, milliseconds: a test that hangs fails, and the others still tell what they know. */
const TEST_TIMEOUT_MS = 300_000;

/** All files below a folder that end in `.test.ts`. */
function testFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((file) => join(folder, file))
    .filter((file) => file.endsWith(".test.ts"))
    .sort();
}

process.chdir(join(import.meta.dirname, ".."));
const [suite = "", ...rest] = process.argv.slice(2);
const parts = rest.filter((word) => !word.startsWith("--"));
const flags = rest.filter((word) => word.startsWith("--"));
const folders = Object.hasOwn(SUITES, suite) ? SUITES[suite] : undefined;
if (folders === undefined) {
  console.error("usage: node scripts/run-tests.mjs unit|interop [part of a file name …] [--flag-of-node …]");
  process.exit(1);
}
const node = join("node_modules", ".bin", "node");
if (!existsSync(node)) {
  console.error(`${node} is missing: run npm ci first (Node 26 comes from there)`);
  process.exit(1);
}
const isInterop = (file) => file.startsWith(join("test", "interop"));
const files = folders
  .flatMap(testFiles)
  .filter((file) => isInterop(file) === (suite === "interop"))
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)));
if (files.length === 0) {
  console.error(`no test file found for ${[suite, ...parts].join(" ")}`);
  process.exit(1);
}
// Interop tests start servers: one file at a time, so that ports and timing are their own.
const concurrency = suite === "interop" ? 1 : Math.max(2, availableParallelism());
const result = spawnSync(
  node,
  [
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    "--test",
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    "--test-reporter=spec",
    ...flags,
    ...files,
  ],
  { stdio: "inherit" },
);
if (result.error !== undefined) console.error(`cannot run ${node}: ${result.error.message}`);
process.exit(result.status ?? 1);
