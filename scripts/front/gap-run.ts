/** Takes the table of gaps: starts each front end before each backend in the situations that the rows need. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PinnedProcess } from "../../bench/peers/processes.ts";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import { probeConnections, probeDraining, probeFastOpen, probeResumption } from "./connection-probes.ts";
import type { FrontPlan, FrontProgram } from "./front-programs.ts";
import { type BackendKind, FAST_NAME, type GapBackend, openBackend } from "./gap-backends.ts";
import { type Finding, type GapCell, joinedCells, ROWS, type RowKey, takeGapCell } from "./gap-cell.ts";
import { PROBE_NAME, ProbeClient, type ProbeTarget, queryOctets } from "./probe-client.ts";
import {
  probeAccess,
  probeAddress,
  probeKeepalive,
  probeOrder,
  probePadding,
  probePipelining,
  REFUSED_CLIENT,
  REFUSED_NAME,
} from "./query-probes.ts";

/** Certificates and folders. */
interface Site {
  readonly folder: string;
  readonly caPem: string;
}

/** Takes all cells of these programs and backends. */
export async function takeGaps(
  fronts: readonly FrontProgram[],
  kinds: readonly BackendKind[],
  isNamespace: boolean,
  tell: (text: string) => void,
): Promise<GapCell[]> {
  const folder = mkdtempSync(join(tmpdir(), "sotto-gaps-"));
  // A signal leaves no time for more.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const site: Site = { folder, caPem: await writeCertificates(folder) };
  const cells: GapCell[] = [];
  try {
    for (const kind of kinds) {
      const backend = await openBackend(kind, folder, LONG_IDLE_MS);
      const taken: GapCell[] = [];
      for (const [number, front] of fronts.entries()) {
        tell(`${front.name} before ${kind}`);
        taken.push(...(await takeFront(site, { front, number, backend, isNamespace })));
        tell(
          taken
            .slice(-Object.keys(ROWS).length)
            .map(({ row, word }) => `  ${row}: ${word}`)
            .join("\n"),
        );
      }
      await backend.close();
      tell(`all before ${kind}, whose idle timer is the shorter one`);
      cells.push(...(await addShortBackend(site, fronts, kind, taken)));
    }
    return cells;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function writeCertificates(folder: string): Promise<string> {
  const authority = await makeAuthority("evidence authority", Date.now());
  const pair = await authority.issue([PROBE_NAME, FRONT_ADDRESS], Date.now());
  writeFileSync(join(folder, "server.pem"), pair.certificatePem);
  writeFileSync(join(folder, "server.key"), pair.keyPem);
  writeFileSync(join(folder, "both.pem"), pair.certificatePem + pair.keyPem);
  return authority.certificatePem;
}

interface Pair {
  readonly front: FrontProgram;
  /** For its port. */
  readonly number: number;
  readonly backend: GapBackend;
  readonly isNamespace: boolean;
}

async function takeFront(site: Site, pair: Pair): Promise<GapCell[]> {
  const { front, backend, isNamespace } = pair;
  const where = (row: RowKey) => ({ front: front.name, backend: backend.kind, row });
  const cells: GapCell[] = [];
  const take = async (row: RowKey, probe: () => Promise<Finding>): Promise<void> => {
    cells.push(await takeGapCell(where(row), probe));
  };
  const plan = planOf(site, pair, { idleMs: SHORT_IDLE_MS });
  const target: ProbeTarget = { address: plan.address, port: plan.tlsPort, caPem: site.caPem };
  const running = await start(plan, front, target);
  if (typeof running === "string") return allRows(where, running);
  try {
    const keepalive = takeGapCell(where("keepalive"), () =>
      probeKeepalive(target, "front's timer the shorter one", IDLE_LIMIT_MS),
    );
    await take("pipelining", () => probePipelining(target));
    await take("order", () => probeOrder(target));
    cells.push(await keepalive);
    await take("padding", () => probePadding(target));
    await take("access", () => probeAccess(target));
    const { port, transport } = backend.address;
    await take("connections", () => probeConnections(target, port, transport === "udp"));
    await take("fastOpen", () => probeFastOpen(target, isNamespace));
    await take("resumption", () => probeResumption(target));
    await take("draining", () => probeDraining(target, front, running));
  } finally {
    await running.stop();
  }
  await take("address", () => inProxySituation(site, pair));
  return cells;
}

async function inProxySituation(site: Site, pair: Pair): Promise<Finding> {
  const plan = planOf(site, pair, { idleMs: SHORT_IDLE_MS, tellsClient: true });
  const target: ProbeTarget = { address: plan.address, port: plan.tlsPort, caPem: site.caPem };
  const running = await start(plan, pair.front, target);
  if (typeof running === "string") throw new Error(running);
  try {
    return await probeAddress(target, (name) => pair.backend.clientOf(name));
  } finally {
    await running.stop();
  }
}

/** Whether keepalive is kept when the backend's connection ends before the client's would: all at once, since it is only waiting. */
async function addShortBackend(
  site: Site,
  fronts: readonly FrontProgram[],
  kind: BackendKind,
  taken: readonly GapCell[],
): Promise<GapCell[]> {
  const backend = await openBackend(kind, site.folder, SHORT_IDLE_MS);
  const found = await Promise.all(
    fronts.map(async (front, number) => {
      const plan = planOf(site, { front, number, backend, isNamespace: false }, { idleMs: LONG_IDLE_MS });
      const target: ProbeTarget = { address: plan.address, port: plan.tlsPort, caPem: site.caPem };
      const where = { front: front.name, backend: kind, row: "keepalive" } as const;
      const running = await start(plan, front, target);
      if (typeof running === "string") return takeGapCell(where, () => Promise.reject(new Error(running)));
      const cell = await takeGapCell(where, () =>
        probeKeepalive(target, "backend's timer the shorter one", IDLE_LIMIT_MS),
      );
      await running.stop();
      return cell;
    }),
  );
  await backend.close();
  return taken.map((cell) => {
    const other = found.find(({ front, row }) => front === cell.front && row === cell.row);
    // One that did not start is said once.
    const isStarted = cell.word !== "not testable" || cell.problem !== undefined;
    return other === undefined || !isStarted ? cell : joinedCells(cell, other);
  });
}

function planOf(
  { folder }: Site,
  { front, number, backend }: Pair,
  { idleMs, tellsClient = false }: { readonly idleMs: number; readonly tellsClient?: boolean },
): FrontPlan {
  const own = join(folder, front.name);
  mkdirSync(own, { recursive: true });
  return {
    folder: own,
    certificateFile: join(folder, "server.pem"),
    keyFile: join(folder, "server.key"),
    bothFile: join(folder, "both.pem"),
    address: FRONT_ADDRESS,
    tlsPort: FIRST_PORT + number * 2,
    clearPort: FIRST_PORT + number * 2 + 1,
    backends: [tellsClient ? backend.proxyAddress : backend.address],
    checkName: FAST_NAME,
    idleMs,
    connectionsMax: CONNECTIONS_MAX,
    tellsClient,
    fastOpen: true,
    refused: { name: REFUSED_NAME, client: REFUSED_CLIENT },
  };
}

/** The program when it takes TLS connections, or why it does not. */
async function start(
  plan: FrontPlan,
  front: FrontProgram,
  target: ProbeTarget,
): Promise<PinnedProcess | string> {
  const running = PinnedProcess.start({
    name: front.name,
    command: front.command(plan),
    cores: "0,1",
    folder: plan.folder,
  });
  try {
    await running.becomeReady(() => canShakeHands(target));
    await settle(target);
    return running;
  } catch (problem) {
    await running.stop();
    return `did not start: ${problem instanceof Error ? problem.message : String(problem)}`;
  }
}

async function canShakeHands(target: ProbeTarget): Promise<boolean> {
  try {
    (await ProbeClient.open(target)).close();
    return true;
  } catch {
    return false;
  }
}

/** Programs with health checks need a moment to believe in their backend: asks until there is an answer, or for a while. */
async function settle(target: ProbeTarget): Promise<void> {
  for (let tries = 0; tries < SETTLE_TRIES; tries++) {
    const client = await ProbeClient.open(target);
    client.send(queryOctets(FAST_NAME, 1));
    const [reply] = await client.wait(1, SETTLE_MS);
    client.close();
    if (reply?.message.rcode === 0) return;
  }
}

function allRows(where: (row: RowKey) => Pick<GapCell, "front" | "backend" | "row">, why: string): GapCell[] {
  // Its keys are the rows.
  const rows = Object.keys(ROWS) as RowKey[];
  return rows.map((row) => ({ ...where(row), word: "not testable", evidence: [why], traces: [] }));
}

const FRONT_ADDRESS = "127.0.0.1";
const FIRST_PORT = 15_420;
const CONNECTIONS_MAX = 1000;
const SHORT_IDLE_MS = 3000;
const LONG_IDLE_MS = 6000;
/** Longer than both, and than a second more. */
const IDLE_LIMIT_MS = 8500;
const SETTLE_TRIES = 4;
const SETTLE_MS = 500;
