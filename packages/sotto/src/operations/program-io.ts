/** What a command may touch of its process, so that a command is a function: arguments in, bytes and an exit code out. */
export interface ProgramIo {
  readonly stdout: {
    write(text: string): unknown;
    readonly isTTY?: boolean | undefined;
    /** Of the terminal; absent: it is none. */
    readonly columns?: number | undefined;
  };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean | undefined };
  /** Calls back at each of these signals until the result is called. */
  onSignal(signals: readonly NodeJS.Signals[], heard: (signal: NodeJS.Signals) => void): () => void;
  /** Its environment, whose entries may be removed, and its number; absent: none was given. */
  readonly process?: { readonly environment: Environment; readonly pid: number } | undefined;
}

/** Variables by name. */
export type Environment = Record<string, string | undefined>;

/** Exit codes of commands other than `query`, which keeps dig's. */
export const ExitCode = { Ok: 0, Usage: 1, Failed: 2, Internal: 10 } as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
