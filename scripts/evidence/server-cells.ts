/** The server's rows of 2016 and what TLS front ends lacked, observed on a running `sotto serve`. */
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { EdnsOptionCode, frameMessage, makeKeepalive, makePadding, Rcode } from "@sotto/dns/wire";
import { spkiPin } from "../../packages/sotto/src/operations/index.ts";
import { type Cell, Observations, takeCell } from "./cell.ts";
import {
  type Arrival,
  AUTH_NAME,
  CERTIFICATE,
  FAST_NAME,
  hex,
  kernelCounter,
  openTcp,
  openTls,
  queryOctets,
  type RawClient,
  type World,
} from "./world.ts";

/** Where the server listens. */
export interface ServerPorts {
  readonly tcp: number;
  readonly tls: number;
  /** A TLS listener that believes PROXY headers. */
  readonly proxied: number;
}

/** What the listener's timer is set to, milliseconds. */
const IDLE_MS = 2000;
const OWN_KEEPALIVE = "edns-tcp-keepalive of its own connections";
/** One unit of keepalive. */
const TICK_MS = 100;

/** Takes all server cells; `hasFastOpen` when the kernel has it on. */
export async function serverCells(world: World, isPort853: boolean, hasFastOpen: boolean): Promise<Cell[]> {
  const server = await world.serve(
    [
      `{ transport: tcp, address: 127.0.0.1, port: ${isPort853 ? 53 : 0}, fast-open: auto }`,
      `{ transport: tls, address: 127.0.0.1, port: ${isPort853 ? 853 : 0}, ${CERTIFICATE}, fast-open: auto }`,
      `{ transport: tls, address: 127.0.0.1, port: 0, ${CERTIFICATE}, proxy: { from: [127.0.0.1] } }`,
    ],
    `access: { allow: [127.0.0.0/8, 192.0.2.1/32] }\nlimits: { idle-timeout: ${IDLE_MS}ms }`,
  );
  const [tcp = 0, tls = 0, proxied = 0] = server.ports;
  const ports = { tcp, tls, proxied };
  const takes: readonly [Cell["side"], string, () => Promise<Cell>][] = [
    ["server", "TCP Fast Open", () => fastOpen(world, ports, hasFastOpen)],
    ["server", "Process pipelined queries", () => pipelining(world, ports)],
    ["server", "Provide OOOR (out-of-order responses)", () => outOfOrder(world, ports)],
    ["server", "EDNS0 Keepalive", () => keepalive(world, ports, "server", "EDNS0 Keepalive")],
    ["server", "TLS on port 853", () => tlsOnPort(world, ports, isPort853)],
    ["server", "Provide server certificate", () => certificate(world, ports)],
    ["server", "EDNS0 Padding", () => padding(world, ports)],
    ["front end", "Full TCP capabilities", () => fullTcp(world, ports)],
    ["front end", OWN_KEEPALIVE, () => keepalive(world, ports, "front end", OWN_KEEPALIVE)],
    ["front end", "DNS-specific access control", () => accessControl(world, ports)],
  ];
  const cells: Cell[] = [];
  for (const [side, row, take] of takes) cells.push(await takeCell(side, row, take));
  await server.stop();
  return cells;
}

async function open(world: World, ports: ServerPorts, transport: "tcp" | "tls"): Promise<RawClient> {
  return transport === "tcp" ? openTcp(ports.tcp) : openTls(ports.tls, world.caPem);
}

const TRANSPORTS = ["tcp", "tls"] as const;

async function fastOpen(world: World, ports: ServerPorts, hasFastOpen: boolean): Promise<Cell> {
  const seen = new Observations();
  if (!hasFastOpen)
    seen.see(false, "measurable only in a network namespace with net.ipv4.tcp_fastopen=3 (root)");
  const { network } = nodeRuntime();
  for (const transport of hasFastOpen ? TRANSPORTS : []) {
    const before = kernelCounter("TCPFastOpenPassive");
    const synData: string[] = [];
    for (let i = 0; i < 4; i++) {
      const stream = await network.connect({
        remote: { address: "127.0.0.1", port: ports[transport] },
        localAddress: undefined,
        tls:
          transport === "tcp"
            ? undefined
            : { serverName: AUTH_NAME, alpn: ["dot"], trustAnchorsPem: [world.caPem], session: undefined },
        connectTimeoutMs: 5000,
        handshakeTimeoutMs: 5000,
        signal: undefined,
        fastOpen: true,
      });
      await new Promise<void>((resolve) => {
        stream.setHandlers({
          onData: () => {
            synData.push(stream.fastOpen ?? "unknown");
            stream.end();
          },
          onEnd: () => stream.end(),
          onClose: () => resolve(),
          onDrain: () => undefined,
        });
        stream.write(frameMessage(queryOctets(FAST_NAME, i)));
      });
    }
    const passive = kernelCounter("TCPFastOpenPassive") - before;
    seen.see(passive >= 3, `${transport}: TCPFastOpenPassive +${passive} in 4 connections`);
    const used = synData.filter((one) => one === "used").length;
    seen.see(used >= 3, `${transport}: TCPI_OPT_SYN_DATA on ${used} of 4`);
  }
  return seen.cell("server", "TCP Fast Open");
}

async function pipelining(world: World, ports: ServerPorts): Promise<Cell> {
  const seen = new Observations();
  for (const transport of TRANSPORTS) {
    const client = await open(world, ports, transport);
    client.write(...Array.from({ length: 20 }, (_, i) => queryOctets(FAST_NAME, i)));
    const replies = await client.replies(20);
    const ids = new Set(replies.map(({ message }) => message.id));
    seen.see(ids.size === 20, `${transport}: 20 queries in one write, ${ids.size} different replies`);
    client.close();
  }
  return seen.cell("server", "Process pipelined queries");
}

let round = 0;

async function outOfOrder(world: World, ports: ServerPorts): Promise<Cell> {
  const seen = new Observations();
  for (const transport of TRANSPORTS) {
    // Names that nobody has asked for, so that the delays are real.
    round++;
    const names = [`d300-${round}.slow.example.`, FAST_NAME, `d150-${round}.slow.example.`];
    const client = await open(world, ports, transport);
    const sentMs = performance.now() - client.startedMs;
    client.write(...names.map((name, i) => queryOctets(name, i + 1)));
    const replies = await client.replies(3);
    const order = replies.map(({ message }) => message.id).join(" ");
    const times = replies
      .map(({ message, atMs }) => `${message.id} at ${Math.round(atMs - sentMs)} ms`)
      .join(", ");
    seen.see(
      order === "2 3 1",
      `${transport}: asked 1 (300 ms away), 2 (here), 3 (150 ms away); got ${times}`,
    );
    client.close();
  }
  return seen.cell("server", "Provide OOOR (out-of-order responses)");
}

function optionOf({ message }: Arrival, code: number): Uint8Array | undefined {
  return message.edns?.options.find((option) => option.code === code)?.data;
}

async function keepalive(world: World, ports: ServerPorts, side: Cell["side"], row: string): Promise<Cell> {
  const seen = new Observations();
  for (const transport of TRANSPORTS) {
    const client = await open(world, ports, transport);
    client.write(queryOctets(FAST_NAME, 1, [makeKeepalive(undefined)]));
    const [reply] = await client.replies(1);
    const data = reply && optionOf(reply, EdnsOptionCode.TcpKeepalive);
    const units = data === undefined ? -1 : (data[0] ?? 0) * 256 + (data[1] ?? 0);
    seen.see(
      units === IDLE_MS / TICK_MS,
      `${transport}: option 11 with ${data === undefined ? "nothing" : hex(data)}, ${units} units of 100 ms`,
    );
    const idleMs = (await client.ended()) - (reply?.atMs ?? 0);
    const isHonest = Math.abs(idleMs - units * TICK_MS) <= TICK_MS;
    seen.see(
      isHonest,
      `${transport}: promised ${units * TICK_MS} ms, closed ${Math.round(idleMs)} ms after the reply`,
    );
    client.close();
  }
  return seen.cell(side, row);
}

async function tlsOnPort(world: World, ports: ServerPorts, isPort853: boolean): Promise<Cell> {
  const seen = new Observations();
  const client = await openTls(ports.tls, world.caPem);
  const { tls } = client;
  const group: object = tls.getEphemeralKeyInfo() ?? {};
  const facts = [
    tls.getProtocol(),
    tls.getCipher().standardName,
    "name" in group ? String(group.name) : "?",
    `ALPN ${String(tls.alpnProtocol)}`,
  ];
  const isAsWanted = (!isPort853 || ports.tls === 853) && tls.alpnProtocol === "dot";
  seen.see(
    isAsWanted && /^TLSv1\.[23]$/.test(tls.getProtocol() ?? ""),
    `port ${ports.tls}: ${facts.join(", ")}`,
  );
  client.write(queryOctets(FAST_NAME, 1));
  const [reply] = await client.replies(1);
  seen.see(reply?.message.rcode === Rcode.NoError, "a query is answered NOERROR");
  client.close();
  const clear = await openTcp(ports.tls);
  clear.write(queryOctets(FAST_NAME, 1));
  const endedMs = await clear.ended();
  seen.see(
    clear.arrivals.length === 0,
    `a query in clear on that port gets no reply, the connection ends after ${Math.round(endedMs)} ms`,
  );
  return seen.cell("server", "TLS on port 853");
}

async function certificate(world: World, ports: ServerPorts): Promise<Cell> {
  const seen = new Observations();
  const client = await openTls(ports.tls, world.caPem);
  const presented = client.tls.getPeerX509Certificate();
  seen.see(client.tls.authorized, "the chain leads to the configured authority");
  seen.see(
    presented?.checkHost(AUTH_NAME) === AUTH_NAME,
    `subjectAltName ${presented?.subjectAltName ?? "none"}`,
  );
  const pin = presented === undefined ? "none" : spkiPin(presented.toString());
  seen.see(pin === world.pin, `pin of the key that was presented sha256:${pin}, the configured one`);
  client.close();
  return seen.cell("server", "Provide server certificate");
}

async function padding(world: World, ports: ServerPorts): Promise<Cell> {
  const seen = new Observations();
  const client = await openTls(ports.tls, world.caPem);
  const names = [FAST_NAME, "other.corp.example.", "a-much-longer-name-than-the-others.corp.example."];
  for (const [i, name] of names.entries()) client.write(queryOctets(name, i, [makePadding(20)]));
  const replies = await client.replies(3);
  const sizes = replies.map(({ octets }) => octets.length);
  const hasOption = replies.every((reply) => optionOf(reply, EdnsOptionCode.Padding) !== undefined);
  seen.see(
    hasOption && sizes.every((size) => size % 468 === 0),
    `padded queries for three names: replies of ${sizes.join(", ")} octets, option 12 in each`,
  );
  client.write(queryOctets(FAST_NAME, 9, []));
  const plain = (await client.replies(4))[3];
  seen.see(
    plain !== undefined && optionOf(plain, EdnsOptionCode.Padding) === undefined,
    `a query without the option: ${plain?.octets.length} octets, no option 12`,
  );
  client.close();
  const clear = await openTcp(ports.tcp);
  clear.write(queryOctets(FAST_NAME, 1, [makePadding(20)]));
  const [overTcp] = await clear.replies(1);
  seen.see(
    overTcp !== undefined && optionOf(overTcp, EdnsOptionCode.Padding) === undefined,
    `the padded query in clear: ${overTcp?.octets.length} octets, no option 12 (RFC 7830 §6)`,
  );
  clear.close();
  return seen.cell("server", "EDNS0 Padding");
}

async function fullTcp(world: World, ports: ServerPorts): Promise<Cell> {
  const seen = new Observations();
  for (const transport of TRANSPORTS) {
    const slow = await open(world, ports, transport);
    for (const octet of frameMessage(queryOctets(FAST_NAME, 1))) {
      slow.socket.write(Uint8Array.of(octet));
      await new Promise((resolve) => setImmediate(resolve));
    }
    seen.see((await slow.replies(1)).length === 1, `${transport}: one octet at a time is answered`);
    slow.close();
    round++;
    const half = await open(world, ports, transport);
    half.write(queryOctets(`d200-${round}.slow.example.`, 1), queryOctets(FAST_NAME, 2));
    half.socket.end();
    const replies = await half.replies(2);
    seen.see(
      replies.length === 2,
      `${transport}: two queries, then FIN: both answered, the second after ${Math.round(replies[1]?.atMs ?? 0)} ms, then closed`,
    );
    await half.ended();
    half.close();
  }
  return seen.cell("front end", "Full TCP capabilities");
}

async function accessControl(world: World, ports: ServerPorts): Promise<Cell> {
  const seen = new Observations();
  for (const [source, isAllowed] of [
    ["192.0.2.1", true],
    ["192.0.2.2", false],
  ] as const) {
    const header = Buffer.from(`PROXY TCP4 ${source} 192.0.2.53 40000 853\r\n`, "ascii");
    const client = await openTls(ports.proxied, world.caPem, header);
    client.write(queryOctets(FAST_NAME, 1, []));
    const [reply] = await client.replies(1);
    const error = reply && optionOf(reply, EdnsOptionCode.ExtendedError);
    if (isAllowed)
      seen.see(
        reply?.message.rcode === Rcode.NoError,
        `a client at ${source}, named in a PROXY header: NOERROR`,
      );
    else
      seen.see(
        reply?.message.rcode === Rcode.Refused && error !== undefined && hex(error).startsWith("0012"),
        `a client at ${source}: rcode ${reply?.message.rcode}, option 15 with ${error === undefined ? "nothing" : hex(error)} (extended error 18)`,
      );
    client.close();
  }
  return seen.cell("front end", "DNS-specific access control");
}
