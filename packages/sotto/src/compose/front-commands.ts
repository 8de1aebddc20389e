/** What operators can do to a running front end, as commands of the control channel. */
import { tryParseName } from "@sotto/dns/wire";
import type { ControlCommand } from "../operations/index.ts";
import type { SteeredFront } from "./steered-front.ts";

/** What the commands need of the daemon. */
export interface FrontSteering {
  listeners(): readonly object[];
  /** Reads the configuration again; what changed. */
  reload(): Promise<readonly string[]>;
  /** Begins to end. */
  stop(): void;
}

/** Commands by name; each takes the words behind it. */
export function frontCommands(
  front: SteeredFront,
  { listeners, reload, stop }: FrontSteering,
): Readonly<Record<string, ControlCommand>> {
  return {
    status: async () => ({ ...front.status, listeners: listeners() }),
    "front-status": async () => front.status,
    flush: async (words) => ({ replies: await flush(front, words) }),
    drain: async ([pool = "", backend = ""]) => {
      await front.drainBackend(pool, backend);
      return { draining: backend };
    },
    resume: async ([pool = "", backend = ""]) => {
      await front.resumeBackend(pool, backend);
      return { resumed: backend };
    },
    bans: async () => ({ bans: await front.bans }),
    unban: async ([client = ""]) => {
      if (!(await front.liftBan(client))) throw new Error(`${JSON.stringify(client)} is not banned`);
      return { lifted: client };
    },
    reload: async () => ({ changes: await reload() }),
    stop: async () => {
      stop();
      return { stopping: true };
    },
  };
}

/** `NAME`, `--zone NAME` or `--all`. */
function flush(front: SteeredFront, [first, second]: readonly string[]): number | Promise<number> {
  const text = first === "--all" ? "." : first === "--zone" ? second : first;
  if (text === undefined) throw new Error("a name is missing");
  const name = tryParseName(text);
  if (!name.ok) throw new Error(name.problem);
  return front.flush(name.value, first === "--all" || first === "--zone");
}
