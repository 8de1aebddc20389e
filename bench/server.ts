/**
 * CPU time of one cached query in the server, without sockets: `node --conditions=source bench/server.ts`, with `--json`
 * for machines. Rounds of all cases are interleaved, so that a busy machine disturbs all of them alike.
 */
import { parseArgs } from "node:util";
import { MessageCache } from "@sotto/dns/cache";
import { type Runtime, silentEvents } from "@sotto/dns/runtime";
import { SeededRandom, SimClock, SimNetwork } from "@sotto/dns/testing";
import {
  Admission,
  type QueryChannel,
  type Reply,
  type Responder,
  SERVER_LIMITS_DEFAULT,
  ServerConnection,
  type ServerConnectionHost,
  type Transport,
} from "@sotto/dns/transport";
import {
  type Edns,
  encodeMessage,
  frameMessage,
  makeEdns,
  makeMessage,
  makePadding,
  parseName,
  type ResourceRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { QueryService } from "../packages/sotto/src/server/index.ts";

const NAMES = 10_000;
const ROUNDS = 41;
const ROUND_MICROSECONDS = 5000;
/** Queries in one chunk of a connection. */
const PIPELINED = 64;

/** What every run gives is added up here, so that no work can be optimised away. */
let sink = 0;

interface Case {
  readonly title: string;
  readonly run: () => number;
  /** Queries in a run. */
  readonly queries: number;
  readonly nanoseconds: number[];
}

const clock = new SimClock();
const random = new SeededRandom(1);
const runtime: Runtime = {
  clock,
  random,
  network: new SimNetwork({}, clock, random).host(["127.0.0.1"]),
  events: silentEvents,
};

/** Answers with that many address records, or one record of 1000 octets for names with a `big` label. */
const source: Responder = {
  respond: (query) => {
    const { qname, question } = query.view;
    const isBig = qname.key.includes("big");
    const record = (last: number): ResourceRecord => ({
      owner: qname,
      type: isBig ? RRType.DNSKEY : RRType.A,
      class: RRClass.IN,
      ttl: 86_400,
      rdata: isBig ? new Uint8Array(1000) : Uint8Array.of(192, 0, 2, last),
    });
    const answers = isBig ? [record(1)] : [record(1), record(2)];
    const message = makeMessage({ isResponse: true, questions: [question], answers });
    const reply: Reply = { message, security: "insecure", protection: "clear", extendedErrors: [] };
    return Promise.resolve(reply);
  },
};

function queriesOf(label: string, edns: Partial<Edns> | undefined): Uint8Array[] {
  return Array.from({ length: NAMES }, (_, i) =>
    encodeMessage(
      makeMessage({
        id: i,
        recursionDesired: true,
        questions: [
          {
            name: parseName(`${label}${i}.example.com.`),
            type: label === "big" ? RRType.DNSKEY : RRType.A,
            class: 1,
          },
        ],
        edns: edns === undefined ? undefined : makeEdns(edns),
      }),
    ),
  );
}

function channelOf(transport: Transport): QueryChannel {
  const remote = { address: "127.0.0.1", port: 4711 };
  return {
    origin: { transport, remote, local: undefined, security: undefined },
    keepaliveUnits: () => (transport === "udp" ? undefined : 100),
  };
}

/** Asks each query once, so that all of them are in the cache. */
async function warm(service: QueryService, queries: readonly Uint8Array[]): Promise<void> {
  for (const query of queries) await service.answer(query, channelOf("tcp"));
}

function inCall(
  title: string,
  service: QueryService,
  transport: Transport,
  queries: readonly Uint8Array[],
): Case {
  const channel = channelOf(transport);
  let next = 0;
  const run = (): number => {
    const query = queries[next] ?? new Uint8Array(0);
    next = (next + 1) % queries.length;
    const answer = service.answer(query, channel);
    if (!(answer instanceof Uint8Array)) throw new Error("not answered from the cache");
    return answer.length;
  };
  return { title, run, queries: 1, nanoseconds: [] };
}

/** Octets in, octets out: frames, the service, and one write for all answers. */
function throughConnection(title: string, service: QueryService, queries: readonly Uint8Array[]): Case {
  const chunk = Buffer.concat(queries.slice(0, PIPELINED).map((query) => frameMessage(query)));
  let written = 0;
  const host: ServerConnectionHost = {
    write: (octets) => {
      written += octets.length;
    },
    unsentOctets: () => 0,
    end: () => undefined,
    reset: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
    defer: () => undefined,
    setTimer: () => undefined,
    onEnded: () => undefined,
  };
  const { origin } = channelOf("tls");
  const connection = new ServerConnection(
    origin,
    { limits: SERVER_LIMITS_DEFAULT, admission: new Admission(SERVER_LIMITS_DEFAULT, clock) },
    service,
    host,
    () => clock.nowMs(),
  );
  const run = (): number => {
    connection.receive(chunk);
    return written;
  };
  return { title, run, queries: PIPELINED, nanoseconds: [] };
}

function cpuMicroseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

function measure(cases: readonly Case[]): void {
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of cases) {
      const start = cpuMicroseconds();
      const runsAtOnce = Math.ceil(512 / one.queries);
      let runs = 0;
      let now = start;
      while (now < start + ROUND_MICROSECONDS) {
        for (let i = 0; i < runsAtOnce; i++) sink += one.run();
        runs += runsAtOnce;
        now = cpuMicroseconds();
      }
      one.nanoseconds.push(((now - start) / (runs * one.queries)) * 1000);
    }
  }
}

function median(figures: readonly number[]): number {
  const kept = figures.slice(Math.floor(figures.length / 4)).sort((a, b) => a - b);
  return kept[Math.floor(kept.length / 2)] ?? Number.NaN;
}

const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
const cache = new MessageCache({ bytesMax: 64 * 1024 * 1024 }, random);
const service = new QueryService({ responder: source, cache }, runtime);
const plain = queriesOf("name", undefined);
const edns = queriesOf("name", {});
const padded = queriesOf("name", { options: [makePadding(77)] });
const big = queriesOf("big", { udpPayloadOctets: 4096 });
for (const queries of [plain, big]) await warm(service, queries);
const cases = [
  inCall("UDP, no EDNS", service, "udp", plain),
  inCall("UDP, EDNS", service, "udp", edns),
  inCall("UDP, EDNS, 1 kB reply", service, "udp", big),
  inCall("TCP, EDNS, keepalive", service, "tcp", edns),
  inCall("TLS, padded to 468", service, "tls", padded),
  throughConnection(`TLS, padded, ${PIPELINED} in one chunk`, service, padded),
  throughConnection(`TCP, EDNS, ${PIPELINED} in one chunk`, service, edns),
];
measure(cases);
await clock.advance(5000);
const aged = [inCall("UDP, EDNS, aged", service, "udp", edns)];
measure(aged);
const rows = [...cases, ...aged].map(({ title, nanoseconds }) => ({
  title,
  nanoseconds: Math.round(median(nanoseconds)),
}));
if (values.json) console.log(JSON.stringify({ node: process.version, names: NAMES, rows }));
else {
  for (const { title, nanoseconds } of rows) console.log(`${String(nanoseconds).padStart(6)} ns  ${title}`);
  console.log(`10,000 names; sum ${sink % 10}. The prototypes of architecture §6 need 1300 ns for a whole`);
  console.log("pipelined query over TCP and 3200 ns over TLS with sockets and encryption.");
}
