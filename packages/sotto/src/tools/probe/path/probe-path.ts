/**
 * `sotto probe path`: what stands between here and a resolver, seen from what UDP, TCP and TLS let through of the same
 * questions. TLS is the measure where it can be had, because nobody on the way can look into it.
 */
import type { Runtime } from "@sotto/dns/runtime";
import type { Cell, ProbeReport, Row } from "../model.ts";
import { type Check, runCheck } from "../server/check.ts";
import { REACH_CHECKS } from "../server/check-reach.ts";
import type { ProbeOptions } from "../server/probe-options.ts";
import { Prober } from "../server/prober.ts";
import { isoTime } from "../server/start-time.ts";
import { portOf, type ServerTarget } from "../server/target.ts";
import { PATH_CHECKS } from "./check-path.ts";

export const PATH_ROWS: readonly Row[] = [
  { key: "udp", title: "UDP gets through", question: "Does a query over UDP get an answer?" },
  { key: "tcp", title: "TCP gets through", question: "Does a query over TCP get an answer?" },
  { key: "tls", title: "TLS gets through", question: "Does a query over TLS get an answer?" },
  {
    key: "identity",
    title: "The right server",
    question: "Is it the server that was meant who speaks TLS there?",
  },
  {
    key: "options",
    title: "EDNS gets through",
    question: "Do extensions come through in clear as they do over TLS?",
  },
  { key: "size", title: "Long datagrams get through", question: "Do long replies come over UDP, too?" },
  { key: "answers", title: "The same answers", question: "Are answers in clear the same as over TLS?" },
  {
    key: "fast-open",
    title: "Data in SYN gets through",
    question: "Do connections work that carry data in their first segment?",
  },
];

const ALL_CHECKS: readonly Check[] = [...REACH_CHECKS, ...PATH_CHECKS];

/** Probes the way to a target; every row gets a cell, told to `onCell` when it is known. */
export async function probePath(
  target: ServerTarget,
  options: ProbeOptions,
  runtime: Runtime,
  onCell: (cell: Cell) => void,
): Promise<ProbeReport> {
  const startedAt = isoTime(runtime.clock.wallMs());
  const prober = new Prober(target, options, runtime);
  const cells: Cell[] = [];
  try {
    for (const check of ALL_CHECKS) {
      const cell = await runCheck(check, prober);
      cells.push(cell);
      onCell(cell);
    }
  } finally {
    await prober.close();
  }
  const tookMs = Math.round(runtime.clock.nowMs() - prober.startMs);
  return { kind: "path", target: target.text, startedAt, tookMs, cells };
}

/** What will be sent (`--plan`); a sentence each. */
export function planOfPath(target: ServerTarget): readonly string[] {
  const places = target.transports.map(
    (transport) => `${transport.toUpperCase()} port ${portOf(target, transport)}`,
  );
  return [
    `to ${target.address}: ${places.join(", ")}`,
    ...ALL_CHECKS.map(({ row, sends }) => `${row}: ${sends}`),
  ];
}
