/**
 * `npm run evidence`: both tables of 2016 as of today. Starts Debian's servers and ours, probes them and the clients, and
 * prints the tables; --write writes them to docs/evidence/tables.{md,json,html}, --folder elsewhere. As root it runs in a network
 * namespace of its own with Fast Open on. Exits 1 when a row of 2016 is not released where Sotto is to have it.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { environmentOf } from "../../bench/peers/environment.ts";
import { killAll } from "../../bench/peers/processes.ts";
import { loadRows, sheetsOf, tableText } from "../../packages/sotto/src/tools/probe/index.ts";
import { CLIENT_ROWS } from "../../packages/sotto/src/tools/probe/rows-client.ts";
import { SERVER_ROWS } from "../../packages/sotto/src/tools/probe/rows-server.ts";
import { TABLE_CLIENTS, type TableClient } from "./table-clients.ts";
import { TABLE_SERVERS, type TableServer } from "./table-servers.ts";
import { tablesFiles } from "./tables-page.ts";
import { takeTables } from "./take-tables.ts";

const { values: options } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    /** Where files are written. */
    folder: { type: "string", default: join(import.meta.dirname, "../../docs/evidence") },
    /** Names of servers and presets of clients; absent: all. */
    only: { type: "string" },
    /** For the test that keeps this program working: rows of 2016, and no long waits. */
    short: { type: "boolean", default: false },
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

/** Columns of ours; a tool that asks one question, such as sotto query, has less to do by default. */
const OWN_TITLES: Readonly<Record<string, string>> = {
  sotto: "Sotto serve",
  "sotto-stub-fast-open": "Sotto stub",
  "sotto-query-full": "Sotto query, all flags",
  "sotto-query": "Sotto query",
};
const NO_NAMESPACE =
  "Fast Open of servers, validation and minimisation are not shown: only root can run this in a network namespace with net.ipv4.tcp_fastopen=3 and an internet on port 53";
const OURS = new Set(["Sotto serve", "Sotto stub", "Sotto query, all flags"]);

const everything = [...TABLE_SERVERS, ...TABLE_CLIENTS];
const only = options.only?.split(",");
const unknown = only?.filter((name) => everything.every((one) => one.name !== name)) ?? [];
if (unknown.length > 0) {
  process.stderr.write(
    `nothing is called ${unknown.join(", ")}; there are ${everything.map(({ name }) => name).join(", ")}\n`,
  );
  process.exit(1);
}
const isWanted = ({ name }: { readonly name: string }): boolean => only?.includes(name) ?? true;
const environment = environmentOf([
  ...new Set(everything.filter(isWanted).flatMap(({ packageName }) => packageName ?? [])),
]);
const startedMs = performance.now();
const taken = await takeTables({
  servers: TABLE_SERVERS.filter(isWanted),
  clients: TABLE_CLIENTS.filter(isWanted),
  hasInternet: options.inside,
  isShort: options.short,
  clientRows: options.short
    ? CLIENT_ROWS.filter(({ deck }) => deck !== undefined).map(({ key }) => key)
    : undefined,
  titleOf,
  tell: (text) => process.stderr.write(`${Math.round((performance.now() - startedMs) / 1000)} s: ${text}\n`),
});
const missing = options.inside ? taken.missing : [NO_NAMESPACE, ...taken.missing];
process.stdout.write(tableText(sheetsOf(taken.reports, await loadRows()), { width: 200, isColoured: false }));
if (options.write) {
  const differences = readFileSync(join(import.meta.dirname, "differences.md"), "utf8");
  const files = await tablesFiles({ ...taken, missing }, environment, differences);
  for (const kind of ["md", "json", "html"] as const) {
    const file = join(options.folder, `tables.${kind}`);
    const text = files[kind];
    // A page that became too large must not stay as of yesterday.
    if (text === undefined) rmSync(file, { force: true });
    else writeFileSync(file, text);
  }
}
const deckRows = new Set([...SERVER_ROWS, ...CLIENT_ROWS].flatMap(({ key, deck }) => (deck ? [key] : [])));
const short = taken.reports
  .filter(({ title }) => OURS.has(title))
  .flatMap(({ title, report }) =>
    report.cells
      .filter(({ row, verdict }) => deckRows.has(row) && verdict !== "released")
      .map(({ row, verdict, observed }) => `${title}: ${row} is ${verdict}: ${observed}`),
  );
process.stderr.write(
  `${[...missing, ...short].join("\n")}\ndone after ${Math.round((performance.now() - startedMs) / 1000)} s\n`,
);
process.exitCode = short.length + missing.length === 0 ? 0 : 1;

/** `unbound 1.17.1`: the name lets the column of 2016 be found. */
function titleOf({ name, packageName }: TableServer | TableClient): string {
  const own = OWN_TITLES[name];
  if (own !== undefined || packageName === undefined) return own ?? name;
  // 1:9.18.49-1~deb12u3 without what is Debian's.
  const version = /^(?:\d+:)?([^-+~]+)/.exec(environment.packages[packageName] ?? "")?.[1];
  return version === undefined ? name : `${name} ${version}`;
}
