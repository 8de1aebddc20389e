/** A front end within a test, before a zone server, and single queries to it that say everything themselves. */
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Events, Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
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
  rdataToText,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { type RunningFront, startFront } from "../../packages/sotto/src/compose/index.ts";
import { type FrontConfig, loadFront } from "../../packages/sotto/src/config/index.ts";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import { ZoneServer } from "./zone-server.test-support.ts";

export type FrontTransport = "udp" | "tcp" | "tls" | "https";

/** What the backend says to everything below `example.` that is in its zone. */
export const BACKEND_ADDRESS = "192.0.2.1";
const ZONE = `@ SOA ns admin 1 2 3 4 60
* A ${BACKEND_ADDRESS}
www A ${BACKEND_ADDRESS}
www AAAA 2001:db8::1
other A ${BACKEND_ADDRESS}
a.very.deep.name A ${BACKEND_ADDRESS}
control A ${BACKEND_ADDRESS}
`;

export interface TestFront {
  readonly front: RunningFront;
  readonly folder: string;
  /** The backend of the pool `main`. */
  readonly backend: ZoneServer;
  /** The backend of the pool `second`. */
  readonly second: ZoneServer;
  /** A client's certificate and key, of an authority in `clients.pem`. */
  readonly client: { readonly cert: string; readonly key: string };
  config(settings: string): FrontConfig;
  port(transport: FrontTransport): number;
}

export interface TestFrontOptions {
  /** More files for its folder. */
  readonly files?: Readonly<Record<string, string>>;
  /** More for the tls listener. */
  readonly tls?: string;
  /** More for the tcp listener. */
  readonly tcp?: string;
  /** More pools, before all others. */
  readonly pools?: string;
  readonly events?: Events;
  /** Its clock stands still (timers do not), so that no token comes back while the test runs. */
  readonly isTimeless?: boolean;
}

/** Listens on all four transports for as long as the test runs; `settings` are rules, sets and limits of clients. */
export async function startTestFront(
  context: TestContext,
  settings: string,
  { files = {}, tls = "", tcp = "", pools = "", events, isTimeless = false }: TestFrontOptions = {},
): Promise<TestFront> {
  const folder = mkdtempSync(join(tmpdir(), "sotto-front-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const authority = await makeAuthority("clients", Date.now());
  const server = await authority.issue(["front.example", "127.0.0.1"], Date.now());
  const client = await authority.issue(["client.example"], Date.now(), "client");
  const all = {
    "clients.pem": authority.certificatePem,
    "server.pem": server.certificatePem,
    "server.key": server.keyPem,
    ...files,
  };
  for (const [name, text] of Object.entries(all)) writeFileSync(join(folder, name), text);
  const [backend, second] = [await ZoneServer.open(ZONE), await ZoneServer.open(ZONE)];
  context.after(() => backend[Symbol.asyncDispose]());
  context.after(() => second[Symbol.asyncDispose]());
  const config = (more: string): FrontConfig => {
    const loaded = loadFront(
      `listen:
  - { name: plain, transport: udp, address: 127.0.0.1, port: 0 }
  - { name: stream, transport: tcp, address: 127.0.0.1, port: 0${tcp} }
  - { name: encrypted, transport: tls, address: 127.0.0.1, port: 0, certificate: server.pem, key: server.key${tls} }
  - { name: web, transport: https, address: 127.0.0.1, port: 0, certificate: server.pem, key: server.key }
pools:
${pools}  - { name: main, backends: [{ address: "tcp://${backend.clear}", connections: 1 }], health: { interval: 0s }, cache: 0B }
  - { name: second, backends: [{ address: "tcp://${second.clear}", connections: 1 }], health: { interval: 0s }, cache: 0B }
  - { name: gone, backends: [{ address: "tcp://127.0.0.1:1" }], health: { interval: 100ms, fall: 1 }, cache: 0B }
cookies: { policy: "off" }
watch-sets: 0s
${more}
`,
      join(folder, "front.yaml"),
    );
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    return loaded.config;
  };
  const front = await startFront(
    config(settings),
    isTimeless ? timeless(nodeRuntime(events)) : nodeRuntime(events),
  );
  context.after(() => front.close());
  return {
    front,
    folder,
    backend,
    second,
    client: { cert: client.certificatePem, key: client.keyPem },
    config,
    port: (transport) => front.listeners.find((one) => one.transport === transport)?.local.port ?? 0,
  };
}

function timeless(runtime: Runtime): Runtime {
  const { clock } = runtime;
  const nowMs = clock.nowMs();
  return {
    ...runtime,
    clock: {
      nowMs: () => nowMs,
      wallMs: () => clock.wallMs(),
      startTimer: (...options) => clock.startTimer(...options),
    },
  };
}

/** One query and how it travels. */
export interface TestQuery extends Partial<Omit<Message, "edns" | "questions">> {
  readonly name?: string;
  readonly type?: number;
  readonly class?: number;
  readonly transport?: FrontTransport;
  /** Source address. */
  readonly from?: string;
  /** Absent: with defaults; false: none. */
  readonly edns?: Parameters<typeof makeEdns>[0] | false;
  readonly options?: readonly EdnsOption[];
  readonly tls?: ConnectionOptions;
}

/** The answer; undefined when a query that was sent after it, and takes the same way, was answered and it was not. */
export async function askFront(front: TestFront, query: TestQuery = {}): Promise<Message | undefined> {
  // Without RD: no cache answers it before the other one.
  const control = messageOf({ name: "control.example.", recursionDesired: false }, CONTROL_ID);
  const sent = [messageOf(query, 1), control];
  const replies = await exchange(front, query, sent);
  return replies.find(({ id }) => id === 1);
}

/** The first address of an answer. */
export function addressIn(message: Message | undefined): string | undefined {
  const record = message?.answers.find(({ type }) => type === RRType.A);
  return record && rdataToText(record.type, record.rdata);
}

const CONTROL_ID = 2;

function messageOf(query: TestQuery, id: number): Uint8Array {
  const { name = "www.example.", type = RRType.A, edns = {}, options = [], ...rest } = query;
  const { transport: _transport, from: _from, tls: _tls, class: rrClass = RRClass.IN, ...parts } = rest;
  return encodeMessage(
    makeMessage({
      recursionDesired: true,
      ...parts,
      id,
      questions: [{ name: parseName(name), type, class: rrClass }],
      edns: edns === false ? undefined : makeEdns({ ...edns, options: [...options] }),
    }),
  );
}

/** Sends all, and gives what has come when the control query's answer is there, or the connection has ended. */
async function exchange(
  front: TestFront,
  query: TestQuery,
  sent: readonly Uint8Array[],
): Promise<readonly Message[]> {
  const { transport = "udp" } = query;
  if (transport === "https") return Promise.all(sent.map((octets) => overHttps(front, octets)));
  const replies: Message[] = [];
  const take = (octets: Uint8Array): boolean => {
    const message = tryDecodeMessage(octets);
    if (!message.ok) throw new Error(message.problem);
    replies.push(message.value);
    return message.value.id === CONTROL_ID;
  };
  await (transport === "udp" ? overUdp : overStream)(front, query, sent, take);
  return replies;
}

function overUdp(
  front: TestFront,
  { from }: TestQuery,
  sent: readonly Uint8Array[],
  take: (octets: Uint8Array) => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.on("error", reject);
    socket.on("message", (octets) => {
      if (take(octets)) socket.close(() => resolve());
    });
    socket.bind(0, from ?? "127.0.0.1", () => {
      for (const octets of sent) socket.send(octets, front.port("udp"), "127.0.0.1");
    });
  });
}

function overStream(
  front: TestFront,
  { transport, from, tls }: TestQuery,
  sent: readonly Uint8Array[],
  take: (octets: Uint8Array) => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const local = { host: "127.0.0.1", localAddress: from };
    const socket =
      transport === "tls"
        ? connectTls({
            ...local,
            port: front.port("tls"),
            rejectUnauthorized: false,
            ALPNProtocols: ["dot"],
            ...tls,
          })
        : connectTcp({ ...local, port: front.port("tcp") });
    const reader = new FrameReader();
    socket.on("error", reject);
    socket.on("close", () => resolve());
    socket.on("data", (octets: Buffer) =>
      reader.push(octets, (message) => {
        if (take(message)) socket.destroy();
        return true;
      }),
    );
    socket.write(Buffer.concat(sent.map((octets) => frameMessage(octets))));
  });
}

function overHttps(front: TestFront, octets: Uint8Array): Promise<Message> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://127.0.0.1:${front.port("https")}`, { rejectUnauthorized: false });
    session.on("error", reject);
    const request = session.request({
      ":method": "POST",
      ":path": "/dns-query",
      "content-type": "application/dns-message",
    });
    const chunks: Buffer[] = [];
    request.on("error", reject);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      session.close();
      const message = tryDecodeMessage(Buffer.concat(chunks));
      if (message.ok) resolve(message.value);
      else reject(new Error(message.problem));
    });
    request.end(octets);
  });
}
