/** `sotto stub status`: each upstream, how it is reached, by which timers, and why not; once, or again and again. */
import type { Clock } from "@sotto/dns/runtime";
import type { StubStatus } from "../../compose/index.ts";
import type { ProgramIo } from "../../operations/index.ts";
import { type StatusForm, showStatus } from "../../terminal/index.ts";
import { statusText } from "./status-text.ts";

/** Asks for the status and prints it. */
export function runStubStatus(
  ask: (words: readonly string[]) => Promise<unknown>,
  form: StatusForm,
  clock: Clock,
  io: ProgramIo,
): Promise<number> {
  return showStatus(
    {
      program: "sotto stub status",
      // Our own server's word.
      ask: async () => (await ask(["stub-status"])) as StubStatus,
      toText: statusText,
      everyMs: WATCH_MS,
    },
    form,
    clock,
    io,
  );
}

/** Fast enough for timers that count in seconds. */
const WATCH_MS = 2000;
