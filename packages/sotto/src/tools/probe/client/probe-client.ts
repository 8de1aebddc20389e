/** `sotto probe client`: fills the table's column for one client, by running it against servers right and wrong. */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { Cell, ProbeReport } from "../model.ts";
import { CLIENT_ROWS } from "../rows-client.ts";
import { proberFailed } from "../server/finding.ts";
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
  /** Longest run of the client, milliseconds. Default 30 s. */
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
  if (plan === undefined) await judgeVisits(probes, fixtures, options, runtime, tell);
  else await judgeRuns(probes, fixtures, plan, options, runtime, tell);
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

type Tell = (cell: Cell) => void;

async function judgeVisits(
  probes: readonly RowProbe[],
  fixtures: readonly string[],
  { portBase = PORT_BASE_DEFAULT, signal, onPlaces }: ProbeClientOptions,
  runtime: Runtime,
  tell: Tell,
): Promise<void> {
  const { context, close } = await listenForClients({ fixtures, portBase, signal, onPlaces }, runtime);
  try {
    for (const probe of probes) tell(await cellOfProbe(probe, context));
  } finally {
    await close();
  }
}

async function judgeRuns(
  probes: readonly RowProbe[],
  fixtures: readonly string[],
  plan: ClientPlan,
  { signal, isThorough = false, runLimitMs = RUN_LIMIT_MS_DEFAULT }: ProbeClientOptions,
  runtime: Runtime,
  tell: Tell,
): Promise<void> {
  const harness = await Harness.start({ plan, fixtures, runLimitMs, signal }, runtime);
  try {
    const context = { runner: harness, plan, fastOpen: harness.fastOpen, isThorough };
    for (const probe of probes) {
      const cell = signal?.aborted === true ? undefined : await cellOfProbe(probe, context);
      // A run that was ended with the probe shows nothing.
      if (cell === undefined || signal?.aborted === true) tell(untested(probe, "the probe was ended before"));
      else if (harness.startProblem !== undefined)
        tell(untested(probe, `the client could not be started: ${harness.startProblem}`));
      else tell(cell);
    }
  } finally {
    await harness.close();
  }
}

/** A mistake of ours, or of the system, in one row is no reason to lose the others. */
async function cellOfProbe(probe: RowProbe, context: ProbeContext): Promise<Cell> {
  try {
    return await probe.probe(context);
  } catch (error) {
    return cellOf(probe.row, probe.requirements, proberFailed(error), []);
  }
}

function untested({ row, requirements }: RowProbe, why: string): Cell {
  return cellOf(row, requirements, find("not testable", why), []);
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

/** More than three tries of five seconds, which is the patience of drill and of resolvers of C libraries (resolv.conf(5)). */
const RUN_LIMIT_MS_DEFAULT = 30_000;
/** As `sotto testserver`. */
const PORT_BASE_DEFAULT = 5300;
