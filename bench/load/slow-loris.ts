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

const SENDING = ["octets-tcp", "octets-tls", "half-handshake"];
/** A quarter of all slow clients for each kind. */
const KINDS = 4;
const LIMITS =
  "limits: { connections: 5000, connections-per-address: 5000, connections-per-subnet: 5000, idle-timeout: 600s }";

/**
 * The kinds that send slowly are measured first, against the same server alone and against the same clients at another
 * server, which shows what only the shared cores cost. Those that never read come to a fresh server, so that what they leave
 * behind does not make the others' comparison look better.
 */
export async function slowLoris(scale: Scale): Promise<Outcome> {
  const each = Math.round(500 / scale / KINDS);
  const rounds = Math.max(1, Math.round(ROUNDS / scale));
  const [calm, elsewhere, senders] = await besideSenders(each, rounds);
  const [calmAgain, all, closed] = await besideAll(each, rounds);
  const lost = senders.lost + all.lost;
  return {
    scenario: `${each * KINDS} slow clients beside ${GOOD_CLIENTS} good ones`,
    goal: "the p99 of the good ones, who connect anew when they are closed, grows by no more than a quarter; none of their queries is lost",
    isMet: senders.ratio(calm) <= GROWTH_MAX && all.ratio(calmAgain) <= GROWTH_MAX && lost === 0,
    figures: [
      ...calm.figures("alone"),
      ...elsewhere.figures("while slow senders are at another server", calm),
      ...senders.figures("beside slow senders", calm),
      ...calmAgain.figures("alone, the second server"),
      ...all.figures("beside all, also those that never read", calmAgain),
      ["why the second server closed, tcp and tls", JSON.stringify(closed)],
    ],
  };
}

function besideSenders(each: number, rounds: number): Promise<readonly [Series, Series, Series]> {
  return withServer(LIMITS, (_world, _server, tcp, tls) =>
    withServer(LIMITS, async (_other, _otherServer, otherTcp, otherTls) => {
      const [calm, elsewhere, senders] = [new Series(), new Series(), new Series()];
      const good = await openGood(tls);
      for (let round = 0; round < rounds; round++) {
        await calm.measure(good);
        await elsewhere.measureBeside(good, [otherTcp, otherTls], each, SENDING);
        await senders.measureBeside(good, [tcp, tls], each, SENDING);
      }
      for (const client of good) client.close();
      return [calm, elsewhere, senders] as const;
    }),
  );
}

function besideAll(each: number, rounds: number): Promise<readonly [Series, Series, unknown]> {
  return withServer(
    LIMITS,
    async (_world, server, tcp, tls) => {
      const [calm, all] = [new Series(), new Series()];
      const good = await openGood(tls);
      for (let round = 0; round < rounds; round++) {
        await calm.measure(good);
        await all.measureBeside(good, [tcp, tls], each, [...SENDING, "never-reads"]);
      }
      for (const client of good) client.close();
      return [calm, all, await closedBy(server)] as const;
    },
    BIG_RECORDS,
  );
}

async function openGood(port: number): Promise<readonly SteadyClient[]> {
  const good = Array.from(
    { length: GOOD_CLIENTS },
    (_, nth) => new SteadyClient(() => connect("tls", port, nth)),
  );
  await pooled(good.length, 10, async (nth) => good[nth]?.open());
  // The compiler has to see the way of a query often before its times mean something.
  await askForAWhile(good, QUERIES_PER_SECOND, ROUND_MS);
  return good;
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

  async measureBeside(
    good: readonly SteadyClient[],
    ports: readonly number[],
    each: number,
    kinds: readonly string[],
  ): Promise<void> {
    const slow = new SlowClients(ports, each * kinds.length, kinds);
    await slow.there;
    await this.measure(good);
    this.came = await slow.stop();
    await pause(SETTLE_MS);
    // What the slow ones did to these connections has been counted; the next round begins with open ones.
    await Promise.allSettled(good.map((client) => client.ask()));
  }

  /** Figures, compared with calm ones unless they are those. */
  figures(what: string, calm?: Series): [string, string][] {
    const rounds = this.p99Ms.map((value) => value.toFixed(2)).join(", ");
    const own: [string, string][] = [
      [`p99 ${what}`, `${median(this.p99Ms).toFixed(2)} ms, the median of ${rounds}`],
      [`lost queries and new connections ${what}`, `${this.lost} and ${this.reconnects}`],
    ];
    if (calm === undefined) return own;
    return [
      ...own,
      [`ratio ${what}`, this.ratio(calm).toFixed(2)],
      [`slow connections made in the last round ${what}`, this.came],
    ];
  }

  ratio(calm: Series): number {
    return median(this.p99Ms) / median(calm.p99Ms);
  }
}

function reconnectsOf(clients: readonly SteadyClient[]): number {
  return clients.reduce((sum, { reconnects }) => sum + reconnects, 0);
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
