/** Asks a running program over its control socket. */
import { connect } from "node:net";
import { type ConfigProblem, problemToText } from "../config/index.ts";
import { ExitCode, type ProgramIo } from "../operations/index.ts";

/** As much of a loaded configuration as tells where its program listens. */
type Located =
  | { readonly ok: true; readonly config: { readonly controlSocket: string | undefined } }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** What was typed to find a running program. */
export interface ControlTarget {
  /** For messages, such as `sotto stub status`. */
  readonly command: string;
  /** What runs, such as `the stub`. */
  readonly who: string;
  readonly socket: string | undefined;
  /** Reads the configuration that was named; undefined: none was. */
  readonly load: (() => Located) | undefined;
}

/** Runs something with the running program; a usage error when nobody says where it is. */
export async function withControl(
  { command, who, socket, load }: ControlTarget,
  io: ProgramIo,
  run: (ask: (words: readonly string[]) => Promise<unknown>) => Promise<number>,
): Promise<number> {
  const loaded = socket === undefined ? load?.() : undefined;
  if (loaded?.ok === false) {
    for (const problem of loaded.problems) io.stderr.write(`${problemToText(problem)}\n`);
    io.stderr.write(`${command}: so where ${who} listens is not known; say --socket PATH\n`);
    return ExitCode.Failed;
  }
  const path = socket ?? loaded?.config.controlSocket;
  if (path !== undefined) return run((words) => askControl(path, words));
  io.stderr.write(
    `${command}: say where ${who} listens: --socket PATH as it was started, or --config FILE with control.socket\n`,
  );
  return ExitCode.Usage;
}

/** Sends one command; rejects with what the resolver says, or why it could not be asked. */
export function askControl(
  path: string,
  words: readonly string[],
  take: (text: string) => void = () => undefined,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(`${JSON.stringify(words)}\n`));
    let buffered = "";
    socket.setEncoding("utf8");
    socket.on("error", (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === "ENOENT" || cause.code === "ECONNREFUSED"
          ? "nobody listens; is the resolver running?"
          : cause.message;
      reject(new Error(`${path}: ${why}`));
    });
    socket.on("close", () => reject(new Error(`${path}: the resolver closed the connection`)));
    socket.on("data", (text: string) => {
      buffered += text;
      const lines = buffered.split("\n");
      buffered = lines.pop() ?? "";
      for (const line of lines) {
        // Our own server's word.
        const said = JSON.parse(line) as { data?: string; ok?: boolean; result?: unknown; error?: string };
        if (said.data !== undefined) take(said.data);
        else if (said.ok === true) resolve(said.result);
        else reject(new Error(said.error ?? line));
        if (said.data === undefined) socket.end();
      }
    });
  });
}
