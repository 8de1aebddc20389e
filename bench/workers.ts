/**
 * What one and two workers cost: `sotto serve` under dnsperf (Debian's package), answering from its cache:
 * `node --conditions=source bench/workers.ts [seconds] [rounds] [port]`. Rounds of both are interleaved. Where load and server
 * share the cores, queries per second tell little; the server's CPU time per query, which must not grow, tells what two free cores would do.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeMessage, makeMessage, parseRecord, tryDecodeMessage } from "@sotto/dns/wire";

const NAMES = 1000;
const [seconds = 1, rounds = 7, port = 15450] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(join(tmpdir(), "sotto-bench-workers-"));
const queries = join(folder, "queries");
writeFileSync(queries, Array.from({ length: NAMES }, (_, i) => `name${i}.bench.test A\n`).join(""));

/** Answers every name with one address, and is asked once for each. */
const authority = createSocket("udp4");
authority.on("message", (octets, from) => {
  const query = tryDecodeMessage(octets);
  const [question] = query.ok ? query.value.questions : [];
  if (!query.ok || question === undefined) return;
  const answers = [parseRecord(`${question.name} 86400 IN A 192.0.2.1`)];
  const reply = makeMessage({ id: query.value.id, isResponse: true, questions: [question], answers });
  authority.send(encodeMessage(reply), from.port, from.address);
});
authority.bind(0, "127.0.0.1");
await once(authority, "listening");

async function startServer(workers: number, at: number): Promise<ChildProcess> {
  const file = join(folder, `workers-${workers}.json`);
  const listen = [
    { transport: "udp", address: "127.0.0.1", port: at },
    { transport: "tcp", address: "127.0.0.1", port: at },
    { transport: "tls", address: "127.0.0.1", port: at + 1 },
  ];
  const limits = { "connections-per-address": 1000 };
  const zones = [{ name: ".", upstreams: [`udp://127.0.0.1:${authority.address().port}`] }];
  const settings = { listen, workers, limits, dnssec: { validation: false }, "forward-zones": zones };
  writeFileSync(file, JSON.stringify({ ...settings, resolver: { "case-randomisation": false } }));
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
  const sotto = join(import.meta.dirname, "../packages/sotto/src/bin/sotto.ts");
  const server = spawn(process.execPath, [...flags, sotto, "serve", "--config", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  await new Promise<void>((resolve, reject) => {
    server.stderr.on("data", (text: Buffer) => text.includes('"ready"') && resolve());
    server.on("close", () => reject(new Error(`the server with ${workers} workers ended`)));
  });
  return server;
}

/** User and system, all threads, microseconds. */
function cpuOf({ pid }: ChildProcess): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROSECONDS;
}

/** Linux counts in hundredths of a second. */
const TICK_MICROSECONDS = 10_000;

async function dnsperf(mode: string, to: number, connections: number, forSeconds: number): Promise<number> {
  const flags = ["-s", "127.0.0.1", "-p", String(to), "-m", mode, "-d", queries, "-l", String(forSeconds)];
  const child = spawn("dnsperf", [...flags, "-c", String(connections), "-q", "1000"]);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  await once(child, "close");
  return Number(/Queries completed:\s+([0-9]+)/.exec(output)?.[1] ?? "0");
}

/** Sorted, in the middle. */
function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

const counts = [1, 2];
const servers = new Map<number, ChildProcess>();
for (const count of counts) servers.set(count, await startServer(count, port + 2 * count));
try {
  for (const count of counts) await dnsperf("udp", port + 2 * count, 64, 1);
  for (const [mode, connections] of [
    ["udp", 16],
    ["tcp", 10],
    ["tls", 10],
    ["tls", 100],
  ] as const) {
    const runs = counts.map((count) => ({ count, perSecond: [] as number[], micros: [] as number[] }));
    for (let round = 0; round < rounds; round++)
      for (const { count, perSecond, micros } of runs) {
        const server = servers.get(count);
        if (server === undefined) continue;
        const before = cpuOf(server);
        const completed = await dnsperf(
          mode,
          port + 2 * count + (mode === "tls" ? 1 : 0),
          connections,
          seconds,
        );
        perSecond.push(completed / seconds);
        micros.push((cpuOf(server) - before) / completed);
      }
    for (const { count, perSecond, micros } of runs) {
      const range = `${Math.min(...micros).toFixed(2)} to ${Math.max(...micros).toFixed(2)}`;
      console.log(
        `${mode} × ${connections}, workers ${count}: ${Math.round(median(perSecond))} queries/s, ${median(micros).toFixed(2)} µs of CPU each (${range})`,
      );
    }
  }
} finally {
  for (const server of servers.values()) {
    server.removeAllListeners("close");
    server.kill("SIGTERM");
    await once(server, "close");
  }
  authority.close();
  rmSync(folder, { recursive: true });
}
