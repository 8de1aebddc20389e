/**
 * `npm run bench:front`: our front end beside NGINX, HAProxy and dnsdist of Debian, before the same backend. Exits 1 when a goal is
 * missed, 2 when the command line is wrong; writes docs/evidence/front-performance.{md,json} with --write, in which tests that did not
 * run keep their old figures.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FRONTS } from "../../scripts/front/front-programs.ts";
import { commitOf } from "../peers/against.ts";
import { environmentOf } from "../peers/environment.ts";
import { ROOT } from "../peers/our-servers.ts";
import { killAll } from "../peers/processes.ts";
import { type FrontDocument, frontGoalTable, frontPage, frontVerdicts } from "./front-page.ts";
import { type FrontRecord, runFrontSession, type SessionOptions } from "./front-session.ts";
import { FRONT_TESTS } from "./front-tests.ts";

const EVIDENCE = join(ROOT, "docs/evidence");
const INSIDE = "--inside";
const DESCRIPTORS = 20_000;
const NATIVE_SUFFIX = "-native";
const USAGE = `npm run bench:front -- [--fronts LIST] [--tests LIST] [--rounds N] [--secs S] [--write]
  --fronts  nginx,haproxy,dnsdist,sotto,sotto-native (all of them)
  --tests   keys of tests, or what they begin with: hit,pass,tls,p50,p99,idle,blocking (all of them)
  --rounds  measurements of each (3); --secs seconds of each (2)
  --write   writes docs/evidence/front-performance.{md,json}
`;

interface Options extends SessionOptions {
  readonly isWriting: boolean;
}

function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      fronts: { type: "string", default: "nginx,haproxy,dnsdist,sotto,sotto-native" },
      tests: { type: "string", default: "" },
      rounds: { type: "string", default: "3" },
      secs: { type: "string", default: "2" },
      write: { type: "boolean", default: false },
    },
  });
  const fronts = values.fronts.split(",").map((name) => {
    const isNative = name.endsWith(NATIVE_SUFFIX);
    const plain = isNative ? name.slice(0, -NATIVE_SUFFIX.length) : name;
    const front = FRONTS.find((one) => one.name === plain);
    if (front === undefined || !existsSync(front.program)) throw new Error(`there is no front end ${name}`);
    return { name, front, engine: isNative ? ("native" as const) : ("node" as const) };
  });
  const words = values.tests.split(",").filter((word) => word !== "");
  const tests = FRONT_TESTS.filter(
    ({ key }) => words.length === 0 || words.some((word) => key === word || key.startsWith(`${word}-`)),
  );
  if (tests.length === 0) throw new Error(`there is no test ${values.tests}`);
  return { fronts, tests, rounds: Number(values.rounds), secs: Number(values.secs), isWriting: values.write };
}

/** Again with room for descriptors; it ends when we do. */
function runInside(): Promise<number> {
  const args = [...process.execArgv, import.meta.filename, ...process.argv.slice(2), INSIDE];
  const command = `ulimit -n ${DESCRIPTORS} 2>/dev/null || ulimit -n $(ulimit -Hn); exec setpriv --pdeathsig TERM "$0" "$@"`;
  const child = spawn("sh", ["-c", command, process.execPath, ...args], { stdio: "inherit" });
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => child.kill(name));
  return new Promise((resolve, reject) => {
    child.on("exit", (code) => resolve(code ?? 1));
    child.on("error", reject);
  });
}

async function main(args: readonly string[]): Promise<number> {
  process.on("exit", killAll);
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => process.exit(130));
  let options: Options;
  try {
    options = optionsOf(args);
  } catch (problem) {
    process.stderr.write(`${problem instanceof Error ? problem.message : String(problem)}\n${USAGE}`);
    return 2;
  }
  const records = await runFrontSession(options, (text) => process.stderr.write(text));
  process.stdout.write(frontGoalTable(records));
  if (options.isWriting) write(options, records);
  return frontVerdicts(records).every(({ isMet }) => isMet) ? 0 : 1;
}

function write(options: Options, now: readonly FrontRecord[]): void {
  const file = join(EVIDENCE, "front-performance.json");
  // Written by this.
  const old = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as FrontDocument) : undefined;
  const find = (key: string) => [...now, ...(old?.records ?? [])].find((record) => record.key === key);
  const packages = ["unbound", "dnsperf", ...options.fronts.flatMap(({ front }) => front.packageName ?? [])];
  const document: FrontDocument = {
    environment: environmentOf(packages),
    revision: commitOf(ROOT),
    secs: options.secs,
    records: FRONT_TESTS.flatMap(({ key }) => find(key) ?? []),
  };
  writeFileSync(file, `${JSON.stringify(document, null, 1)}\n`);
  writeFileSync(join(EVIDENCE, "front-performance.md"), frontPage(document));
}

const args = process.argv.slice(2);
if (args.includes("--help")) process.stdout.write(USAGE);
else process.exitCode = args.at(-1) === INSIDE ? await main(args.slice(0, -1)) : await runInside();
