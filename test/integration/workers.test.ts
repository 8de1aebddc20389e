/** `sotto serve` with two workers, as a process: both serve, look like one server to operators, and end together. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type ExchangeResult, Exchanger } from "@sotto/dns/transport";
import { encodeMessage, makeMessage, parseRecord, tryDecodeMessage } from "@sotto/dns/wire";
import { askControl } from "../../packages/sotto/src/bin/control-client.ts";
import {
  addressOf,
  askServer,
  LISTENERS,
  type ServedTransport,
  ServeProcess,
} from "./serve-process.test-support.ts";

/** Sockets of one try; that the kernel gives all of them to one of two workers has a chance of one in 2^39. */
const SOCKETS = 40;

/** As much as is looked at. */
interface Status {
  readonly workers: readonly { readonly state: string; readonly queries: number; readonly crashes: number }[];
  readonly queries: Record<
    "udp" | "tcp" | "tls",
    { readonly answered: number; readonly "answered from cache": number }
  >;
  readonly listeners: readonly {
    readonly transport: string;
    readonly port: number;
    readonly counters: {
      readonly accepted?: number;
      readonly received?: number;
      readonly resumedSessions?: number;
    };
  }[];
}

/** Two workers, with a folder and a control socket of their own. */
class Server extends ServeProcess {
  readonly socket: string;
  readonly file: string;

  private constructor(folder: string) {
    const file = join(folder, "sotto.yaml");
    super(file);
    this.file = file;
    this.socket = join(folder, "control.sock");
  }

  static start(context: TestContext, settings: string): Server {
    return Server.startWith(context, textOf(settings));
  }

  static startWith(context: TestContext, text: string): Server {
    const folder = mkdtempSync(join(tmpdir(), "sotto-workers-"));
    writeFileSync(join(folder, "sotto.yaml"), text);
    const server = new Server(folder);
    context.after(async () => {
      await server.end();
      rmSync(folder, { recursive: true });
    });
    return server;
  }

  configure(settings: string): void {
    writeFileSync(this.file, textOf(settings));
  }

  async status(): Promise<Status> {
    return (await askControl(this.socket, ["status"])) as Status; // What the command gives.
  }

  /** Reports come four times a second: asks until one is as it should be. */
  async statusWhere(isAsWanted: (status: Status) => boolean): Promise<Status> {
    for (;;) {
      const status = await this.status();
      if (isAsWanted(status)) return status;
    }
  }
}

function textOf(settings: string): string {
  return `${LISTENERS}workers: 2\ncontrol: { socket: control.sock }\nlog: { format: json }\n${settings}`;
}

const WWW = 'local-zones: { data: ["www.corp.example. 300 IN A 192.0.2.1"] }\n';

/** One query, by a socket that nobody has used before. */
async function askAnew(server: Server, transport: ServedTransport): Promise<string> {
  const exchanger = new Exchanger({}, nodeRuntime());
  try {
    return addressOf(await ask(exchanger, server, transport));
  } finally {
    await exchanger.close();
  }
}

function ask(exchanger: Exchanger, server: Server, transport: ServedTransport): Promise<ExchangeResult> {
  return askServer(exchanger, server, transport, transport === "tls" ? server.pin : undefined);
}

test("both workers answer over UDP, TCP and TLS, and the status adds them up", async (context) => {
  const server = Server.start(context, WWW);
  assert.equal((await server.line("ready"))["workers"], 2);
  assert.equal(server.lines.filter((line) => line["msg"] === "listening").length, 3, "said once");
  for (const transport of ["udp", "tcp", "tls"] as const) {
    const before = (await server.status()).workers.map(({ queries }) => queries);
    const answers = await Promise.all(Array.from({ length: SOCKETS }, () => askAnew(server, transport)));
    assert.deepEqual(new Set(answers), new Set(["192.0.2.1"]), transport);
    const { workers, queries } = await server.status();
    // A client on a busy machine asks again over UDP.
    assert.ok(queries[transport].answered >= SOCKETS, transport);
    const grown = workers.map((worker, i) => worker.queries - (before[i] ?? 0));
    assert.ok(
      grown.every((count) => count > 0),
      `${transport}: ${grown.join(" and ")}`,
    );
  }
  const { listeners } = await server.statusWhere(({ listeners: [udp, tcp, tls] }) =>
    [udp?.counters.received, tcp?.counters.accepted, tls?.counters.accepted].every(
      (count) => (count ?? 0) >= SOCKETS,
    ),
  );
  assert.deepEqual(
    listeners.map(({ transport }) => transport),
    ["udp", "tcp", "tls"],
  );
});

/** A resolver that answers with 192.0.2.1, then .2 and so on: the last octet tells how often it was asked. */
async function serveUpstream(context: TestContext): Promise<number> {
  const socket = createSocket("udp4");
  context.after(() => socket.close());
  let asked = 0;
  socket.on("message", (octets, from) => {
    const query = tryDecodeMessage(octets);
    const [question] = query.ok ? query.value.questions : [];
    if (!query.ok || question === undefined) return;
    const answers = [parseRecord(`${question.name} 3600 IN A 192.0.2.${++asked}`)];
    const reply = makeMessage({ id: query.value.id, isResponse: true, questions: [question], answers });
    socket.send(encodeMessage(reply), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket.address().port;
}

test("what one worker has resolved all answer from the cache, until a reload makes it wrong", async (context) => {
  const upstream = await serveUpstream(context);
  const settings = `forward-zones: [{ name: ., upstreams: ["udp://127.0.0.1:${upstream}"] }]
dnssec: { validation: false }
resolver: { case-randomisation: false }
`;
  const server = Server.start(context, settings);
  await server.line("ready");
  const first = await askAnew(server, "udp");
  const before = (await server.status()).workers.map(({ queries }) => queries);
  const answers = await Promise.all(Array.from({ length: SOCKETS }, () => askAnew(server, "udp")));
  assert.deepEqual(new Set(answers), new Set([first]));
  const { workers, queries } = await server.status();
  assert.ok(queries.udp["answered from cache"] >= SOCKETS);
  assert.ok(queries.udp.answered < SOCKETS, "one resolved it");
  assert.ok(workers.every((worker, i) => worker.queries > (before[i] ?? 0)));
  server.configure(`${settings}cache: { max-ttl: 1h }\n`);
  const from = server.lines.length;
  server.process.kill("SIGHUP");
  await server.line("ready", from);
  const after = await Promise.all(Array.from({ length: SOCKETS }, () => askAnew(server, "udp")));
  assert.ok(!after.includes(first), "nobody has the old answer");
});

test("a ticket of one worker resumes a session with the other", async (context) => {
  const server = Server.start(context, `${WWW}limits: { queries-per-connection: 1 }\n`);
  await server.line("ready");
  const exchanger = new Exchanger({}, nodeRuntime());
  context.after(() => exchanger.close());
  for (let i = 0; i < SOCKETS; i++) assert.equal(addressOf(await ask(exchanger, server, "tls")), "192.0.2.1");
  const { workers, listeners } = await server.statusWhere(
    ({ listeners: all }) => all[2]?.counters.accepted === SOCKETS,
  );
  assert.ok(workers.every(({ queries }) => queries > 0));
  // A full handshake gives two tickets, one with the native engine, and each is used once (RFC 8446 §C.4).
  const tickets = process.env["SOTTO_ENGINE"] === "native" ? 1 : 2;
  assert.equal(listeners[2]?.counters.resumedSessions, Math.floor((SOCKETS * tickets) / (tickets + 1)));
});

test("a reload reaches both workers or none, and flushing, loading and dumping all of them", async (context) => {
  const server = Server.start(context, WWW);
  await server.line("ready");
  const port = server.port("udp");
  server.configure(WWW.replace("192.0.2.1", "192.0.2.2"));
  const from = server.lines.length;
  server.process.kill("SIGHUP");
  await server.line("reloaded", from);
  await server.line("ready", from);
  assert.equal(server.port("udp"), port);
  const answers = await Promise.all(Array.from({ length: SOCKETS }, () => askAnew(server, "udp")));
  assert.deepEqual(new Set(answers), new Set(["192.0.2.2"]));
  const { workers } = await server.status();
  assert.ok(workers.every(({ queries }) => queries > 0));
  server.configure("lisen: []\n");
  server.process.kill("SIGHUP");
  await server.line("reload refused", from);
  assert.equal(await askAnew(server, "udp"), "192.0.2.2");
  const dump = "; sotto cache 1\nkept.example.\t300\tIN\tA\t192.0.2.9\n";
  assert.deepEqual(await askControl(server.socket, ["load", dump]), { recordSets: 1 });
  let dumped = "";
  await askControl(server.socket, ["dump"], (text) => {
    dumped += text;
  });
  assert.match(
    dumped,
    /^; sotto cache 1\nkept\.example\.\t\d+\tIN\tA\t192\.0\.2\.9\n$/,
    "both have it, one gives it",
  );
  assert.deepEqual(await askControl(server.socket, ["flush", "kept.example", "A"]), {
    replies: 0,
    recordSets: 2,
  });
});

test("SIGTERM ends all workers with exit code 0 although clients are connected", async (context) => {
  const server = Server.start(context, WWW);
  await server.line("ready");
  const exchangers = Array.from({ length: SOCKETS }, () => new Exchanger({}, nodeRuntime()));
  context.after(() => Promise.all(exchangers.map((exchanger) => exchanger.close())));
  await Promise.all(exchangers.map((exchanger) => ask(exchanger, server, "tcp")));
  server.process.kill("SIGTERM");
  assert.equal(await server.ended, 0);
  assert.equal(server.lines.at(-1)?.["msg"], "ended");
});

test("a second resolver on the same addresses is refused, although workers share them", async (context) => {
  const first = Server.start(context, WWW);
  await first.line("ready");
  const second = Server.startWith(
    context,
    `workers: 2\nlisten: [{ transport: udp, address: 127.0.0.1, port: ${first.port("udp")} }]\n`,
  );
  assert.equal(await second.ended, 2);
  assert.match(String(second.lines.at(-1)?.["msg"]), /another program listens there/);
});
