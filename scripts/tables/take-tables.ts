/** Takes both tables: starts the servers, probes all of them and all clients, several at once, and ends what it started. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { MINIMISATION_NAME } from "@sotto/dns/testing";
import { PinnedProcess } from "../../bench/peers/processes.ts";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import { exposeInternet } from "../../packages/sotto/src/playground/index.ts";
import { probeClient } from "../../packages/sotto/src/tools/probe/client/index.ts";
import type { TitledReport } from "../../packages/sotto/src/tools/probe/index.ts";
import { PATIENCE_CAREFUL, probeServer } from "../../packages/sotto/src/tools/probe/server/index.ts";
import { PoorBackend } from "../front/poor-backend.ts";
import { PROBE_NAME, ProbeClient, queryOctets } from "../front/probe-client.ts";
import type { TableClient } from "./table-clients.ts";
import {
  DELAY_NAME,
  FAST_NAME,
  PORT,
  type Site,
  SLOW_ADDRESS,
  SOTTO_COMMAND,
  TABLE_SERVERS,
  type TableServer,
  TLS_PORT,
  ZONE,
} from "./table-servers.ts";
import { bothLooks, differingLooks, rowsToRepeat } from "./two-looks.ts";

export interface TakeOptions {
  readonly servers: readonly TableServer[];
  readonly clients: readonly TableClient[];
  /** Its root servers need port 53 of loopback addresses. */
  readonly hasInternet: boolean;
  /** For a test: idle connections are waited for briefly. */
  readonly isShort: boolean;
  /** Rows of clients; absent: all. */
  readonly clientRows: readonly string[] | undefined;
  /** What a column is called. */
  readonly titleOf: (one: TableServer | TableClient) => string;
  readonly tell: (text: string) => void;
}

/** What was taken, in the order of the tables, and what could not be. */
export interface Taken {
  readonly reports: readonly TitledReport[];
  /** A sentence each. */
  readonly missing: readonly string[];
}

export async function takeTables(options: TakeOptions): Promise<Taken> {
  const { servers, clients, tell } = options;
  const folder = mkdtempSync(join(tmpdir(), "sotto-tables-"));
  // A signal leaves no time for more.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const caPem = await writeCertificates(folder);
  const internet = options.hasInternet ? await exposeInternet(53, folder, nodeRuntime()) : undefined;
  const site: Site = {
    folder,
    certificateFile: join(folder, "server.pem"),
    keyFile: join(folder, "server.key"),
    bothFile: join(folder, "both.pem"),
    internet: internet?.facts,
  };
  const slow = await PoorBackend.open({ poverty: "udp", address: SLOW_ADDRESS, port: PORT, idleMs: 10_000 });
  const running: PinnedProcess[] = [];
  const missing: string[] = [];
  const reports = new Map<TableServer | TableClient, TitledReport>();
  try {
    const started = await startServers(servers, { site, caPem, running, missing, tell });
    const wanted = servers.filter((server) => started.has(server));
    await Promise.all([
      inLanes(wanted, SERVER_LANES, async (server) => {
        reports.set(server, await takeServer(server, caPem, options));
      }),
      inLanes(
        clients.toSorted((a, b) => Number(b.isDaemon) - Number(a.isDaemon)),
        CLIENT_LANES,
        async (client) => {
          reports.set(client, await takeClient(client, options));
        },
      ),
    ]);
    for (const client of clients) {
      const report = reports.get(client);
      if (report !== undefined) reports.set(client, await withSecondLook(client, report, options));
    }
  } finally {
    for (const one of running.reverse()) await one.stop();
    await slow.close();
    await internet?.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const all = [...servers, ...clients].flatMap((one) => reports.get(one) ?? []);
  return { reports: all.map((report) => withoutPlaces(report, folder)), missing };
}

async function writeCertificates(folder: string): Promise<string> {
  const authority = await makeAuthority("evidence authority", Date.now());
  const pair = await authority.issue([PROBE_NAME], Date.now());
  writeFileSync(join(folder, "server.pem"), pair.certificatePem);
  writeFileSync(join(folder, "server.key"), pair.keyPem);
  writeFileSync(join(folder, "both.pem"), pair.certificatePem + pair.keyPem);
  return authority.certificatePem;
}

interface Start {
  readonly site: Site;
  readonly caPem: string;
  readonly running: PinnedProcess[];
  readonly missing: string[];
  readonly tell: (text: string) => void;
}

/** Starts these and those that they ask, each after what it needs. Servers that do not start are told and left out. */
async function startServers(servers: readonly TableServer[], start: Start): Promise<Set<TableServer>> {
  const started = new Set<TableServer>();
  const startOne = async (server: TableServer): Promise<void> => {
    if (started.has(server)) return;
    for (const name of server.needs)
      for (const needed of TABLE_SERVERS) if (needed.name === name) await startOne(needed);
    const problem = await tryStart(server, start);
    if (problem === undefined) started.add(server);
    else start.missing.push(`${server.name} is missing: ${problem}`);
    start.tell(`${server.name} ${problem === undefined ? "is running" : `is missing: ${problem}`}`);
  };
  for (const server of servers) await startOne(server);
  return started;
}

async function tryStart(server: TableServer, { site, caPem, running }: Start): Promise<string | undefined> {
  if (!existsSync(server.program)) return `${server.program} is not installed`;
  const process = PinnedProcess.start({
    name: server.name,
    command: server.command(site),
    cores: "0,1",
    folder: site.folder,
  });
  running.push(process);
  try {
    await process.becomeReady(() => answers(server, caPem));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Whether it takes TLS connections and has found the servers behind it. */
async function answers({ address }: TableServer, caPem: string): Promise<boolean> {
  try {
    const client = await ProbeClient.open({ address, port: TLS_PORT, caPem });
    client.send(queryOctets(`${FAST_NAME}.`, 1));
    const [reply] = await client.wait(1, READY_REPLY_MS);
    client.close();
    return reply?.message.rcode === 0 && reply.message.answers.length > 0;
  } catch {
    // Not yet; why it never does is in its output.
    return false;
  }
}

async function takeServer(
  server: TableServer,
  caPem: string,
  { hasInternet, isShort, titleOf, tell }: TakeOptions,
): Promise<TitledReport> {
  const { name, address, transports } = server;
  const target = {
    text: `${address}#${PROBE_NAME}`,
    address,
    port: PORT,
    tlsPort: TLS_PORT,
    name: PROBE_NAME,
    transports,
  };
  const patience = { ...PATIENCE_CAREFUL, probeMs: PROBE_MS, ...(isShort ? { idleMs: SHORT_IDLE_MS } : {}) };
  const report = await probeServer(
    target,
    {
      isThorough: false,
      names: { existing: FAST_NAME, below: ZONE, delay: DELAY_NAME, ...(hasInternet ? INTERNET_NAMES : {}) },
      signal: undefined,
      trustAnchorsPem: [caPem],
      patience,
    },
    nodeRuntime(),
    () => undefined,
  );
  tell(`${name} is probed, ${Math.round(report.tookMs / 1000)} s`);
  return { title: titleOf(server), report };
}

async function takeClient(
  client: TableClient,
  { clientRows: rows, titleOf, tell }: TakeOptions,
): Promise<TitledReport> {
  const options = { preset: client.name, sotto: SOTTO_COMMAND, ...(rows === undefined ? {} : { rows }) };
  const report = await probeClient(undefined, options, nodeRuntime(), () => undefined);
  tell(`${client.name} is probed, ${Math.round(report.tookMs / 1000)} s`);
  return { title: titleOf(client), report };
}

/** What was found wrong while others took the processor is looked at again, alone: clients give up after some seconds. */
async function withSecondLook(
  client: TableClient,
  first: TitledReport,
  options: TakeOptions,
): Promise<TitledReport> {
  const rows = rowsToRepeat(first);
  if (rows.length === 0) return first;
  options.tell(`${client.name} once more: ${rows.join(", ")}`);
  const second = await takeClient(client, { ...options, clientRows: rows });
  for (const difference of differingLooks(first, second)) options.tell(`${client.name}: ${difference}`);
  return bothLooks(first, second);
}

/** So many at once, started in order. */
async function inLanes<T>(
  items: readonly T[],
  lanes: number,
  take: (item: T) => Promise<void>,
): Promise<void> {
  const rest = [...items];
  const lane = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await take(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Where this checkout and its temporary files are is nobody's business. */
function withoutPlaces({ title, report }: TitledReport, folder: string): TitledReport {
  const command = SOTTO_COMMAND.join(" ");
  const clean = (text: string): string =>
    text
      .replaceAll(command, "sotto")
      .replaceAll(folder, "FOLDER")
      .replaceAll(new RegExp(`${tmpdir()}/[\\w.-]+`, "g"), "FOLDER");
  const cells = report.cells.map((cell) => ({
    ...cell,
    observed: clean(cell.observed),
    evidence: cell.evidence.map((step) => ({ ...step, what: clean(step.what) })),
  }));
  return { title, report: { ...report, cells } };
}

/** What the playground's internet is known for. */
const INTERNET_NAMES = {
  signed: "shop.example",
  bogus: "www.expired.example",
  minimised: MINIMISATION_NAME,
} as const;
/** Probes wait most of their time. */
const SERVER_LANES = 4;
/** Clients are processes, and take a core when they are ours. */
const CLIENT_LANES = 3;
const READY_REPLY_MS = 500;
const SHORT_IDLE_MS = 2000;
/** More than a probe's own minute: it is not alone on the machine. */
const PROBE_MS = 150_000;
