/** A name server on loopback that answers from a zone in text, over UDP, TCP and, with a certificate, TLS. */
import { DnsError } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type MessageHandler, StreamService, UdpListener } from "@sotto/dns/transport";
import {
  type EdnsOption,
  encodeMessage,
  type Message,
  makeMessage,
  type Name,
  Name as Names,
  parseName,
  Rcode,
  type ResourceRecord,
  RRType,
  tryDecodeMessage,
  tryParseZone,
} from "@sotto/dns/wire";

export interface ZoneServerOptions {
  readonly address?: string;
  /** Of UDP and TCP. Default: any that is free. */
  readonly port?: number;
  readonly tls?: { readonly certificatePem: string; readonly keyPem: string; readonly port?: number };
}

/** Names that start so are answered with this rcode. */
const RCODES: Readonly<Record<string, number>> = {
  servfail: Rcode.ServFail,
  refused: Rcode.Refused,
  notimp: Rcode.NotImp,
  formerr: Rcode.FormErr,
  yxdomain: 6,
};

/** What a server was asked. */
interface SeenQuery {
  readonly transport: string;
  readonly name: string;
  readonly type: number;
  readonly options: readonly EdnsOption[];
}

export class ZoneServer implements AsyncDisposable {
  readonly udp: UdpListener;
  readonly tcp: StreamService;
  readonly tls: StreamService | undefined;
  readonly seen: SeenQuery[];

  private constructor(
    udp: UdpListener,
    tcp: StreamService,
    tls: StreamService | undefined,
    seen: ZoneServer["seen"],
  ) {
    this.udp = udp;
    this.tcp = tcp;
    this.tls = tls;
    this.seen = seen;
  }

  /** `127.0.0.1:port`, in clear. */
  get clear(): string {
    return `${this.udp.local.address}:${this.udp.local.port}`;
  }

  static async open(zone: string, options: ZoneServerOptions = {}): Promise<ZoneServer> {
    const records = tryParseZone(`$TTL 300\n${zone}`, { origin: parseName("example.") });
    if (!records.ok) throw new Error(records.problem);
    const seen: ZoneServer["seen"] = [];
    const handler: MessageHandler = {
      answer(octets, channel) {
        const query = tryDecodeMessage(octets);
        const question = query.ok ? query.value.questions[0] : undefined;
        if (!query.ok || question === undefined) return undefined;
        const options =
          query.value.edns?.options.map(({ code, data }) => ({ code, data: data.slice() })) ?? [];
        const { transport } = channel.origin;
        seen.push({ transport, name: String(question.name), type: question.type, options });
        if (String(question.name).startsWith("silent.")) return undefined;
        const reply = encodeMessage(replyTo(query.value, question.name, question.type, records.value));
        const isTooBig = channel.origin.transport === "udp" && reply.length > UDP_OCTETS_MAX;
        return isTooBig
          ? encodeMessage(
              makeMessage({ ...query.value, isResponse: true, isTruncated: true, edns: undefined }),
            )
          : reply;
      },
    };
    const runtime = nodeRuntime();
    const { address = "127.0.0.1", port = 0, tls: certificate } = options;
    const { udp, tcp } = await openBoth(address, port, handler);
    const tls =
      certificate &&
      (await StreamService.open(
        {
          local: { address, port: certificate.port ?? 0 },
          tls: { ...certificate, alpn: ["dot"], ticketKeys: undefined },
        },
        handler,
        runtime,
      ));
    return new ZoneServer(udp, tcp, tls, seen);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.udp.close(), this.tcp.close(), this.tls?.close()]);
  }
}

/** UDP and TCP on one port, which somebody may have taken for TCP in the meantime. */
async function openBoth(
  address: string,
  port: number,
  handler: MessageHandler,
): Promise<{ udp: UdpListener; tcp: StreamService }> {
  for (let tries = 1; ; tries++) {
    const udp = await UdpListener.open({ local: { address, port } }, handler, nodeRuntime());
    try {
      const local = { address, port: udp.local.port };
      return { udp, tcp: await StreamService.open({ local }, handler, nodeRuntime()) };
    } catch (error) {
      await udp.close();
      if (!DnsError.is(error, "ERR_ADDRESS_IN_USE") || port !== 0 || tries >= 20) throw error;
    }
  }
}

function replyTo(query: Message, qname: Name, qtype: number, zone: readonly ResourceRecord[]): Message {
  const base = { ...query, isResponse: true, recursionAvailable: true, edns: undefined };
  const rcode = RCODES[String(qname).split(".")[0] ?? ""];
  if (rcode !== undefined) return makeMessage({ ...base, rcode });
  const answers: ResourceRecord[] = [];
  let name = qname;
  for (let links = 0; links < 8; links++) {
    const here = zone.filter(({ owner }) => owner.equals(name));
    const wanted = here.filter(({ type }) => type === qtype || qtype === RRType.ANY);
    const alias = wanted.length > 0 ? undefined : here.find(({ type }) => type === RRType.CNAME);
    answers.push(...wanted, ...(alias === undefined ? [] : [alias]));
    if (alias === undefined) break;
    name = new Names(alias.rdata);
  }
  const exists = zone.some(({ owner }) => owner.isAtOrBelow(name));
  const soa = zone.filter(({ type }) => type === RRType.SOA).slice(0, 1);
  const isNegative = !answers.some(({ type }) => type !== RRType.CNAME || qtype === type);
  return makeMessage({
    ...base,
    rcode: exists ? Rcode.NoError : Rcode.NXDomain,
    answers,
    authorities: isNegative ? soa : [],
  });
}

const UDP_OCTETS_MAX = 1200;
