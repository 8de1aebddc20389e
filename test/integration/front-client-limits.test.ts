/** Limits of connections and handshakes for clients that a proxy speaks for, of whom some are behind one address. */
import assert from "node:assert/strict";
import { connect as connectTcp, type Socket } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import {
  encodeMessage,
  frameMessage,
  makeMessage,
  makeProxyHeader,
  parseName,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { type LoadedFront, loadFront } from "../../packages/sotto/src/config/index.ts";
import { startTestFront, type TestFront } from "./front.test-support.ts";

const PROXY = ", proxy: { from: [127.0.0.1] }";
const TIMELESS = { tcp: PROXY, tls: PROXY, isTimeless: true };
const LIMITS = `access: { allow: [0.0.0.0/0, "::/0"] }
limits:
  connection-rate: 2
  handshake-rate: 1
  client-ipv6: 56
  exceptions: [{ prefix: 203.0.113.0/24, factor: 4 }]
`;

/** One connection of a client; true when its query was answered. */
async function come(front: TestFront, transport: "tcp" | "tls", client: string): Promise<boolean> {
  const port = front.port(transport);
  const raw = connectTcp(port, "127.0.0.1");
  const local = client.includes(":") ? "2001:db8:ffff::53" : "198.51.100.53";
  raw.write(makeProxyHeader({ address: client, port: 40_000 }, { address: local, port }, "stream"));
  const socket: Socket =
    transport === "tcp"
      ? raw
      : connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ["dot"] });
  const questions = [{ name: parseName("www.example."), type: RRType.A, class: RRClass.IN }];
  socket.write(frameMessage(encodeMessage(makeMessage({ id: 1, recursionDesired: true, questions }))));
  const isAnswered = await new Promise<boolean>((resolve) => {
    socket.on("data", () => resolve(true));
    // A refusal is a reset, on both layers.
    for (const one of [raw, socket]) one.on("error", () => resolve(false)).on("close", () => resolve(false));
  });
  raw.destroy();
  return isAnswered;
}

/** How many of so many at once get in. */
async function comeMany(
  front: TestFront,
  transport: "tcp" | "tls",
  clients: readonly string[],
): Promise<number> {
  const all = await Promise.all(clients.map((client) => come(front, transport, client)));
  return all.filter((isIn) => isIn).length;
}

const times = (count: number, client: string): string[] => Array.from({ length: count }, () => client);

test("rates of connections are per client; those behind one address have so many times as many", {
  timeout: 20_000,
}, async (context) => {
  const front = await startTestFront(context, LIMITS, TIMELESS);
  assert.equal(await comeMany(front, "tcp", times(8, "192.0.2.1")), 2);
  assert.equal(await comeMany(front, "tcp", times(12, "203.0.113.1")), 8);
  assert.equal(await comeMany(front, "tcp", times(12, "203.0.113.2")), 8, "each of its addresses");
  const household = ["2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:ff::1", "2001:db8:0:2::2"];
  assert.equal(await comeMany(front, "tcp", household), 2, "addresses of one network are one client");
  assert.equal(await comeMany(front, "tcp", ["2001:db8:0:100::1"]), 1);
  assert.equal(front.front.status.admission.refused["connection rate"], 6 + 4 + 4 + 2);
});

test("rates of handshakes are, too", { timeout: 20_000 }, async (context) => {
  const front = await startTestFront(context, LIMITS.replace("connection-rate: 2", ""), {
    tcp: PROXY,
    tls: PROXY,
  });
  assert.equal(await comeMany(front, "tls", times(4, "192.0.2.1")), 1);
  assert.equal(await comeMany(front, "tls", times(8, "203.0.113.1")), 4);
  assert.equal(await comeMany(front, "tls", ["2001:db8::1", "2001:db8:0:1::1"]), 1);
  assert.equal(front.front.status.admission.refused["handshake rate"], 3 + 4 + 1);
});

test("a reload changes who is excepted, and what was used stays used", {
  timeout: 20_000,
}, async (context) => {
  const front = await startTestFront(context, LIMITS, TIMELESS);
  assert.equal(await comeMany(front, "tcp", times(4, "198.51.100.1")), 2);
  await front.front.reload(front.config(LIMITS.replace("203.0.113.0/24", "192.0.2.0/24")));
  assert.equal(await comeMany(front, "tcp", times(12, "192.0.2.9")), 8);
  assert.equal(await comeMany(front, "tcp", times(12, "203.0.113.9")), 2);
  assert.equal(await comeMany(front, "tcp", times(4, "198.51.100.1")), 0);
});

test("exceptions that cannot be are refused with line and hint", () => {
  const load = (exceptions: string): LoadedFront =>
    loadFront(
      `listen: [{ transport: udp, address: 127.0.0.1, port: 0 }]
pools: [{ name: main, backends: [{ address: "tcp://192.0.2.1" }] }]
limits:
  exceptions:
${exceptions}
`,
      "front.yaml",
    );
  const rows: readonly (readonly [string, RegExp])[] = [
    ["    - { prefix: 192.0.2.1/24, factor: 2 }", /^5 limits\.exceptions\[0\]\.prefix .*bits set behind/],
    ["    - { prefix: 192.0.2.0/24, bits: 33 }", /^5 limits\.exceptions\[0\]\.bits is more .*at most 32/],
    [
      "    - { prefix: 192.0.2.0/24, faktor: 2 }",
      /^5 limits\.exceptions\[0\]\.faktor .*did you mean "factor"/,
    ],
    ["    - { prefix: 192.0.2.0/24, factor: 0 }", /^5 limits\.exceptions\[0\]\.factor /],
    [
      '    - { prefix: "2001:db8::/32", factor: 2 }\n    - { prefix: "2001:db8:0::/32", bits: 64 }',
      /^6 limits\.exceptions\[1\]\.prefix 2001:db8::\/32 is there twice/,
    ],
  ];
  for (const [exceptions, expected] of rows) {
    const loaded = load(exceptions);
    assert.ok(!loaded.ok, exceptions);
    const told = loaded.problems.map(({ line, path, message }) => `${line} ${path} ${message}`);
    assert.ok(
      told.some((line) => expected.test(line)),
      told.join("\n"),
    );
  }
});
