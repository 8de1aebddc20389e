/**
 * Run in a network namespace of its own (`stub-leaks.test.ts` does that): strict stubs ask servers that fail in every way,
 * each beside a server for clear DNS that would answer, while tshark captures everything. Prints what was asked and captured
 * as JSON; an opportunistic stub and a working server show that the capture sees what there is to see.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
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
import { AUTH_NAME, TestServer } from "../../packages/sotto/src/testserver/index.ts";
import { runCommand, startPeer } from "./peers.ts";

const [, , folder = ""] = process.argv;
/** RFC 7858 §3.1. */
const TLS_PORT = 853;
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

interface Case {
  readonly what: string;
  /** Server of the catalogue of `sotto testserver`; absent: nobody listens where TLS should be. */
  readonly fixture?: string;
  /** A pin that is not that of the server. */
  readonly hasWrongPin?: boolean;
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
  { what: "all is well", fixture: "good" },
  { what: "wrong name", fixture: "certificate-wrong-name" },
  { what: "expired", fixture: "certificate-expired" },
  { what: "not yet valid", fixture: "certificate-not-yet-valid" },
  { what: "unknown authority", fixture: "certificate-other-authority" },
  { what: "self-signed", fixture: "certificate-self-signed" },
  { what: "wrong pin", fixture: "good", hasWrongPin: true },
  { what: "clear DNS on the port of TLS", fixture: "cleartext" },
  { what: "port closed" },
  { what: "SYN dropped", address: SWALLOWED },
  { what: "stalled handshake", fixture: "handshake-before-hello-silence" },
  { what: "old TLS only", fixture: "tls-1.1-only" },
  { what: "reset", fixture: "accept-rst" },
  { what: "reset after the first octets", fixture: "handshake-before-hello-rst" },
  { what: "closed after the first octets", fixture: "handshake-before-hello-fin" },
  { what: "portal open for another name, port closed", portal: "portal.example" },
  { what: "all is well, by name", fixture: "good", bootstrap: "127.0.2.1" },
  { what: "by name, forged address", fixture: "certificate-wrong-name", bootstrap: "127.0.2.2" },
  { what: "by name, nobody at the address", bootstrap: "127.0.2.3" },
  { what: "opportunistic, port closed", profile: "opportunistic" },
];

/** On all addresses, so that each case has one of its own with its bait beside. */
const tests = await TestServer.start(
  { address: "0.0.0.0", portBase: 0, only: CASES.flatMap(({ fixture }) => fixture ?? []) },
  nodeRuntime(),
);

function tlsPortOf(name: string | undefined): number {
  const places = name === undefined ? [] : tests.fixture(name)?.places;
  return places?.find(({ transport }) => transport === "tls")?.port ?? TLS_PORT;
}

await bait(PORTAL);
const file = join(folder, "all.pcap");
const tshark = await startPeer("tshark", ["-i", "any", "-q", "-w", file], (output) =>
  output.includes("Capturing on"),
);
const results = await Promise.all(
  CASES.map(
    async ({ what, fixture, hasWrongPin, profile = "strict", address = "", portal, bootstrap }, i) => {
      const server = address === "" ? `127.0.1.${i + 1}` : address;
      if (address === "") await bait(server);
      if (bootstrap !== undefined) await tell(bootstrap, server);
      const found = bootstrap === undefined ? `address: ${server}, ` : "";
      const pins = hasWrongPin === true ? `, pins: ["sha256:${tests.credentials.pinOf("new-key")}"]` : "";
      const port = 5300 + i;
      const loaded = loadConfig(
        `listen: [{ transport: udp, address: 127.0.0.1, port: ${port} }]
stub:
  profile: ${profile}
  upstreams: [{ ${found}port: ${tlsPortOf(fixture)}, name: ${AUTH_NAME}, authorities: "${tests.files.authority}"${pins} }]
${bootstrap === undefined ? "" : `  bootstrap: ["udp://${bootstrap}"]\n`}dnssec: { validation: false }
# The servers' names are below a zone that RFC 6761 reserves, and stubs do not ask for.
local-zones: { except: [test.] }
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
      const status = await dig(`${label}.test`);
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
    },
  ),
);
await tshark.stop();
await tests.close();
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
