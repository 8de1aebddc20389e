/** The status of a front end as a page for people: words say everything, colours only repeat it. */
import type { FrontPoolStatus, FrontStatus } from "../../compose/index.ts";
import { columns, durationText, type Paint, type Style } from "../../terminal/index.ts";

export function frontStatusText(status: FrontStatus, paint: Paint): string {
  return [
    headText(status),
    ...status.pools.map((pool) => poolText(pool, paint)),
    rulesText(status),
    workersText(status, paint),
  ]
    .filter((part) => part !== "")
    .join("\n\n")
    .concat("\n");
}

function headText({ queries, front, connections, pending, patience, rules }: FrontStatus): string {
  const sum = (outcome: keyof (typeof queries)["udp"]): number =>
    // Those of our own are parts of others.
    Object.entries(queries).reduce((count, [way, row]) => count + (way === "internal" ? 0 : row[outcome]), 0);
  const fromCache = sum("answered from cache");
  const answered = sum("answered") + fromCache;
  const counts = [
    `${answered} answered (${fromCache} from cache)`,
    `${sum("refused")} refused`,
    `${sum("dropped")} dropped`,
    `${sum("failed")} failed`,
    ...UNUSUAL.flatMap((outcome) => (sum(outcome) === 0 ? [] : [`${sum(outcome)} ${NAMES[outcome]}`])),
    ...(front.stale === 0 ? [] : [`${front.stale} stale`]),
    ...(front.delayed === 0 ? [] : [`${front.delayed} delayed`]),
    ...(front.teed === 0 ? [] : [`${front.teed} copies`]),
  ];
  const { overLimit, banned } = rules.clients;
  const limits =
    overLimit + banned === 0
      ? ""
      : `\nlimits    ${overLimit} over the limit of a client, ${banned} of banned clients`;
  const timers = patience === 1 ? "" : `; timers at ${Math.round(100 * patience)} % because of load`;
  return `clients   ${connections} connections, ${pending} queries wait for backends${timers}\nqueries   ${counts.join(", ")}${limits}`;
}

/** Told where there are some. */
const UNUSUAL = ["malformed", "not implemented", "bug"] as const;
const NAMES = {
  malformed: "malformed",
  "not implemented": "not implemented",
  bug: "because of bugs",
} as const;

const STATES: Readonly<Record<string, readonly [symbol: string, style: Style]>> = {
  up: ["✓", "green"],
  starting: ["~", "yellow"],
  draining: ["-", "yellow"],
  down: ["✗", "red"],
};

function poolText({ name, isDown, isSaturated, backends, cache }: FrontPoolStatus, paint: Paint): string {
  const state = isDown ? "no backend is up" : isSaturated ? "saturated" : "";
  const cached = cache === undefined ? "no cache" : `${cache.entries} answers in cache`;
  const title = [`pool ${name}`, cached, ...(state === "" ? [] : [state])].join("; ");
  const rows = backends.map((one) => {
    const [symbol = "?"] = STATES[one.state] ?? [];
    const { sent, answered, retries, failures } = one.counters;
    const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
    return [
      `${symbol} ${one.name}`,
      one.state,
      durationText(one.forMs),
      `${one.inFlight}${one.queued === 0 ? "" : `+${one.queued}`}`,
      String(one.connections),
      String(sent),
      String(answered),
      String(failed),
      String(retries),
      one.latencyMs === 0 ? "-" : `${one.latencyMs.toFixed(1)}`,
      one.latencyP99Ms === undefined ? "-" : one.latencyP99Ms.toFixed(1),
    ];
  });
  const table = columns(HEADS, rows).map((line, i) => {
    const style = STATES[backends[i - 1]?.state ?? ""]?.[1];
    return style === undefined ? line : paint(style, line);
  });
  const why = backends
    .filter(({ state: one }) => one === "down" || one === "draining")
    .map((one) => `  ${one.name} is ${one.state}: ${one.why}`);
  const proofs = backends.flatMap(({ name: one, authentication: proof }) => {
    if (proof === undefined) return [];
    const text = proof.isAuthenticated
      ? `authenticated by ${proof.by}`
      : `not authenticated: ${proof.problem}`;
    const line = `  ${one} is ${text}`;
    return [proof.isAuthenticated ? line : paint("yellow", line)];
  });
  return [paint("bold", title), ...table, ...why, ...proofs].join("\n");
}

const HEADS = [
  "backend",
  "state",
  "for",
  "in flight",
  "conns",
  "sent",
  "answered",
  "failed",
  "retries",
  "ms",
  "p99 ms",
] as const;

function rulesText({ rules }: FrontStatus): string {
  const lines: string[] = [];
  if (rules.rules.length > 0)
    lines.push(
      ...columns(
        ["rule", "matched", "decided"],
        rules.rules.map(({ name, matches, ended }) => [name, String(matches), String(ended)]),
      ),
    );
  if (rules.sets.length > 0)
    lines.push(
      ...(lines.length === 0 ? [] : [""]),
      ...columns(
        ["set", "entries", "state"],
        rules.sets.map(({ name, entries, bad, unsupported, problem }) => {
          const left = bad + unsupported === 0 ? "" : `, ${bad + unsupported} lines left out`;
          return [name, String(entries), problem ?? `in force${left}`];
        }),
      ),
    );
  return lines.join("\n");
}

/** Nothing when it is one server. */
function workersText({ workers = [] }: FrontStatus, paint: Paint): string {
  if (workers.length === 0) return "";
  const rows = workers.map((one) => [
    `${one.state === "serving" ? "✓" : "✗"} ${one.worker}`,
    one.state,
    `${Math.round(100 * one.utilisation)} %`,
    String(one.connections),
    String(one.inFlight),
    String(one.queries),
    String(one.crashes),
  ]);
  const heads = ["worker", "state", "busy", "conns", "in flight", "queries", "crashes"];
  return columns(heads, rows)
    .map((line, i) => (i > 0 && workers[i - 1]?.state !== "serving" ? paint("red", line) : line))
    .join("\n");
}
