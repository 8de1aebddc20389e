/** `sotto stub portal`: opens, closes and tells about captive portals. */
import type { PortalStatus } from "../../compose/index.ts";
import { ExitCode, type ProgramIo } from "../../operations/index.ts";
import { coloured, plain } from "../../terminal/index.ts";
import { networkServer } from "./network-server.ts";
import { portalText } from "./portal-text.ts";

export interface PortalCommand {
  /** Undefined looks only. */
  readonly action: "open" | "close" | undefined;
  /** Comma between names. */
  readonly names?: string | undefined;
  /** `ADDRESS[@PORT]`, or `system`. */
  readonly server?: string | undefined;
  /** A duration; undefined takes the stub's default. */
  readonly forText?: string | undefined;
  readonly json: boolean;
}

/** What a command needs of its surroundings. */
export interface PortalSurroundings {
  /** Asks the running stub; rejects with why not. */
  ask(words: readonly string[]): Promise<unknown>;
  /** A file's text; undefined when it cannot be read. */
  readText(file: string): string | undefined;
}

export async function runStubPortal(
  command: PortalCommand,
  { ask, readText }: PortalSurroundings,
  io: Pick<ProgramIo, "stdout" | "stderr">,
): Promise<number> {
  const complain = (text: string, code: number): number => {
    io.stderr.write(`sotto stub portal: ${text}\n`);
    return code;
  };
  const words = ["portal", ...(command.action === undefined ? [] : [command.action])];
  if (command.action === "open") {
    const { names, server, forText } = command;
    if (names === undefined || server === undefined)
      return complain("open needs --names NAME[,NAME…] and --server ADDRESS or system", ExitCode.Usage);
    const found = server === "system" ? networkServer(readText) : { address: server, source: undefined };
    if (typeof found === "string") return complain(found, ExitCode.Failed);
    if (found.source !== undefined) io.stderr.write(`asking ${found.address}, which ${found.source} names\n`);
    words.push(names, found.address, ...(forText === undefined ? [] : [forText]));
  }
  try {
    // Our own server's word.
    const status = (await ask(words)) as PortalStatus;
    const paint = io.stdout.isTTY === true ? coloured : plain;
    io.stdout.write(command.json ? `${JSON.stringify(status)}\n` : portalText(status, paint));
    return ExitCode.Ok;
  } catch (error) {
    return complain(error instanceof Error ? error.message : String(error), ExitCode.Failed);
  }
}
