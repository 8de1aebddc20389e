/** Everything that runs during a benchmark: the authority, the servers, the load; and one request to one server. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { makeSelfSigned } from "../../packages/sotto/src/operations/index.ts";
import { parseIdleMs, type Use, useBetween } from "./accounting.ts";
import { canConnect } from "./can-connect.ts";
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
import { OwnLoad } from "./own-load.ts";
import { PinnedProcess } from "./processes.ts";
import { AUTHORITY, authority, type Server } from "./servers.ts";
import type { Load } from "./tests.ts";
import { warmUp } from "./warm-up.ts";
import { ZONE, zoneText } from "./zone.ts";

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
  #load: OwnLoad | undefined;

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
    this.#load = new OwnLoad(cores, folder);
    await this.#load.becomeReady();
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

  /** Once for each kind. */
  async warm(server: Server, transport: LoadTransport, kind: "cached" | "padded"): Promise<void> {
    const key = `${server.name} ${transport} ${kind}`;
    if (this.#warm.has(key)) return;
    const target = targetOf(server, transport);
    await warmUp({ name: server.name, target, kind }, (order, window) => this.run(server, order, window));
    this.#warm.add(key);
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

  #byOwn(request: LoadRequest): Promise<LoadExchange> {
    if (this.#load === undefined) throw new Error("there is no load");
    return this.#load.run(request);
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
}

export function targetOf({ endpoints }: Server, transport: LoadTransport): LoadTarget {
  const { address, port, tlsPort } = endpoints;
  return { transport, address, port: transport === "tls" ? (tlsPort ?? port) : port };
}

const QUESTIONS_FILE = "questions.txt";
const IDLE_LEAST = 0.92;
