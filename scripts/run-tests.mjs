// Finds the test files of a suite and runs them with the Node of node_modules: `node scripts/run-tests.mjs unit|interop [file …]`.
// Plain JavaScript, because the installed Node may be too old for the sources.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const SUITES = {
  unit: ["packages/dns/src", "packages/sotto/src", "test"],
  interop: ["test/interop"],
};

/** All files below a folder that end in `.test.ts`. */
function testFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((file) => join(folder, file))
    .filter((file) => file.endsWith(".test.ts"))
    .sort();
}

const [suite = "", ...only] = process.argv.slice(2);
const folders = SUITES[suite];
if (folders === undefined) {
  console.error("usage: node scripts/run-tests.mjs unit|interop [part of a file name …]");
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
  .filter((file) => only.length === 0 || only.some((part) => file.includes(part)));
if (files.length === 0) {
  console.error(`no test file found for ${suite} ${only.join(" ")}`);
  process.exit(1);
}
// Interop tests start servers: one file at a time, so that ports and timing are their own.
const concurrency = suite === "interop" ? ["--test-concurrency=1"] : [];
const reporter = process.stdout.isTTY ? [] : ["--test-reporter=spec"];
const result = spawnSync(
  node,
  [
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    "--test",
    ...concurrency,
    ...reporter,
    ...files,
  ],
  { stdio: "inherit" },
);
process.exit(result.status ?? 1);
