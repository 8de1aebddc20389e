/** A front end as a daemon steers it, whether it is one or several workers that look like one. See {@link RunningFront} for what each does. */
import type { Name } from "@sotto/dns/wire";
import type { FrontConfig, FrontSource } from "../config/index.ts";
import type { BanStatus } from "../front/index.ts";
import type { FrontStatus } from "./front-daemon.ts";
import type { OpenListener } from "./listeners.ts";
import type { WorkerStatus } from "./steered-server.ts";

export interface SteeredFront {
  readonly listeners: readonly OpenListener[];
  readonly status: FrontStatus;
  flush(name: Name, isZone: boolean): number | Promise<number>;
  drainBackend(pool: string, backend: string): void | Promise<void>;
  resumeBackend(pool: string, backend: string): void | Promise<void>;
  readonly bans: readonly BanStatus[] | Promise<readonly BanStatus[]>;
  liftBan(client: string): boolean | Promise<boolean>;
  reload(config: FrontConfig, source: FrontSource): Promise<readonly string[]>;
  drain(): Promise<void>;
  close(): Promise<void>;
  /** Absent: it is one server. */
  readonly workers?: readonly WorkerStatus[];
  /** Settles, with the reason, when it cannot go on. Absent: it goes on, or the process ends. */
  readonly failed?: Promise<Error>;
}
