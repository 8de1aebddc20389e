/** Figures of front ends as a page: what is to be reached first, then all of them in each test. */
import type { Environment } from "../peers/document.ts";
import { isSound } from "../peers/judge.ts";
import { median, spreadOf } from "../report/statistics.ts";
import {
  BLOCKING_SUFFIX,
  DIRECT,
  type FrontMeasurement,
  type FrontRecord,
  figureOf,
} from "./front-session.ts";
import {
  BLOCK_LIST_MIB_MOST,
  BLOCK_LIST_US_MOST,
  FRONT_TESTS,
  type FrontFigure,
  type FrontTest,
} from "./front-tests.ts";

/** What is kept. */
export interface FrontDocument {
  readonly environment: Environment;
  readonly revision: string;
  readonly secs: number;
  readonly records: readonly FrontRecord[];
}

export interface FrontVerdict {
  readonly what: string;
  readonly isMet: boolean;
  readonly isDisturbed: boolean;
  readonly text: string;
}

/** Ours have names that begin so. */
const OUR_NAME = "sotto";

/** Figures of one contender in one test that count. */
function figuresOf(record: FrontRecord, name: string, figure: FrontFigure): number[] {
  const all = record.measurements.filter((one) => one.name === name);
  const quiet = all.filter(({ disturbed }) => disturbed === undefined);
  // Better a disturbed figure that is called so than none.
  return (quiet.length > 0 ? quiet : all).map((one) => figureOf(one, figure));
}

function namesOf({ measurements }: FrontRecord): string[] {
  return [...new Set(measurements.map(({ name }) => name))];
}

/** Answers of all rounds were right and there; who was left out under way is no better than who never answered. */
function isReliable({ measurements, failures }: FrontRecord, name: string): boolean {
  const all = measurements.filter((one) => one.name === name);
  const sum = (of: (one: FrontMeasurement) => number): number =>
    all.reduce((total, one) => total + of(one), 0);
  const isLeftOut = failures.some((text) => text.startsWith(`${name}: `));
  const counts = {
    wrong: sum(({ wrong }) => wrong),
    lost: sum(({ lost }) => lost),
    answers: sum(({ answers }) => answers),
  };
  return !isLeftOut && isSound(counts);
}

/** What was left out of ours before it gave a figure has missed its goal. */
function leftOutVerdicts(
  what: string,
  { failures }: FrontRecord,
  measured: readonly string[],
): FrontVerdict[] {
  return failures
    .filter((text) => text.startsWith(OUR_NAME) && !measured.some((name) => text.startsWith(`${name}: `)))
    .map((text) => ({ what, isMet: false, isDisturbed: false, text }));
}

function isMostlyDisturbed(record: FrontRecord, names: readonly string[]): boolean {
  return names.some((name) => {
    const all = record.measurements.filter((one) => one.name === name);
    return all.filter(({ disturbed }) => disturbed !== undefined).length * 2 > all.length;
  });
}

/** The goals that there are figures for. */
export function frontVerdicts(records: readonly FrontRecord[]): FrontVerdict[] {
  return records.flatMap((record) => {
    const test = FRONT_TESTS.find(({ key }) => key === record.key);
    if (test === undefined) return [];
    return test.variant === "blocking" ? blockListVerdicts(record) : goalVerdicts(test, record);
  });
}

function goalVerdicts(test: FrontTest, record: FrontRecord): FrontVerdict[] {
  const { goal, figure } = test;
  if (goal === undefined) return [];
  const names = namesOf(record);
  const peers = goal.peers
    .filter((name) => names.includes(name) && isReliable(record, name))
    .map((name) => ({ name, value: median(figuresOf(record, name, figure)) }))
    .toSorted((a, b) => a.value - b.value);
  const leftOut = leftOutVerdicts(test.title, record, names);
  const [best] = peers;
  if (best === undefined) return leftOut;
  const ours = names
    .filter((name) => name.startsWith(OUR_NAME))
    .map((name) => {
      const value = median(figuresOf(record, name, figure));
      const ratio = value / best.value;
      return {
        what: test.title,
        isMet: isReliable(record, name) && ratio <= goal.most,
        isDisturbed: isMostlyDisturbed(record, [name, best.name]),
        text: `${name} ${shown(value, figure)}, ${best.name} ${shown(best.value, figure)}: ${ratio.toFixed(2)}× (≤ ${goal.most}×)`,
      };
    });
  return [...ours, ...leftOut];
}

/** The differences of pairs in the same rounds. */
function blockListVerdicts(record: FrontRecord): FrontVerdict[] {
  const names = namesOf(record);
  const costs = names
    .filter((name) => name.startsWith(OUR_NAME) && !name.endsWith(BLOCKING_SUFFIX))
    .flatMap((name) => {
      const cost = blockListCost(record, name);
      if (cost === undefined) return [];
      const both = [name, `${name}${BLOCKING_SUFFIX}`];
      const isDisturbed = isMostlyDisturbed(record, both);
      const isGood = both.every((one) => isReliable(record, one));
      return [
        {
          what: "a million blocked names, CPU",
          isMet: isGood && cost.us < BLOCK_LIST_US_MOST,
          isDisturbed,
          text: `${name} ${cost.us.toFixed(2)} µs more per query (< ${BLOCK_LIST_US_MOST} µs)`,
        },
        {
          what: "a million blocked names, memory",
          isMet: isGood && cost.mib < BLOCK_LIST_MIB_MOST,
          isDisturbed: false,
          text: `${name} ${cost.mib.toFixed(0)} MiB more (< ${BLOCK_LIST_MIB_MOST} MiB)`,
        },
      ];
    });
  return [...costs, ...leftOutVerdicts("a million blocked names", record, names)];
}

function blockListCost(record: FrontRecord, name: string) {
  const pairs = record.measurements.flatMap((without): (readonly [FrontMeasurement, FrontMeasurement])[] => {
    if (without.name !== name) return [];
    const with_ = record.measurements.find(
      (one) => one.name === `${name}${BLOCKING_SUFFIX}` && one.round === without.round,
    );
    return with_ === undefined ? [] : [[without, with_]];
  });
  if (pairs.length === 0) return undefined;
  return {
    us: median(pairs.map(([without, with_]) => with_.cpuUs - without.cpuUs)),
    mib: median(pairs.map(([a, b]) => ((b.memoryKib ?? 0) - (a.memoryKib ?? 0)) / 1024)),
  };
}

export function frontGoalTable(records: readonly FrontRecord[]): string {
  const rows = frontVerdicts(records).map(
    ({ what, isMet, isDisturbed, text }) =>
      `| ${what} | ${text} | ${isDisturbed ? "○ disturbed" : isMet ? "● met" : "✗ missed"} |`,
  );
  return `| work | | |\n|---|---|---|\n${rows.join("\n")}\n`;
}

/** The page of `docs/evidence`. */
export function frontPage(document: FrontDocument): string {
  const { environment, revision, secs, records } = document;
  const { node, openssl, kernel, processor, cores, packages } = environment;
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  return `# Front ends beside each other

Written by \`npm run bench:front -- --write\` at ${revision}, ${secs} s each. Do not edit.

Node ${node} with OpenSSL ${openssl}, Linux ${kernel}, ${processor}, ${cores} cores: one for the front end, one for the load and the
backend, which is unbound over TCP with a warm cache. Beside us: ${versions.join(", ")}.

CPU is that of the front end's processes by answer, kernel included; medians over the rounds, with the least and the most behind them.
All ask over DNS over TLS 1.3; Debian's dnsperf is the load of hits and of what is passed on, loads of ours of the rest. *Cache hits* are
names that the packet cache has, for those that have one; *passed on* is the same without a cache. NGINX and HAProxy have a connection to the backend for each client, dnsdist and Sotto share theirs.

## Goals

${frontGoalTable(records)}
## All of them

${records.map(section).join("\n")}`;
}

function section(record: FrontRecord): string {
  const test = FRONT_TESTS.find(({ key }) => key === record.key);
  if (test === undefined) return "";
  const { figure } = test;
  const direct = median(figuresOf(record, DIRECT, figure));
  const hasDirect = namesOf(record).includes(DIRECT);
  const rows = namesOf(record).map((name) => {
    const { median: middle, least, most } = spreadOf(figuresOf(record, name, figure));
    const all = record.measurements.filter((one) => one.name === name);
    const sum = (of: (one: FrontMeasurement) => number): number =>
      all.reduce((total, one) => total + of(one), 0);
    const disturbed = all.filter((one) => one.disturbed !== undefined).length;
    const memory = median(all.map((one) => one.memoryKib ?? Number.NaN));
    const remarks = [
      ...(hasDirect && name !== DIRECT ? [`${(middle - direct).toFixed(3)} ms added`] : []),
      ...(test.variant === "blocking" ? [`${(memory / 1024).toFixed(0)} MiB`] : []),
      ...(sum(({ wrong }) => wrong) > 0 ? [`${sum(({ wrong }) => wrong)} wrong`] : []),
      ...(sum(({ lost }) => lost) > 0 ? [`${sum(({ lost }) => lost)} lost`] : []),
      ...(disturbed > 0 ? [`${disturbed} of ${all.length} rounds disturbed`] : []),
    ];
    const cells = [
      name.startsWith(OUR_NAME) ? `**${name}**` : name,
      shown(middle, figure),
      `${shown(least, figure)}–${shown(most, figure)}`,
      String(Math.round(median(all.map(({ perSecond }) => perSecond)))),
      quantile(all.map(({ p50Ms }) => p50Ms)),
      quantile(all.map(({ p99Ms }) => p99Ms)),
      remarks.join(", "),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const failures = record.failures.map((text) => `\nLeft out: ${text.replaceAll("\n", " ")}\n`);
  return `### ${test.title}

| front end | figure | least–most | answers/s | p50, ms | p99, ms | remarks |
|---|--:|--:|--:|--:|--:|---|
${rows.join("\n")}
${failures.join("")}`;
}

function quantile(values: readonly (number | undefined)[]): string {
  const told = values.flatMap((value) => value ?? []);
  return told.length === 0 ? "–" : median(told).toFixed(3);
}

function shown(value: number, figure: FrontFigure): string {
  const units = { cpuUs: "µs", p50Ms: "ms", p99Ms: "ms", memoryKib: "KiB" };
  return `${value.toFixed(figure.endsWith("Ms") ? 3 : 2)} ${units[figure]}`;
}
