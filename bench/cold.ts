/**
 * `npm run bench:cold -- [--queries N] [--json] [--write]`: what names cost that nobody asked for before, ours beside Debian's
 * unbound and kresd in one run: CPU of the resolver's process per query. Needs root for port 53 on 127.51.100.x.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { Exchanger } from "@sotto/dns/transport";
import { makeEdns, parseName, Rcode, RRClass, RRType } from "@sotto/dns/wire";
import { exposeInternet } from "../packages/sotto/src/playground/expose.ts";
import { type RunningResolver, startKresd, startSotto, startUnbound } from "../test/interop/resolvers.ts";

interface Setting {
  readonly title: string;
  readonly isValidating: boolean;
  readonly nameOf: (n: number) => string;
  /** Kresd always validates and always synthesizes. */
  readonly withKresd: boolean;
}

const SETTINGS: readonly Setting[] = [
  {
    title: "unsigned zone, no validation",
    isValidating: false,
    nameOf: (n) => `n${n}.wild.bare.nest.dnssec.`,
    withKresd: false,
  },
  {
    title: "unsigned zone, validation on",
    isValidating: true,
    nameOf: (n) => `n${n}.wild.bare.nest.dnssec.`,
    withKresd: true,
  },
  {
    title: "signed zone (ECDSA, wildcard: two signatures a query), no validation",
    isValidating: false,
    nameOf: (n) => `n${n}.wild.alg13.dnssec.`,
    withKresd: false,
  },
  {
    title: "signed zone (ECDSA, wildcard: two signatures a query), validation on",
    isValidating: true,
    nameOf: (n) => `n${n}.wild.alg13.dnssec.`,
    withKresd: false,
  },
];

const { values: options } = parseArgs({
  options: { queries: { type: "string" }, json: { type: "boolean" }, write: { type: "boolean" } },
});
const QUERIES = Number(options.queries ?? "10000");
/** Asked before anything is measured: code gets warm, the way to the zone is known. */
const WARM = 3000;
const CLIENTS = 32;
/** Of the kernel's accounting (`getconf CLK_TCK`), per second. */
const TICKS = 100;

const runtime = nodeRuntime();
const folder = mkdtempSync(join(tmpdir(), "sotto-cold-"));
const internet = await exposeInternet(53, folder, runtime);
const rows: { setting: string; [resolver: string]: number | string }[] = [];
try {
  const facts = { exposed: internet.facts };
  for (const { title, isValidating, nameOf, withKresd } of SETTINGS) {
    process.stderr.write(`${title} …\n`);
    const row: { setting: string; [resolver: string]: number | string } = { setting: title };
    const how = { isValidating, isAggressive: false } as const;
    row["sotto"] = await measure(await startSotto(folder, facts, how), nameOf);
    row["unbound"] = await measure(await startUnbound(folder, facts, how), nameOf);
    if (withKresd) row["kresd"] = await measure(await startKresd(folder, facts), nameOf);
    rows.push(row);
  }
} finally {
  await internet.close();
  rmSync(folder, { recursive: true });
}
if (options.json === true) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
else process.stdout.write(table());
if (options.write === true) writeFileSync(join(import.meta.dirname, "../docs/evidence/cold.md"), page());

/** Microseconds of CPU per query. */
async function measure({ peer, port }: RunningResolver, nameOf: (n: number) => string): Promise<number> {
  const exchanger = new Exchanger({}, runtime);
  const ask = async (from: number, to: number): Promise<void> => {
    let next = from;
    const client = async (): Promise<void> => {
      while (next < to) {
        const { message } = await exchanger.exchange({
          question: { name: parseName(nameOf(next++)), type: RRType.A, class: RRClass.IN },
          server: { address: "127.0.0.1", port },
          transport: "udp",
          recursionDesired: true,
          checkingDisabled: false,
          authenticData: true,
          edns: makeEdns({ dnssecOk: true }),
          deadlineMs: runtime.clock.nowMs() + 20_000,
        });
        if (message.rcode !== Rcode.NoError || message.answers.length === 0)
          throw new Error(`${nameOf(next - 1)} was answered with rcode ${message.rcode}`);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  };
  try {
    await ask(0, WARM);
    const pid = peer.process.pid ?? 0;
    const before = cpuTicks(pid);
    await ask(WARM, WARM + QUERIES);
    return Math.round(((cpuTicks(pid) - before) * 1_000_000) / TICKS / QUERIES);
  } finally {
    await exchanger.close();
    await peer.stop();
  }
}

/** User and system time of a process (proc(5), fields 14 and 15). */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "ascii")
    .replace(/^.*\) /s, "")
    .split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

function table(): string {
  const head =
    "| names that are new each time | ours, µs | unbound, µs | ratio | kresd, µs |\n|---|--:|--:|--:|--:|\n";
  return (
    head +
    rows
      .map(({ setting, sotto, unbound, kresd }) => {
        const ratio = (Number(sotto) / Number(unbound)).toFixed(1);
        return `| ${setting} | ${sotto} | ${unbound} | ${ratio} | ${kresd ?? "–"} |\n`;
      })
      .join("")
  );
}

function page(): string {
  return `# What new names cost

Written by \`npm run bench:cold -- --write\` on Node ${process.versions.node}, Linux ${release()}, ${cpus().length} cores that resolver, authority and clients share. Do not edit.

CPU of the resolver's process per query, by the kernel's accounting, over ${QUERIES} names after ${WARM} others; each is one question to an authority on loopback. Denial records are not used for other names.

${table()}
Queries to a server that is asked much share a few ports for a second (decision 22), and a signature that was right is not computed again: here
that is so for all names of the signed zone, since a wildcard makes them. What is left is spread: of 28 kB of sampled garbage per question no function of
ours makes more than 1.3 kB; a third of the time is the collector's, a quarter the kernel's. These figures are the portable engine's, whose floor is
Node's: a relay of twenty lines on \`node:dgram\`, which only passes messages on from one shared socket, took 35 µs per query where kresd took 55 for
everything, in one run. What was tried, and what is left, is in [performance.md](../performance.md).
`;
}
