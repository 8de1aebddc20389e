/** The page of docs/evidence about recovery times, its picture and its numbers. */
import { spawnSync } from "node:child_process";
import { availableParallelism, loadavg, release } from "node:os";
import { EVENTS } from "./recovery-events.ts";
import { DEADLINE_MS, type RecoveryCell } from "./recovery-measures.ts";
import { STUB_NAMES, type StubName } from "./recovery-programs.ts";
import type { WorldResult } from "./recovery-run.ts";

/** One retry interval (`LAST_HOPE_MS` in transport/server-memory.ts), and half a second for a machine that is busy. */
export const GOAL_MS = 2500;

/** Cells of ours that miss what was promised, in words. */
export function misses(results: readonly WorldResult[]): string[] {
  return results.flatMap(({ event, servers, cells }) =>
    cells
      .filter(({ stub }) => stub !== "stubby")
      .flatMap(({ stub, firstGoodMs, early, avoidable }) => {
        const where = `${stub}, ${event}, ${servers.join(" and ")}`;
        const isLate = firstGoodMs === null || firstGoodMs > GOAL_MS;
        return [
          ...(isLate ? [`${where}: back after ${firstGoodMs ?? "never"} ms`] : []),
          ...(early > 0 ? [`${where}: ${early} queries failed before their time`] : []),
          ...(avoidable > 0 ? [`${where}: ${avoidable} queries lost that had time left`] : []),
        ];
      }),
  );
}

export function recoveryPage(results: readonly WorldResult[], isQuick: boolean): string {
  const stubs = STUB_NAMES.filter((name) => results.some(({ cells }) => find(cells, name) !== undefined));
  const head = ["what happened", "servers", ...stubs, "stubby ÷ sotto stub"];
  const rows = ordered(results).map(({ event, servers, cells }) => [
    titleOf(event),
    servers.join(", "),
    ...stubs.map((stub) => cellText(find(cells, stub))),
    ratio(find(cells, "stubby"), find(cells, "sotto stub")),
  ]);
  const missed = misses(results);
  return `# Recovery times

Written by \`npm run evidence:recovery -- --write\`. Do not edit. \`test/interop/stub-recovery.test.ts\` plays a part of it in CI.

A client, a router and servers in network namespaces; **sotto stub**, our library **StubResolver** in a process of its own, and
Debian's **stubby** (as its own \`stubby.yml\` has it, with our addresses, name and authority) ask the same server over TLS by the strict profile,
at the same time. Each is asked twenty times a second, three times for a name of its own and once for one that comes again and
again; all answers have TTL 0. Then something happens${isQuick ? " (shortened: a quick run)" : ""}. A client waits ${DEADLINE_MS / 1000} seconds for an answer.

Each cell: time from the end of what happened to the first good answer; longest time without one; queries lost, and of those
the *early* ones, which failed although their client would have waited longer, and the *avoidable* ones, which had ${GOAL_MS / 1000} seconds or more left
when all was well again. What was lost otherwise is what the outage itself cost: it lasted longer than its client waited.

${table(head, rows)}

![Every query of every stub: when it was sent and what became of it](recovery.svg)

**The promise** (issue 5): no more than one retry interval, no query lost that its deadline did not end. The interval is two
seconds from one try's beginning to the next one's while nothing answers, and half a second where servers turn connections away. ${
    missed.length === 0
      ? "Ours kept it everywhere."
      : `Ours did not keep it here:\n\n${missed.map((text) => `- ${text}`).join("\n")}`
  }

**What comes of what**: queries wait while nobody can be reached, and the first reply lets all go (\`transport/upstream-pool.ts\`,
\`waiting-room.ts\`); a silent connection is given up after a second when it was idle before and after one and a half when it was busy, and what was sent into the
silence goes on over a fresh one (\`client-connection.ts\`); the next query notices other addresses of ours (\`exchanger.ts\`). Stubby keeps waiting on a dead connection until
its \`idle_timeout\` of ten seconds has passed, and what was sent into it is lost; where a connection is refused it tries again for
every query, which is quicker than we are by up to half a second and fails every query meanwhile.

**How**: black holes are routes of the router, forgotten connections its rules by source port; suspended means SIGSTOP, for
the stub together with a black hole and forgotten connections, since packets do not reach a machine that sleeps. Each event has fresh stubs and
servers. ${SERVERS_TEXT}

Node ${process.version}, Linux ${release()}, ${availableParallelism()} cores, load ${loadavg()
    .map((load) => load.toFixed(1))
    .join(" ")} at the end; ${versions().join(", ")}. Other work on the machine shows in
hundreds of milliseconds, not in the differences above.
`;
}

const SERVERS_TEXT =
  "Servers run one after another's events at the same time in namespaces of their own; where several are named, stubs have all of them as upstreams.";

function titleOf(id: string): string {
  return EVENTS.find((event) => event.id === id)?.title ?? id;
}

function ordered(results: readonly WorldResult[]): WorldResult[] {
  const place = ({ event }: WorldResult): number => EVENTS.findIndex(({ id }) => id === event);
  return results.toSorted((a, b) => place(a) - place(b) || a.servers.length - b.servers.length);
}

function find(cells: readonly RecoveryCell[], stub: StubName): RecoveryCell | undefined {
  return cells.find((cell) => cell.stub === stub);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function cellText(cell: RecoveryCell | undefined): string {
  if (cell === undefined) return "";
  const { firstGoodMs, gapMs, lost, early, avoidable } = cell;
  const first = firstGoodMs === null ? "**not back**" : `**${seconds(firstGoodMs)}**`;
  const details = early + avoidable === 0 ? "" : ` (${early} early, ${avoidable} avoidable)`;
  return `${first}; gap ${seconds(gapMs)}; lost ${lost}${details}`;
}

/** Of avoidable times; below a quarter of a second nobody cares. */
function ratio(theirs: RecoveryCell | undefined, ours: RecoveryCell | undefined): string {
  if (theirs === undefined || ours?.firstGoodMs === undefined || ours.firstGoodMs === null) return "";
  if (theirs.firstGoodMs === null) return "∞";
  const quotient = Math.max(theirs.firstGoodMs, 250) / Math.max(ours.firstGoodMs, 250);
  return quotient.toFixed(quotient < 10 ? 1 : 0);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function versions(): string[] {
  const first = (program: string, ...args: string[]): string =>
    spawnSync(program, args, { encoding: "utf8" }).stdout.split("\n")[0]?.trim() ?? program;
  return [
    first("stubby", "-V"),
    `Unbound ${first("/usr/sbin/unbound", "-V").replace(/^Version /, "")}`,
    first("/usr/sbin/kresd", "--version"),
    first("dnsdist", "--version").replace(/ \(.*/, ""),
  ];
}

// The picture.

const COLOURS = { good: "#2f9e5f", late: "#e0a100", lost: "#c62f2f", disturbed: "#e9ecef" } as const;
const BIN_MS = 250;
const PIXELS_PER_BIN = 3;
const LANE = 12;
const LABEL = 130;

/** A lane per stub, a stroke per quarter of a second: the worst that became of queries sent then. */
export function recoveryPicture(results: readonly WorldResult[]): string {
  const parts: string[] = [];
  let y = 46;
  let width = 0;
  for (const { event, servers, cells } of ordered(results)) {
    parts.push(text(4, y + 10, `${titleOf(event)} (${servers.join(", ")})`, "bold"));
    y += 16;
    for (const cell of cells) {
      const lane = laneOf(cell, y);
      parts.push(text(12, y + 10, cell.stub), ...lane.parts);
      width = Math.max(width, lane.width);
      y += LANE + 2;
    }
    y += 12;
  }
  const legend = [
    [COLOURS.good, "answered within a second"],
    [COLOURS.late, "answered later, within five"],
    [COLOURS.lost, "lost"],
    [COLOURS.disturbed, "while it happens"],
  ] as const;
  const key = legend.map(
    ([colour, label], i) => `${box(12 + i * 190, 24, 12, 12, colour)}${text(28 + i * 190, 34, label)}`,
  );
  const title = text(4, 14, "Queries by when they were sent, a stroke per quarter of a second", "bold");
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.max(width, 780)}" height="${y}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#fff"/>
${[title, ...key, ...parts].join("\n")}
</svg>
`;
}

function laneOf({ trace, beginMs, endMs }: RecoveryCell, y: number): { parts: string[]; width: number } {
  const fromMs = beginMs - 2000;
  const bins = new Map<number, string>();
  for (const [atMs, answeredMs] of trace) {
    if (atMs < fromMs) continue;
    const bin = Math.floor((atMs - fromMs) / BIN_MS);
    const colour =
      answeredMs === null ? COLOURS.lost : answeredMs - atMs > 1000 ? COLOURS.late : COLOURS.good;
    const before = bins.get(bin);
    const isWorse = before === undefined || before === COLOURS.good || colour === COLOURS.lost;
    if (isWorse) bins.set(bin, colour);
  }
  const xOf = (ms: number): number => LABEL + Math.floor((ms - fromMs) / BIN_MS) * PIXELS_PER_BIN;
  const last = Math.max(...bins.keys(), 0);
  const shade = box(xOf(beginMs), y - 1, Math.max(xOf(endMs) - xOf(beginMs), 1), LANE + 2, COLOURS.disturbed);
  // Neighbours of one colour are one box.
  const parts: string[] = [shade];
  for (let bin = 0; bin <= last; ) {
    const colour = bins.get(bin);
    let end = bin + 1;
    while (end <= last && bins.get(end) === colour) end++;
    if (colour !== undefined)
      parts.push(box(LABEL + bin * PIXELS_PER_BIN, y + 2, (end - bin) * PIXELS_PER_BIN, LANE - 4, colour));
    bin = end;
  }
  return { parts, width: LABEL + (last + 2) * PIXELS_PER_BIN };
}

function box(x: number, y: number, width: number, height: number, colour: string): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${colour}"/>`;
}

function text(x: number, y: number, content: string, weight = "normal"): string {
  return `<text x="${x}" y="${y}" font-weight="${weight}">${content}</text>`;
}
