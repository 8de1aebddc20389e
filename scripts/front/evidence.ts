/**
 * `npm run evidence:front`: what NGINX, HAProxy, stunnel, dnsdist and Sotto do as TLS front ends, each before Debian's unbound and
 * before poor servers of ours, by real exchanges. As root it runs in a network namespace of its own with Fast Open on. Prints the
 * table, writes docs/evidence/front-gaps.{md,json} with --write. Exits 1 when a cell of Sotto is not full where it can be.
 */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { environmentOf } from "../../bench/peers/environment.ts";
import { killAll } from "../../bench/peers/processes.ts";
import { FRONTS } from "./front-programs.ts";
import { BACKENDS, type BackendKind } from "./gap-backends.ts";
import { type GapCell, isShort } from "./gap-cell.ts";
import { gapPage, gapTable } from "./gap-page.ts";
import { takeGaps } from "./gap-run.ts";

const EVIDENCE = join(import.meta.dirname, "../../docs/evidence");
const { values: options } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    /** Names of programs, and kinds of backends. */
    fronts: { type: "string", default: FRONTS.map(({ name }) => name).join(",") },
    backends: { type: "string", default: Object.keys(BACKENDS).join(",") },
    inside: { type: "boolean", default: false },
  },
});

if (process.getuid?.() === 0 && !options.inside) {
  const enter =
    'ip link set lo up && echo 3 > /proc/sys/net/ipv4/tcp_fastopen && exec setpriv --pdeathsig TERM "$0" "$@"';
  const args = [...process.execArgv, import.meta.filename, ...process.argv.slice(2), "--inside"];
  const run = spawnSync("unshare", ["-n", "sh", "-c", enter, process.execPath, ...args], {
    stdio: "inherit",
  });
  process.exit(run.status ?? 1);
}

process.on("exit", killAll);
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => process.exit(130));
// Servers of ours that are closed under way leave errors behind, and each probe tells what it needs to.
const names = options.fronts.split(",");
const fronts = FRONTS.filter(({ name, program }) => names.includes(name) && existsSync(program));
const kinds = options.backends.split(",").filter((kind): kind is BackendKind => kind in BACKENDS);
const cells: GapCell[] = await takeGaps(fronts, kinds, options.inside, (text) =>
  process.stderr.write(`${text}\n`),
);
const packages = ["unbound", ...fronts.flatMap(({ packageName }) => packageName ?? [])];
const environment = environmentOf(packages);
process.stdout.write(options.json ? `${JSON.stringify({ environment, cells }, null, 1)}\n` : gapTable(cells));
if (options.write) {
  writeFileSync(join(EVIDENCE, "front-gaps.md"), gapPage(environment, cells));
  writeFileSync(join(EVIDENCE, "front-gaps.json"), `${JSON.stringify({ environment, cells }, null, 1)}\n`);
}
process.exitCode = cells.some(isShort) ? 1 : 0;
