/** Everything that runs during a benchmark: the authority, the servers, the load; and one request to one server. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { makeSelfSigned } from "../../packages/sotto/src/operations/index.ts";
import { parseIdleMs, type Use, useBetween } from "./accounting.ts";
import { questionsText } from "./dnsperf/arguments.ts";
import { type LoadExchange, runDnsperf } from "./dnsperf/run.ts";
import type {
  LoadOrder,
  LoadOutcome,
  LoadRequest,
  LoadTarget,
  LoadTransport,
  LoadWindow,
  PipelineOrder,
} from "./generator/orders.ts";
import { PinnedProcess } from "./processes.ts";
import { AUTHORITY, authority, type Server } from "./servers.ts";
import type { Load } from "./tests.ts";
import { questions, ZONE, zoneText } from "./zone.ts";

/** Which core does what. */
export interface Cores {
  readonly server: number;
  readonly load: number;
}

/** An outcome and what it cost. */
export interface Exchange {
  readonly outcome: LoadOutcome;
  readonly use: Use;
}

/** How a server is started. */
export interface StartOptions {
  readonly connectionsMax: number;
  readonly only?: "tls";
}

const FOR_LOAD: StartOptions = { connectionsMax: 1000 };

export class Field {
  readonly folder = mkdtempSync(join(tmpdir(), "sotto-bench-"));
  readonly #cores: Cores;
  readonly #servers = new Map<Server, PinnedProcess>();
  readonly #warm = new Set<string>();
  #authority: PinnedProcess | undefined;
  #load: PinnedProcess | undefined;

  constructor(cores: Cores) {
    this.#cores = cores;
  }

  /** Starts the authority and the load. */
  async open(): Promise<void> {
    const pair = await makeSelfSigned([`dns.${ZONE}`], Date.now());
    writeFileSync(this.#path("server.pem"), pair.certificatePem);
    writeFileSync(this.#path("server.key"), pair.keyPem);
    writeFileSync(this.#path(QUESTIONS_FILE), questionsText());
    const site = this.#site(authority, FOR_LOAD);
    writeFileSync(join(site.folder, `${ZONE}.zone`), zoneText(AUTHORITY.address));
    const cores = String(this.#cores.load);
    const { folder } = this;
    this.#authority = PinnedProcess.start({ name: "nsd", command: authority.command(site), cores, folder });
    await this.#authority.becomeReady(() => canConnect(AUTHORITY));
    const command = [
      process.execPath,
      "--conditions=source",
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "generator/process.ts"),
    ];
    this.#load = PinnedProcess.start({ name: "load", command, cores, folder, isIpc: true });
    await this.#answerOfLoad();
  }

  async start(server: Server, options: StartOptions = FOR_LOAD): Promise<void> {
    const command = server.command(this.#site(server, options));
    const started = PinnedProcess.start({
      name: server.name,
      command,
      cores: this.#coresOf(server),
      folder: this.folder,
      cwd: join(this.folder, server.name),
    });
    this.#servers.set(server, started);
    const { address, port, tlsPort } = server.endpoints;
    await started.becomeReady(() => canConnect({ address, port: tlsPort ?? port }));
  }

  async stop(server: Server): Promise<void> {
    await this.#servers.get(server)?.stop();
    this.#servers.delete(server);
    for (const key of this.#warm) if (key.startsWith(`${server.name} `)) this.#warm.delete(key);
  }

  pidOf(server: Server): number {
    return this.#servers.get(server)?.pid ?? 0;
  }

  /**
   * Runs an order against a server that has its core for itself; all others are moved away. dnsperf has no lead-in: all of its life
   * counts.
   */
  async run(server: Server, order: LoadOrder, window: LoadWindow, load: Load = "own"): Promise<Exchange> {
    for (const [other, process] of this.#servers)
      process.pin(other === server ? this.#coresOf(server) : String(this.#cores.load));
    const serverPid = this.pidOf(server);
    const others = [...this.#servers.values(), this.#authority].flatMap((one) => one?.pid ?? []);
    const watched = [serverPid, ...others.filter((pid) => pid !== serverPid)];
    const { outcome, pid: loadPid } =
      load === "dnsperf" && order.kind === "pipeline"
        ? await this.#byDnsperf(order, window, watched)
        : await this.#byOwn({ order, window, watched });
    if (this.#servers.get(server)?.hasEnded === true)
      throw new Error(`${server.name} ended: ${this.#servers.get(server)?.output().slice(-2000)}`);
    const place = { serverPid, loadPid, serverCore: this.#cores.server, loadCore: this.#cores.load };
    return { outcome, use: useBetween(outcome.before, outcome.after, place) };
  }

  /** Asks all names until all answers come, and are right: from then on they are in the cache. Once for each kind. */
  async warm(server: Server, transport: LoadTransport, kind: "cached" | "padded"): Promise<void> {
    const key = `${server.name} ${transport} ${kind}`;
    if (this.#warm.has(key)) return;
    const target = targetOf(server, transport);
    const answersMax = questions().length;
    for (let pass = 1; pass <= PASSES_MAX; pass++) {
      const { outcome } = await this.run(
        server,
        { kind: "pipeline", target, connections: 1, outstanding: 100, names: { kind }, answersMax },
        { leadMs: 0, windowMs: 0 },
      );
      if (pass >= PASSES && outcome.wrong + outcome.lost === 0 && outcome.answers >= answersMax) {
        this.#warm.add(key);
        return;
      }
      if (outcome.answers === 0) await pause(500);
    }
    throw new Error(`${server.name} does not answer all of ${ZONE} over ${transport}`);
  }

  /** Waits for a moment when nobody else computes, for a while; whether it came. */
  async quiet(triesMax: number): Promise<boolean> {
    for (let tries = 0; tries < triesMax; tries++) {
      if (tries > 0) await pause(400);
      const [idle, idleLoad] = await this.#idleShares(250);
      if (idle > IDLE_LEAST && idleLoad > IDLE_LEAST) return true;
    }
    return false;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#servers.keys()].map((server) => this.stop(server)));
    await this.#load?.stop();
    await this.#authority?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #byOwn(request: LoadRequest): Promise<LoadExchange> {
    this.#load?.child.send(request);
    // Ours sent it.
    return { outcome: (await this.#answerOfLoad()) as LoadOutcome, pid: this.#load?.pid ?? 0 };
  }

  #byDnsperf(
    order: PipelineOrder,
    { windowMs }: LoadWindow,
    watched: readonly number[],
  ): Promise<LoadExchange> {
    const { folder } = this;
    const questionsFile = this.#path(QUESTIONS_FILE);
    return runDnsperf(order, { questionsFile, windowMs, folder, cores: String(this.#cores.load), watched });
  }

  async #idleShares(ms: number): Promise<readonly [server: number, load: number]> {
    const look = () => ({
      atMs: performance.now(),
      idleMs: parseIdleMs(readFileSync("/proc/stat", "ascii")),
    });
    const before = look();
    await pause(ms);
    const after = look();
    const share = (core: number): number =>
      ((after.idleMs[core] ?? 0) - (before.idleMs[core] ?? 0)) / (after.atMs - before.atMs);
    return [share(this.#cores.server), share(this.#cores.load)];
  }

  #coresOf({ coreCount = 1 }: Server): string {
    return coreCount === 1 ? String(this.#cores.server) : `${this.#cores.server},${this.#cores.load}`;
  }

  #site(server: Server, { connectionsMax, only }: StartOptions) {
    const folder = this.#path(server.name);
    mkdirSync(folder, { recursive: true });
    return {
      folder,
      certificateFile: this.#path("server.pem"),
      keyFile: this.#path("server.key"),
      authority: AUTHORITY,
      connectionsMax,
      only,
    };
  }

  #path(name: string): string {
    return join(this.folder, name);
  }

  async #answerOfLoad(): Promise<unknown> {
    const load = this.#load;
    if (load === undefined || load.hasEnded) throw new Error("the load has ended");
    return new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error(`the load ended: ${load.output().slice(-2000)}`));
      load.child.once("exit", onExit);
      load.child.once("message", (message) => {
        load.child.off("exit", onExit);
        if (typeof message === "object" && message !== null && "problem" in message)
          reject(new Error(String(message.problem)));
        else resolve(message);
      });
    });
  }
}

export function targetOf({ endpoints }: Server, transport: LoadTransport): LoadTarget {
  const { address, port, tlsPort } = endpoints;
  return { transport, address, port: transport === "tls" ? (tlsPort ?? port) : port };
}

function canConnect({
  address,
  port,
}: {
  readonly address: string;
  readonly port: number;
}): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}

const QUESTIONS_FILE = "questions.txt";
/** Passes over all names: the first fills caches, the second is for code that is compiled while it runs. */
const PASSES = 2;
const PASSES_MAX = 8;
const IDLE_LEAST = 0.92;
