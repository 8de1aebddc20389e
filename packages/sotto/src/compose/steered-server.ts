/** A server as a daemon steers it, whether it is one or several workers that look like one. */
import type { Name, Parsed, RRType } from "@sotto/dns/wire";
import type { Config, ConfigSource } from "../config/index.ts";
import type { OpenListener } from "./listeners.ts";
import type { RunningServer } from "./recursor-daemon.ts";

/** What is told about one worker. */
export interface WorkerStatus {
  /** From 0. */
  readonly worker: number;
  readonly state: "starting" | "serving" | "down";
  readonly crashes: number;
  readonly connections: number;
  readonly inFlight: number;
  /** Messages that it has dealt with since the start. */
  readonly queries: number;
  /** New connections that went to another worker because this one had too many or too much to do, and that came from others, of this thread. */
  readonly connectionsGiven: number;
  readonly connectionsTaken: number;
  /** Those that were closed on their way here, in all threads of this worker: it had ended, or did not listen there any more. */
  readonly connectionsLost: number;
  /** Share of its time that it is busy, 0 to 1. */
  readonly utilisation: number;
}

type Soon<T> = T | Promise<T>;

/** What is known at once is a value; what has to be asked for may be a promise. See {@link RunningServer} for what each does. */
export interface SteeredServer {
  readonly listeners: readonly OpenListener[];
  readonly status: object;
  readonly stubStatus: RunningServer["stubStatus"];
  upstreams: RunningServer["upstreams"];
  flush(name: Name, what: "zone" | "name" | RRType): Soon<ReturnType<RunningServer["flush"]>>;
  dump(): Generator<string> | AsyncGenerator<string>;
  load(text: string): Soon<Parsed<number>>;
  lookUp(name: Name): Soon<ReturnType<RunningServer["lookUp"]>>;
  trust(): Soon<ReturnType<RunningServer["trust"]>>;
  portal(words: readonly string[]): Soon<ReturnType<RunningServer["portal"]>>;
  reload(config: Config, source: ConfigSource): Promise<readonly string[]>;
  drain(): Promise<void>;
  close(): Promise<void>;
  /** Absent: it is one server. */
  readonly workers?: readonly WorkerStatus[];
  /** Settles, with the reason, when it cannot go on. Absent: it goes on, or the process ends. */
  readonly failed?: Promise<Error>;
}
