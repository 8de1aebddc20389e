/**
 * `npm run bench:front-storm`: ten thousand DNS over TLS clients ask through the front end, which has at most eight connections to two
 * backends, while these are killed, stopped and restarted. No answer may be wrong, no query may be without an outcome, none may wait
 * longer than one retry more. Exits 1 when one of these fails; writes docs/evidence/front-storm.{md,json} with --write.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FRONTS } from "../../scripts/front/front-programs.ts";
import { environmentOf } from "../peers/environment.ts";
import { killAll } from "../peers/processes.ts";
import { stormPage, stormVerdicts } from "./storm-page.ts";
import { runStorm, type StormOptions } from "./storm-run.ts";

const EVIDENCE = join(import.meta.dirname, "../../docs/evidence");
const INSIDE = "--inside";
/** For both ends of ten thousand connections in the largest process, and a front end that has one more for each. */
const DESCRIPTORS = 65_536;

const USAGE = `npm run bench:front-storm -- [--queries N] [--clients N] [--outstanding N] [--leaving N] [--retry-interval MS]
                             [--front NAME] [--engine node|native] [--calm] [--write]
  --queries         in all (10000000)
  --clients         DNS over TLS connections (10000); --leaving of them per second leave and come again (20)
  --outstanding     queries under way at once (400)
  --retry-interval  later answers count as late, milliseconds (1000); the front end keeps its own
  --front           sotto, or nginx, haproxy, dnsdist to see what the same does to them
  --engine          of sotto's listeners (node)
  --calm            nothing is killed or stopped
  --write           writes docs/evidence/front-storm.{md,json}
`;

function optionsOf(args: readonly string[]): StormOptions & { readonly isWriting: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      queries: { type: "string", default: "10000000" },
      clients: { type: "string", default: "10000" },
      outstanding: { type: "string", default: "400" },
      leaving: { type: "string", default: "20" },
      "retry-interval": { type: "string", default: "1000" },
      front: { type: "string", default: "sotto" },
      engine: { type: "string", default: "node" },
      calm: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const front = FRONTS.find(({ name }) => name === values.front);
  if (front === undefined) throw new Error(`there is no front end ${values.front}`);
  const { engine } = values;
  if (engine !== "node" && engine !== "native") throw new Error(`there is no engine ${engine}`);
  return {
    front,
    engine,
    queries: Number(values.queries),
    clients: Number(values.clients),
    outstanding: Number(values.outstanding),
    leavingPerSecond: Number(values.leaving),
    retryIntervalMs: Number(values["retry-interval"]),
    isCalm: values.calm,
    isWriting: values.write,
  };
}

/** Again in a network namespace, with room for descriptors; it ends when we do. */
function runInside(): Promise<number> {
  const args = [...process.execArgv, import.meta.filename, ...process.argv.slice(2), INSIDE];
  const command = `ip link set lo up && (ulimit -n ${DESCRIPTORS}) 2>/dev/null && ulimit -n ${DESCRIPTORS} || ulimit -n $(ulimit -Hn); exec setpriv --pdeathsig TERM "$0" "$@"`;
  const child: ChildProcess = spawn("unshare", ["-n", "sh", "-c", command, process.execPath, ...args], {
    stdio: "inherit",
  });
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => child.kill(name));
  return new Promise((resolve) => {
    child.on("exit", (code) => resolve(code ?? 1));
    child.on("error", () => resolve(2));
  });
}

async function main(args: readonly string[]): Promise<number> {
  process.on("exit", killAll);
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => process.exit(130));
  const options = optionsOf(args);
  const { front, isWriting } = options;
  const storm = await runStorm(options, (line) => process.stderr.write(line));
  const packages = front.packageName === undefined ? [] : [front.packageName];
  const document = { environment: environmentOf(packages), storm };
  const verdicts = stormVerdicts(storm);
  for (const { isMet, text } of verdicts)
    process.stdout.write(`${isMet ? "● met   " : "✗ missed"} ${text}\n`);
  for (const example of storm.counts.wrongExamples) process.stdout.write(`wrong: ${example}\n`);
  if (isWriting) {
    writeFileSync(join(EVIDENCE, "front-storm.md"), stormPage(document));
    writeFileSync(join(EVIDENCE, "front-storm.json"), `${JSON.stringify(document, null, 1)}\n`);
  }
  return verdicts.every(({ isMet }) => isMet) ? 0 : 1;
}

const args = process.argv.slice(2);
if (args.includes("--help")) process.stdout.write(USAGE);
else process.exitCode = args.at(-1) === INSIDE ? await main(args.slice(0, -1)) : await runInside();
