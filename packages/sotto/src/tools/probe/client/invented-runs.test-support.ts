/** Runs that never were, for tests of judges. */
import type { ClientHello, ConnectionRecord } from "../../../testserver/index.ts";
import type { ClientPlan } from "./client-plan.ts";
import type { Run } from "./run.ts";

type Query = ConnectionRecord["queries"][number];
type Edns = NonNullable<Query["edns"]>;

/** A query for `name` without OPT, unless said otherwise. */
export function query(name: string, parts: Partial<Query> = {}): Query {
  return {
    atMs: 1,
    id: 1,
    qname: `${name}.test.`,
    qtype: "A",
    octets: 128,
    recursionDesired: true,
    edns: undefined,
    inFlightBefore: 0,
    problem: undefined,
    ...parts,
  };
}

/** An OPT record with nothing in it, unless said otherwise. */
export function edns(parts: Partial<Edns> = {}): Edns {
  return {
    version: 0,
    udpPayloadOctets: 1232,
    dnssecOk: false,
    optionCodes: [],
    keepalive: undefined,
    paddingOctets: undefined,
    cookieOctets: undefined,
    clientSubnetBits: undefined,
    ...parts,
  };
}

/** A ClientHello as a good client sends it. */
export function hello(parts: Partial<ClientHello> = {}): ClientHello {
  return {
    versions: ["TLSv1.3", "TLSv1.2"],
    serverName: "resolver.sotto.test",
    alpn: ["dot"],
    groups: [],
    cipherSuites: 3,
    offersResumption: false,
    offersEarlyData: false,
    octets: 500,
    ...parts,
  };
}

/** A finished handshake. */
export const DONE: NonNullable<ConnectionRecord["tls"]> = {
  version: "TLSv1.3",
  cipher: "TLS_AES_256_GCM_SHA384",
  alpn: "dot",
  isResumed: false,
  clientCertificate: undefined,
};

let lastId = 0;

/** A connection over TLS to the good server, unless said otherwise. */
export function connection(
  queries: readonly Query[] = [],
  parts: Partial<ConnectionRecord> = {},
): ConnectionRecord {
  return {
    id: ++lastId,
    fixture: "good",
    transport: "tls",
    client: "127.0.0.1:40000",
    openedAtMs: 1_000_000,
    fastOpen: undefined,
    hello: hello(),
    tls: DONE,
    answers: queries.length,
    endedBy: "client-fin",
    queries,
    queriesLost: 0,
    events: [],
    eventsLost: 0,
    ...parts,
  };
}

/** A run of a command that asked for all the names that came. */
export function run(records: readonly ConnectionRecord[], parts: Partial<Run> = {}): Run {
  const names = [...new Set(records.flatMap(({ queries }) => queries.map(({ qname }) => qname)))];
  return {
    exercise: { fixture: "good", use: "tls", questions: [] },
    command: "client",
    names,
    startedAtMs: 1_000_000,
    records,
    answered: names.length,
    end: { kind: "exit", code: 0 },
    ...parts,
  };
}

/** A run against a server of another name. */
export function runAt(fixture: string, records: readonly ConnectionRecord[], parts: Partial<Run> = {}): Run {
  return run(records, { exercise: { fixture, use: "strict", questions: [] }, ...parts });
}

/** Plans of which a judge wants to know only whether they tell all. */
export function plan(isComplete: boolean): ClientPlan {
  return { title: "client", isDaemon: false, isComplete, uses: {} };
}
