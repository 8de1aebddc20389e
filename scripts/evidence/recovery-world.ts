/**
 * Run inside namespaces of its own (`recovery-run.ts`): all stubs ask the same servers at the same time, one event after
 * another happens to them, and each gets fresh stubs and servers. Prints one JSON line per event.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeAuthority, spkiPin } from "../../packages/sotto/src/operations/index.ts";
import { startCapture } from "./recovery-capture.ts";
import { EVENTS, type RecoveryEvent, type Scene } from "./recovery-events.ts";
import { DEADLINE_MS, measure } from "./recovery-measures.ts";
import { buildNetwork, SERVER_ADDRESSES } from "./recovery-network.ts";
import { AUTH_NAME, delay, Server, startStub, until } from "./recovery-programs.ts";
import type { WorldPlan, WorldResult } from "./recovery-run.ts";
import { type Sent, Stream } from "./recovery-stream.ts";

// Written so by recovery-run.ts.
const plan = JSON.parse(process.argv[2] ?? "") as WorldPlan;
const folder = mkdtempSync(join(tmpdir(), "sotto-recovery-"));

async function makeCertificates(): Promise<Scene["certificates"]> {
  const authority = await makeAuthority("recovery authority", Date.now());
  writeFileSync(join(folder, "ca.pem"), authority.certificatePem);
  const [first, second, misnamed] = await Promise.all([
    authority.issue([AUTH_NAME], Date.now()),
    authority.issue([AUTH_NAME], Date.now()),
    authority.issue(["other.example"], Date.now()),
  ]);
  return { first, second, misnamed };
}

async function play(event: RecoveryEvent, certificates: Scene["certificates"]): Promise<WorldResult> {
  const own = join(folder, event.id);
  const servers = plan.servers.map(
    (name, i) => new Server(name, SERVER_ADDRESSES[i] ?? "", join(own, name), event.serverIdleMs),
  );
  await Promise.all(servers.map((server) => server.start(certificates.first)));
  const stubs = plan.stubs.map((name, i) =>
    startStub(name, PORT + i, {
      addresses: servers.map(({ address }) => address),
      authorityFile: join(folder, "ca.pem"),
      pins:
        event.isPinned === true
          ? [certificates.first, certificates.second].map((pair) => spkiPin(pair.certificatePem))
          : [],
      folder: join(own, `stub ${i}`),
    }),
  );
  const startMs = performance.now();
  const now = (): number => performance.now() - startMs;
  const streams = plan.stubs.map((_, i) => new Stream(PORT + i, startMs));
  const scene: Scene = { servers, stubs, streams, certificates };
  try {
    for (const [i, stream] of streams.entries())
      await until(
        () => {
          stream.send();
          return delay(100).then(() => stream.sent.some(({ isGood }) => isGood));
        },
        () => `${plan.stubs[i]} does not answer:\n${stubs[i]?.output}`,
      );
    for (const stream of streams) stream.flow();
    await delay(WARM_MS);
    const lastsMs = Math.min(event.lastsMs, plan.lastsMsMax);
    const beginMs = now();
    await event.begin(scene, lastsMs);
    const restMs = beginMs + lastsMs - now();
    if (restMs > 0) await delay(restMs);
    await event.end?.(scene);
    const endMs = now();
    await untilSteady(streams, now, endMs + plan.observeMsMax);
    for (const stream of streams) stream.pause();
    await untilAnswered(streams, now);
    return {
      event: event.id,
      servers: plan.servers,
      cells: plan.stubs.map((stub, i) => measure(stub, streams[i]?.sent ?? [], beginMs, endMs)),
    };
  } finally {
    for (const stream of streams) stream.close();
    await Promise.all([...stubs, ...servers].map((one) => one.end("SIGKILL")));
    event.tidy?.();
  }
}

/** Until all are answered, or their time is over. */
async function untilAnswered(streams: readonly Stream[], now: () => number): Promise<void> {
  const latestMs = now() + DEADLINE_MS;
  const isOpen = ({ atMs, answeredMs }: Sent): boolean =>
    answeredMs === undefined && atMs > now() - DEADLINE_MS;
  while (now() < latestMs && streams.some(({ sent }) => sent.some(isOpen))) await delay(100);
}

/** Until all that was asked for a while was answered; not before a retry interval and that while are over. */
async function untilSteady(streams: readonly Stream[], now: () => number, latestMs: number): Promise<void> {
  const earliestMs = now() + STEADY_MS + SLOW_MS;
  const isSteady = ({ sent }: Stream): boolean =>
    sent.every(({ atMs, isGood }) => isGood || atMs < now() - STEADY_MS - SLOW_MS || atMs > now() - SLOW_MS);
  for (; now() < latestMs; await delay(100)) if (now() > earliestMs && streams.every(isSteady)) return;
}

/** Where the first stub listens; the next ones follow. */
const PORT = 5301;
/** Enough for connections to be open and known to work. */
const WARM_MS = 2000;
const STEADY_MS = 3000;
/** An answer may take so long and still count as steady. */
const SLOW_MS = 1000;

buildNetwork();
const certificates = await makeCertificates();
const stopCapture = plan.captures === true ? await startCapture(join(folder, "all.pcap")) : undefined;
for (const id of plan.events) {
  const event = EVENTS.find((one) => one.id === id);
  if (event === undefined) throw new Error(`there is no event ${id}`);
  process.stdout.write(`${JSON.stringify(await play(event, certificates))}\n`);
}
if (stopCapture !== undefined) {
  const server = new Server("unbound", SERVER_ADDRESSES[0] ?? "", join(folder, "control"));
  await server.start(certificates.first);
  process.stdout.write(`${JSON.stringify(await stopCapture(server.address))}\n`);
}
process.exit(0);
