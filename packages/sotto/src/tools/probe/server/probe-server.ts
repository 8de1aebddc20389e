/** `sotto probe server`: one target, all rows, one after the other, with one idle connection beside them. */
import type { Runtime } from "@sotto/dns/runtime";
import type { Cell, ProbeReport } from "../model.ts";
import { SERVER_ROWS } from "../rows-server.ts";
import { type Check, runCheck } from "./check.ts";
import { CERTIFICATE_CHECKS } from "./check-certificate.ts";
import { EDNS_CHECKS, REQUEST_CHECKS } from "./check-edns.ts";
import { FAST_OPEN_CHECKS } from "./check-fast-open.ts";
import { type IdleWatch, judgeIdle, KEEPALIVE_CHECKS, watchIdle, withHonesty } from "./check-keepalive.ts";
import { LIMIT_CHECKS } from "./check-limits.ts";
import { ORDER_CHECKS } from "./check-order.ts";
import { PADDING_CHECKS } from "./check-padding.ts";
import { REACH_CHECKS } from "./check-reach.ts";
import { RESOLVER_CHECKS } from "./check-resolver.ts";
import { STREAM_CHECKS } from "./check-streams.ts";
import { TLS_CHECKS } from "./check-tls.ts";
import { found } from "./finding.ts";
import {
  BUDGET_CAREFUL,
  BUDGET_THOROUGH,
  PATIENCE_CAREFUL,
  PATIENCE_THOROUGH,
  type ProbeOptions,
} from "./probe-options.ts";
import { Prober } from "./prober.ts";
import { isoTime } from "./start-time.ts";
import { portOf, type ServerTarget } from "./target.ts";

/** All rows but the one about idle time, in the order in which they are done: what others rest on first. */
export const SERVER_CHECKS: readonly Check[] = [
  ...REACH_CHECKS,
  ...FAST_OPEN_CHECKS,
  ...STREAM_CHECKS,
  ...ORDER_CHECKS,
  ...KEEPALIVE_CHECKS,
  ...CERTIFICATE_CHECKS,
  ...PADDING_CHECKS,
  ...TLS_CHECKS,
  ...EDNS_CHECKS,
  ...REQUEST_CHECKS,
  ...RESOLVER_CHECKS,
  ...LIMIT_CHECKS,
];

/** The row that is filled in by waiting beside all others. */
export const IDLE_ROW = "idle-timeout";
const IDLE_REQUIREMENTS = ["7766-6.2.3-c", "7766-6.2.3-e", "9210-4.2-d"];

/**
 * Probes a server. Every row gets a cell, told to `onCell` when it is known and in the table's order in the report. Ends within
 * the patience of its options, whatever the target does.
 */
export async function probeServer(
  target: ServerTarget,
  options: ProbeOptions,
  runtime: Runtime,
  onCell: (cell: Cell) => void,
): Promise<ProbeReport> {
  const startedAt = isoTime(runtime.clock.wallMs());
  const prober = new Prober(target, options, runtime);
  try {
    const cells = await takeCells(prober, onCell);
    const tookMs = Math.round(runtime.clock.nowMs() - prober.startMs);
    return { kind: "server", target: target.text, startedAt, tookMs, cells };
  } finally {
    await prober.close();
  }
}

/** In the table's order, told in the order in which they are taken. */
async function takeCells(prober: Prober, onCell: (cell: Cell) => void): Promise<Cell[]> {
  const cells: Cell[] = [];
  const tell = (cell: Cell): void => {
    cells.push(cell);
    onCell(cell);
  };
  for (const check of REACH_CHECKS) tell(await runCheck(check, prober));
  const idleLog = prober.transcript();
  const idle: Promise<IdleWatch | undefined> = watchIdle(prober, idleLog);
  let keepalive: Cell | undefined;
  for (const check of SERVER_CHECKS.slice(REACH_CHECKS.length)) {
    const cell = await runCheck(check, prober);
    if (check.row === KEEPALIVE_ROW) keepalive = cell;
    else tell(cell);
  }
  const watch = await idle;
  await prober.settle();
  if (keepalive !== undefined) tell(withIdle(keepalive, watch, idleLog.steps));
  tell({
    row: IDLE_ROW,
    ...idleFinding(prober.target, watch),
    requirements: IDLE_REQUIREMENTS,
    evidence: idleLog.steps,
  });
  const places = new Map(SERVER_ROWS.map(({ key }, place) => [key, place]));
  const placeOf = ({ row }: Cell): number => places.get(row) ?? places.size;
  return cells.sort((a, b) => placeOf(a) - placeOf(b));
}

const KEEPALIVE_ROW = "keepalive";

function withIdle(cell: Cell, watch: IdleWatch | undefined, steps: Cell["evidence"]): Cell {
  const finding = withHonesty(cell, watch);
  const { verdict, confidence, observed } = finding;
  if (finding === cell) return cell;
  return { ...cell, verdict, confidence, observed, evidence: [...cell.evidence, ...steps] };
}

function idleFinding(target: ServerTarget, watch: IdleWatch | undefined): ReturnType<typeof judgeIdle> {
  const hasStream = target.transports.some((transport) => transport !== "udp");
  return hasStream
    ? judgeIdle(watch)
    : found("not applicable", "is about connections, and only UDP was to be asked");
}

/** What will be sent, for people who want to know before (`--plan`); a sentence each. */
export function planOf(target: ServerTarget, options: ProbeOptions): readonly string[] {
  const { queriesMax, connectionsMax } = options.isThorough ? BUDGET_THOROUGH : BUDGET_CAREFUL;
  const patience = options.patience ?? (options.isThorough ? PATIENCE_THOROUGH : PATIENCE_CAREFUL);
  const { names } = options;
  const places = target.transports.map(
    (transport) => `${transport.toUpperCase()} port ${portOf(target, transport)}`,
  );
  const asked = [
    names.existing,
    `unique names below ${names.below}`,
    names.delay,
    names.signed,
    names.bogus,
    names.minimised,
  ];
  const checks = SERVER_CHECKS.filter(
    ({ over, isThorough }) =>
      over.some((transport) => target.transports.includes(transport)) &&
      (isThorough !== true || options.isThorough),
  );
  return [
    `to ${target.address}: ${places.join(", ")}`,
    `at most ${queriesMax} queries and ${connectionsMax} connections, one at a time beside one that is left idle`,
    `at most ${patience.probeMs / 1000} s, and ${patience.idleMs / 1000} s for the idle connection`,
    `names: ${[...new Set(asked.filter((name) => name !== undefined))].join(", ")}, _dns.resolver.arpa`,
    ...checks.map(({ row, sends }) => `${row}: ${sends}`),
    `${IDLE_ROW}: one query, and then nothing`,
  ];
}
