/** One storm: starts backends, front end and clients, disturbs the backends by a plan, and gathers what was seen. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { makeSelfSigned } from "../../packages/sotto/src/operations/index.ts";
import { establishedTo } from "../../scripts/front/connection-probes.ts";
import type { FrontPlan, FrontProgram } from "../../scripts/front/front-programs.ts";
import { memoryKib, takeSnapshot } from "../peers/accounting.ts";
import { canConnect } from "../peers/can-connect.ts";
import { PinnedProcess } from "../peers/processes.ts";
import type { StormCounts, StormOrder } from "./storm-clients.ts";

export interface StormOptions {
  readonly front: FrontProgram;
  /** Of sotto's listeners. */
  readonly engine: "node" | "native";
  readonly queries: number;
  readonly clients: number;
  readonly outstanding: number;
  readonly leavingPerSecond: number;
  readonly retryIntervalMs: number;
  readonly isCalm: boolean;
}

/** Something that was done to a backend. */
export interface StormEvent {
  readonly atSeconds: number;
  readonly backend: number;
  readonly what: "killed" | "stopped" | "restarted";
  /** Until it was there again. */
  readonly forMs: number;
  /** The longest that an answer took in the seconds after it. */
  readonly worstMs: number;
}

export interface Storm {
  readonly front: string;
  readonly options: Omit<StormOptions, "front">;
  readonly seconds: number;
  readonly counts: StormCounts;
  readonly events: readonly StormEvent[];
  /** Seen at once, looked at twice a second. */
  readonly backendConnectionsMost: number;
  readonly frontCpuUs: number;
  readonly frontMemoryMib: number;
}

type Tell = (text: string) => void;

/** Rejects when something does not start, or the front end ends. */
export async function runStorm(options: StormOptions, tell: Tell): Promise<Storm> {
  const folder = mkdtempSync(join(tmpdir(), "sotto-storm-"));
  // A signal leaves no time for more.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const field = new StormField(folder, options, tell);
  try {
    return await field.run();
  } finally {
    await field.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

class StormField {
  readonly #folder: string;
  readonly #options: StormOptions;
  readonly #tell: Tell;
  readonly #backends: PinnedProcess[] = [];
  readonly #events: StormEvent[] = [];
  #front: PinnedProcess | undefined;
  #clients: PinnedProcess | undefined;
  #counts: StormCounts | undefined;
  #startedMs = 0;
  #connectionsMost = 0;
  /** The longest since an event began. */
  #worstSinceEventMs = 0;

  constructor(folder: string, options: StormOptions, tell: Tell) {
    this.#folder = folder;
    this.#options = options;
    this.#tell = tell;
  }

  async run(): Promise<Storm> {
    for (const number of BACKEND_PORTS.keys()) await this.#startBackend(number);
    const front = await this.#startFront();
    await pause(SETTLE_MS);
    const clients = this.#startClients();
    const ended = new Promise<void>((resolve) => clients.child.once("exit", () => resolve()));
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    const before = takeSnapshot([front.pid]);
    const watching = this.#watch(() => isOver);
    if (!this.#options.isCalm) await this.#disturb(() => isOver);
    await ended;
    await watching;
    const after = takeSnapshot([front.pid]);
    const counts = this.#counts;
    if (counts?.isDone !== true) throw new Error(`the clients ended early: ${clients.output().slice(-2000)}`);
    if (front.hasEnded) throw new Error(`the front end has ended: ${front.output().slice(-2000)}`);
    const cpuNs = (after.cpuNs[front.pid] ?? 0) - (before.cpuNs[front.pid] ?? 0);
    const { front: program, ...plain } = this.#options;
    return {
      front: program.name,
      options: plain,
      seconds: (performance.now() - this.#startedMs) / 1000,
      counts,
      events: this.#events,
      backendConnectionsMost: this.#connectionsMost,
      frontCpuUs: cpuNs / 1000 / Math.max(1, counts.sent),
      frontMemoryMib: memoryKib(front.pid) / 1024,
    };
  }

  async close(): Promise<void> {
    for (const one of this.#backends) one.child.kill("SIGCONT");
    await Promise.all([this.#clients, this.#front, ...this.#backends].map((one) => one?.stop()));
  }

  async #startBackend(number: number): Promise<void> {
    const port = BACKEND_PORTS[number] ?? 0;
    const command = [...NODE, join(import.meta.dirname, "storm-backend.ts"), ADDRESS, String(port)];
    const started = PinnedProcess.start({
      name: `backend-${number}`,
      command,
      cores: LOAD_CORE,
      folder: this.#folder,
    });
    this.#backends[number] = started;
    await started.becomeReady(() => canConnect({ address: ADDRESS, port }));
  }

  async #startFront(): Promise<PinnedProcess> {
    const { front, engine, clients } = this.#options;
    const own = join(this.#folder, front.name);
    mkdirSync(own);
    const pair = await makeSelfSigned(["dns.storm.example"], Date.now());
    const file = (name: string, text: string): string => {
      writeFileSync(join(own, name), text);
      return join(own, name);
    };
    const plan: FrontPlan = {
      folder: own,
      engine,
      certificateFile: file("server.pem", pair.certificatePem),
      keyFile: file("server.key", pair.keyPem),
      bothFile: file("both.pem", pair.certificatePem + pair.keyPem),
      address: ADDRESS,
      tlsPort: FRONT_PORT,
      clearPort: FRONT_PORT + 1,
      backends: BACKEND_PORTS.map((port) => ({
        transport: "tcp",
        address: ADDRESS,
        port,
        isPipelined: true,
      })),
      checkName: "check.storm.example.",
      idleMs: IDLE_MS,
      // Timers of idle clients shrink when much of this is taken.
      connectionsMax: Math.ceil(clients * 1.5),
    };
    const command = front.command(plan);
    const started = PinnedProcess.start({ name: front.name, command, cores: FRONT_CORE, folder: own });
    this.#front = started;
    await started.becomeReady(() => canConnect({ address: ADDRESS, port: FRONT_PORT }));
    return started;
  }

  #startClients(): PinnedProcess {
    const { clients, queries, outstanding, leavingPerSecond, retryIntervalMs } = this.#options;
    const order: StormOrder = {
      target: { transport: "tls", address: ADDRESS, port: FRONT_PORT },
      clients,
      queries,
      outstanding,
      leavingPerSecond,
      lateMs: retryIntervalMs + SLACK_MS,
    };
    const command = [...NODE, join(import.meta.dirname, "storm-clients.ts"), JSON.stringify(order)];
    const started = PinnedProcess.start({
      name: "clients",
      command,
      cores: LOAD_CORE,
      folder: this.#folder,
    });
    this.#clients = started;
    this.#startedMs = performance.now();
    return started;
  }

  /** Reads what the clients tell, and counts connections. */
  async #watch(isOver: () => boolean): Promise<void> {
    for (let isLast = false; !isLast; ) {
      isLast = isOver();
      await pause(WATCH_MS);
      const lines = this.#clients?.output().trimEnd().split("\n") ?? [];
      const last = lines.at(-1);
      if (last?.startsWith("{") === true && last.endsWith("}")) this.#note(JSON.parse(last));
      const connections = BACKEND_PORTS.reduce((sum, port) => sum + establishedTo(port), 0);
      this.#connectionsMost = Math.max(this.#connectionsMost, connections);
    }
  }

  #note(counts: StormCounts): void {
    this.#counts = counts;
    this.#worstSinceEventMs = Math.max(this.#worstSinceEventMs, counts.worstNowMs);
    const { open, sent, right, failed, wrong, unanswered, late } = counts;
    const share = ((100 * sent) / this.#options.queries).toFixed(1);
    const seconds = (performance.now() - this.#startedMs) / 1000;
    this.#tell(
      `\r${seconds.toFixed(0).padStart(4)} s  ${share} %  ${open} clients, ${right} right, ${failed} failed, ${wrong} wrong, ${unanswered} without outcome, ${late} late, worst ${counts.worstMs.toFixed(0)} ms `,
    );
  }

  /** One backend at a time, each in each of three ways, over and over, once all clients are there. */
  async #disturb(isOver: () => boolean): Promise<void> {
    while (!isOver() && (this.#counts?.sent ?? 0) === 0) await pause(WATCH_MS);
    for (let step = 0; !isOver() && step < EVENTS_MAX; step++) {
      await pause(CALM_MS);
      if (isOver()) return;
      const number = Math.floor(step / WAYS.length) % BACKEND_PORTS.length;
      const what = WAYS[step % WAYS.length] ?? "killed";
      this.#worstSinceEventMs = 0;
      const startedMs = performance.now();
      await this.#disturbOne(number, what);
      const forMs = Math.round(performance.now() - startedMs);
      await pause(AFTER_MS);
      const event: StormEvent = {
        atSeconds: Math.round((startedMs - this.#startedMs) / 1000),
        backend: number,
        what,
        forMs,
        worstMs: Math.round(this.#worstSinceEventMs),
      };
      this.#events.push(event);
      this.#tell(
        `\n${event.atSeconds} s: backend ${number} ${what} for ${forMs} ms, worst ${event.worstMs} ms\n`,
      );
    }
  }

  async #disturbOne(number: number, what: StormEvent["what"]): Promise<void> {
    const backend = this.#backends[number];
    if (backend === undefined) return;
    if (what === "stopped") {
      backend.child.kill("SIGSTOP");
      await pause(STOPPED_MS);
      backend.child.kill("SIGCONT");
      return;
    }
    backend.child.kill(what === "killed" ? "SIGKILL" : "SIGTERM");
    await new Promise<void>((resolve) => backend.child.once("exit", () => resolve()));
    if (what === "killed") await pause(DEAD_MS);
    await this.#startBackend(number);
  }
}

const NODE = [process.execPath, "--conditions=source", "--disable-warning=ExperimentalWarning"];
const ADDRESS = "127.0.0.1";
const FRONT_PORT = 15_500;
const BACKEND_PORTS = [15_510, 15_511];
const FRONT_CORE = "0";
const LOAD_CORE = "1";
const WAYS: readonly StormEvent["what"][] = ["killed", "stopped", "restarted"];
const EVENTS_MAX = 10_000;
/** Longer than a storm. */
const IDLE_MS = 3_600_000;
const SETTLE_MS = 1500;
const WATCH_MS = 500;
const CALM_MS = 3000;
const DEAD_MS = 1000;
const STOPPED_MS = 2500;
/** So that what an event did to answers under way is told with it. */
const AFTER_MS = 3000;
/** What answers may take without any event, on a loaded machine, above the retry. */
const SLACK_MS = 250;
