/** What `sotto stub setup` has to say, before it is text or JSON. */

export type SystemName = "systemd-resolved" | "networkmanager" | "resolv.conf" | "macos";

/** Something to do: files are written, then commands run, both as root. */
export interface Step {
  readonly title: string;
  /** Absent where the title says it all. */
  readonly why?: string | undefined;
  /** For a POSIX shell. */
  readonly commands: readonly string[];
}

/** What a person can look at. */
export interface Check {
  readonly command: string;
  readonly expect: string;
}

export interface SetupPlan {
  readonly system: SystemName;
  /** What was seen, and where. */
  readonly findings: readonly string[];
  /** What would go wrong, or will not be as before; the fatal ones come as a {@link SetupProblem} instead. */
  readonly traps: readonly string[];
  /** Before anything is changed. */
  readonly first: readonly Check[];
  readonly steps: readonly Step[];
  readonly checks: readonly Check[];
  readonly undo: readonly Step[];
}

/** Why there is no plan, and what to do about it. */
export interface SetupProblem {
  readonly problem: string;
}

/** The stub as programs reach it. */
export interface StubPlace {
  /** An address that programs can send to: never that of all addresses. */
  readonly address: string;
  readonly port: number;
  /** True when it listens on all addresses. */
  readonly isEverywhere: boolean;
  /** Answers with the AD bit are worth something. */
  readonly validates: boolean;
  /** Undefined: with its defaults. */
  readonly configFile: string | undefined;
}

/** A shell word. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A command that writes a file, of lines that we have made. */
export function writeFileCommand(path: string, lines: readonly string[]): string {
  return `cat > ${quoted(path)} <<'END'\n${lines.join("\n")}\nEND`;
}

/** The stub itself, asked before anything changes and afterwards. */
export function stubChecks({ address, port, configFile }: StubPlace): Check[] {
  const where = port === 53 ? "" : ` -p ${port}`;
  const config = configFile === undefined ? "--socket PATH" : `--config ${quoted(configFile)}`;
  return [
    {
      command: `dig @${address}${where} example.com`,
      expect: "status: NOERROR; otherwise stop here: start the stub first",
    },
    { command: `dig @${address}${where} +tcp example.com`, expect: "the same over TCP" },
    {
      command: `sotto stub status ${config}`,
      expect: "each upstream with its state, authenticated by what (needs control.socket)",
    },
  ];
}
