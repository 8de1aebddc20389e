/** The command line of the benchmark. */
import { parseArgs } from "node:util";
import type { Engine } from "./our-servers.ts";
import { type BenchTest, chosenTests, LOADS, type Load } from "./tests.ts";

export interface BenchOptions {
  /** Names of peers. */
  readonly servers: readonly string[];
  readonly tests: readonly BenchTest[];
  readonly rounds: number;
  readonly secs: number;
  /** For the tests that have the choice. */
  readonly load: Load;
  readonly engines: readonly Engine[];
  readonly isJson: boolean;
  readonly isWriting: boolean;
  readonly isForced: boolean;
  /** A revision of ours to compare with. */
  readonly against: string | undefined;
  readonly cores: { readonly server: number; readonly load: number };
}

export const USAGE = `npm run bench -- [--servers LIST] [--tests LIST] [--rounds N] [--secs S] [--load dnsperf|own]
                 [--engine node|native|both] [--against REV] [--cores SERVER,LOAD] [--json] [--write] [--force]
  --servers  peers beside us: unbound,named,kresd,pdns,dnsdist (all of them), or none
  --tests    keys of tests, or what they begin with: dot,tcp,udp,tls,first-answer,idle,cold,p99,workers (all of them)
  --rounds   measurements of each test and server (3); --secs seconds of each (2), twice as many with dnsperf
  --load     of dot, tcp and udp: Debian's dnsperf (the goals were set with it), or our generator, which takes all else
  --against  compares with another revision of ours instead of with peers
  --write    writes docs/evidence/performance.{md,json,svg}; tests that did not run, or were disturbed, keep their old figures
  --force    runs and writes on a loaded machine, too, and takes no measurement twice
`;

/** Throws with a reason for people. */
export function parseOptions(args: readonly string[], peers: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      servers: { type: "string" },
      tests: { type: "string" },
      rounds: { type: "string", default: "3" },
      secs: { type: "string", default: "2" },
      load: { type: "string", default: "dnsperf" },
      engine: { type: "string", default: "node" },
      against: { type: "string" },
      cores: { type: "string", default: "0,1" },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      force: { type: "boolean", default: false },
    },
  });
  const servers = list(values.servers ?? (values.against === undefined ? peers.join(",") : "none"));
  for (const name of servers)
    if (!peers.includes(name)) throw new Error(`there is no server ${name}, but ${peers.join(", ")}`);
  const [server, load] = values.cores.split(",").map(Number);
  if (!isCore(server) || !isCore(load) || server === load)
    throw new Error("--cores wants two numbers, as in 0,1");
  if (values.write && values.against !== undefined)
    throw new Error("--write is for what stands beside the peers, --against is not");
  return {
    servers,
    tests: chosenTests(list(values.tests ?? "")),
    rounds: Math.ceil(positive("--rounds", values.rounds, 100)),
    secs: positive("--secs", values.secs, 600),
    load: loadNamed(values.load),
    engines: enginesOf(values.engine),
    isJson: values.json,
    isWriting: values.write,
    isForced: values.force,
    against: values.against,
    cores: { server, load },
  };
}

function list(text: string): string[] {
  return text.split(",").filter((word) => word !== "" && word !== "none");
}

function isCore(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value >= 0;
}

function positive(what: string, text: string, most: number): number {
  const value = Number(text);
  if (!(value > 0 && value <= most)) throw new Error(`${what} wants a number above 0, at most ${most}`);
  return value;
}

function loadNamed(text: string): Load {
  const load = LOADS.find((one) => one === text);
  if (load === undefined) throw new Error(`--load is ${LOADS.join(" or ")}`);
  return load;
}

function enginesOf(text: string): readonly Engine[] {
  if (text === "both") return ["node", "native"];
  if (text === "node" || text === "native") return [text];
  throw new Error("--engine is node, native or both");
}
