/**
 * `npm run evidence:connections`: takes the tables of 2016 from a running server and our client, and measures whether keepalive is honest.
 * As root it runs in a network namespace of its own with Fast Open on; otherwise the Fast Open cells are red. Writes
 * docs/evidence with --write, prints JSON with --json. Exits 1 when a cell is not green. `npm run
 * evidence` probes the servers and clients of others, too.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { parseArgs, styleText } from "node:util";
import type { Cell } from "./evidence/cell.ts";
import { type Honesty, measureHonesty } from "./evidence/keepalive-honesty.ts";
import { serverCells } from "./evidence/server-cells.ts";
import { stubCells } from "./evidence/stub-cells.ts";
import { openWorld } from "./evidence/world.ts";

const FOLDER = join(import.meta.dirname, "../docs/evidence");

// With options of its own.
const { values: options } = parseArgs({
  options: {
    write: { type: "boolean" },
    json: { type: "boolean" },
    /** Only the tables, with short timers: for the test that keeps this program working. */
    quick: { type: "boolean" },
    inside: { type: "boolean" },
  },
});

if (process.getuid?.() === 0 && options.inside !== true && options.quick !== true) {
  const enter = 'ip link set lo up && echo 3 > /proc/sys/net/ipv4/tcp_fastopen && exec "$0" "$@"';
  const args = [...process.execArgv, import.meta.filename, ...process.argv.slice(2), "--inside"];
  const run = spawnSync("unshare", ["-n", "sh", "-c", enter, process.execPath, ...args], {
    stdio: "inherit",
  });
  process.exit(run.status ?? 1);
}

const isInside = options.inside === true;
const world = await openWorld();
const tell = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`${text}\n`);
};
try {
  tell("the server's cells");
  const cells: Cell[] = await serverCells(world, isInside, isInside);
  tell("the stub's cells");
  cells.push(...(await stubCells(world, isInside, isInside)));
  tell("honest keepalive: several settings and loads, some minutes");
  const [settings, loads] =
    options.quick === true
      ? [[300], [0, 80]]
      : [
          [300, 1000, 2500, 10_000],
          [0, 60, 80, 95],
        ];
  const honesty = await measureHonesty(world, settings, loads);
  // Without root, Fast Open cannot be measured; that is told in the table and no failure of what can.
  const failures =
    cells.filter(({ isGreen, row }) => !isGreen && (isInside || row !== "TCP Fast Open")).length +
    honesty.filter(({ isHonest }) => !isHonest).length;
  if (options.json === true) process.stdout.write(`${JSON.stringify({ cells, honesty }, null, 2)}\n`);
  else process.stdout.write(terminalTable(cells, honesty));
  if (options.write === true) {
    writeFileSync(join(FOLDER, "connections.md"), connectionsPage(cells));
    writeFileSync(join(FOLDER, "connections.json"), `${JSON.stringify({ cells, honesty }, null, 2)}\n`);
    writeFileSync(join(FOLDER, "keepalive.md"), keepalivePage(honesty));
  }
  process.exitCode = failures === 0 ? 0 : 1;
} finally {
  await world.close();
}

function terminalTable(cells: readonly Cell[], honesty: readonly Honesty[]): string {
  const lines = cells.flatMap(({ side, row, isGreen, evidence }) => [
    `${styleText(isGreen ? "green" : "red", isGreen ? "● green" : "✗ red  ")} ${side.padEnd(9)} ${styleText("bold", row)}`,
    ...evidence.map((text) => `          ${text}`),
  ]);
  lines.push("", "keepalive: told / closed after a query / closed from the start, ms");
  for (const one of honesty)
    lines.push(
      `${styleText(one.isHonest ? "green" : "red", one.isHonest ? "●" : "✗")} ${one.transport} timer ${one.idleTimeoutMs}, load ${one.loadPercent} %: ${one.advertisedMs} / ${Math.round(one.closedAfterQueryMs)} / ${Math.round(one.closedFromStartMs)}`,
    );
  return `${lines.join("\n")}\n`;
}

function head(title: string): string {
  return `# ${title}

Written by \`npm run evidence:connections -- --write\` on Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, Linux ${release()}, ${cpus().length} cores. Do not edit.
`;
}

function connectionsPage(cells: readonly Cell[]): string {
  const table = (side: Cell["side"], title: string): string =>
    `## ${title}\n\n| row of 2016 | Sotto | evidence |\n|---|---|---|\n${cells
      .filter((cell) => cell.side === side)
      .map(
        ({ row, isGreen, evidence }) =>
          `| ${row} | ${isGreen ? "● Released" : "✗ not shown"} | ${evidence.join("<br>")} |`,
      )
      .join("\n")}\n`;
  return `${head("The tables of 2016, observed")}
Each cell is what a client or server over real sockets saw: \`sotto serve\` as a process on 127.0.0.1 in a network namespace
with \`net.ipv4.tcp_fastopen=3\`, our client library against a server that writes down every octet.

${table("server", "Recursive resolver")}
${table("stub", "Stub")}
${table("front end", "What TLS front ends lacked")}`;
}

function keepalivePage(honesty: readonly Honesty[]): string {
  const rows = honesty.map(
    (one) =>
      `| ${one.transport} | ${one.idleTimeoutMs} | ${one.loadPercent} % | ${one.advertisedMs} | ${Math.round(one.closedAfterQueryMs)} | ${Math.round(one.closedFromStartMs)} | ${one.isHonest ? "●" : "✗"} |`,
  );
  return `${head("Keepalive honesty")}
What edns-tcp-keepalive promised (RFC 7828 §3.3.2) against when the server closed, milliseconds. Load is the part of the
connection limit that idle connections hold. Honest: within one tick of 100 ms, after a query and from the start; the timer of
a connection that asks nothing (\`limits.first-query-timeout\`) is by default the idle timeout and shrinks in the same way.

| transport | idle timeout | load | advertised | closed after a query | closed from the start | honest |
|---|---|---|---|---|---|---|
${rows.join("\n")}
`;
}
