/** What a worker runs, whichever program it is. */
import type { Runtime } from "@sotto/dns/runtime";
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
  readonly status: AdmissionStatus;
  /** What only this program tells; it travels as JSON. */
  readonly own: unknown;
  /** Reads another configuration and changes to it; rejects, and all is as it was, when that cannot be done. Tells what changed. */
  reload(work: WorkerWork): Promise<readonly string[]>;
  /** What only this program is asked. Throws, or rejects, when it cannot be done. */
  answer(call: ProgramCall): ProgramAnswer | Promise<ProgramAnswer>;
  drain(): Promise<void>;
  close(): Promise<void>;
}

export type ProgramAnswer = WorkerCalls[WorkerCallName]["output"];

/** What a program is started with. */
export interface ProgramSurroundings {
  readonly place: WorkerPlace;
  readonly sockets: readonly InheritedSocket[];
  readonly runtime: Runtime;
}

/** What nobody asks of this program; it is refused. */
export function unknownCall({ name }: ProgramCall): never {
  throw new Error(`unknown call ${JSON.stringify(name)}`);
}
