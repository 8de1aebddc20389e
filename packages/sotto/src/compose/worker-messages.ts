/** What a supervisor and its workers say to each other. Not here: events, which are lines of the log in the end. */
import type { SharedCacheMemory } from "@sotto/dns/cache";
import type { Endpoint } from "@sotto/dns/runtime";
import type { ConfigSource, FrontSource } from "../config/index.ts";
import type { BanStatus, BanTold } from "../front/index.ts";
import type { CertificatePair, InheritedSocket } from "../operations/index.ts";
import type { NameKnowledge } from "../recursor/index.ts";
import type { FrontShared } from "./front-place.ts";
import type { PortalStatus } from "./portal.ts";
import type { SharedClients } from "./shared-clients.ts";
import type { DescriptorMemory, DescriptorPass } from "./worker-descriptors.ts";
import type { WorkerLoads } from "./worker-hand-over.ts";
import type { SharedSecrets } from "./worker-place.ts";

/** Given to a worker when its thread starts. It opens its listeners, and answers as to a call `open` with number 0. */
export interface WorkerStart {
  readonly index: number;
  readonly count: number;
  readonly memory: SharedArrayBuffer;
  readonly loads: WorkerLoads;
  readonly descriptors: DescriptorMemory;
  readonly secrets: SharedSecrets;
  readonly clients: SharedClients;
  readonly world: WorkerWorld;
  readonly sockets: readonly InheritedSocket[];
  /** Level of the log: events below it are not sent. */
  readonly logLevel: "error" | "warn" | "info" | "debug";
  /** What carries its listeners, as the main thread has found it; a reload does not change it. */
  readonly engine: "node" | "native";
}

/** What all workers must see alike, at the start and at each reload. */
export interface WorkerWorld<Work extends WorkerWork = WorkerWork> {
  readonly ports: ReadonlyMap<string, number>;
  readonly certificates: ReadonlyMap<string, CertificatePair>;
  readonly work: Work;
}

/** What its program gets: the configuration as it was read, and the memory that its workers share. */
export type WorkerWork = ResolverWork | FrontWork;

/** Of `sotto serve` and `sotto stub`. */
export interface ResolverWork {
  readonly program: "resolver";
  readonly source: ConfigSource;
  readonly cache: SharedCacheMemory;
}

/** Of `sotto front`. */
export interface FrontWork {
  readonly program: "front";
  readonly source: FrontSource;
  readonly shared: FrontShared;
}

/** What can be asked of a worker: input and output by name. Names of domains travel as text. */
export interface WorkerCalls extends ResolverCalls, FrontCalls {
  readonly open: { readonly input: undefined; readonly output: ReadonlyMap<string, number> };
  readonly reload: {
    readonly input: WorkerWorld;
    readonly output: { readonly changes: readonly string[]; readonly ports: ReadonlyMap<string, number> };
  };
  readonly drain: { readonly input: undefined; readonly output: undefined };
  readonly close: { readonly input: undefined; readonly output: undefined };
}

/** What a resolver is asked besides. */
export interface ResolverCalls {
  /** How many were forgotten. */
  readonly flush: {
    readonly input: {
      readonly from: "record sets" | "replies";
      readonly name: string;
      readonly what: "zone" | "name" | number;
    };
    readonly output: number;
  };
  /** The next lines of a dump; the first call begins it, and ends another that is under way. Empty: that was all. */
  readonly dump: {
    readonly input: { readonly dump: number; readonly isFirst: boolean };
    readonly output: readonly string[];
  };
  readonly load: { readonly input: string; readonly output: number };
  readonly lookUp: { readonly input: string; readonly output: NameKnowledge };
  readonly trust: {
    readonly input: undefined;
    readonly output: { readonly anchors: readonly string[]; readonly negative: readonly string[] };
  };
  readonly portal: { readonly input: readonly string[]; readonly output: PortalStatus };
}

/** What a front end is asked besides. */
export interface FrontCalls {
  /** How many answers were forgotten. */
  readonly flushAnswers: {
    readonly input: { readonly name: string; readonly isZone: boolean };
    readonly output: number;
  };
  readonly drainBackend: {
    readonly input: { readonly pool: string; readonly backend: string };
    readonly output: undefined;
  };
  readonly resumeBackend: {
    readonly input: { readonly pool: string; readonly backend: string };
    readonly output: undefined;
  };
  readonly listBans: { readonly input: undefined; readonly output: readonly BanStatus[] };
  /** Whether there was one. */
  readonly liftBan: { readonly input: string; readonly output: boolean };
}

/** The name of a call. */
export type WorkerCallName = keyof WorkerCalls;

/** What only one program is asked. */
export type ProgramCall = WorkerCall<Exclude<WorkerCallName, "open" | "reload" | "drain" | "close">>;

/** One call on its way to a worker. */
export type WorkerCall<Names extends WorkerCallName = WorkerCallName> = {
  readonly [Name in Names]: {
    readonly number: number;
    readonly name: Name;
    readonly input: WorkerCalls[Name]["input"];
  };
}[Names];

/** A connection that another worker has accepted; it is no call, and has no answer. */
export interface GivenConnection {
  readonly name: "connection";
  /** Where it came in. */
  readonly place: string;
  readonly connection: ConnectionOnWay;
}

/** Clients that another worker has banned; it is no call, and has no answer. */
export interface ToldBans {
  readonly name: "bans";
  readonly bans: readonly BanTold[];
}

/** A connection between two threads. */
export type ConnectionOnWay =
  /** Of Node, which only threads and their ends look into; it travels with the message. */
  | { readonly kind: "socket"; readonly socket: object }
  /** Of the native engine. */
  | { readonly kind: "descriptor"; readonly pass: DescriptorPass; readonly remote: Endpoint };

/** A connection that nobody has looked at yet, in the thread whose it is. */
export type AcceptedConnection =
  | { readonly kind: "socket"; readonly socket: object }
  | { readonly kind: "descriptor"; readonly fd: number; readonly remote: Endpoint };

/** What is needed of one to close it. */
export type ClosableConnection =
  | { readonly kind: "socket"; readonly socket: object }
  | { readonly kind: "descriptor"; readonly fd: number };

/** An event with its details as JSON. */
export type EventLine = readonly [name: string, details: string];

/** What comes from a worker. */
export type WorkerMessage =
  | { readonly kind: "result"; readonly number: number; readonly value: unknown }
  | {
      readonly kind: "failure";
      readonly number: number;
      /** Of a `DnsError`; undefined for any other. */
      readonly code: string | undefined;
      readonly message: string;
    }
  | {
      readonly kind: "events";
      readonly lines: readonly EventLine[];
      /** Events that had no room. */
      readonly dropped: number;
    }
  /** For all others. */
  | { readonly kind: "bans"; readonly bans: readonly BanTold[] }
  | {
      readonly kind: "connection";
      readonly place: string;
      readonly connection: ConnectionOnWay;
      /** The worker that should have it. */
      readonly receiver: number;
    };
