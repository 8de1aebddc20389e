/** What the authentication matrix is taken from: a DoT server with a certificate of every kind, a signed zone with TLSA records, and clear DNS beside. */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer, type Server } from "node:tls";
import {
  encodeMessage,
  FrameReader,
  frameMessage,
  makeMessage,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { ZoneWorld } from "../../packages/dns/src/dnssec/zone-world.test-support.ts";
import {
  makeCertificate,
  type TestCertificate,
  tlsaRdata,
} from "../../packages/dns/src/transport/certificates.test-support.ts";

export const NAME = "dns.example";
/** Good now and at the moment at which the zone is signed. */
const DAYS = [-3650, 3650] as const;

const authority = await makeCertificate({ subject: "authority", isAuthority: true, days: DAYS });
const stranger = await makeCertificate({ subject: "stranger", isAuthority: true, days: DAYS });
const named = { subject: "server", issuer: authority, names: [NAME], days: DAYS };
const right = await makeCertificate(named);
const { keys } = right;

export type CertificateKind = keyof typeof CERTIFICATES;
/** Each but the last differs from the right one in one thing. */
export const CERTIFICATES = {
  right,
  "other name": await makeCertificate({ ...named, keys, names: ["other.example"] }),
  "no name": await makeCertificate({ ...named, keys, names: [] }),
  "other key": await makeCertificate(named),
  "unknown authority": await makeCertificate({ ...named, keys, issuer: stranger }),
  expired: await makeCertificate({ ...named, keys, days: [-3650, -2000] }),
  /** In everything. */
  stranger: await makeCertificate({ ...named, issuer: stranger, names: ["other.example"] }),
} as const;

export const AUTHORITY_PEM = pemOf(authority);

function pemOf({ der }: TestCertificate): string {
  const base64 = Buffer.from(der).toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

async function keyPemOf({ keys: { privateKey } }: TestCertificate): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", privateKey)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`;
}

/** Rdata as a zone file has it. */
function tlsaText(parameters: string, of: TestCertificate): string {
  return `${parameters} ${Buffer.from(tlsaRdata(parameters, of).subarray(3)).toString("hex")}`;
}

export type RecordKind = "right" | "other" | "bogus" | "none";
export type DaneKind = "DANE-EE" | "DANE-TA";

function tlsaOf(dane: DaneKind, kind: RecordKind): string | undefined {
  if (kind === "none") return undefined;
  const isOther = kind === "other";
  return dane === "DANE-EE"
    ? tlsaText("3 1 1", isOther ? CERTIFICATES["other key"] : right)
    : tlsaText("2 0 1", isOther ? stranger : authority);
}

export interface ServerPlan {
  readonly certificate: CertificateKind;
  readonly hasTls: boolean;
  readonly dane: DaneKind | undefined;
  readonly records: RecordKind;
}

/** One DoT server, with clear DNS on another port; what it is asked is counted. */
export class MatrixServer implements AsyncDisposable {
  readonly #tls: Server;
  readonly #clear: DatagramSocket = createSocket("udp4");
  readonly #sockets = new Set<Socket>();
  readonly #plan: ServerPlan;
  #zones: ZoneWorld | undefined = undefined;
  tlsPort = 0;
  /** Queries in clear, whatever they ask. */
  clearQueries = 0;
  /** Questions that are no meta-queries. */
  questions = 0;

  private constructor(plan: ServerPlan, pair: { cert: string; key: string }) {
    this.#plan = plan;
    this.#tls = createServer({ ...pair, ALPNProtocols: ["dot"] }, (socket) => this.#serve(socket));
    this.#tls.on("tlsClientError", () => undefined);
    this.#clear.on("message", (octets, { port, address }) => {
      this.clearQueries++;
      this.#clear.send(this.#answer(octets).octets, port, address);
    });
  }

  static async open(plan: ServerPlan): Promise<MatrixServer> {
    const certificate = CERTIFICATES[plan.certificate];
    const isTrusted = plan.certificate !== "unknown authority" && plan.certificate !== "stranger";
    const issuer = isTrusted ? authority : stranger;
    const cert = pemOf(certificate) + pemOf(issuer);
    const server = new MatrixServer(plan, { cert, key: await keyPemOf(certificate) });
    server.#tls.listen(0, "127.0.0.1");
    server.#clear.bind(0, "127.0.0.1");
    await Promise.all([once(server.#tls, "listening"), once(server.#clear, "listening")]);
    server.tlsPort = portOf(server.#tls.address());
    const { dane, records } = plan;
    const tlsa = dane && tlsaOf(dane, records);
    const record = tlsa === undefined ? "" : `_${server.tlsPort}._tcp.dns TLSA ${tlsa}\n`;
    server.#zones = new ZoneWorld([
      { origin: ".", text: "" },
      { origin: "example.", text: `www A 192.0.2.1\n${record}` },
    ]);
    if (!plan.hasTls) await server.#closeTls();
    return server;
  }

  get clearPort(): number {
    return this.#clear.address().port;
  }

  get zones(): ZoneWorld {
    if (this.#zones === undefined) throw new Error("the server is not open");
    return this.#zones;
  }

  /** Ends all connections and waits until their peers have, too. */
  async hangUp(): Promise<void> {
    const closed = [...this.#sockets].map((socket) => once(socket, "close"));
    for (const socket of this.#sockets) socket.end();
    await Promise.all(closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#plan.hasTls) await this.#closeTls();
    this.#clear.close();
    await once(this.#clear, "close");
  }

  async #closeTls(): Promise<void> {
    this.#tls.close();
    await once(this.#tls, "close");
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const reader = new FrameReader();
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      reader.push(chunk, (message) => socket.write(frameMessage(this.#answer(message).octets)));
    });
  }

  #answer(octets: Uint8Array): { readonly octets: Uint8Array } {
    const query = tryDecodeMessage(octets);
    const [question] = query.ok ? query.value.questions : [];
    if (!query.ok || question === undefined)
      return { octets: encodeMessage(makeMessage({ isResponse: true })) };
    const { id } = query.value;
    const { name, type } = question;
    if (name.toString() === "www.example.") {
      this.questions++;
      const rdata = Uint8Array.of(192, 0, 2, 1);
      const answers = [{ owner: name, type: RRType.A, class: RRClass.IN, ttl: 60, rdata }];
      return { octets: encodeMessage(makeMessage({ id, isResponse: true, questions: [question], answers })) };
    }
    const reply = this.zones.reply(name, type);
    const answers =
      this.#plan.records === "bogus" && type === RRType.TLSA
        ? reply.answers.map((record) =>
            record.type === RRType.TLSA
              ? { ...record, rdata: record.rdata.with(-1, 0xff ^ (record.rdata.at(-1) ?? 0)) }
              : record,
          )
        : reply.answers;
    return { octets: encodeMessage({ ...reply, id, answers }) };
  }
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("not listening");
  return address.port;
}
