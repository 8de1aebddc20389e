/**
 * Other people's programs as test partners. A missing one is printed and its tests are skipped; in CI it is a failure,
 * because there `scripts/install-peers.sh` has installed them all.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";

/** Longest run of one foreign command, milliseconds. */
export const COMMAND_TIMEOUT_MS = 30_000;

const PATHS = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"];

/** Where a program is, undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  for (const folder of PATHS) {
    const file = join(folder, name);
    if (spawnSync("test", ["-x", file]).status === 0) return file;
  }
  return undefined;
}

/** A test that needs programs. */
export function peerTest(
  title: string,
  programs: readonly string[],
  run: (context: TestContext) => Promise<void> | void,
): void {
  const missing = programs.filter((name) => findProgram(name) === undefined);
  void test(title, { timeout: 4 * COMMAND_TIMEOUT_MS }, async (context) => {
    if (missing.length > 0) {
      const text = `missing peer: ${missing.join(", ")} (scripts/install-peers.sh installs it)`;
      if (process.env["CI"] === "true") throw new Error(text);
      context.diagnostic(text);
      context.skip(text);
      return;
    }
    await run(context);
  });
}

/** What a command printed and how it ended. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code, -1 when a signal ended it. */
  readonly code: number;
}

/** Runs a program to its end; one that takes too long is killed and reported with code -1. */
export function runCommand(
  program: string,
  args: readonly string[],
  options: { input?: string; cwd?: string; timeoutMs?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: "pipe",
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? COMMAND_TIMEOUT_MS);
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString("latin1");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString("latin1");
    });
    child.on("error", reject);
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ stdout, stderr, code: code ?? -1 });
    });
  });
}

/** A server that runs as long as a test. */
export interface RunningPeer {
  readonly process: ChildProcess;
  /** All that it has printed. */
  output(): string;
  stop(): Promise<void>;
}

/** Starts a program and waits until `isReady` says so; fails with its output when that takes too long. */
export async function startPeer(
  program: string,
  args: readonly string[],
  isReady: (output: string) => boolean | Promise<boolean>,
  options: { cwd?: string; env?: NodeJS.ProcessEnv; readyTimeoutMs?: number } = {},
): Promise<RunningPeer> {
  const child = spawn(program, [...args], {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => {
      hasEnded = true;
      resolve();
    });
    child.on("error", (error) => {
      text += String(error);
      hasEnded = true;
      resolve();
    });
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
  }
  const stop = async (): Promise<void> => {
    if (!hasEnded) child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(timer);
  };
  const limit = performance.now() + (options.readyTimeoutMs ?? COMMAND_TIMEOUT_MS);
  while (!(await isReady(text))) {
    if (hasEnded || performance.now() > limit) {
      await stop();
      throw new Error(`${program} ${args.join(" ")} did not become ready:\n${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { process: child, output: () => text, stop };
}

/** A loopback port that nobody listens on right now, for servers that cannot choose one themselves. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") reject(new Error("no port"));
        else resolve(address.port);
      });
    });
  });
}

/** A folder of its own for a test, removed afterwards. */
export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "sotto-interop-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Our own program from the sources. */
export const SOTTO: readonly string[] = [
  "--conditions=source",
  "--disable-warning=ExperimentalWarning",
  new URL("../../packages/sotto/src/bin/sotto.ts", import.meta.url).pathname,
];

/** What the playground writes into its folder when it is ready. */
export interface PlaygroundFacts {
  readonly port: number;
  readonly tlsPort: number;
  readonly authName: string;
  readonly caFile: string;
  readonly pin: string;
  readonly rootHintsFile: string;
  readonly trustAnchorFile: string;
  readonly exposed: {
    readonly port: number;
    readonly rootAddresses: readonly string[];
    readonly rootHintsFile: string;
    readonly trustAnchorFile: string;
  } | null;
}

/** The Node of the tools: tests of the library run on older ones, too, which are too old for the programs. */
const PROGRAMS_NODE = join(import.meta.dirname, "../../node_modules/.bin/node");

/** Starts the playground as a user would, on free ports. */
export async function startPlayground(
  folder: string,
  args: readonly string[] = [],
): Promise<{ facts: PlaygroundFacts; peer: RunningPeer }> {
  const command = [...SOTTO, "playground", "--port", "0", "--folder", folder, ...args];
  const peer = await startPeer(PROGRAMS_NODE, command, (output) => output.includes("Ctrl-C ends"));
  const facts: PlaygroundFacts = JSON.parse(readFileSync(join(folder, "playground.json"), "utf8"));
  return { facts, peer };
}

/** Runs `sotto` with arguments. */
export function runSotto(args: readonly string[], options: { input?: string } = {}): Promise<CommandResult> {
  return runCommand(process.execPath, [...SOTTO, ...args], options);
}
