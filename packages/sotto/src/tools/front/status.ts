/** `sotto front status`: clients, backends, rules and sets; once, or again and again. */
import type { Clock } from "@sotto/dns/runtime";
import type { FrontStatus } from "../../compose/index.ts";
import type { ProgramIo } from "../../operations/index.ts";
import { type StatusForm, showStatus } from "../../terminal/index.ts";
import { frontStatusText } from "./status-text.ts";

/** Asks for the status and prints it. */
export function runFrontStatus(
  ask: (words: readonly string[]) => Promise<unknown>,
  form: StatusForm,
  clock: Clock,
  io: ProgramIo,
): Promise<number> {
  return showStatus(
    {
      program: "sotto front status",
      // Our own server's word.
      ask: async () => (await ask(["front-status"])) as FrontStatus,
      toText: frontStatusText,
      everyMs: WATCH_MS,
    },
    form,
    clock,
    io,
  );
}

/** Backends change their state in seconds. */
const WATCH_MS = 1000;
