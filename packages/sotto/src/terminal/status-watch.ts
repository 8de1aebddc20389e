/** The status of a running program on a terminal: once, or again and again until a signal ends it. */
import type { Clock } from "@sotto/dns/runtime";
import { ExitCode, type ProgramIo } from "../operations/index.ts";
import { coloured, type Paint, plain } from "./paint.ts";

/** How it is wanted. */
export interface StatusForm {
  /** One object a line instead of a page. */
  readonly json: boolean;
  /** Goes on until a signal ends it. */
  readonly watch: boolean;
}

/** What is shown. */
export interface ShownStatus<T> {
  /** For messages, such as `sotto stub status`. */
  readonly program: string;
  /** Asks for it; rejects with a message for people. */
  ask(): Promise<T>;
  toText(status: T, paint: Paint): string;
  /** Between two looks, milliseconds. */
  readonly everyMs: number;
}

/** Prints it; gives the exit code. */
export async function showStatus<T>(
  { program, ask, toText, everyMs }: ShownStatus<T>,
  { json, watch }: StatusForm,
  clock: Clock,
  io: ProgramIo,
): Promise<number> {
  const isTerminal = io.stdout.isTTY === true;
  let isEnding = false;
  const ending = Promise.withResolvers<void>();
  const stopListening = io.onSignal(watch ? ["SIGINT", "SIGTERM"] : [], () => {
    isEnding = true;
    ending.resolve();
  });
  try {
    do {
      const status = await ask();
      const text = json ? `${JSON.stringify(status)}\n` : toText(status, isTerminal ? coloured : plain);
      io.stdout.write(watch && isTerminal && !json ? `${CLEAR}${text}` : text);
      if (watch && !isEnding) await pause(clock, everyMs, ending.promise);
    } while (watch && !isEnding);
    return ExitCode.Ok;
  } catch (error) {
    io.stderr.write(`${program}: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.Failed;
  } finally {
    stopListening();
  }
}

/** Until it is time again, or over. */
async function pause(clock: Clock, everyMs: number, ending: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.startTimer("status watch", everyMs, resolve);
  await Promise.race([promise, ending]);
  timer.cancel();
}

/** Cursor home, and everything gone. */
const CLEAR = "\u001b[H\u001b[2J";
