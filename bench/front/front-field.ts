/** What runs during the benchmark of front ends: the backend, the front ends in their variants, the load; and one order to one of them. */

import { once } from "node:events";
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { makeSelfSigned } from "../../packages/sotto/src/operations/index.ts";
import type { FrontPlan, FrontProgram } from "../../scripts/front/front-programs.ts";
import { childrenNs, takeSnapshot, type Use, useBetween } from "../peers/accounting.ts";
import { canConnect } from "../peers/can-connect.ts";
import { questionsText } from "../peers/dnsperf/arguments.ts";
import { type LoadExchange, runDnsperf } from "../peers/dnsperf/run.ts";
import type {
  LoadOrder,
  LoadOutcome,
  LoadRequest,
  LoadTarget,
  LoadWindow,
  PipelineOrder,
} from "../peers/generator/orders.ts";
import { OwnLoad } from "../peers/own-load.ts";
import { PinnedProcess } from "../peers/processes.ts";
import { AUTHORITY, authority } from "../peers/servers.ts";
import { warmUp } from "../peers/warm-up.ts";
import { FIRST_NAME, ZONE, zoneText } from "../peers/zone.ts";
import { BLOCK_LIST_NAMES, type FrontTest, IDLE_CONNECTIONS, type Variant } from "./front-tests.ts";
import type { LatencyOrder, LatencySeen } from "./latency-load.ts";

/** A front end in one variant, or the backend itself. */
export interface Contender {
  readonly name: string;
  readonly variant: Variant | "direct";
  readonly target: LoadTarget;
  /** Undefined: the backend. */
  readonly front: FrontProgram | undefined;
  readonly engine: "node" | "native";
}

export interface FrontExchange {
  readonly outcome: LoadOutcome;
  readonly use: Use;
}

export class FrontField {
  readonly #folder = mkdtempSync(join(tmpdir(), "sotto-front-bench-"));
  readonly #running = new Map<Contender, PinnedProcess>();
  readonly #warm = new Set<Contender>();
  #authority: PinnedProcess | undefined;
  #backend: PinnedProcess | undefined;
  #load: OwnLoad | undefined;

  /** Starts the backend and the load; writes the block list when it is wanted. */
  async open(wantsBlockList: boolean): Promise<void> {
    // A signal leaves no time for more.
    process.once("exit", () => rmSync(this.#folder, { recursive: true, force: true }));
    const pair = await makeSelfSigned([`dns.${ZONE}`], Date.now());
    writeFileSync(this.#path("server.pem"), pair.certificatePem);
    writeFileSync(this.#path("server.key"), pair.keyPem);
    writeFileSync(this.#path("both.pem"), pair.certificatePem + pair.keyPem);
    writeFileSync(this.#path(QUESTIONS_FILE), questionsText());
    if (wantsBlockList) await writeBlockList(this.#path(BLOCK_LIST));
    const folder = this.#folder;
    const site = { ...this.#site("nsd"), authority: AUTHORITY, connectionsMax: 1000, only: undefined };
    writeFileSync(join(site.folder, `${ZONE}.zone`), zoneText(AUTHORITY.address));
    const cores = LOAD_CORE;
    this.#authority = PinnedProcess.start({ name: "nsd", command: authority.command(site), cores, folder });
    await this.#authority.becomeReady(() => canConnect(AUTHORITY));
    const own = this.#site("unbound").folder;
    const config = join(own, "unbound.conf");
    writeFileSync(config, backendConfig(own));
    const backend = ["/usr/sbin/unbound", "-d", "-p", "-c", config];
    this.#backend = PinnedProcess.start({ name: "unbound", command: backend, cores, folder });
    await this.#backend.becomeReady(() => canConnect(BACKEND));
    this.#load = new OwnLoad(cores, folder);
    await this.#load.becomeReady();
  }

  async start(contender: Contender, connectionsMax = 1000): Promise<void> {
    const { front, name, variant, target } = contender;
    if (front === undefined) return;
    const own = this.#path(`${name}-${variant}`);
    mkdirSync(own, { recursive: true });
    const plan: FrontPlan = {
      folder: own,
      certificateFile: this.#path("server.pem"),
      keyFile: this.#path("server.key"),
      bothFile: this.#path("both.pem"),
      address: target.address,
      tlsPort: target.port,
      clearPort: target.port + 1,
      backends: [{ transport: "tcp", ...BACKEND, isPipelined: true }],
      checkName: `${FIRST_NAME}.`,
      idleMs: 600_000,
      connectionsMax,
      hasCache: variant !== "plain",
      engine: contender.engine,
      ...(variant === "blocking" ? { blockListFile: this.#path(BLOCK_LIST) } : {}),
    };
    const started = PinnedProcess.start({
      name: `${name}-${variant}`,
      command: front.command(plan),
      cores: FRONT_CORE,
      folder: own,
    });
    this.#running.set(contender, started);
    await started.becomeReady(() => canConnect(target));
    // Health checks.
    await pause(SETTLE_MS);
  }

  async stop(contender: Contender): Promise<void> {
    await this.#running.get(contender)?.stop();
    this.#running.delete(contender);
    this.#warm.delete(contender);
  }

  pidOf(contender: Contender): number {
    return this.#running.get(contender)?.pid ?? 0;
  }

  /** Runs an order against one that has its core for itself. dnsperf has no lead-in: all of its life counts. */
  async run(
    contender: Contender,
    order: LoadOrder,
    window: LoadWindow,
    load: FrontTest["load"] = "own",
  ): Promise<FrontExchange> {
    for (const [other, process] of this.#running) process.pin(other === contender ? FRONT_CORE : LOAD_CORE);
    const serverPid = this.pidOf(contender);
    const pids = [...this.#running.values(), this.#backend, this.#authority].flatMap((one) => one?.pid ?? []);
    const watched = [serverPid, ...pids.filter((pid) => pid !== serverPid)].filter((pid) => pid > 0);
    const { outcome, pid: loadPid } =
      order.kind !== "pipeline" || load === "own"
        ? await this.#byOwn({ order, window, watched })
        : load === "dnsperf"
          ? await this.#byDnsperf(order, window, watched)
          : await this.#byLatencyLoad(order, window, watched);
    const running = this.#running.get(contender);
    if (running?.hasEnded === true)
      throw new Error(`${contender.name} ended: ${running.output().slice(-2000)}`);
    const place = { serverPid, loadPid, serverCore: Number(FRONT_CORE), loadCore: Number(LOAD_CORE) };
    return { outcome, use: useBetween(outcome.before, outcome.after, place) };
  }

  /** So that a cache has all names. */
  async warm(contender: Contender): Promise<void> {
    if (this.#warm.has(contender)) return;
    const { name, target } = contender;
    await warmUp({ name, target, kind: "cached" }, (order, window) => this.run(contender, order, window));
    this.#warm.add(contender);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((one) => this.stop(one)));
    await this.#load?.stop();
    await this.#backend?.stop();
    await this.#authority?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #byOwn(request: LoadRequest): Promise<LoadExchange> {
    if (this.#load === undefined) throw new Error("there is no load");
    return this.#load.run(request);
  }

  async #byLatencyLoad(
    { target, connections, ratePerSecond }: PipelineOrder,
    window: LoadWindow,
    watched: readonly number[],
  ): Promise<LoadExchange> {
    const rate = ratePerSecond === undefined ? {} : { ratePerSecond };
    const order: LatencyOrder = { target, connections, ...rate, ...window };
    const command = [...NODE, join(import.meta.dirname, "latency-load.ts"), JSON.stringify(order)];
    const before = takeSnapshot(watched);
    const childrenBeforeNs = childrenNs();
    const folder = this.#folder;
    const started = PinnedProcess.start({ name: "latency", command, cores: LOAD_CORE, folder });
    await started.ended(window.leadMs + window.windowMs + LATENCY_LATE_MS);
    const after = takeSnapshot(watched);
    if (started.child.exitCode !== 0) throw new Error(`the load failed: ${started.output().slice(-2000)}`);
    // It wrote it.
    const seen = JSON.parse(started.output()) as LatencySeen;
    const cpuNs = { ...after.cpuNs, [started.pid]: childrenNs() - childrenBeforeNs };
    const outcome = { ...seen, resumed: 0, coldUsed: 0, before, after: { ...after, cpuNs } };
    return { outcome, pid: started.pid };
  }

  #byDnsperf(
    order: PipelineOrder,
    { windowMs }: LoadWindow,
    watched: readonly number[],
  ): Promise<LoadExchange> {
    const questionsFile = this.#path(QUESTIONS_FILE);
    return runDnsperf(order, { questionsFile, windowMs, folder: this.#folder, cores: LOAD_CORE, watched });
  }

  #site(name: string) {
    const folder = this.#path(name);
    mkdirSync(folder, { recursive: true });
    return { folder, certificateFile: this.#path("server.pem"), keyFile: this.#path("server.key") };
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

/** A resolver with a warm cache, and room for three times a connection of each client: above half of it, its timers shrink. */
function backendConfig(folder: string): string {
  return `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  log-queries: no
  num-threads: 1
  interface: ${BACKEND.address}@${BACKEND.port}
  incoming-num-tcp: ${IDLE_CONNECTIONS * 3}
  tcp-idle-timeout: 600000
  edns-tcp-keepalive: yes
  edns-tcp-keepalive-timeout: 600000
  outgoing-range: 1024
  num-queries-per-thread: 4096
  msg-cache-size: 256m
  rrset-cache-size: 512m
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-ip6: no
remote-control:
  control-enable: no
stub-zone:
  name: "${ZONE}"
  stub-addr: ${AUTHORITY.address}@${AUTHORITY.port}
`;
}

/** None of its names is asked for: what is measured is that they are not there. */
async function writeBlockList(file: string): Promise<void> {
  const out = createWriteStream(file);
  for (let i = 0; i < BLOCK_LIST_NAMES; i++) {
    const name = `${WORDS[i % WORDS.length]}-${i.toString(36)}.${TLDS[i % TLDS.length]}`;
    if (!out.write(`${name}\n`)) await once(out, "drain");
  }
  out.end();
  await once(out, "finish");
}

export const BACKEND = { address: "127.0.62.1", port: 15_600 } as const;
const NODE = [process.execPath, "--conditions=source", "--disable-warning=ExperimentalWarning"];
/** To start, connect and end. */
const LATENCY_LATE_MS = 20_000;
const BLOCK_LIST = "blocked.txt";
const QUESTIONS_FILE = "questions.txt";
const WORDS = ["ads", "track", "metrics.pixel", "cdn.static.banner", "telemetry"];
const TLDS = ["example", "test", "invalid", "com.example", "net.example", "co.test", "org.invalid"];
const FRONT_CORE = "0";
const LOAD_CORE = "1";
const SETTLE_MS = 700;
