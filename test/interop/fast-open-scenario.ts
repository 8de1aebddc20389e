/**
 * Run in a network namespace of its own with `net.ipv4.tcp_fastopen` 3 (`fast-open.test.ts` does that): our clients ask our
 * listeners with Fast Open on both sides, then without, and kdig asks too. Prints what the kernel counted, as JSON.
 */
import { readFileSync } from "node:fs";
import type { ByteStream, ConnectOptions } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { encodeMessage, frameMessage, makeMessage, parseName, RRClass, RRType } from "@sotto/dns/wire";
import { startRecursor } from "../../packages/sotto/src/compose/index.ts";
import { loadConfig } from "../../packages/sotto/src/config/index.ts";
import { runCommand } from "./peers.ts";

/** What the kernel has counted in this namespace (`TcpExt` of /proc/net/netstat). */
function counters(): Record<string, number> {
  const [names = "", values = ""] = readFileSync("/proc/net/netstat", "ascii")
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"));
  const numbers = values.split(" ");
  return Object.fromEntries(names.split(" ").map((name, i) => [name, Number(numbers[i])]));
}

const QUERY = frameMessage(
  encodeMessage(
    makeMessage({
      recursionDesired: true,
      questions: [{ name: parseName("www.corp.example."), type: RRType.A, class: RRClass.IN }],
    }),
  ),
);

/** Asks once on a new connection; tells whether data went with the SYN. */
async function ask(options: ConnectOptions): Promise<string> {
  const stream: ByteStream = await nodeRuntime().network.connect(options);
  return new Promise((resolve, reject) => {
    stream.setHandlers({
      onData: () => {
        resolve(stream.fastOpen ?? "unknown");
        stream.end();
      },
      onEnd: () => stream.end(),
      onClose: (problem) => reject(problem ?? new Error("closed without a reply")),
      onDrain: () => undefined,
    });
    stream.write(QUERY);
  });
}

const loaded = loadConfig(
  `listen:
  - { transport: tcp, address: 127.0.0.1, port: 5300, fast-open: auto }
  - { transport: tls, address: 127.0.0.1, port: 8530, fast-open: auto }
  - { transport: tcp, address: "::1", port: 5300, fast-open: auto }
  - { transport: tcp, address: 127.0.0.2, port: 5300 }
local-zones: { data: ["www.corp.example. 300 IN A 192.0.2.80"] }
`,
  "scenario.yaml",
);
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
const server = await startRecursor(loaded.config, nodeRuntime());
const results: Record<string, unknown> = {
  status: server.listeners.map(({ fastOpen }) => fastOpen ?? "off"),
};
const tls = { serverName: undefined, alpn: ["dot"], trustAnchorsPem: undefined, session: undefined };
const common = {
  localAddress: undefined,
  connectTimeoutMs: 5000,
  handshakeTimeoutMs: 5000,
  signal: undefined,
};
for (const [name, address, port, isTls, fastOpen] of [
  ["tcp", "127.0.0.1", 5300, false, true],
  ["tls", "127.0.0.1", 8530, true, true],
  ["tcp over IPv6", "::1", 5300, false, true],
  ["a server without", "127.0.0.2", 5300, false, true],
  ["a client without", "127.0.0.1", 5300, false, false],
] as const) {
  const before = counters();
  const used: string[] = [];
  for (let i = 0; i < 4; i++)
    used.push(await ask({ ...common, remote: { address, port }, tls: isTls ? tls : undefined, fastOpen }));
  const after = counters();
  const delta = (key: string): number => (after[key] ?? 0) - (before[key] ?? 0);
  results[name] = { used, active: delta("TCPFastOpenActive"), passive: delta("TCPFastOpenPassive") };
}
const before = counters();
const kdig: string[] = [];
for (let i = 0; i < 3; i++) {
  const args = ["+tcp", "+fastopen", "+short", "@127.0.0.1", "-p", "5300", "www.corp.example", "A"];
  kdig.push((await runCommand("kdig", args)).stdout.trim());
}
results["kdig"] = {
  answers: kdig,
  passive: (counters()["TCPFastOpenPassive"] ?? 0) - (before["TCPFastOpenPassive"] ?? 0),
};
await server.close();
process.stdout.write(`${JSON.stringify(results)}\n`);
