/** Runs the clients in turns, so that a busy machine disturbs all of them alike, and takes medians. */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { median } from "../report/statistics.ts";
import type { Round, RoundOrder } from "./client-process.ts";
import type { BenchClient } from "./clients.ts";
import { type MachineWatch, pin } from "./machine.ts";
import type { ServerFacts } from "./server.ts";

/** Figures of one client at one concurrency: medians over the rounds. */
export interface Figures {
  readonly client: BenchClient;
  readonly concurrency: number;
  readonly lookupsPerSecond: number;
  readonly cpuUs: number;
  /** Smallest and largest CPU time per lookup of all rounds. */
  readonly cpuUsRange: readonly [least: number, most: number];
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface RoundsOptions {
  readonly clients: readonly BenchClient[];
  readonly facts: ServerFacts;
  readonly concurrencies: readonly number[];
  readonly rounds: number;
  readonly roundMs: number;
  readonly watch: MachineWatch;
}

/** Rejects with what the first client says that fails. */
export async function runRounds(options: RoundsOptions): Promise<Figures[]> {
  const { clients, facts, concurrencies, rounds, roundMs, watch } = options;
  const running = await Promise.all(clients.map((client) => ClientProcess.start(client, facts)));
  try {
    for (const one of running)
      await one.run({ ...WARM_UP, lookupsMax: one.client.warmUpLookups ?? WARM_UP.lookupsMax });
    const figures: Figures[] = [];
    for (const concurrency of concurrencies) {
      const taken = new Map(running.map((one) => [one, [] as Round[]]));
      for (let i = 0; i < rounds; i++)
        // Every other round backwards: nobody always comes after the same one.
        for (const one of i % 2 === 0 ? running : running.toReversed())
          taken.get(one)?.push(await one.run({ concurrency, durationMs: roundMs }));
      for (const [{ client }, all] of taken) figures.push(figuresOf(client, concurrency, all));
    }
    return figures;
  } finally {
    for (const { pid } of running) if (pid !== undefined) watch.note(pid);
    await Promise.all(running.map((one) => one.stop()));
  }
}

class ClientProcess {
  readonly client: BenchClient;
  readonly #child: ChildProcess;
  #answers: { resolve(message: unknown): void; reject(error: Error): void } | undefined = undefined;

  private constructor(client: BenchClient, child: ChildProcess) {
    this.client = client;
    this.#child = child;
    child.on("message", (message) => this.#answers?.resolve(message));
    child.on("exit", (code) => this.#answers?.reject(new Error(`${client.key} ended with code ${code}`)));
  }

  static async start(client: BenchClient, facts: ServerFacts): Promise<ClientProcess> {
    const file = join(import.meta.dirname, "client-process.ts");
    const args = [client.key, JSON.stringify(facts), `${process.pid.toString(36)}${client.key}`];
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: facts.authorityFile };
    const started = new ClientProcess(client, fork(file, args, { env }));
    await started.#answer();
    pin(started.pid, "client");
    return started;
  }

  /** Undefined once it has ended. */
  get pid(): number | undefined {
    return this.#child.exitCode === null ? this.#child.pid : undefined;
  }

  async run(order: RoundOrder): Promise<Round> {
    const answer = this.#answer();
    this.#child.send(order);
    // Ours sent it.
    const round = (await answer) as Round | { readonly error: string };
    if ("error" in round) throw new Error(`${this.client.key}: ${round.error}`);
    if (round.lookups === 0) throw new Error(`${this.client.key} did nothing`);
    return round;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#answers = undefined;
    this.#child.kill();
    await ended;
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#answers = { resolve, reject };
    });
  }
}

function figuresOf(client: BenchClient, concurrency: number, rounds: readonly Round[]): Figures {
  const cpu = rounds.map(({ cpuUs, lookups }) => cpuUs / lookups);
  return {
    client,
    concurrency,
    lookupsPerSecond: median(rounds.map(({ lookups, wallMs }) => (lookups * 1000) / wallMs)),
    cpuUs: median(cpu),
    cpuUsRange: [Math.min(...cpu), Math.max(...cpu)],
    p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
  };
}

/** Until the compiler has seen enough; clients that open a connection for each query have little to compile. */
const WARM_UP = { concurrency: 20, durationMs: 4000, lookupsMax: 120_000 };
