/**
 * `npm run bench`: ours beside Debian's servers, or beside another revision of ours; see docs/performance.md. Exits 1 when a goal is
 * missed or a test became worse, 2 when the command line is wrong, 3 when the machine was too loaded to judge.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Checkout, changesBetween, changesText, checkOut, commitOf } from "./peers/against.ts";
import { DNSPERF, DNSPERF_PACKAGE } from "./peers/dnsperf/arguments.ts";
import { type BenchDocument, merge } from "./peers/document.ts";
import { environmentOf } from "./peers/environment.ts";
import { judge, NATIVE_SUFFIX, OUR_NAME, type TestResult, TWO_WORKERS_SUFFIX } from "./peers/judge.ts";
import { type BenchOptions, parseOptions, USAGE } from "./peers/options.ts";
import { hasWorkers, ourServer, ROOT } from "./peers/our-servers.ts";
import { goalTable, page } from "./peers/page.ts";
import { needsPeak } from "./peers/plan.ts";
import { plot } from "./peers/plot.ts";
import { killAll } from "./peers/processes.ts";
import { authority, PEERS, type Server } from "./peers/servers.ts";
import { LoadedMachineError, type Measured, runSession } from "./peers/session.ts";
import { loadOf, PEAK_TEST, TESTS, windowMsOf } from "./peers/tests.ts";

const EVIDENCE = join(ROOT, "docs/evidence");
/** For both ends of the connections that are held, and slots that servers reserve. */
const DESCRIPTORS = 20_000;
const INSIDE = "--inside";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Again with room for descriptors, which a process gets from its shell; it ends when we do. */
function runInside(): Promise<number> {
  const args = [...process.execArgv, import.meta.filename, ...process.argv.slice(2), INSIDE];
  const command = `ulimit -n ${DESCRIPTORS} 2>/dev/null || ulimit -n $(ulimit -Hn); exec setpriv --pdeathsig TERM "$0" "$@"`;
  const child = spawn("sh", ["-c", command, process.execPath, ...args], { stdio: "inherit" });
  for (const name of SIGNALS) process.on(name, () => child.kill(name));
  return new Promise((resolve, reject) => {
    child.on("exit", (code) => resolve(code ?? 1));
    child.on("error", reject);
  });
}

async function main(args: readonly string[]): Promise<number> {
  const interruption = new AbortController();
  for (const name of SIGNALS)
    process.on(name, () => {
      interruption.abort(new Error("interrupted"));
      killAll();
    });
  process.on("exit", killAll);
  let checkout: Checkout | undefined;
  if (args.includes("--help")) {
    process.stdout.write(USAGE);
    return 0;
  }
  try {
    const options = parseOptions(
      args,
      PEERS.map(({ name }) => name),
    );
    const missing = PEERS.filter(
      ({ name, program }) => options.servers.includes(name) && !existsSync(program),
    );
    if (missing.length > 0)
      throw new Error(
        `${missing.map(({ name }) => name).join(", ")} not installed: run scripts/install-peers.sh`,
      );
    if (needsDnsperf(options) && !existsSync(DNSPERF))
      throw new Error(
        "dnsperf, the load of dot, tcp and udp, is not installed: run scripts/install-peers.sh, or take our generator with --load own",
      );
    if (options.against !== undefined) checkout = checkOut(ROOT, options.against);
    const servers = [
      ...PEERS.filter(({ name }) => options.servers.includes(name)),
      ...ours(options, checkout),
    ];
    const measured = await runSession(
      servers,
      options,
      (text) => process.stderr.write(text),
      interruption.signal,
    );
    if (checkout !== undefined) return reportChanges(measured, options, checkout);
    return report(measured, options);
  } catch (problem) {
    if (interruption.signal.aborted) return 130;
    process.stderr.write(`${problem instanceof Error ? problem.message : String(problem)}\n`);
    return problem instanceof LoadedMachineError ? 3 : 2;
  } finally {
    checkout?.remove();
  }
}

function needsDnsperf({ tests, load }: BenchOptions): boolean {
  const peak = needsPeak(tests) ? TESTS.filter(({ key }) => key === PEAK_TEST) : [];
  return [...tests, ...peak].some((test) => loadOf(test, load) === "dnsperf");
}

function ours({ engines, tests, against }: BenchOptions, checkout: Checkout | undefined): Server[] {
  const servers: Server[] = [];
  let number = FIRST_ADDRESS;
  const add = (name: string, root: string, engine: (typeof engines)[number], workers: number): void => {
    servers.push(ourServer({ name, root, engine, workers, number: number++ }));
  };
  for (const engine of engines) {
    const name = engine === "native" ? `${OUR_NAME}${NATIVE_SUFFIX}` : OUR_NAME;
    if (checkout !== undefined) add(`${name}@${against}`.replaceAll("/", "_"), checkout.root, engine, 1);
    add(name, ROOT, engine, 1);
    const isScaled = tests.some(({ figure }) => figure === "scaling");
    if (isScaled && checkout === undefined && hasWorkers(ROOT))
      add(`${name}${TWO_WORKERS_SUFFIX}`, ROOT, engine, 2);
  }
  return servers;
}

function report(measured: Measured, options: BenchOptions): number {
  const packages = [
    ...[...PEERS, authority].flatMap(({ packageName }) => packageName ?? []),
    DNSPERF_PACKAGE,
  ];
  const taken = new Date().toISOString().slice(0, 10);
  const revision = commitOf(ROOT);
  const records = [...measured].flatMap(([key, measurements]) => {
    const test = TESTS.find((one) => one.key === key);
    if (test === undefined) return [];
    const load = loadOf(test, options.load);
    const secs = windowMsOf(test, load, options.secs) / 1000;
    return [{ key, taken, revision, secs, load, measurements }];
  });
  const document: BenchDocument = { environment: environmentOf(packages), tests: records };
  const results = judge(document, options.tests);
  process.stdout.write(
    options.isJson ? `${JSON.stringify({ ...document, results }, null, 2)}\n` : goalTable(results),
  );
  const isSpoilt = ({ ours: all }: TestResult): boolean => all.some(({ verdict }) => verdict === "disturbed");
  const spoilt = results.filter(isSpoilt).map(({ test }) => test.key);
  if (options.isWriting) {
    const kept = options.isForced ? records : records.filter(({ key }) => !spoilt.includes(key));
    write({ ...document, tests: kept });
    if (kept.length < records.length)
      process.stderr.write(`not written, because the machine was loaded: ${spoilt.join(", ")}\n`);
  }
  if (spoilt.length > 0) return 3;
  return results.some(({ ours: all }) => all.some(({ verdict }) => verdict === "missed")) ? 1 : 0;
}

function write(now: BenchDocument): void {
  const file = join(EVIDENCE, "performance.json");
  // Written by this.
  const old = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as BenchDocument) : undefined;
  const document = merge(
    old,
    now,
    TESTS.map(({ key }) => key),
  );
  const results = judge(document, TESTS);
  writeFileSync(file, `${JSON.stringify(document, null, 1)}\n`);
  writeFileSync(join(EVIDENCE, "performance.md"), page(document, results));
  writeFileSync(join(EVIDENCE, "performance.svg"), plot(results));
}

function reportChanges(measured: Measured, options: BenchOptions, checkout: Checkout): number {
  if (checkout.hasOtherDependencies)
    process.stderr.write(`${options.against} has other dependencies; it ran with those installed here\n`);
  const changes = options.engines.flatMap((engine) => {
    const name = engine === "native" ? `${OUR_NAME}${NATIVE_SUFFIX}` : OUR_NAME;
    return changesBetween(measured, options.tests, `${name}@${options.against}`.replaceAll("/", "_"), name);
  });
  const title = `${options.against} (${checkout.commit}) and now (${commitOf(ROOT)})`;
  process.stdout.write(
    options.isJson
      ? `${JSON.stringify(changes, null, 2)}\n`
      : `${title}\n${changesText(changes, options.against ?? "")}`,
  );
  return changes.some(({ difference }) => difference.verdict === "worse") ? 1 : 0;
}

/** Of ours, the last number of the address. */
const FIRST_ADDRESS = 21;

const args = process.argv.slice(2);
process.exitCode = args.at(-1) === INSIDE ? await main(args.slice(0, -1)) : await runInside();
