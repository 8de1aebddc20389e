/** What a worker runs, whichever program it is. */
import type { Runtime } from "@sotto/dns/runtime";
import type { BanTold } from "../front/index.ts";
import type { InheritedSocket } from "../operations/index.ts";
import type { OpenListener } from "./listeners.ts";
import type { AdmissionStatus } from "./listening.ts";
import type { ProgramCall, WorkerCallName, WorkerCalls, WorkerWork } from "./worker-messages.ts";
import type { WorkerPlace } from "./worker-place.ts";

/** A program that serves in this thread. */
export interface WorkerProgram {
  readonly listeners: readonly OpenListener[];
  /** Open ones of clients. */
  readonly connections: number;
  /** How it does. `own`: what only this program tells; it travels as JSON. */
  readonly told: { readonly status: AdmissionStatus; readonly own: unknown };
  /** Reads another configuration and changes to it; rejects, and all is as it was, when that cannot be done. Tells what changed. */
  reload(work: WorkerWork): Promise<readonly string[]>;
  /** What only this program is asked. Throws, or rejects, when it cannot be done. */
  answer(call: ProgramCall): ProgramAnswer | Promise<ProgramAnswer>;
  /** Clients that other workers have banned. Absent: it bans nobody. */
  adoptBans?(bans: readonly BanTold[]): void;
  drain(): Promise<void>;
  close(): Promise<void>;
}

export type ProgramAnswer = WorkerCalls[WorkerCallName]["output"];

/** What a program is started with. */
export interface ProgramSurroundings {
  readonly place: WorkerPlace;
  readonly sockets: readonly InheritedSocket[];
  readonly runtime: Runtime;
  /** For all other workers. */
  readonly tellBans: (bans: readonly BanTold[]) => void;
}

/** What nobody asks of this program; it is refused. */
export function unknownCall({ name }: ProgramCall): never {
  throw new Error(`unknown call ${JSON.stringify(name)}`);
}
