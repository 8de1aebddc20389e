/** Whether a server closes when it said it would: several settings and loads, from the start and after a query. */
import { EdnsOptionCode, makeKeepalive } from "@sotto/dns/wire";
import {
  CERTIFICATE,
  FAST_NAME,
  openTcp,
  openTls,
  queryOctets,
  type RawClient,
  type World,
} from "./world.ts";

/** One measurement. */
export interface Honesty {
  readonly transport: "tcp" | "tls";
  readonly idleTimeoutMs: number;
  /** Connections held open, of the limit. */
  readonly loadPercent: number;
  readonly advertisedMs: number;
  /** From the reply to the server's end. */
  readonly closedAfterQueryMs: number;
  /** From the connection to the server's end, when nothing is asked. */
  readonly closedFromStartMs: number;
  readonly isHonest: boolean;
}

const CONNECTIONS_MAX = 100;
const TICK_MS = 100;

/** Measures every combination. */
export async function measureHonesty(
  world: World,
  settingsMs: readonly number[],
  loadsPercent: readonly number[],
): Promise<Honesty[]> {
  const results: Honesty[] = [];
  for (const idleTimeoutMs of settingsMs)
    for (const loadPercent of loadsPercent)
      results.push(...(await measure(world, idleTimeoutMs, loadPercent)));
  return results;
}

async function measure(world: World, idleTimeoutMs: number, loadPercent: number): Promise<Honesty[]> {
  // The load comes over a listener whose connections stay, the measurement over two with the timer in question.
  const server = await world.serve(
    [
      "{ transport: tcp, address: 127.0.0.1, port: 0, limits: { idle-timeout: 600s } }",
      `{ transport: tcp, address: 127.0.0.1, port: 0, limits: { idle-timeout: ${idleTimeoutMs}ms } }`,
      `{ transport: tls, address: 127.0.0.1, port: 0, ${CERTIFICATE}, limits: { idle-timeout: ${idleTimeoutMs}ms } }`,
    ],
    `limits: { connections: ${CONNECTIONS_MAX}, connections-per-address: ${CONNECTIONS_MAX} }`,
  );
  const [loadPort = 0, tcp = 0, tls = 0] = server.ports;
  const load: RawClient[] = [];
  // One place less: the measured connection counts too.
  for (let i = 0; i < (loadPercent / 100) * CONNECTIONS_MAX - 1; i++) load.push(await openTcp(loadPort));
  // The kernel connects before the server accepts.
  for (let asked = 0; ; asked++) {
    const { connections } = await server.status();
    if (Number(connections) >= load.length) break;
    // Each question is a round trip through the server's event loop, in which it accepts.
    if (asked >= STATUS_QUESTIONS_MAX)
      throw new Error(`of ${load.length} connections the server has accepted ${String(connections)} only`);
  }
  const results: Honesty[] = [];
  for (const transport of ["tcp", "tls"] as const) {
    const open = (): Promise<RawClient> => (transport === "tcp" ? openTcp(tcp) : openTls(tls, world.caPem));
    const asking = await open();
    asking.write(queryOctets(FAST_NAME, 1, [makeKeepalive(undefined)]));
    const [reply] = await asking.replies(1);
    const data = reply?.message.edns?.options.find(({ code }) => code === EdnsOptionCode.TcpKeepalive)?.data;
    const advertisedMs = ((data?.[0] ?? 0) * 256 + (data?.[1] ?? 0)) * TICK_MS;
    const closedAfterQueryMs = (await asking.ended()) - (reply?.atMs ?? 0);
    asking.close();
    const silent = await open();
    const closedFromStartMs = await silent.ended();
    silent.close();
    const isHonest =
      data !== undefined &&
      Math.abs(closedAfterQueryMs - advertisedMs) <= TICK_MS &&
      Math.abs(closedFromStartMs - advertisedMs) <= TICK_MS;
    results.push({
      transport,
      idleTimeoutMs,
      loadPercent,
      advertisedMs,
      closedAfterQueryMs,
      closedFromStartMs,
      isHonest,
    });
  }
  for (const client of load) client.close();
  await server.stop();
  return results;
}

/** Each is some milliseconds. */
const STATUS_QUESTIONS_MAX = 2000;
