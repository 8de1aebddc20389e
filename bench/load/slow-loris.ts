/** 500 slow clients in a process of their own, beside well-behaved ones whose latency is measured with and without them. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { Server } from "../../scripts/evidence/world.ts";
import { askForAWhile, connect, median, pause, pooled, quantile, SteadyClient } from "./clients.ts";
import { type Outcome, type Scale, withServer } from "./scenario.ts";

const GOOD_CLIENTS = 50;
const QUERIES_PER_SECOND = 1000;
/** Longer than the server's timers for half handshakes and half messages, so that each round sees clients closed and back. */
const ROUND_MS = 8000;
const ROUNDS = 5;
/** For the server to notice that the slow ones have gone. */
const SETTLE_MS = 1000;
const GROWTH_MAX = 1.25;

/** A name with a reply of some forty thousand octets, for those who do not read it. */
const BIG_NAME = "big.corp.example.";
const BIG_RECORDS = Array.from(
  { length: 160 },
  (_, i) => `${BIG_NAME} 300 IN TXT ${String(i).padStart(3, "0")}${"x".repeat(240)}`,
);

const KINDS_THAT_SEND = ["octets-tcp", "octets-tls", "half-handshake"];
const KINDS = [...KINDS_THAT_SEND, "never-reads"];

/** Rounds of three alternate: nobody else, the three kinds that hold a connection, and all four. */
export function slowLoris(scale: Scale): Promise<Outcome> {
  const count = Math.round(500 / scale);
  const limits =
    "limits: { connections: 5000, connections-per-address: 5000, connections-per-subnet: 5000, idle-timeout: 600s }";
  return withServer(
    limits,
    (_world, server, tcp, tls) => measure(server, [tcp, tls], count, Math.max(1, Math.round(ROUNDS / scale))),
    BIG_RECORDS,
  );
}

/** What good clients saw, a value each round. */
class Series {
  readonly p99Ms: number[] = [];
  lost = 0;
  reconnects = 0;
  came = "";

  async measure(good: readonly SteadyClient[]): Promise<void> {
    const before = reconnectsOf(good);
    const { latenciesMs, lost } = await askForAWhile(good, QUERIES_PER_SECOND, ROUND_MS);
    this.p99Ms.push(quantile(latenciesMs, 0.99));
    this.lost += lost;
    this.reconnects += reconnectsOf(good) - before;
  }

  /** Figures, compared with the calm ones. */
  figures(what: string, calm: Series): [string, string][] {
    return [
      [
        `p99 ${what}, each round`,
        `${this.p99Ms.map((value) => value.toFixed(2)).join(", ")} ms; median ${median(this.p99Ms).toFixed(2)}`,
      ],
      ...(this === calm
        ? []
        : ([
            [`ratio ${what}`, this.ratio(calm).toFixed(2)],
            [`slow connections ${what}, last round`, this.came],
          ] satisfies [string, string][])),
      [`lost queries and new connections of good clients ${what}`, `${this.lost} and ${this.reconnects}`],
    ];
  }

  ratio(calm: Series): number {
    return median(this.p99Ms) / median(calm.p99Ms);
  }
}

function reconnectsOf(clients: readonly SteadyClient[]): number {
  return clients.reduce((sum, { reconnects }) => sum + reconnects, 0);
}

async function measure(
  server: Server,
  ports: readonly number[],
  count: number,
  rounds: number,
): Promise<Outcome> {
  const good = Array.from(
    { length: GOOD_CLIENTS },
    (_, nth) => new SteadyClient(() => connect("tls", ports[1] ?? 0, nth)),
  );
  await pooled(good.length, 10, async (nth) => good[nth]?.open());
  // The compiler has to see the way of a query often before its times mean something.
  await askForAWhile(good, QUERIES_PER_SECOND, ROUND_MS);
  const [calm, senders, all] = [new Series(), new Series(), new Series()];
  for (let round = 0; round < rounds; round++) {
    await calm.measure(good);
    for (const [series, kinds] of [
      [senders, KINDS_THAT_SEND],
      [all, KINDS],
    ] as const) {
      // As many of each kind in both.
      const slow = new SlowClients(ports, Math.round((count * kinds.length) / KINDS.length), kinds);
      await slow.there;
      await series.measure(good);
      series.came = await slow.stop();
      await pause(SETTLE_MS);
    }
  }
  for (const client of good) client.close();
  const lost = calm.lost + senders.lost + all.lost;
  return {
    scenario: `${count} slow clients beside ${GOOD_CLIENTS} good ones`,
    goal: "the p99 of the good ones, who connect anew when they are closed, grows by no more than a quarter; none of their queries is lost",
    isMet: all.ratio(calm) <= GROWTH_MAX && lost === 0,
    figures: [
      ...calm.figures("alone", calm),
      ...senders.figures("beside those that send slowly", calm),
      ...all.figures("beside all, also those that never read", calm),
      ["why the server closed, tcp and tls", JSON.stringify(await closedBy(server))],
    ],
  };
}

async function closedBy(server: Server): Promise<unknown> {
  const { listeners } = await server.status();
  if (!Array.isArray(listeners)) return undefined;
  return listeners.map((listener: { counters?: { closed?: unknown } }) => listener.counters?.closed);
}

/** The process of slow clients. */
class SlowClients {
  /** When all have come once. */
  readonly there: Promise<void>;
  readonly #process: ChildProcess;
  #output = "";

  constructor(ports: readonly number[], count: number, kinds: readonly string[]) {
    const program = join(import.meta.dirname, "slow-clients.ts");
    const nodeArgs = [...process.execArgv, program, ...ports.map(String), BIG_NAME, String(count), ...kinds];
    this.#process = spawn(process.execPath, nodeArgs, { stdio: ["pipe", "pipe", "inherit"] });
    this.there = new Promise((resolve, reject) => {
      this.#process.stdout?.on("data", (chunk: Buffer) => {
        this.#output += chunk.toString();
        if (this.#output.startsWith("there\n")) resolve();
      });
      this.#process.once("close", () => reject(new Error("the slow clients ended before all had come")));
    });
  }

  /** Ends it; gives how many connections of each kind were made. */
  async stop(): Promise<string> {
    const ended = new Promise<void>((resolve) => this.#process.once("close", () => resolve()));
    this.#process.stdin?.end();
    await ended;
    return this.#output.replace("there\n", "").trim();
  }
}
