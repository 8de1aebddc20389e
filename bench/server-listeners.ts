/**
 * A server that answers everything from its cache, under dnsperf (Debian's package) over UDP, TCP and TLS:
 * `node --conditions=source bench/server-listeners.ts [seconds]`. Tells the server's CPU time per query, sockets included.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MessageCache } from "@sotto/dns/cache";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type Responder, StreamService, UdpListener } from "@sotto/dns/transport";
import { makeMessage, RRClass, RRType } from "@sotto/dns/wire";
import { makeSelfSigned } from "../packages/sotto/src/operations/index.ts";
import { QueryService } from "../packages/sotto/src/server/index.ts";

const NAMES = 1000;
const seconds = Number(process.argv[2] ?? "5");
const runtime = nodeRuntime();
const local = { address: "127.0.0.1", port: 0 };

const source: Responder = {
  respond: (query) => {
    const { qname, question } = query.view;
    const rdata = Uint8Array.of(192, 0, 2, 1);
    const answers = [{ owner: qname, type: RRType.A, class: RRClass.IN, ttl: 86_400, rdata }];
    return Promise.resolve({
      message: makeMessage({ isResponse: true, questions: [question], answers }),
      security: "insecure",
      protection: "clear",
      extendedErrors: [],
    });
  },
};

const cache = new MessageCache({ bytesMax: 64 * 1024 * 1024 }, runtime.random);
const service = new QueryService({ responder: source, cache }, runtime);
const pair = await makeSelfSigned(["localhost"], runtime.clock.wallMs());
const udp = await UdpListener.open({ local }, service, runtime);
const tcp = await StreamService.open({ local }, service, runtime);
const tls = await StreamService.open(
  { local, tls: { ...pair, alpn: ["dot"], ticketKeys: undefined } },
  service,
  runtime,
);

const folder = mkdtempSync(join(tmpdir(), "sotto-bench-"));
const queries = join(folder, "queries");
writeFileSync(queries, Array.from({ length: NAMES }, (_, i) => `name${i}.example.com A\n`).join(""));

/** Runs dnsperf to its end and gives what it printed. */
function dnsperf(mode: string, port: number, connections: number): Promise<string> {
  const flags = ["-s", "127.0.0.1", "-p", String(port), "-m", mode, "-d", queries, "-l", String(seconds)];
  return new Promise((resolve, reject) => {
    const child = spawn("dnsperf", [...flags, "-c", String(connections), "-q", "1000", "-e"]);
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", () => resolve(output));
  });
}

try {
  for (const [mode, port, connections] of [
    ["udp", udp.local.port, 10],
    ["tcp", tcp.local.port, 10],
    ["tls", tls.local.port, 10],
    ["tls", tls.local.port, 100],
  ] as const) {
    const before = process.cpuUsage();
    const output = await dnsperf(mode, port, connections);
    const { user, system } = process.cpuUsage(before);
    const completed = Number(/Queries completed:\s+([0-9]+)/.exec(output)?.[1] ?? "0");
    const lost = /Queries lost:\s+([0-9]+)/.exec(output)?.[1] ?? "?";
    const microseconds = ((user + system) / completed).toFixed(2);
    console.log(
      `${mode} × ${connections}: ${Math.round(completed / seconds)} queries/s, ${lost} lost, ${microseconds} µs of CPU each`,
    );
  }
} finally {
  rmSync(folder, { recursive: true });
  await Promise.all([udp.close(), tcp.close(), tls.close()]);
}
