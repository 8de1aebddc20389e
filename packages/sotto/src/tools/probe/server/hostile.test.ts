/** Targets that want to hurt whoever looks at them: the probe ends, with a word for each row, and nothing is left open. */
import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import { after, test } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { PATH_ROWS, probePath } from "../path/index.ts";
import { SERVER_ROWS } from "../rows-server.ts";
import { PATIENCE_CAREFUL, PROBE_NAMES_DEFAULT } from "./probe-options.ts";
import { probeServer } from "./probe-server.ts";

/** Real time, and so little of it that nobody waits for long. */
const PATIENCE = {
  ...PATIENCE_CAREFUL,
  connectMs: 200,
  handshakeMs: 200,
  replyMs: 60,
  idleMs: 100,
  probeMs: 5000,
};

const servers: Server[] = [];
const sockets = new Set<Socket>();
after(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
});

async function serve(answer: (socket: Socket, octets: Buffer) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (octets: Buffer) => answer(socket, octets));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

const HOSTILE: Readonly<Record<string, (socket: Socket, octets: Buffer) => void>> = {
  "says nothing": () => undefined,
  "sends empty messages without end": (socket) => void socket.write(Buffer.alloc(1_000_000)),
  "sends the query back": (socket, octets) => void socket.write(octets),
  "sends a message of 65535 octets that never ends": (socket) =>
    void socket.write(Buffer.alloc(60_000, 0xff)),
  "sends ServerHello without end": (socket) =>
    void socket.write(Buffer.concat([Buffer.of(22, 3, 3, 0x40, 0), Buffer.alloc(0x4000, 2)])),
  "closes at once": (socket) => void socket.destroy(),
  "resets the connection": (socket) => void socket.resetAndDestroy(),
  "reads one segment and no more": (socket) => void socket.pause(),
  "sends octets for ever, as fast as they are taken": (socket) => {
    const go = (): void => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65_536, 0xff)));
    };
    socket.on("drain", go);
    go();
  },
};

for (const [what, answer] of Object.entries(HOSTILE))
  test(`a target that ${what} gets a word for each row, and the probe ends`, {
    timeout: 60_000,
  }, async () => {
    const port = await serve(answer);
    const target = {
      text: what,
      address: "127.0.0.1",
      port,
      tlsPort: port,
      transports: ["tcp", "tls"] as const,
    };
    const options = { isThorough: true, names: PROBE_NAMES_DEFAULT, signal: undefined, patience: PATIENCE };
    for (const [probe, rows] of [
      [probeServer, SERVER_ROWS],
      [probePath, PATH_ROWS],
    ] as const) {
      const { cells } = await probe(target, options, nodeRuntime(), () => undefined);
      assert.equal(cells.length, rows.length);
      for (const { row, verdict, observed } of cells) {
        assert.ok(observed.length > 10, row);
        assert.ok(!["released", "partial"].includes(verdict), `${row}: ${verdict}, ${observed}`);
        assert.doesNotMatch(observed, /the prober failed/, row);
      }
    }
  });

test("a probe that is stopped ends at once, and says so in each row that it did not come to", async () => {
  const port = await serve(() => undefined);
  const stop = new AbortController();
  const target = { text: "stopped", address: "127.0.0.1", port, transports: ["tcp"] as const };
  const options = {
    isThorough: false,
    names: PROBE_NAMES_DEFAULT,
    signal: stop.signal,
    patience: { ...PATIENCE, replyMs: 60_000 },
  };
  const report = probeServer(target, options, nodeRuntime(), () => undefined);
  setImmediate(() => stop.abort());
  const { cells } = await report;
  assert.match(cells.find(({ row }) => row === "pipelining")?.observed ?? "", /stopped/);
});
