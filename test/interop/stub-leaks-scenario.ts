/**
 * Run in a network namespace of its own (`stub-leaks.test.ts` does that): strict stubs ask servers that fail in every way,
 * each beside a server for clear DNS that would answer, while tshark captures everything. Prints what was asked and captured
 * as JSON; an opportunistic stub and a working server show that the capture sees what there is to see.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import {
  encodeMessage,
  FrameReader,
  frameMessage,
  makeMessage,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { startRecursor } from "../../packages/sotto/src/compose/index.ts";
import { loadConfig, problemToText } from "../../packages/sotto/src/config/index.ts";
import { makeAuthority, makeSelfSigned, spkiPin } from "../../packages/sotto/src/operations/index.ts";
import { runCommand, startPeer } from "./peers.ts";

const [, , folder = ""] = process.argv;
const NAME = "dns.example";
/** Nobody has it; the route leads into a device that swallows everything. */
const SWALLOWED = "198.18.0.66";

function answerTo(octets: Uint8Array, address = "192.0.2.1"): Uint8Array | undefined {
  const query = tryDecodeMessage(octets);
  const [question] = query.ok ? query.value.questions : [];
  if (!query.ok || question === undefined) return undefined;
  const rdata = Uint8Array.from(address.split("."), Number);
  const answers =
    question.type === RRType.A
      ? [{ owner: question.name, type: RRType.A, class: RRClass.IN, ttl: 60, rdata }]
      : [];
  return encodeMessage(
    makeMessage({
      id: query.value.id,
      isResponse: true,
      recursionAvailable: true,
      questions: [question],
      answers,
    }),
  );
}

function answerStream(socket: Socket): void {
  const reader = new FrameReader();
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    reader.push(chunk, (message) => {
      const answer = answerTo(message);
      if (answer !== undefined) socket.write(frameMessage(answer));
      return true;
    });
  });
}

async function listening(server: Server, port: number, address: string): Promise<void> {
  server.on("error", () => undefined);
  server.listen(port, address);
  await once(server, "listening");
  server.unref();
}

/** Clear DNS over UDP that says of every name that it is at that address. */
async function tell(address: string, told?: string): Promise<void> {
  const socket = createSocket("udp4");
  socket.on("message", (octets, from) => {
    const answer = answerTo(octets, told);
    if (answer !== undefined) socket.send(answer, from.port, from.address);
  });
  socket.bind(53, address);
  await once(socket, "listening");
  socket.unref();
}

/** Clear DNS over UDP and TCP: the bait. */
async function bait(address: string): Promise<void> {
  await tell(address);
  await listening(createServer(answerStream), 53, address);
}

const trusted = await makeAuthority("trusted authority", Date.now());
const stranger = await makeAuthority("unknown authority", Date.now());
writeFileSync(join(folder, "ca.pem"), trusted.certificatePem);
const right = await trusted.issue([NAME], Date.now());
const misnamed = await trusted.issue(["other.example"], Date.now());
const expired = await trusted.issue([NAME], Date.now() - 20 * 365 * 86_400_000);
const early = await trusted.issue([NAME], Date.now() + 20 * 365 * 86_400_000);
const fromStranger = await stranger.issue([NAME], Date.now());
const selfSigned = await makeSelfSigned([NAME], Date.now());

const tls =
  (pair: { certificatePem: string; keyPem: string }, more: TlsOptions = {}) =>
  async (address: string) =>
    listening(
      createTlsServer(
        { cert: pair.certificatePem, key: pair.keyPem, ALPNProtocols: ["dot"], ...more },
        answerStream,
      ),
      853,
      address,
    );
const raw = (onSocket: (socket: Socket) => void) => async (address: string) =>
  listening(
    createServer((socket) => {
      socket.on("error", () => undefined);
      onSocket(socket);
    }),
    853,
    address,
  );

interface Case {
  readonly what: string;
  readonly serve: (address: string) => Promise<void>;
  readonly pin?: string;
  readonly profile?: string;
  readonly address?: string;
  /** Name for which a captive portal is open at {@link PORTAL}. */
  readonly portal?: string;
  /** The upstream is known by its name, and a bootstrap server here tells its address. */
  readonly bootstrap?: string;
}

/** An address of this namespace that is not loopback. */
const PORTAL = "198.18.0.1";

const CASES: readonly Case[] = [
  { what: "all is well", serve: tls(right) },
  { what: "wrong name", serve: tls(misnamed) },
  { what: "expired", serve: tls(expired) },
  { what: "not yet valid", serve: tls(early) },
  { what: "unknown authority", serve: tls(fromStranger) },
  { what: "self-signed", serve: tls(selfSigned) },
  { what: "wrong pin", serve: tls(right), pin: spkiPin(misnamed.certificatePem) },
  { what: "clear DNS on the port of TLS", serve: raw(answerStream) },
  { what: "port closed", serve: () => Promise.resolve() },
  { what: "SYN dropped", serve: () => Promise.resolve(), address: SWALLOWED },
  { what: "stalled handshake", serve: raw(() => undefined) },
  {
    what: "old TLS only",
    serve: tls(right, { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }),
  },
  { what: "reset", serve: raw((socket) => socket.resetAndDestroy()) },
  {
    what: "reset after the first octets",
    serve: raw((socket) => socket.once("data", () => socket.resetAndDestroy())),
  },
  { what: "closed after the first octets", serve: raw((socket) => socket.once("data", () => socket.end())) },
  {
    what: "portal open for another name, port closed",
    serve: () => Promise.resolve(),
    portal: "portal.example",
  },
  { what: "all is well, by name", serve: tls(right), bootstrap: "127.0.2.1" },
  { what: "by name, forged address", serve: tls(misnamed), bootstrap: "127.0.2.2" },
  { what: "by name, nobody at the address", serve: () => Promise.resolve(), bootstrap: "127.0.2.3" },
  { what: "opportunistic, port closed", serve: () => Promise.resolve(), profile: "opportunistic" },
];

await bait(PORTAL);
const file = join(folder, "all.pcap");
const tshark = await startPeer("tshark", ["-i", "any", "-q", "-w", file], (output) =>
  output.includes("Capturing on"),
);
const results = await Promise.all(
  CASES.map(async ({ what, serve, pin, profile = "strict", address = "", portal, bootstrap }, i) => {
    const server = address === "" ? `127.0.1.${i + 1}` : address;
    if (address === "") await bait(server);
    await serve(server);
    if (bootstrap !== undefined) await tell(bootstrap, server);
    const found = bootstrap === undefined ? `address: ${server}, ` : "";
    const port = 5300 + i;
    const loaded = loadConfig(
      `listen: [{ transport: udp, address: 127.0.0.1, port: ${port} }]
stub:
  profile: ${profile}
  upstreams: [{ ${found}name: ${NAME}, authorities: ca.pem${pin === undefined ? "" : `, pins: ["sha256:${pin}"]`} }]
${bootstrap === undefined ? "" : `  bootstrap: ["udp://${bootstrap}"]\n`}dnssec: { validation: false }
`,
      join(folder, "stub.yaml"),
      "stub",
    );
    if (!loaded.ok) throw new Error(loaded.problems.map(problemToText).join());
    const stub = await startRecursor(loaded.config, nodeRuntime());
    const label = `secret${String(i).padStart(2, "0")}`;
    const dig = async (name: string): Promise<string | undefined> => {
      const words = ["+time=12", "+tries=1", "@127.0.0.1", "-p", String(port), name, "A"];
      return /status: (\w+)/.exec((await runCommand("dig", words)).stdout)?.[1];
    };
    if (portal !== undefined) stub.portal(["open", portal, PORTAL]);
    const portalStatus = portal && (await dig(portal));
    const status = await dig(`${label}.example`);
    const [zone] = stub.upstreams();
    await stub.close();
    const failure = zone?.upstreams.find(({ lastFailure }) => lastFailure !== undefined)?.lastFailure;
    return {
      what,
      server,
      port,
      label,
      status,
      portalStatus,
      stage: failure?.stage,
      problem: failure?.problem,
    };
  }),
);
await tshark.stop();
const fields = ["ip.dst", "udp.srcport", "udp.dstport", "tcp.dstport", "udp.payload", "tcp.payload"];
const read = await runCommand("tshark", [
  "-r",
  file,
  "-T",
  "fields",
  ...fields.flatMap((field) => ["-e", field]),
]);
const packets = read.stdout
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => line.split("\t"));
process.stdout.write(
  JSON.stringify({
    packets: packets.length,
    cases: results.map(({ server, port, label, ...others }) => {
      const secret = Buffer.from(label).toString("hex");
      const own = new Set([String(port)]);
      const leaks = packets.filter(
        ([, source = "", destination = "", , udp = "", tcp = ""]) =>
          !own.has(source) && !own.has(destination) && (udp + tcp).replaceAll(":", "").includes(secret),
      );
      const toClear = packets.filter(
        ([to = "", , udpPort = "", tcpPort = ""]) =>
          to.split(",").includes(server) && (udpPort === "53" || tcpPort === "53"),
      );
      return { ...others, leaks: leaks.length, toClear: toClear.length };
    }),
  }),
);
process.exit(0);
