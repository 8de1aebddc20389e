/**
 * A deliberately poor DNS server, as front ends meet them. It answers every A question with one address, after the milliseconds that
 * a name such as `d300-1.slow.example` tells, knows EDNS but none of its options, and writes down what comes. `udp`: no TCP at all;
 * `single`: answers one query of a TCP connection and closes it; `serial`: answers a connection's queries one after the other, in order.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import {
  EdnsOptionCode,
  encodeMessage,
  FrameReader,
  frameMessage,
  makeEdns,
  makeMessage,
  parseRecord,
  tryDecodeMessage,
} from "@sotto/dns/wire";

export type Poverty = "udp" | "single" | "serial";

/** One query as it came. */
export interface SeenQuery {
  readonly name: string;
  readonly transport: "udp" | "tcp";
  /** Version of the PROXY header before it, and whom it names. */
  readonly proxy: { readonly version: 1 | 2; readonly client: string } | undefined;
  /** Octets of the client subnet option, in hex. */
  readonly clientSubnet: string | undefined;
}

export interface PoorBackendOptions {
  readonly poverty: Poverty;
  readonly address: string;
  readonly port: number;
  /** When an idle TCP connection is closed. */
  readonly idleMs: number;
}

/** A running one. */
export class PoorBackend {
  readonly seen: SeenQuery[] = [];
  readonly #options: PoorBackendOptions;
  readonly #udp: UdpSocket;
  readonly #tcp: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #isClosed = false;

  private constructor(options: PoorBackendOptions) {
    this.#options = options;
    this.#udp = createSocket("udp4");
    this.#udp.on("message", (octets, from) => {
      const { header, rest } = splitProxy(octets);
      void this.#answer(rest, "udp", header).then((reply) => {
        if (reply !== undefined && !this.#isClosed)
          this.#udp.send(reply, from.port, from.address, () => undefined);
      });
    });
    this.#udp.on("error", () => undefined);
    if (options.poverty !== "udp") this.#tcp = createServer((socket) => this.#accept(socket));
  }

  static async open(options: PoorBackendOptions): Promise<PoorBackend> {
    const backend = new PoorBackend(options);
    const { address, port } = options;
    await new Promise<void>((resolve) => backend.#udp.bind(port, address, resolve));
    const tcp = backend.#tcp;
    if (tcp !== undefined) await new Promise<void>((resolve) => tcp.listen(port, address, 511, resolve));
    return backend;
  }

  /** Ends everything that is open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.destroy();
    const tcp = this.#tcp;
    if (tcp !== undefined) await new Promise<void>((resolve) => tcp.close(() => resolve()));
    await new Promise<void>((resolve) => this.#udp.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    const { poverty, idleMs } = this.#options;
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.setTimeout(idleMs, () => socket.end());
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    const frames = new FrameReader();
    let waiting: Promise<void> = Promise.resolve();
    let count = 0;
    let proxy: SeenQuery["proxy"];
    let isFirst = true;
    socket.on("data", (chunk: Buffer) => {
      let rest = chunk;
      if (isFirst) ({ header: proxy, rest } = splitProxy(chunk));
      isFirst = false;
      frames.push(rest, (octets) => {
        if (poverty === "single" && ++count > 1) return true;
        const query = octets.slice();
        waiting = waiting.then(async () => {
          const reply = await this.#answer(query, "tcp", proxy);
          if (reply === undefined || socket.destroyed) return;
          socket.write(frameMessage(reply));
          if (poverty === "single") socket.end();
        });
        return true;
      });
    });
  }

  async #answer(
    octets: Uint8Array,
    transport: SeenQuery["transport"],
    proxy: SeenQuery["proxy"],
  ): Promise<Uint8Array | undefined> {
    const query = tryDecodeMessage(octets);
    const question = query.ok ? query.value.questions[0] : undefined;
    if (!query.ok || question === undefined) return undefined;
    const name = question.name.toString();
    const subnet = query.value.edns?.options.find(({ code }) => code === EdnsOptionCode.ClientSubnet)?.data;
    if (this.seen.length < SEEN_MAX)
      this.seen.push({
        name,
        transport,
        proxy,
        clientSubnet: subnet === undefined ? undefined : Buffer.from(subnet).toString("hex"),
      });
    const delayMs = Math.min(DELAY_MS_MAX, Number(/^d(\d+)/.exec(name)?.[1] ?? 0));
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    return encodeMessage(
      makeMessage({
        id: query.value.id,
        isResponse: true,
        recursionDesired: query.value.recursionDesired,
        recursionAvailable: true,
        questions: [question],
        answers: [parseRecord(`${name} ${TTL_SECONDS} IN A ${ADDRESS}`)],
        edns: query.value.edns === undefined ? undefined : makeEdns({}),
      }),
    );
  }
}

/** A PROXY header of version 1 or 2 with IPv4 addresses, when the first octets are one and came whole. */
function splitProxy(octets: Buffer): { readonly header: SeenQuery["proxy"]; readonly rest: Buffer } {
  if (octets.subarray(0, 6).toString("latin1") === "PROXY ") {
    const end = octets.indexOf("\r\n");
    const client = octets.subarray(0, end).toString("latin1").split(" ")[2] ?? "nobody";
    return { header: { version: 1, client }, rest: octets.subarray(end + 2) };
  }
  if (octets.length >= 16 && octets.subarray(0, 12).equals(SIGNATURE_2)) {
    const end = 16 + octets.readUInt16BE(14);
    const isLocal = (octets[12] ?? 0) % 16 === 0;
    const client = isLocal || end < 28 ? "nobody" : octets.subarray(16, 20).join(".");
    return { header: { version: 2, client }, rest: octets.subarray(end) };
  }
  return { header: undefined, rest: octets };
}

const SIGNATURE_2 = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const ADDRESS = "192.0.2.80";
const TTL_SECONDS = 300;
const DELAY_MS_MAX = 10_000;
/** More is counted by nobody. */
const SEEN_MAX = 10_000;
