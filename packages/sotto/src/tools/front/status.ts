/** `sotto front status`: clients, backends, rules and sets; once, or again and again. */
import type { Clock } from "@sotto/dns/runtime";
import type { FrontStatus } from "../../compose/index.ts";
import { ExitCode, type ProgramIo } from "../../operations/index.ts";
import { coloured, frontStatusText, plain } from "./status-text.ts";

export interface StatusCommand {
  /** One object a line instead of a page. */
  readonly json: boolean;
  /** Goes on until a signal ends it. */
  readonly watch: boolean;
}

/** Asks for the status and prints it. */
export async function runFrontStatus(
  ask: (words: readonly string[]) => Promise<unknown>,
  { json, watch }: StatusCommand,
  clock: Clock,
  io: ProgramIo,
): Promise<number> {
  const isTerminal = io.stdout.isTTY === true;
  const ending = Promise.withResolvers<void>();
  let isEnding = false;
  const stopListening = io.onSignal(watch ? ["SIGINT", "SIGTERM"] : [], () => {
    isEnding = true;
    ending.resolve();
  });
  try {
    do {
      // Our own server's word.
      const status = (await ask(["front-status"])) as FrontStatus;
      const text = json
        ? `${JSON.stringify(status)}\n`
        : frontStatusText(status, isTerminal ? coloured : plain);
      io.stdout.write(watch && isTerminal && !json ? `${CLEAR}${text}` : text);
      if (watch && !isEnding) await pause(clock, ending.promise);
    } while (watch && !isEnding);
    return ExitCode.Ok;
  } catch (error) {
    io.stderr.write(`sotto front status: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.Failed;
  } finally {
    stopListening();
  }
}

/** Until it is time again, or over. */
async function pause(clock: Clock, ending: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.startTimer("status watch", WATCH_MS, resolve);
  await Promise.race([promise, ending]);
  timer.cancel();
}

/** Backends change their state in seconds. */
const WATCH_MS = 1000;
/** Cursor home, and everything gone. */
const CLEAR = "\u001b[H\u001b[2J";
