/** The figures as tables, with ratios to what each group is measured by, and the goals. */
import { cpus, release } from "node:os";
import { BENCH_VERSIONS } from "./clients.ts";
import type { FirstLookup } from "./first-lookup.ts";
import { disturbance, type MachineUse } from "./machine.ts";
import type { Figures } from "./rounds.ts";

/** All of one run. */
export interface StubOutcome {
  readonly figures: readonly Figures[];
  readonly firstLookups: readonly FirstLookup[];
  readonly machine: MachineUse;
  readonly rounds: number;
  readonly roundMs: number;
}

/** One goal of the project. */
interface Goal {
  readonly text: string;
  readonly isMet: boolean;
}

export function goalsOf(figures: readonly Figures[]): Goal[] {
  const goals: Goal[] = [];
  for (const concurrency of new Set(figures.map((one) => one.concurrency))) {
    const rate = (key: string): number | undefined =>
      figures.find((one) => one.client.key === key && one.concurrency === concurrency)?.lookupsPerSecond;
    const [ours, cares] = [rate("stub-udp"), rate("cares")];
    if (ours !== undefined && cares !== undefined)
      goals.push({
        text: `UDP, ${concurrency} at once: ${(ours / cares).toFixed(2)} times the lookups of node:dns`,
        isMet: ours >= cares,
      });
    const best = Math.max(...["dohdec-dot", "dns2-dot", "plain-dot"].map((key) => rate(key) ?? 0));
    const dot = rate("stub-dot");
    if (dot !== undefined && best > 0)
      goals.push({
        text: `DoT, ${concurrency} at once: ${(dot / best).toFixed(2)} times the lookups of the best npm client`,
        isMet: dot > best,
      });
  }
  return goals;
}

/** Tables in Markdown. */
export function tables({ figures, firstLookups }: StubOutcome): string {
  const groups = [...new Set(figures.map(({ client }) => client.group))];
  const sections = groups.map((group) => groupTable(figures.filter(({ client }) => client.group === group)));
  return [...sections, firstTable(firstLookups)].join("\n");
}

function groupTable(figures: readonly Figures[]): string {
  const group = figures[0]?.client.group ?? "";
  const rows: string[] = [];
  for (const concurrency of new Set(figures.map((one) => one.concurrency))) {
    const those = figures.filter((one) => one.concurrency === concurrency);
    const base = those.find(({ client }) => client.isYardstick) ?? those[0];
    for (const one of those) {
      const { client, lookupsPerSecond, cpuUs, cpuUsRange, p50Ms, p99Ms } = one;
      const title = client.isOurs ? `**${client.title}**` : client.title;
      const ratio = (mine: number, its: number | undefined): string => (mine / (its ?? mine)).toFixed(2);
      rows.push(
        `| ${concurrency} | ${title} | ${Math.round(lookupsPerSecond)} | ${ratio(lookupsPerSecond, base?.lookupsPerSecond)} | ${cpuUs.toFixed(1)} | ${cpuUsRange.map((us) => us.toFixed(0)).join("–")} | ${ratio(cpuUs, base?.cpuUs)} | ${p50Ms.toFixed(3)} | ${p99Ms.toFixed(3)} |`,
      );
    }
  }
  return `## ${group}

| at once | client | lookups/s | ratio | CPU, µs | range | ratio | p50, ms | p99, ms |
|--:|---|--:|--:|--:|--:|--:|--:|--:|
${rows.join("\n")}
`;
}

function firstTable(firstLookups: readonly FirstLookup[]): string {
  if (firstLookups.length === 0) return "";
  const [nothing] = firstLookups;
  const rows = firstLookups.map(
    ({ title, wallMs, cpuMs }) =>
      `| ${title} | ${wallMs.toFixed(0)} | ${cpuMs.toFixed(0)} | ${(cpuMs - (nothing?.cpuMs ?? 0)).toFixed(0)} |`,
  );
  return `## The first lookup

A process that starts, asks once and ends; the library compiled, as it is published. \`nothing\` is Node itself.

| program | from start to end, ms | CPU, ms | CPU without Node, ms |
|---|--:|--:|--:|
${rows.join("\n")}
`;
}

export function page(outcome: StubOutcome): string {
  const { figures, machine, rounds, roundMs } = outcome;
  const disturbed = disturbance(machine);
  const goals = goalsOf(figures).map(({ text, isMet }) => `- ${isMet ? "● met" : "✗ missed"}: ${text}`);
  return `# What a lookup costs

Written by \`npm run bench:stub -- --write\` on Node ${process.versions.node}, Linux ${release()}, ${cpus().length} cores that clients and
server share: the server has the last to itself. Do not edit.${disturbed === undefined ? "" : `\n\n**The machine was loaded: ${disturbed}.** Ratios say more than figures then.`}

All clients ask the same unbound with local data on loopback. Each has a process of its own, and they take turns: medians of ${rounds} rounds of
${roundMs} ms at each concurrency. Every name is new, and caches are off, but where it says *cached*. CPU is user and system time of the client's process
per lookup, kernel included. The ratios are to the first line of each block that is not ours. ${BENCH_VERSIONS}

What is not equal: c-ares asks from one port all the time and sends no EDNS; ours asks from changing ports (decision 14) and sends EDNS, a cookie and
the wish for no client subnet. dns2 and the client by hand open a connection for each query, as DoT clients on npm do; dohdec
keeps one, without padding, timeout or reconnecting. tangerine speaks DoH only, over HTTP as undici chooses it. \`net.connect\` goes to a server
in the same process, and its figures hold both ends.

## Goals

${goals.join("\n")}

${tables(outcome)}`;
}
