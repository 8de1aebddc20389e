/** `sotto probe client`: fills the table's column for one client, by running it against servers right and wrong. */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { Cell, ProbeReport } from "../model.ts";
import { CLIENT_ROWS } from "../rows-client.ts";
import { cellOf, find } from "./cell.ts";
import { type ClientPlan, planOfCommand } from "./client-plan.ts";
import { Harness } from "./harness.ts";
import { listenForClients } from "./listen.ts";
import { planOfPreset } from "./presets.ts";
import type { ProbeContext, RowProbe } from "./row-probe.ts";
import { CONNECTION_PROBES } from "./rows-connections.ts";
import { FAULT_PROBES } from "./rows-faults.ts";
import { OPTION_PROBES } from "./rows-options.ts";
import { TLS_PROBES } from "./rows-tls.ts";

/** What may be said about a probe of a client. */
export interface ProbeClientOptions {
  /** One of {@link PRESET_NAMES} instead of a command. */
  readonly preset?: string | undefined;
  /** How this program is started, for presets of our own clients. Default `sotto`. */
  readonly sotto?: readonly string[] | undefined;
  /** Also what takes long or is rarely wrong. Default false. */
  readonly isThorough?: boolean | undefined;
  /** Rows to fill; absent: all. */
  readonly rows?: readonly string[] | undefined;
  /** Longest run of the client, milliseconds. Default {@link RUN_LIMIT_MS_DEFAULT}. */
  readonly runLimitMs?: number | undefined;
  /** Ends the probe, which then tells what it has; the only end of one without a command. */
  readonly signal?: AbortSignal | undefined;
  /** Without a command: the first of the servers' ports, default 5300; 0: free ones. */
  readonly portBase?: number | undefined;
  /** Without a command: told once where the servers are, for people, a line each. */
  readonly onPlaces?: ((lines: readonly string[]) => void) | undefined;
}

/**
 * Fills all rows. With neither command nor preset it only serves, and judges whoever came when the signal ends it. Rejects
 * with ERR_CONFIG for a command or preset that cannot be run, and with what `TestServer.start` rejects with; a client that
 * crashes, hangs or never comes is a finding.
 */
export async function probeClient(
  command: readonly string[] | undefined,
  options: ProbeClientOptions,
  runtime: Runtime,
  onCell: (cell: Cell) => void,
): Promise<ProbeReport> {
  const { clock } = runtime;
  const startedAt = clock.wallMs();
  const beganMs = clock.nowMs();
  const probes = chooseProbes(options.rows);
  const fixtures = [...new Set(probes.flatMap((probe) => probe.fixtures))];
  const plan = planOf(command, options);
  const cells: Cell[] = [];
  const tell = (cell: Cell): void => {
    cells.push(cell);
    onCell(cell);
  };
  if (plan === undefined) {
    const serving = { fixtures, portBase: options.portBase ?? PORT_BASE_DEFAULT, signal: options.signal };
    const { context, close } = await listenForClients({ ...serving, onPlaces: options.onPlaces }, runtime);
    try {
      for (const probe of probes) tell(await fill(probe, context));
    } finally {
      await close();
    }
  } else {
    const { signal, runLimitMs = RUN_LIMIT_MS_DEFAULT } = options;
    const harness = await Harness.start({ plan, fixtures, runLimitMs, signal }, runtime);
    try {
      const context = { runner: harness, plan, fastOpen: harness.fastOpen, isThorough: options.isThorough === true };
      for (const probe of probes) tell(signal?.aborted === true ? broken(probe) : await fill(probe, context));
    } finally {
      await harness.close();
    }
  }
  return {
    kind: "client",
    target: plan?.title ?? "whoever came",
    startedAt: isoText(startedAt),
    tookMs: Math.round(clock.nowMs() - beganMs),
    cells,
  };
}

function planOf(command: readonly string[] | undefined, options: ProbeClientOptions): ClientPlan | undefined {
  if (options.preset === undefined && command === undefined) return undefined;
  if (options.preset !== undefined && command !== undefined)
    throw new DnsError("ERR_CONFIG", "a preset and a command were given; one of them is enough");
  const plan =
    options.preset !== undefined
      ? planOfPreset(options.preset, options.sotto ?? ["sotto"])
      : planOfCommand(command ?? []);
  if (!plan.ok) throw new DnsError("ERR_CONFIG", plan.problem);
  return plan.value;
}

async function fill(probe: RowProbe, context: ProbeContext): Promise<Cell> {
  const cell = await probe.probe(context);
  const failed = cell.evidence.find(({ what }) => what.startsWith(COULD_NOT_START));
  if (failed === undefined) return cell;
  return { ...cell, verdict: "not testable", confidence: "certain", observed: failed.what };
}

function broken({ row, requirements }: RowProbe): Cell {
  return cellOf(row, requirements, find("not testable", "the probe was ended before this row"), []);
}

/** In the order of the table, whatever the order of the request. */
function chooseProbes(rows: readonly string[] | undefined): readonly RowProbe[] {
  const all = [...CONNECTION_PROBES, ...OPTION_PROBES, ...TLS_PROBES, ...FAULT_PROBES];
  const unknown = rows?.find((row) => !all.some((probe) => probe.row === row));
  if (unknown !== undefined)
    throw new DnsError("ERR_CONFIG", `no row of clients is called ${JSON.stringify(unknown)}`);
  return CLIENT_ROWS.flatMap(({ key }) => all.filter(({ row }) => row === key)).filter(
    ({ row }) => rows === undefined || rows.includes(row),
  );
}

function isoText(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

/** What evidence says of a program that is not there. */
const COULD_NOT_START = "the client could not be started";
/** Three tries of five seconds, which is dig's patience, would be longer; presets say less. */
export const RUN_LIMIT_MS_DEFAULT = 12_000;
/** As `sotto testserver`. */
const PORT_BASE_DEFAULT = 5300;
