/** What evidence is taken from: `sotto serve` as a process, a slow server behind it, and clients that write octets. */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import {
  type EdnsOption,
  encodeMessage,
  FrameReader,
  frameMessage,
  type Message,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { makeAuthority, spkiPin } from "../../packages/sotto/src/operations/index.ts";

export const AUTH_NAME = "dns.example";
export const FAST_NAME = "www.corp.example.";
export const ANSWER = "192.0.2.80";

/** A folder with an identity, a slow upstream, and a server process. */
export interface World {
  readonly folder: string;
  readonly caPem: string;
  readonly pin: string;
  readonly slowPort: number;
  /**
   * Starts a server; `listeners` are YAML list items, `settings` further keys, `records` more local ones. Resolves when it is
   * ready.
   */
  serve(listeners: readonly string[], settings?: string, records?: readonly string[]): Promise<Server>;
  close(): Promise<void>;
}

/** A `sotto serve`. */
export interface Server {
  readonly process: ChildProcess;
  /** Listening endpoints in the order of the configuration. */
  readonly ports: readonly number[];
  readonly log: readonly Record<string, unknown>[];
  /** The line of counters that SIGUSR2 asks for. */
  status(): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

const SOTTO = join(import.meta.dirname, "../../packages/sotto/src/bin/sotto.ts");

export async function openWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "sotto-evidence-"));
  const authority = await makeAuthority("evidence authority", Date.now());
  const pair = await authority.issue([AUTH_NAME, "127.0.0.1"], Date.now());
  writeFileSync(join(folder, "server.pem"), pair.certificatePem);
  writeFileSync(join(folder, "server.key"), pair.keyPem);
  const slow = await openSlowServer();
  const servers: Server[] = [];
  const slowPort = slow.address().port;
  return {
    folder,
    caPem: authority.certificatePem,
    pin: spkiPin(pair.certificatePem),
    slowPort,
    serve: async (listeners, settings = "", records = []) => {
      const file = join(folder, `sotto-${servers.length}.yaml`);
      writeFileSync(
        file,
        `listen:
${listeners.map((listener) => `  - ${listener}`).join("\n")}
local-zones: { data: ${JSON.stringify([`${FAST_NAME} 300 IN A ${ANSWER}`, ...records])} }
workers: 1
forward-zones: [{ name: slow.example, upstreams: ["udp://127.0.0.1:${slowPort}"] }]
dnssec: { validation: false }
log: { format: json }
${settings}
`,
      );
      const server = await startServer(file, listeners.length);
      servers.push(server);
      return server;
    },
    close: async () => {
      await Promise.all(servers.map((server) => server.stop()));
      slow.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Certificate options of a TLS listener in this world. */
export const CERTIFICATE = "certificate: server.pem, key: server.key";

async function startServer(file: string, listeners: number): Promise<Server> {
  const args = [
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    SOTTO,
    "serve",
    "--config",
    file,
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  const log: Record<string, unknown>[] = [];
  let rest = "";
  let wake: () => void = () => undefined;
  child.stderr.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) log.push(line.startsWith("{") ? JSON.parse(line) : { msg: line });
    wake();
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  void ended.then(() => wake());
  const line = async (message: string, from: number): Promise<Record<string, unknown>> => {
    for (;;) {
      const found = log.slice(from).find((one) => one["msg"] === message);
      if (found !== undefined) return found;
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`sotto serve ended: ${JSON.stringify(log.slice(-20))}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  await line("ready", 0);
  const ports = log.filter((one) => one["msg"] === "listening").map((one) => Number(one["port"]));
  if (ports.length !== listeners) throw new Error(`${ports.length} of ${listeners} listeners`);
  return {
    process: child,
    ports,
    log,
    status: () => {
      const from = log.length;
      child.kill("SIGUSR2");
      return line("status", from);
    },
    stop: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Answers names such as `d300-1.slow.example` after 300 ms. */
async function openSlowServer(): Promise<UdpSocket> {
  const socket = createSocket("udp4");
  socket.on("message", (octets, from) => {
    const query = tryDecodeMessage(octets);
    if (!query.ok) return;
    const delayMs = Number(/^d(\d+)/.exec(query.value.questions[0]?.name.toString() ?? "")?.[1] ?? 0);
    const reply = encodeMessage(makeMessage({ ...query.value, isResponse: true, edns: undefined }));
    setTimeout(() => socket.send(reply, from.port, from.address), delayMs);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return socket;
}

/** Octets of a query. */
export function queryOctets(name: string, id: number, options?: readonly EdnsOption[]): Uint8Array {
  return encodeMessage(
    makeMessage({
      id,
      recursionDesired: true,
      questions: [{ name: parseName(name), type: RRType.A, class: RRClass.IN }],
      edns: options && makeEdns({ options }),
    }),
  );
}

/** One reply as it came. */
export interface Arrival {
  readonly message: Message;
  readonly octets: Uint8Array;
  /** Milliseconds since the client was opened. */
  readonly atMs: number;
}

/** A connection on which a test writes what it likes. */
export class RawClient {
  readonly socket: Socket;
  readonly arrivals: Arrival[] = [];
  readonly startedMs = performance.now();
  /** When the peer's FIN or the end came, milliseconds since the start. */
  endedMs: number | undefined = undefined;
  readonly #frames = new FrameReader();
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#frames.push(chunk, (octets) => {
        const message = tryDecodeMessage(octets.slice());
        if (message.ok)
          this.arrivals.push({ message: message.value, octets: octets.slice(), atMs: this.#nowMs() });
        return true;
      });
      this.#wake();
    });
    const end = (): void => {
      this.endedMs ??= this.#nowMs();
      this.#wake();
    };
    socket.on("end", end);
    socket.on("close", end);
    socket.on("error", () => undefined);
  }

  #nowMs(): number {
    return performance.now() - this.startedMs;
  }

  write(...messages: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(messages.map((message) => frameMessage(message))));
  }

  /** Waits for so many replies in all; fails when the connection ends before. */
  async replies(count: number): Promise<readonly Arrival[]> {
    while (this.arrivals.length < count) {
      if (this.endedMs !== undefined)
        throw new Error(`ended after ${this.arrivals.length} of ${count} replies`);
      await this.#turn();
    }
    return this.arrivals;
  }

  /** Waits for the peer's end; gives milliseconds since the start. */
  async ended(): Promise<number> {
    while (this.endedMs === undefined) await this.#turn();
    return this.endedMs;
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  close(): void {
    this.socket.destroy();
  }
}

export async function openTcp(port: number, localAddress = "127.0.0.1"): Promise<RawClient> {
  const socket = connectTcp({ port, host: "127.0.0.1", localAddress, allowHalfOpen: true, noDelay: true });
  await settled(socket, "connect");
  return new RawClient(socket);
}

export async function openTls(
  port: number,
  caPem: string,
  before?: Uint8Array,
): Promise<RawClient & { readonly tls: TLSSocket }> {
  const below = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  if (before !== undefined) below.write(before);
  const tls = connectTls({
    socket: below,
    ca: caPem,
    servername: AUTH_NAME,
    ALPNProtocols: ["dot"],
    rejectUnauthorized: false,
  });
  await settled(tls, "secureConnect");
  return Object.assign(new RawClient(tls), { tls });
}

function settled(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve);
    socket.once("error", reject);
  });
}

/** What the kernel has counted in this network namespace (`TcpExt` of /proc/net/netstat). */
export function kernelCounter(name: string): number {
  const [names = "", values = ""] = readFileSync("/proc/net/netstat", "ascii")
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"));
  return Number(values.split(" ")[names.split(" ").indexOf(name)]);
}

export function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}
