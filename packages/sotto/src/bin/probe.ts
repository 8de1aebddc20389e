/** `sotto probe`: reads and writes the files, shows how far it is, and turns what was found into an exit code. */
import { writeFileSync } from "node:fs";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import { loadConfigFile, loadFrontFile, problemToText } from "../config/index.ts";
import { ExitCode, type ProgramIo, readBoundedText, trustSystemAuthorities } from "../operations/index.ts";
import {
  checklistJson,
  checklistText,
  explainableRows,
  explainText,
  fails,
  hasMessages,
  isSilent,
  junitText,
  loadRows,
  markdownText,
  NagiosExit,
  nagiosResult,
  nagiosUnknown,
  type Operated,
  type Output,
  PROBE_HELP,
  type ProbeCommand,
  type ProbeContext,
  pageText,
  pcapngOf,
  planText,
  prepareTargets,
  privacyChecklist,
  privacyStatement,
  probeOneClient,
  probeTargets,
  REPORT_FILE_OCTETS_MAX,
  readProbeArguments,
  reportFileText,
  reportSchema,
  sheetsOf,
  type TitledReport,
  tableText,
  tryReadReportFile,
  visible,
} from "../tools/probe/index.ts";
import { KeyLogFile } from "./key-log-file.ts";
import { ProbeProgress } from "./probe-progress.ts";

/** Columns where no terminal tells them. */
const COLUMNS_DEFAULT = 100;

/** Largest file of authorities, octets; those of all systems are some hundred thousand. */
const AUTHORITIES_OCTETS_MAX = 16 * 1024 * 1024;

/** Runs one command line. `runtime` is for tests; programs use the real network. */
export async function runProbe(
  args: readonly string[],
  io: ProgramIo,
  runtime: Runtime = nodeRuntime(),
): Promise<number> {
  const command = readProbeArguments(args);
  try {
    const ended = command.ok
      ? await run(command.value, io, runtime)
      : failed(`${command.problem}, see sotto probe --help`, ExitCode.Usage);
    return typeof ended === "number" ? ended : tellFailure(ended, isMonitored(args), io);
  } catch (error) {
    if (!DnsError.is(error)) throw error;
    return tellFailure(failed(error.message), isMonitored(args), io);
  }
}

/** Whether a monitor reads the output; arguments of a client's command are none of ours. */
function isMonitored(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? undefined : end).some((one) => /^--nagios(?:=|$)/.test(one));
}

/** Why there is nothing to show. */
interface Failure {
  readonly problem: string;
  readonly code: number;
}

function failed(problem: string, code: number = ExitCode.Failed): Failure {
  return { problem, code };
}

/** To a monitor our exit codes would say warning and critical of a server that nobody has looked at. */
function tellFailure({ problem, code }: Failure, toMonitor: boolean, io: ProgramIo): number {
  io.stderr.write(`sotto probe: ${problem}\n`);
  if (!toMonitor) return code;
  io.stdout.write(`${nagiosUnknown(problem).line}\n`);
  return NagiosExit.Unknown;
}

function run(
  command: ProbeCommand,
  io: ProgramIo,
  runtime: Runtime,
): Promise<number | Failure> | number | Failure {
  switch (command.kind) {
    case "help":
      io.stdout.write(PROBE_HELP);
      return ExitCode.Ok;
    case "schema":
      io.stdout.write(`${JSON.stringify(reportSchema(), null, 2)}\n`);
      return ExitCode.Ok;
    case "privacy":
      return privacy(command, io);
    case "report": {
      const reports = readReports(command.files);
      return reports.ok ? show(reports.value, command.output, io) : failed(reports.problem);
    }
    default:
      return probe(command, io, runtime);
  }
}

/** Probes until the end or the first SIGINT, after which what is known by then is shown. */
async function probe(
  command: Exclude<ProbeCommand, { kind: "help" | "schema" | "privacy" | "report" }>,
  io: ProgramIo,
  runtime: Runtime,
): Promise<number | Failure> {
  const authorities = readAuthorities(command.kind === "client" ? undefined : command.authoritiesFile);
  if (!authorities.ok) return failed(authorities.problem);
  const controller = new AbortController();
  const progress = new ProbeProgress(io.stderr);
  const context: ProbeContext = {
    signal: controller.signal,
    runtime,
    authoritiesPem: authorities.value,
    sotto: [process.execPath, ...process.execArgv, ...process.argv.slice(1, 2)],
    onCell: (title, cell) => progress.tell(title, cell),
    onPlaces: (lines) => void io.stderr.write(lines.map((line) => `${line}\n`).join("")),
  };
  // The second signal is the system's business.
  const stop = io.onSignal(["SIGINT", "SIGTERM"], () => {
    stop();
    controller.abort();
  });
  try {
    if (command.kind === "client") {
      const report = await probeOneClient(command, context);
      progress.clear();
      return await show([report], command.output, io);
    }
    const reports = await probeServers(command, context, io);
    progress.clear();
    return typeof reports === "number" || "problem" in reports
      ? reports
      : await show(reports, command.output, io);
  } finally {
    progress.clear();
    stop();
  }
}

/** The reports, or an exit code or a failure when there is nothing to report. */
async function probeServers(
  command: Extract<ProbeCommand, { kind: "server" | "path" }>,
  context: ProbeContext,
  io: ProgramIo,
): Promise<readonly TitledReport[] | number | Failure> {
  let keyLog: KeyLogFile | undefined;
  const onKeyLog = command.keyLogFile === undefined ? undefined : (line: string) => keyLog?.write(line);
  const targets = await prepareTargets(command, { ...context, onKeyLog });
  if (!targets.ok) return failed(targets.problem, ExitCode.Usage);
  if (command.isPlan) {
    io.stdout.write(await planText(command.kind, targets.value));
    return ExitCode.Ok;
  }
  // Not before: a plan and a mistake make no file.
  if (command.keyLogFile !== undefined) {
    const opened = KeyLogFile.open(command.keyLogFile);
    if (!opened.ok) return failed(opened.problem);
    keyLog = opened.value;
  }
  try {
    if (context.authoritiesPem === undefined) trustSystemAuthorities();
    return await probeTargets(command.kind, targets.value, context);
  } finally {
    if (keyLog?.problem !== undefined) io.stderr.write(`sotto probe: ${keyLog.problem}\n`);
    keyLog?.close();
    keyLog = undefined;
  }
}

/** Writes what was asked for. */
async function show(
  reports: readonly TitledReport[],
  output: Output,
  io: ProgramIo,
): Promise<number | Failure> {
  const sheets = sheetsOf(reports, await loadRows());
  const written =
    write(output.html, () => pageText(sheets)) ??
    write(output.save, () => reportFileText(reports)) ??
    write(output.pcapng, () => pcapngOf(reports));
  if (written !== undefined) return failed(written);
  if (output.pcapng !== undefined && !hasMessages(reports))
    io.stderr.write(`sotto probe: the evidence has no messages, so ${output.pcapng} has no packets\n`);
  const { form, required } = output;
  const width = io.stdout.columns ?? COLUMNS_DEFAULT;
  switch (form.kind) {
    case "nagios":
      return nagios(reports, form, io);
    case "explain": {
      const text = explainText(sheets, form.row, width);
      if (text === undefined)
        return failed(
          `no row is called ${JSON.stringify(form.row)}; there are ${explainableRows(sheets)
            .map((key) => visible(key))
            .join(", ")}`,
          ExitCode.Usage,
        );
      io.stdout.write(text);
      return ExitCode.Ok;
    }
    case "json":
      io.stdout.write(reportFileText(reports));
      break;
    case "junit":
      io.stdout.write(junitText(sheets, required));
      break;
    case "markdown":
      io.stdout.write(markdownText(sheets));
      break;
    case "table":
      io.stdout.write(tableText(sheets, { width, isColoured: isColoured(io) }));
  }
  return exitCode(reports, required);
}

/** Monitors run one target a command; of several the worst counts and stands first. */
function nagios(
  reports: readonly TitledReport[],
  form: { readonly test: string; readonly thresholds: Parameters<typeof nagiosResult>[2] },
  io: ProgramIo,
): number {
  const results = reports
    .map(({ report }) => nagiosResult(report, form.test, form.thresholds))
    .sort((a, b) => SEVERITY.indexOf(b.exit) - SEVERITY.indexOf(a.exit));
  io.stdout.write(results.map(({ line }) => `${line}\n`).join(""));
  return results[0]?.exit ?? NagiosExit.Unknown;
}

/** Unknown is worse than a warning and better than critical. */
const SEVERITY: readonly number[] = [
  NagiosExit.Ok,
  NagiosExit.Warning,
  NagiosExit.Unknown,
  NagiosExit.Critical,
];

function exitCode(reports: readonly TitledReport[], required: ReadonlySet<string>): number {
  const isBad = reports.some(({ report }) => {
    const byRow = new Map(report.cells.map((cell) => [cell.row, cell]));
    const keys = new Set([...byRow.keys(), ...required]);
    return isSilent(report) || [...keys].some((key) => fails(key, byRow.get(key), required));
  });
  return isBad || reports.length === 0 ? ExitCode.Failed : ExitCode.Ok;
}

function isColoured(io: ProgramIo): boolean {
  const { environment = {} } = io.process ?? {};
  return io.stdout.isTTY === true && (environment["NO_COLOR"] ?? "") === "" && environment["TERM"] !== "dumb";
}

function readReports(files: readonly { title: string | undefined; text: string }[]): Parsed<TitledReport[]> {
  const reports: TitledReport[] = [];
  for (const { title, text: file } of files) {
    const content = readBoundedText(file, REPORT_FILE_OCTETS_MAX);
    if (!content.ok) return content;
    const read = tryReadReportFile(content.value);
    if (!read.ok) return problem(`${file} ${read.problem}`);
    // One name for several reports would be two columns of the same name.
    const isNamed = title !== undefined && read.value.length === 1;
    reports.push(...read.value.map((one) => (isNamed ? { ...one, title } : one)));
  }
  return parsed(reports);
}

function readAuthorities(file: string | undefined): Parsed<string | undefined> {
  if (file === undefined) return parsed(undefined);
  const text = readBoundedText(file, AUTHORITIES_OCTETS_MAX);
  return text.ok && !text.value.includes("-----BEGIN CERTIFICATE-----")
    ? problem(`${file} holds no certificate in PEM form`)
    : text;
}

/** What went wrong; undefined: nothing, or there was nothing to write. */
function write(file: string | undefined, content: () => string | Uint8Array): string | undefined {
  if (file === undefined) return undefined;
  try {
    writeFileSync(file, content());
    return undefined;
  } catch (error) {
    return `cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function privacy(command: Extract<ProbeCommand, { kind: "privacy" }>, io: ProgramIo): number {
  const loaded = command.isFront ? loadFrontFile(command.config) : loadConfigFile(command.config, "either");
  if (!loaded.ok) {
    for (const one of loaded.problems) io.stderr.write(`${problemToText(one)}\n`);
    return ExitCode.Failed;
  }
  const operated = operatedOf(loaded.config);
  const clauses = privacyChecklist(operated);
  if (command.form === "statement") io.stdout.write(privacyStatement(operated));
  else if (command.form === "json") io.stdout.write(checklistJson(clauses));
  else io.stdout.write(checklistText(clauses, io.stdout.columns ?? COLUMNS_DEFAULT));
  return command.form !== "statement" && clauses.some(({ verdict }) => verdict === "fail")
    ? ExitCode.Failed
    : ExitCode.Ok;
}

function operatedOf(config: Operated["config"]): Operated {
  return "pools" in config ? { kind: "front", config } : { kind: "resolver", config };
}
