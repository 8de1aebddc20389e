/**
 * `npm run soak:native -- [--connections N] [--seed N] [--plain]`: tears down connections of the native engine in every state, before,
 * during and after the handshake, in the middle of writes, half-closed, reset, while listeners change, with glibc's checks of
 * the heap on and freed memory overwritten. Fails when the server crashes, keeps a connection or a descriptor, or grows.
 */
import { type ChildProcess, fork } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { parseArgs } from "node:util";
import { SeededRandom } from "@sotto/dns/testing";
import { Wish } from "./soak/native-server.ts";

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    plain: { type: "boolean", default: false },
  },
});

/** At a time. */
const CLIENTS = 40;
const ROUNDS = 5;
/** From the second round to the last: what the collector has not found yet, and nothing that grows with connections. */
const GROWTH_BYTES_MAX = 24 * 1024 * 1024;
const CHECKER = "/lib/x86_64-linux-gnu/libc_malloc_debug.so.0";

const HEADER = Buffer.from("PROXY TCP4 192.0.2.1 198.51.100.1 40000 853\r\n\x01");
const NO_HEADER = Buffer.from("GET / HTTP/1.1\r\n\r\n");

interface Facts {
  readonly streams: number;
  readonly failures: number;
  readonly open: number;
  readonly descriptors: number;
  readonly rssBytes: number;
}

const random = new SeededRandom(Number(values.seed));
const pick = <One>(all: readonly One[]): One => {
  const one = all[random.below(all.length)];
  if (one === undefined) throw new Error("nothing to pick from");
  return one;
};

const server = startServer();
const [ports]: unknown[] = await once(server, "message");
if (!Array.isArray(ports)) throw new Error("the server does not tell its ports");
const [tcp = 0, tls = 0, proxiedTcp = 0, proxiedTls = 0, insideTls = 0, udp = 0] = ports.map(Number);
let session: Buffer | undefined;

const sizes: number[] = [];
let kept = 0;
/** After each round. */
const descriptors: number[] = [];
const perRound = Math.ceil(Number(values.connections) / ROUNDS);
for (let round = 1; round <= ROUNDS; round++) {
  let left = perRound;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (left-- > 0) {
        if (server.exitCode !== null || server.signalCode !== null) throw new Error("the server has crashed");
        if (left % 500 === 0) server.send(pick(["change", "rotate"]));
        await pick(states())();
      }
    }),
  );
  const facts = await factsOfServer();
  sizes.push(facts.rssBytes);
  kept += facts.open;
  descriptors.push(facts.descriptors);
  process.stdout.write(
    `round ${round}: ${facts.streams} streams, ${facts.failures} failures, ${facts.open} open, ${facts.descriptors} descriptors, RSS ${(facts.rssBytes / 1048576).toFixed(1)} MiB\n`,
  );
}
server.send("end");
const [code] = await once(server, "exit");
const growth = (sizes.at(-1) ?? 0) - (sizes[1] ?? 0);
process.stdout.write(`exit ${code}, growth after the second round ${(growth / 1048576).toFixed(1)} MiB\n`);
const left = (descriptors.at(-1) ?? 0) - (descriptors[0] ?? 0);
process.exitCode = code === 0 && kept === 0 && left <= 0 && growth < GROWTH_BYTES_MAX ? 0 : 1;

function startServer(): ChildProcess {
  const isChecked = values.plain !== true;
  if (isChecked && !existsSync(CHECKER))
    throw new Error(`there is no ${CHECKER}: --plain goes without heap checks`);
  process.stdout.write(isChecked ? "heap checks on\n" : "heap checks off\n");
  return fork(join(import.meta.dirname, "soak", "native-server.ts"), [], {
    execArgv: ["--conditions=source", "--disable-warning=ExperimentalWarning", "--expose-gc"],
    env: {
      ...process.env,
      ...(isChecked ? { LD_PRELOAD: CHECKER, MALLOC_CHECK_: "3", MALLOC_PERTURB_: "165" } : {}),
    },
  });
}

/** Asked again until nothing is open any more, or for long enough. */
async function factsOfServer(): Promise<Facts> {
  for (let tries = 0; ; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    server.send("facts");
    const [facts] = (await once(server, "message")) as [Facts]; // What soak/native-server.ts tells.
    if (facts.open === 0 || tries > 25) return facts;
  }
}

/** Ways of a connection, each to its end. */
function states(): readonly (() => Promise<void>)[] {
  return [
    () => clear(tcp, [], "reset"),
    () => clear(tcp, [Wish.Echo], "answered"),
    () => clear(tcp, [pick(Object.values(Wish))], pick(["end", "reset", "answered"])),
    // The server connects to itself.
    () => clear(tcp, [Wish.Ask, random.below(256), 1 + random.below(7)], pick(["end", "reset", "answered"])),
    () =>
      clear(proxiedTcp, pick([HEADER, HEADER.subarray(0, 9), NO_HEADER]), pick(["end", "reset", "answered"])),
    // The handshake's beginning, and what is none.
    () =>
      clear(
        tls,
        pick([[], [22, 3, 1, 2, 0, 1], [22, 3, 1, 0, 4, 1, 0, 0, 0], NO_HEADER]),
        pick(["end", "reset"]),
      ),
    () => clear(proxiedTls, pick([HEADER.subarray(0, 20), NO_HEADER]), pick(["end", "reset"])),
    () => shaking(tls),
    () => secure(tls, {}, [Wish.Echo], "answered"),
    () => secure(tls, { ALPNProtocols: ["h2"] }, [], "end"),
    () =>
      secure(
        tls,
        { servername: pick(["other.example", "dns.example", "no.example"]) },
        [pick(Object.values(Wish))],
        pick(["end", "reset", "answered", "garbage"]),
      ),
    () =>
      secure(
        tls,
        { maxVersion: "TLSv1.2" },
        [pick(Object.values(Wish))],
        pick(["end", "reset", "answered", "garbage"]),
      ),
    () => secure(tls, { session }, [Wish.Echo], "answered"),
    () => secure(insideTls, {}, pick([HEADER, HEADER.subarray(0, 11), NO_HEADER]), pick(["end", "reset"])),
    datagram,
  ];
}

type End = "end" | "reset" | "answered" | "garbage";

function over(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), 3000);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function clear(port: number, octets: ArrayLike<number>, end: End): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1" });
  const closed = over(socket);
  socket.once("connect", () => {
    if (octets.length > 0) socket.write(Uint8Array.from(octets));
    finish(socket, socket, end);
  });
  await closed;
}

/** Leaves in the middle of a handshake, at some octet. */
async function shaking(port: number): Promise<void> {
  const tcpSocket = connect({ port, host: "127.0.0.1" });
  const closed = over(tcpSocket);
  tcpSocket.once("connect", () => {
    const client = connectTls({ socket: tcpSocket, rejectUnauthorized: false });
    client.on("error", () => undefined);
    const leave = (): void => void tcpSocket.resetAndDestroy();
    if (random.below(2) === 0) setTimeout(leave, random.below(4));
    else tcpSocket.once("data", leave);
  });
  await closed;
}

async function secure(
  port: number,
  options: ConnectionOptions,
  octets: ArrayLike<number>,
  end: End,
): Promise<void> {
  const below = connect({ port, host: "127.0.0.1" });
  const closed = over(below);
  below.once("connect", () => {
    const client: TLSSocket = connectTls({
      socket: below,
      rejectUnauthorized: false,
      ALPNProtocols: ["dot"],
      ...options,
    });
    client.on("error", () => undefined);
    client.on("session", (ticket) => {
      session = ticket;
    });
    client.on("close", () => below.destroy());
    client.once("secureConnect", () => {
      if (octets.length > 0) client.write(Uint8Array.from(octets));
      finish(client, below, end);
    });
  });
  await closed;
}

function finish(socket: Socket, below: Socket, end: End): void {
  if (end === "reset") setTimeout(() => below.resetAndDestroy(), random.below(3));
  else if (end === "garbage") {
    below.write(Buffer.concat([Buffer.of(23, 3, 3, 0, 40), Buffer.alloc(40, 7)]));
    socket.resume();
  } else if (end === "end") socket.resume().end();
  else socket.once("data", () => socket.resume().end());
}

async function datagram(): Promise<void> {
  const socket = createSocket("udp4");
  const answered = once(socket, "message");
  socket.send(Buffer.alloc(1 + random.below(9000), 3), udp, pick(["127.0.0.1", "127.0.0.2"]));
  await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
  socket.close();
}
