// Finds the test files of a suite and runs them with the Node of node_modules, or with the one that --node=PATH names:
// `node scripts/run-tests.mjs unit|library|packages|interop [part of a file name …] [--node=PATH] [--flag-of-node …]`.
// With SOTTO_ENGINE=native in the environment, listeners are those of the native engine (test/native-engine.mjs).
// Plain JavaScript, because the installed Node may be too old for the sources.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";

/** Tests that need more than `npm ci`: other programs, or packages that were built. They are suites of their own. */
const APART = ["interop", "packages"].map((name) => join("test", name));

/** Tests of the library that have a program beside them, which runs with the Node of node_modules. */
const USES_PROGRAMS = new Set([join("test", "integration", "examples.test.ts")]);

/** Compares times of small and large messages: that work is linear does not depend on the Node, and once is often enough. */
const TIMED = new Set([join("test", "fuzz", "linear-work.test.ts")]);

/** Plays the part of a service manager with foreign sockets of its own, which need node:ffi in the test itself. */
const FOREIGN = new Set([join("test", "integration", "inherited-sockets.test.ts")]);

const SUITES = {
  unit: {
    folders: ["packages/dns/src", "packages/sotto/src", "bench", "test"],
    takes: (file) => !isApart(file),
  },
  // What must work on every Node that the library supports.
  library: {
    folders: ["packages/dns/src", "test/fuzz", "test/integration", "test/simulation"],
    takes: (file) =>
      !TIMED.has(file) && !FOREIGN.has(file) && (USES_PROGRAMS.has(file) || !reachesPrograms(file)),
  },
  packages: { folders: ["test/packages"], takes: () => true },
  interop: { folders: ["test/interop"], takes: () => true },
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

function isApart(file) {
  return APART.some((folder) => file.startsWith(folder));
}

/**
 * True when a file, or a file outside the packages that it imports or names, uses the programs; certificates from `operations`
 * do not count.
 */
function reachesPrograms(file, seen = new Set()) {
  if (seen.has(file) || !existsSync(file)) return false;
  seen.add(file);
  const text = readFileSync(file, "utf8");
  if (/packages\/sotto\/(?!src\/operations\/)/.test(text)) return true;
  return [...text.matchAll(/"(\.[^"]+\.ts)"/g)]
    .map(([, specifier]) => join(dirname(file), specifier))
    .filter((target) => !target.startsWith("packages"))
    .some((target) => reachesPrograms(target, seen));
}

process.chdir(join(import.meta.dirname, ".."));
const [suite = "", ...rest] = process.argv.slice(2);
const parts = rest.filter((word) => !word.startsWith("--"));
const flags = rest.filter((word) => word.startsWith("--") && !word.startsWith("--node="));
const chosen = Object.hasOwn(SUITES, suite) ? SUITES[suite] : undefined;
if (chosen === undefined) {
  const suites = Object.keys(SUITES).join("|");
  console.error(
    `usage: node scripts/run-tests.mjs ${suites} [part of a file name …] [--node=PATH] [--flag-of-node …]`,
  );
  process.exit(1);
}
const named = rest.find((word) => word.startsWith("--node="))?.slice("--node=".length);
const node = named ?? join("node_modules", ".bin", "node");
if (!existsSync(node)) {
  console.error(
    `${node} is missing: run npm ${named === undefined ? "ci" : "run test:nodes"} first (Node comes from there)`,
  );
  process.exit(1);
}
const files = chosen.folders
  .flatMap(testFiles)
  .filter(chosen.takes)
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)));
if (files.length === 0) {
  console.error(`no test file found for ${[suite, ...parts].join(" ")}`);
  process.exit(1);
}
// Interop tests start servers, tests of packages install: one file at a time, so that ports and timing are their own.
const concurrency =
  chosen === SUITES.interop || chosen === SUITES.packages ? 1 : Math.max(2, availableParallelism());
// Also for the programs that tests start.
const engine = process.env["SOTTO_ENGINE"] ?? "node";
const hook = `--import=${join(process.cwd(), "test", "native-engine.mjs")}`;
const env =
  engine === "native"
    ? { ...process.env, NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} ${hook}`.trim() }
    : process.env;
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
  { stdio: "inherit", env },
);
if (result.error !== undefined) console.error(`cannot run ${node}: ${result.error.message}`);
process.exit(result.status ?? 1);
