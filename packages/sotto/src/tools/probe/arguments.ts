/** The command line of `sotto probe`: what is probed, and in which forms the report is wanted. */
import { parseArgs } from "node:util";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import { NAGIOS_TESTS, type Thresholds } from "./report/index.ts";

/** A target or a file, and what its column is called; absent: by itself. */
export interface Titled {
  readonly title: string | undefined;
  readonly text: string;
}

/** What goes to standard output. */
export type Form =
  | { readonly kind: "table" | "json" | "junit" | "markdown" }
  | { readonly kind: "explain"; readonly row: string }
  | { readonly kind: "nagios"; readonly test: string; readonly thresholds: Thresholds | undefined };

/** In which forms a report is wanted. */
export interface Output {
  readonly form: Form;
  /** File for the page; absent: none. */
  readonly html: string | undefined;
  /** File for the JSON, beside the form; absent: none. */
  readonly save: string | undefined;
  /** File for the messages as packets; absent: none. */
  readonly pcapng: string | undefined;
  /** Keys of rows that must be released. */
  readonly required: ReadonlySet<string>;
}

/** Names that servers are asked for; absent: the prober's own. */
export interface NamesGiven {
  readonly existing: string | undefined;
  readonly delay: string | undefined;
  readonly signed: string | undefined;
  readonly bogus: string | undefined;
  readonly minimised: string | undefined;
}

export type ProbeCommand =
  | { readonly kind: "help" | "schema" }
  | {
      readonly kind: "server" | "path";
      readonly targets: readonly Titled[];
      readonly isThorough: boolean;
      /** Only tells what would be sent. */
      readonly isPlan: boolean;
      readonly names: NamesGiven;
      readonly authoritiesFile: string | undefined;
      /** File for the secrets of our TLS connections; absent: nobody learns them. */
      readonly keyLogFile: string | undefined;
      /** Of all targets; absent: what each says, or the usual ones. */
      readonly port: number | undefined;
      readonly tlsPort: number | undefined;
      readonly output: Output;
    }
  | {
      readonly kind: "client";
      /** Undefined: a preset, or whoever comes. */
      readonly command: readonly string[] | undefined;
      readonly preset: string | undefined;
      readonly title: string | undefined;
      readonly isThorough: boolean;
      readonly portBase: number | undefined;
      readonly output: Output;
    }
  | { readonly kind: "report"; readonly files: readonly Titled[]; readonly output: Output }
  | {
      readonly kind: "privacy";
      readonly config: string;
      readonly isFront: boolean;
      readonly form: "text" | "json" | "statement";
    };

/** Targets of one command, or files of one report; more is a mistake. */
const TARGETS_MAX = 100;

const OUTPUT_OPTIONS = {
  json: { type: "boolean" },
  junit: { type: "boolean" },
  markdown: { type: "boolean" },
  explain: { type: "string" },
  nagios: { type: "string" },
  thresholds: { type: "string" },
  html: { type: "string" },
  save: { type: "string" },
  pcapng: { type: "string" },
  require: { type: "string", multiple: true },
  help: { type: "boolean" },
} as const;

const SERVER_OPTIONS = {
  ...OUTPUT_OPTIONS,
  thorough: { type: "boolean" },
  plan: { type: "boolean" },
  name: { type: "string" },
  "delay-name": { type: "string" },
  "signed-name": { type: "string" },
  "bogus-name": { type: "string" },
  "minimised-name": { type: "string" },
  "ca-file": { type: "string" },
  "key-log": { type: "string" },
  port: { type: "string" },
  "tls-port": { type: "string" },
} as const;

const CLIENT_OPTIONS = {
  ...OUTPUT_OPTIONS,
  listen: { type: "boolean" },
  preset: { type: "string" },
  title: { type: "string" },
  thorough: { type: "boolean" },
  "port-base": { type: "string" },
} as const;

const PRIVACY_OPTIONS = {
  config: { type: "string" },
  front: { type: "boolean" },
  json: { type: "boolean" },
  statement: { type: "boolean" },
  help: { type: "boolean" },
} as const;

/** Reads the arguments after `sotto probe`; a problem is a sentence for the user. */
export function readProbeArguments(args: readonly string[]): Parsed<ProbeCommand> {
  const [kind, ...rest] = args;
  try {
    switch (kind) {
      case "server":
      case "path":
        return readServer(kind, rest);
      case "client":
        return readClient(rest);
      case "report":
        return readReport(rest);
      case "privacy":
        return readPrivacy(rest);
      case "--schema":
        return rest.length === 0 ? parsed({ kind: "schema" }) : problem("--schema stands alone");
      case undefined:
        return problem("what is to be probed?");
      case "--help":
      case "-h":
        return parsed({ kind: "help" });
      default:
        return problem(`${JSON.stringify(kind)} is none of server, client, path, report, privacy`);
    }
  } catch (error) {
    // Sentences of parseArgs go over several lines.
    return problem((error instanceof Error ? error.message : String(error)).replaceAll("\n", " "));
  }
}

function readServer(kind: "server" | "path", args: readonly string[]): Parsed<ProbeCommand> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: SERVER_OPTIONS,
    allowPositionals: true,
  });
  if (values.help === true) return parsed({ kind: "help" });
  if (positionals.length === 0) return problem(`sotto probe ${kind} needs a target, such as 192.0.2.1`);
  if (positionals.length > TARGETS_MAX) return problem(`at most ${TARGETS_MAX} targets`);
  const port = readPort(values.port);
  if (!port.ok) return port;
  const tlsPort = readPort(values["tls-port"]);
  if (!tlsPort.ok) return tlsPort;
  const output = readOutput(values);
  if (!output.ok) return output;
  return parsed({
    kind,
    targets: positionals.map(titled),
    isThorough: values.thorough === true,
    isPlan: values.plan === true,
    names: {
      existing: values.name,
      delay: values["delay-name"],
      signed: values["signed-name"],
      bogus: values["bogus-name"],
      minimised: values["minimised-name"],
    },
    authoritiesFile: values["ca-file"],
    keyLogFile: values["key-log"],
    port: port.value,
    tlsPort: tlsPort.value,
    output: output.value,
  });
}

function readClient(args: readonly string[]): Parsed<ProbeCommand> {
  const end = args.indexOf("--");
  const command = end < 0 ? undefined : args.slice(end + 1);
  const { values, positionals } = parseArgs({
    args: end < 0 ? [...args] : args.slice(0, end),
    options: CLIENT_OPTIONS,
    allowPositionals: true,
  });
  if (values.help === true) return parsed({ kind: "help" });
  if (positionals.length > 0)
    return problem(`${JSON.stringify(positionals[0])} is no option; the command of a client stands after --`);
  const ways = [command, values.preset, values.listen].filter((way) => way !== undefined);
  if (ways.length !== 1 || command?.length === 0)
    return problem("give one of -- COMMAND, --preset NAME and --listen");
  const portBase = readPort(values["port-base"]);
  if (!portBase.ok) return portBase;
  const output = readOutput(values);
  if (!output.ok) return output;
  return parsed({
    kind: "client",
    command,
    preset: values.preset,
    title: values.title,
    isThorough: values.thorough === true,
    portBase: portBase.value,
    output: output.value,
  });
}

function readReport(args: readonly string[]): Parsed<ProbeCommand> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: OUTPUT_OPTIONS,
    allowPositionals: true,
  });
  if (values.help === true) return parsed({ kind: "help" });
  if (positionals.length === 0) return problem("sotto probe report needs a file that --save wrote");
  if (positionals.length > TARGETS_MAX) return problem(`at most ${TARGETS_MAX} files`);
  const output = readOutput(values);
  return output.ok
    ? parsed({ kind: "report", files: positionals.map(titled), output: output.value })
    : output;
}

function readPrivacy(args: readonly string[]): Parsed<ProbeCommand> {
  const { values } = parseArgs({ args: [...args], options: PRIVACY_OPTIONS });
  if (values.help === true) return parsed({ kind: "help" });
  if (values.config === undefined) return problem("sotto probe privacy needs --config FILE");
  if (values.json === true && values.statement === true) return problem("give one of --json and --statement");
  const form = values.json === true ? "json" : values.statement === true ? "statement" : "text";
  return parsed({ kind: "privacy", config: values.config, isFront: values.front === true, form });
}

/** `NAME=TARGET` names a column. A target's own `=` comes after a `:` or a `?`, which a name cannot have. */
function titled(text: string): Titled {
  const [, title, rest] = /^([^=:/?@#[\]]+)=(.+)$/s.exec(text) ?? [];
  return rest === undefined ? { title: undefined, text } : { title, text: rest };
}

function readPort(text: string | undefined): Parsed<number | undefined> {
  if (text === undefined) return parsed(undefined);
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port < 65_536 ? parsed(port) : problem(`${JSON.stringify(text)} is no port`);
}

interface OutputValues {
  readonly json?: boolean | undefined;
  readonly junit?: boolean | undefined;
  readonly markdown?: boolean | undefined;
  readonly explain?: string | undefined;
  readonly nagios?: string | undefined;
  readonly thresholds?: string | undefined;
  readonly html?: string | undefined;
  readonly save?: string | undefined;
  readonly pcapng?: string | undefined;
  readonly require?: readonly string[] | undefined;
}

function readOutput(values: OutputValues): Parsed<Output> {
  const forms: Form[] = [];
  for (const kind of ["json", "junit", "markdown"] as const) if (values[kind] === true) forms.push({ kind });
  if (values.explain !== undefined) forms.push({ kind: "explain", row: values.explain });
  if (values.nagios !== undefined) {
    const thresholds =
      values.thresholds === undefined ? parsed(undefined) : readThresholds(values.thresholds);
    if (!thresholds.ok) return thresholds;
    if (!NAGIOS_TESTS.includes(values.nagios))
      return problem(`${JSON.stringify(values.nagios)} is no test; there are ${NAGIOS_TESTS.join(", ")}`);
    forms.push({ kind: "nagios", test: values.nagios, thresholds: thresholds.value });
  } else if (values.thresholds !== undefined) return problem("--thresholds is for --nagios");
  if (forms.length > 1) return problem("give one of --json, --junit, --markdown, --nagios and --explain");
  const required = (values.require ?? []).flatMap((keys) => keys.split(",")).filter((key) => key !== "");
  const [form = { kind: "table" }] = forms;
  const { html, save, pcapng } = values;
  return parsed({ form, html, save, pcapng, required: new Set(required) });
}

function readThresholds(text: string): Parsed<Thresholds> {
  const [, warning, critical] = /^(\d{1,9}),(\d{1,9})$/.exec(text) ?? [];
  return warning === undefined || critical === undefined
    ? problem(`${JSON.stringify(text)} is not WARNING,CRITICAL`)
    : parsed({ warning: Number(warning), critical: Number(critical) });
}
