/**
 * Run in namespaces of its own (`install-programs.test.ts` does that), with a resolv.conf that names a server for clear DNS, the bait: web
 * servers, Debian's redis-server and unbound, which serves over TLS the only names there are. Programs after an `install()`
 * line and curl through the proxy of `examples/` ask while tshark captures everything. Prints what came of it as JSON.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { join } from "node:path";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import { ZoneServer } from "../integration/zone-server.test-support.ts";
import { runCommand, startPeer } from "./peers.ts";

const [, , folder = ""] = process.argv;
const PROGRAMS = join(import.meta.dirname, "install-programs-clients.ts");
const PROXY = join(import.meta.dirname, "../../examples/forward-proxy.ts");
const NODE = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
/** By the name that its certificate has, and by one that it has not. */
const RIGHT = "tls://dns.example?ip=127.0.0.2";
const WRONG = "tls://other.example?ip=127.0.0.2";

const authority = await makeAuthority("an authority", Date.now());
const anchors = join(folder, "ca.pem");
writeFileSync(anchors, authority.certificatePem);
const dot = await authority.issue(["dns.example"], Date.now());
writeFileSync(join(folder, "dot.pem"), dot.certificatePem);
writeFileSync(join(folder, "dot.key"), dot.keyPem);
const web = await authority.issue(["*.inside.example"], Date.now());
const pair = { cert: web.certificatePem, key: web.keyPem };

async function startUnbound(): Promise<Awaited<ReturnType<typeof startPeer>>> {
  const file = join(folder, "unbound.conf");
  writeFileSync(
    file,
    `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  log-queries: yes
  interface: 127.0.0.2@853
  tls-port: 853
  tls-service-pem: "${join(folder, "dot.pem")}"
  tls-service-key: "${join(folder, "dot.key")}"
  local-zone: "inside.example." redirect
  local-data: "inside.example. 60 A 127.0.0.1"
  local-data: "inside.example. 60 AAAA ::1"
  local-data: 'inside.example. 60 TXT "here"'
  local-data: "inside.example. 60 SRV 0 0 80 here"
remote-control:
  control-enable: no
`,
  );
  return startPeer("/usr/sbin/unbound", ["-d", "-p", "-c", file], (text) =>
    text.includes("start of service"),
  );
}

async function startServices(): Promise<void> {
  const page = (_asked: unknown, answer: { end(text: string): unknown }): void => void answer.end("here");
  const servers = [
    http.createServer(page).listen(80, "127.0.0.1"),
    https.createServer(pair, page).listen(443, "127.0.0.1"),
    http2.createSecureServer(pair, page).listen(8443, "127.0.0.1"),
  ];
  await Promise.all(servers.map((server) => once(server, "listening")));
  const echo = createSocket("udp4").on("message", (_octets, { address, port }) =>
    echo.send("here", port, address),
  );
  echo.bind(9999, "127.0.0.1");
  await once(echo, "listening");
}

const env = { ...process.env, NODE_EXTRA_CA_CERTS: anchors };
const program = async (...args: string[]): Promise<unknown> => {
  const { stdout, stderr } = await runCommand(process.execPath, [...NODE, PROGRAMS, ...args], { env });
  return stdout === "" ? { stderr } : JSON.parse(stdout);
};

/** Status and page of two requests through a proxy that asks this upstream: one for it to make, one for it to tunnel. */
async function curl(upstream: string): Promise<Record<string, string>> {
  const peer = await startPeer(
    process.execPath,
    [...NODE, PROXY, upstream, "0"],
    (text) => text.includes("port:"),
    {
      env,
    },
  );
  const port = /port: (\d+)/.exec(peer.output())?.[1];
  const ask = async (url: string): Promise<string> => {
    const format = " %{http_code} %{http_connect}";
    const args = [
      "-s",
      "-x",
      `http://127.0.0.1:${port}`,
      "--cacert",
      anchors,
      "-w",
      format,
      "--max-time",
      "20",
      url,
    ];
    return (await runCommand("curl", args)).stdout;
  };
  const clear = await ask("http://curl-http.inside.example/");
  const tunnel = await ask("https://curl-https.inside.example/");
  const refused = await ask("http://curl-http.inside.example:1/");
  await peer.stop();
  return { clear, tunnel, refused };
}

const bait = await ZoneServer.open("*.inside A 127.0.0.99", { address: "127.0.0.53", port: 53 });
const capture = join(folder, "all.pcap");
const tshark = await startPeer("tshark", ["-i", "any", "-q", "-w", capture], (text) =>
  text.includes("Capturing on"),
);
const redis = await startPeer(
  "redis-server",
  ["--port", "6379", "--bind", "127.0.0.1", "--save", "", "--dir", folder],
  (text) => text.includes("eady to accept connections"),
);
const unbound = await startUnbound();
await startServices();

const right = { programs: await program("all", RIGHT), curl: await curl(RIGHT) };
const wrong = { programs: await program("all", WRONG), curl: await curl(WRONG) };
const asked = bait.seen.length;
// A program without the line shows that the capture sees what is in clear, and, as the last one, that it has seen everything.
const without = await program("dns-lookup");
const captured = await readCapture();
await tshark.stop();
await Promise.all([unbound.stop(), redis.stop(), bait[Symbol.asyncDispose]()]);
const seen = unbound.output().matchAll(/info: 127\.\S+ (\S+)\.inside\.example\. \S+ IN/g);
const names = [...new Set([...seen].map(([, name]) => name))].sort();
process.stdout.write(JSON.stringify({ right, wrong, without, asked, names, ...captured }));
process.exit(0);

/** Reads what was captured until the last program's question is in it: tshark writes late. */
async function readCapture(): Promise<{ packets: number; inClear: string[] }> {
  const fields = ["udp.dstport", "tcp.dstport", "udp.payload", "tcp.payload"].flatMap((field) => [
    "-e",
    field,
  ]);
  for (let tries = 0; tries < 20; tries++) {
    const { stdout } = await runCommand("tshark", ["-r", capture, "-T", "fields", ...fields]);
    const lines = stdout.split("\n");
    // As in a question: length, label, length, label.
    const wanted = Buffer.from("\x06inside\x07example").toString("hex");
    const inClear = lines.flatMap((line) => {
      const [udpPort, tcpPort, ...payloads] = line.split("\t");
      const octets = payloads.join("").replaceAll(":", "");
      const isDns = udpPort === "53" || tcpPort === "53" || octets.includes(wanted);
      return isDns ? [Buffer.from(octets, "hex").toString("latin1")] : [];
    });
    if (inClear.some((octets) => octets.includes("dns-lookup"))) return { packets: lines.length, inClear };
  }
  throw new Error("the capture does not show the question in clear");
}
