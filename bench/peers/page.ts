/** The figures as a page: the table of goals first, then all servers in each test. */

import type { Spread } from "../report/statistics.ts";
import type { BenchDocument, Environment } from "./document.ts";
import type { OurResult, ServerResult, TestResult } from "./judge.ts";
import type { Figure, Load } from "./tests.ts";

/** The table of goals. */
export function goalTable(results: readonly TestResult[]): string {
  const rows = results.flatMap((result) => result.ours.map((ours) => goalRow(result, ours)));
  return `| work | best peer | | ours | | ratio | of the least | goal | |
|---|---|--:|---|--:|--:|--:|--:|---|
${rows.join("\n")}
`;
}

function goalRow({ test, bestPeer }: TestResult, ours: OurResult): string {
  const { figure } = test;
  const peer =
    test.figure === "scaling" || bestPeer === undefined
      ? ["–", ""]
      : [bestPeer.server, withUnit(bestPeer.figure, figure)];
  const goal = {
    ratio: `≤ ${ours.goal}×`,
    "at-most": `≤ ${ours.goal} ${UNITS[figure]}`,
    "at-least": `≥ ${ours.goal}×`,
  };
  const ratio = ours.ratio === undefined ? "–" : `**${ours.ratio.toFixed(2)}×**`;
  const leastRatio = ours.leastRatio === undefined ? "" : `${ours.leastRatio.toFixed(2)}×`;
  const verdict = ours.verdict === undefined ? "" : MARKS[ours.verdict];
  const own = figure === "scaling" ? "" : withUnit(ours.figure, figure);
  return `| ${[test.title, ...peer, ours.server, own, ratio, leastRatio, goal[test.goal.kind], verdict].join(" | ")} |`;
}

/** The page of `docs/evidence`. */
export function page(document: BenchDocument, results: readonly TestResult[]): string {
  return `# Speed beside the peers

Written by \`npm run bench -- --write\`. Do not edit. What each test is, how CPU time is accounted and how to repeat it:
[performance.md](../performance.md).

${environmentText(document.environment)}

Figures are medians over the rounds, with the least and the most behind them: CPU time of the server's processes per answer, kernel
included, where nothing else is said. The ratio is ours by the best peer's in the same rounds; less is better. Beside it that of the least
figures: what else a machine does only adds, and adds less to the best round. Each test tells its load: Debian's dnsperf, or our own
generator. Figures of different loads do not compare. dnsperf looks at the id of an answer, its connection and its response code, and
tells no quantiles of latencies; ours compares one question in 64, too.

## Goals

${goalTable(results)}
![CPU time of the server per query](performance.svg)

## All servers

${results.map(section).join("\n")}`;
}

function section({ test, record, servers }: TestResult): string {
  const rounds = Math.max(...servers.map((one) => one.rounds));
  const taken = `${rounds} ${rounds === 1 ? "round" : "rounds"} of ${record.secs} s, load ${LOAD_NAMES[record.load ?? "own"]}`;
  const rows = servers.map((one) => serverRow(one, test.figure));
  return `### ${test.title}

\`${test.key}\`, ${taken}, taken ${record.taken} of ${record.revision}.

| server | ${NAMES[test.figure]} | least–most | CPU, µs | answers/s | server's CPU | load's CPU | p50, ms | p99, ms | remarks |
|---|--:|--:|--:|--:|--:|--:|--:|--:|---|
${rows.join("\n")}
`;
}

function serverRow(one: ServerResult, figure: Figure): string {
  const {
    server,
    isOurs,
    cpuUs,
    perSecond,
    serverShare,
    loadShare,
    p50Ms,
    p99Ms,
    wrong,
    lost,
    disturbed,
    rounds,
  } = one;
  const remarks = [
    ...(wrong > 0 ? [`${wrong} wrong`] : []),
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(disturbed > 0 ? [`${disturbed} of ${rounds} rounds disturbed`] : []),
  ];
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const cells = [
    isOurs ? `**${server}**` : server,
    number(one.figure.median, figure),
    `${number(one.figure.least, figure)}–${number(one.figure.most, figure)}`,
    cpuUs.toFixed(2),
    Math.round(perSecond),
    percent(serverShare),
    percent(loadShare),
    p50Ms?.toFixed(3) ?? "–",
    p99Ms?.toFixed(3) ?? "–",
    remarks.join(", "),
  ];
  return `| ${cells.join(" | ")} |`;
}

function environmentText({ node, openssl, kernel, processor, cores, packages }: Environment): string {
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  return `Node ${node} with OpenSSL ${openssl}, Linux ${kernel}, ${processor}, ${cores} cores: one for the server, one for the load and the
authority. Beside us: ${versions.join(", ")}.`;
}

function withUnit({ median, least, most }: Spread, figure: Figure): string {
  return `${number(median, figure)} (${number(least, figure)}–${number(most, figure)}) ${UNITS[figure]}`;
}

function number(value: number, figure: Figure): string {
  return value.toFixed(figure.endsWith("Ms") ? 3 : value >= 100 ? 0 : 2);
}

const UNITS: Readonly<Record<Figure, string>> = {
  cpuUs: "µs",
  p50Ms: "ms",
  p99Ms: "ms",
  memoryKib: "KiB",
  scaling: "µs",
};
const NAMES: Readonly<Record<Figure, string>> = {
  cpuUs: "CPU, µs",
  p50Ms: "p50, ms",
  p99Ms: "p99, ms",
  memoryKib: "KiB each",
  scaling: "busiest thread, µs",
};
const LOAD_NAMES: Readonly<Record<Load, string>> = { dnsperf: "dnsperf", own: "our generator" };
const MARKS = { met: "● met", missed: "✗ missed", disturbed: "○ disturbed" } as const;
