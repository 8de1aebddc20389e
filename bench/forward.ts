/**
 * What forwarding costs: a pool of backends before a server on loopback that only echoes, which runs in a thread of its own so that the
 * CPU time is this side's. `node --conditions=source bench/forward.ts [tcp|udp|tls] [queries]`.
 */
import { createSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { tryParseUpstreamAddress } from "@sotto/dns/transport";
import { encodeMessage, makeEdns, makeMessage, parseName, RRClass, RRType } from "@sotto/dns/wire";
import { BackendPool, type ForwardQuery } from "../packages/sotto/src/front/backends/index.ts";
import { makeAuthority } from "../packages/sotto/src/operations/index.ts";

interface ServerOrder {
  readonly transport: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** Sets QR in all whole messages of a chunk and sends them back. */
function serve({ transport, certificatePem, keyPem }: ServerOrder): void {
  const tell = (port: number): void => parentPort?.postMessage(port);
  if (transport === "udp") {
    const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 21 });
    socket.on("message", (octets, from) => {
      octets[2] = 0x80 | (octets[2] ?? 0);
      socket.send(octets, from.port, from.address);
    });
    socket.bind(0, "127.0.0.1", () => tell(socket.address().port));
    return;
  }
  const onSocket = (socket: Socket): void => {
    let rest = Buffer.alloc(0);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      const all = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
      let at = 0;
      while (at + 2 <= all.length && at + 2 + all.readUInt16BE(at) <= all.length) {
        all[at + 4] = 0x80 | (all[at + 4] ?? 0);
        at += 2 + all.readUInt16BE(at);
      }
      rest = all.subarray(at);
      if (at > 0) socket.write(all.subarray(0, at));
    });
  };
  const server =
    transport === "tls"
      ? createTlsServer({ cert: certificatePem, key: keyPem, ALPNProtocols: ["dot"] }, onSocket)
      : createServer(onSocket);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    if (address !== null && typeof address !== "string") tell(address.port);
  });
}

/** Keeps `atOnce` queries under way until `count` are over; microseconds of CPU each. */
async function measure(
  pool: BackendPool,
  count: number,
  atOnce: number,
  style: "in waves" | "one for one" | "each in its turn",
  runtime: Runtime,
): Promise<{ cpuUs: number; perSecond: number }> {
  const name = parseName("www.example.");
  const question = { name, type: RRType.A, class: RRClass.IN };
  const octets = encodeMessage(
    makeMessage({ recursionDesired: true, questions: [question], edns: makeEdns() }),
  );
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let begun = 0;
  let over = 0;
  const ask = (): void => {
    begun++;
    const query: ForwardQuery = {
      octets,
      question,
      deadlineMs: runtime.clock.nowMs() + 5000,
      client: undefined,
      local: undefined,
      settle: (outcome) => {
        over++;
        if (outcome.kind === "failed") reject(outcome.problem);
        else if (over >= count) resolve();
        else if (style === "in waves") {
          if (over === begun) for (let i = 0; i < atOnce && begun < count; i++) ask();
        } else if (begun < count) {
          if (style === "one for one") ask();
          else setImmediate(ask);
        }
      },
    };
    pool.forward(query);
  };
  const cpu = process.threadCpuUsage();
  const startMs = runtime.clock.nowMs();
  for (let i = 0; i < atOnce; i++) ask();
  await promise;
  const { user, system } = process.threadCpuUsage(cpu);
  const seconds = (runtime.clock.nowMs() - startMs) / 1000;
  return { cpuUs: (user + system) / count, perSecond: count / seconds };
}

async function main(): Promise<void> {
  const [transport = "tcp", countText = "200000"] = process.argv.slice(2);
  const runtime = nodeRuntime();
  const authority = await makeAuthority("bench authority", runtime.clock.wallMs());
  const pair = await authority.issue(["127.0.0.1"], runtime.clock.wallMs());
  const worker = new Worker(new URL(import.meta.url), { workerData: { transport, ...pair } });
  const port = await new Promise((resolve) => worker.once("message", resolve));
  const address = tryParseUpstreamAddress(`${transport}://127.0.0.1:${port}`);
  if (!address.ok) throw new Error(address.problem);
  const pool = new BackendPool(
    { name: "bench", backends: [{ name: "echo", address: address.value }], health: { intervalMs: 0 } },
    runtime,
  );
  const count = Number(countText);
  await measure(pool, Math.min(count, 50_000), 100, "one for one", runtime);
  for (const [atOnce, style] of [
    [100, "one for one"],
    [100, "in waves"],
    [100, "each in its turn"],
    [1000, "one for one"],
    [1, "one for one"],
  ] as const) {
    const { cpuUs, perSecond } = await measure(
      pool,
      atOnce === 1 ? count / 10 : count,
      atOnce,
      style,
      runtime,
    );
    console.log(
      `${transport} ${atOnce} at once, ${style}: ${cpuUs.toFixed(2)} µs of CPU per query, ${Math.round(perSecond)} per second`,
    );
  }
  await pool.close();
  await worker.terminate();
}

if (isMainThread) await main();
else serve(workerData as ServerOrder);
