/** The probes themselves, loaded when they are wanted: a report of yesterday loads none of them. */
import type { Runtime } from "@sotto/dns/runtime";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import type { ProbeCommand } from "./arguments.ts";
import type { Cell, ProbeReport, Row } from "./model.ts";
import type { TitledReport } from "./report/index.ts";
import type { ProbeOptions, ServerTarget } from "./server/index.ts";

type CommandOf<K extends ProbeCommand["kind"]> = Extract<ProbeCommand, { readonly kind: K }>;

/** What a probe needs besides its command. */
export interface ProbeContext {
  /** Ends the probe, which then tells what it has. */
  readonly signal: AbortSignal;
  readonly runtime: Runtime;
  /** PEM authorities instead of the system's. */
  readonly authoritiesPem: string | undefined;
  /** Told the secrets of our TLS connections to servers; undefined: nobody learns them. */
  readonly onKeyLog?: ((line: string) => void) | undefined;
  /** How this program is started, for presets of our own clients. */
  readonly sotto: readonly string[];
  /** A cell is known. */
  readonly onCell: (title: string, cell: Cell) => void;
  /** Where a harness listens, for people. */
  readonly onPlaces: (lines: readonly string[]) => void;
}

/** The rows that each kind of probe has. */
export async function loadRows(): Promise<(kind: ProbeReport["kind"]) => readonly Row[]> {
  const [{ SERVER_ROWS }, { CLIENT_ROWS }, { PATH_ROWS }] = await Promise.all([
    import("./rows-server.ts"),
    import("./rows-client.ts"),
    import("./path/index.ts"),
  ]);
  const rows = { server: SERVER_ROWS, client: CLIENT_ROWS, path: PATH_ROWS };
  return (kind) => rows[kind];
}

/** A target that was understood. */
export interface PreparedTarget {
  readonly title: string;
  readonly target: ServerTarget;
  readonly options: ProbeOptions;
}

/** Reads all targets of a command, or tells what is wrong with one. */
export async function prepareTargets(
  command: CommandOf<"server" | "path">,
  context: Pick<ProbeContext, "signal" | "authoritiesPem" | "onKeyLog">,
): Promise<Parsed<readonly PreparedTarget[]>> {
  const { PROBE_NAMES_DEFAULT, tryParseTarget } = await import("./server/index.ts");
  const { existing, delay, signed, bogus, minimised } = command.names;
  const names = {
    ...PROBE_NAMES_DEFAULT,
    ...(existing === undefined ? {} : { existing, below: existing }),
    ...(delay === undefined ? {} : { delay }),
    ...(signed === undefined ? {} : { signed }),
    ...(bogus === undefined ? {} : { bogus }),
    ...(minimised === undefined ? {} : { minimised }),
  };
  const pem = context.authoritiesPem;
  const options: ProbeOptions = {
    isThorough: command.isThorough,
    names,
    signal: context.signal,
    trustAnchorsPem: pem === undefined ? undefined : [pem],
    onKeyLog: context.onKeyLog,
  };
  const prepared: PreparedTarget[] = [];
  for (const { title, text } of command.targets) {
    const target = tryParseTarget(text);
    if (!target.ok) return problem(`${JSON.stringify(text)} is no target: ${target.problem}`);
    const ports = {
      port: command.port ?? target.value.port,
      tlsPort: command.tlsPort ?? target.value.tlsPort,
    };
    prepared.push({ title: title ?? text, target: { ...target.value, ...ports }, options });
  }
  return parsed(prepared);
}

/** What a probe would send, a sentence a line. */
export async function planText(kind: "server" | "path", targets: readonly PreparedTarget[]): Promise<string> {
  const planOf =
    kind === "server"
      ? (await import("./server/index.ts")).planOf
      : (await import("./path/index.ts")).planOfPath;
  return targets
    .map(({ title, target, options }) =>
      [`${title}:`, ...planOf(target, options).map((line) => `  ${line}`), ""].join("\n"),
    )
    .join("");
}

/** Probes one target after the other; those that the signal leaves no time for are left out. */
export async function probeTargets(
  kind: "server" | "path",
  targets: readonly PreparedTarget[],
  context: ProbeContext,
): Promise<TitledReport[]> {
  const probe =
    kind === "server"
      ? (await import("./server/index.ts")).probeServer
      : (await import("./path/index.ts")).probePath;
  const reports: TitledReport[] = [];
  for (const { title, target, options } of targets) {
    if (context.signal.aborted) break;
    const onCell = (cell: Cell): void => context.onCell(title, cell);
    reports.push({ title, report: await probe(target, options, context.runtime, onCell) });
  }
  return reports;
}

/** Runs a client against servers right and wrong. Rejects with ERR_CONFIG for what cannot be run. */
export async function probeOneClient(
  command: CommandOf<"client">,
  context: ProbeContext,
): Promise<TitledReport> {
  const { probeClient } = await import("./client/index.ts");
  const { preset, isThorough, portBase } = command;
  const { signal, sotto, onPlaces } = context;
  const title = command.title ?? preset ?? command.command?.[0] ?? "whoever came";
  const report = await probeClient(
    command.command,
    { preset, isThorough, portBase, signal, sotto, onPlaces },
    context.runtime,
    (cell) => context.onCell(title, cell),
  );
  return { title, report };
}
