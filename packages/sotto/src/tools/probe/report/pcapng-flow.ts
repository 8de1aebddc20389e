/** Made-up IP packets around DNS messages: UDP datagrams, or segments of a TCP stream in which nothing is lost. */
import { concatOctets, frameMessage, OctetWriter } from "@sotto/dns/wire";

/** Addresses of both ends, four or sixteen octets each. */
export interface FlowEnds {
  readonly prober: Uint8Array;
  readonly target: Uint8Array;
  /** The prober has port 53, and not the target. */
  readonly isProberServer: boolean;
}

/** An IP packet of which perhaps only the beginning is known. */
export interface Packet {
  readonly octets: Uint8Array;
  /** Its length on the wire. */
  readonly wholeOctets: number;
}

export class Flow {
  readonly #protocol: "udp" | "tcp";
  readonly #ends: FlowEnds;
  readonly #clientPort: number;
  /** Next sequence numbers of the prober and of the target. */
  readonly #next = { prober: 1, target: 1 };

  constructor(protocol: "udp" | "tcp", ends: FlowEnds, clientPort: number) {
    this.#protocol = protocol;
    this.#ends = ends;
    this.#clientPort = clientPort;
  }

  /** The packets of the next message, of which the first octets are known; none when it fits into no datagram. */
  packets(isFromProber: boolean, octets: Uint8Array, wholeOctets: number): Packet[] {
    const { prober, target, isProberServer } = this.#ends;
    const [from, to] = isFromProber ? [prober, target] : [target, prober];
    const isFromServer = isFromProber === isProberServer;
    const ports = isFromServer ? [DNS_PORT, this.#clientPort] : [this.#clientPort, DNS_PORT];
    const whole = concatOctets([octets, new Uint8Array(wholeOctets - octets.length)]);
    if (this.#protocol === "udp") {
      const header = udpHeader(ports, wholeOctets);
      if (wholeOctets + header.length + IPV4_HEADER_OCTETS > IP_OCTETS_MAX) return [];
      return [ipPacket(UDP, from, to, header, whole, octets.length)];
    }
    const [own, other] = isFromProber ? (["prober", "target"] as const) : (["target", "prober"] as const);
    const stream = frameMessage(whole);
    const known = 2 + octets.length;
    const packets: Packet[] = [];
    for (let at = 0; at < stream.length; at += SEGMENT_OCTETS_MAX) {
      const payload = stream.subarray(at, at + SEGMENT_OCTETS_MAX);
      const header = tcpHeader(ports, this.#next[own], this.#next[other]);
      this.#next[own] = (this.#next[own] + payload.length) >>> 0;
      const kept = Math.min(Math.max(known - at, 0), payload.length);
      packets.push(ipPacket(TCP, from, to, header, payload, kept));
    }
    return packets;
  }
}

function udpHeader(ports: readonly number[], payloadOctets: number): Uint8Array {
  const writer = new OctetWriter();
  for (const port of ports) writer.uint16(port);
  writer.uint16(UDP.headerOctets + payloadOctets);
  writer.uint16(0);
  return writer.finish();
}

function tcpHeader(ports: readonly number[], sequence: number, acknowledged: number): Uint8Array {
  const writer = new OctetWriter();
  for (const port of ports) writer.uint16(port);
  writer.uint32(sequence);
  writer.uint32(acknowledged);
  // Five words of header, ACK and PSH, the largest window.
  writer.uint32(0x5018_ffff);
  // Checksum, and nothing urgent.
  writer.uint32(0);
  return writer.finish();
}

/** A packet of which `kept` octets of the payload are known; the checksum is right when that is all of it. */
function ipPacket(
  protocol: typeof UDP | typeof TCP,
  from: Uint8Array,
  to: Uint8Array,
  header: Uint8Array,
  payload: Uint8Array,
  kept: number,
): Packet {
  const length = header.length + payload.length;
  const pseudo = new OctetWriter();
  pseudo.octets(from);
  pseudo.octets(to);
  pseudo.uint32(length);
  pseudo.uint32(protocol.number);
  const sum = checksum(concatOctets([pseudo.finish(), header, payload]));
  // RFC 768: a sum of zero is sent as all ones, because zero says that there is none.
  writeUint16(header, protocol.checksumAt, sum === 0 && protocol === UDP ? 0xffff : sum);
  const ip =
    from.length === 4
      ? ipv4Header(protocol.number, from, to, length)
      : ipv6Header(protocol.number, from, to, length);
  return {
    octets: concatOctets([ip, header, payload.subarray(0, kept)]),
    wholeOctets: ip.length + length,
  };
}

function ipv4Header(protocol: number, from: Uint8Array, to: Uint8Array, length: number): Uint8Array {
  const writer = new OctetWriter();
  writer.uint16(0x4500);
  writer.uint16(IPV4_HEADER_OCTETS + length);
  // No identification; not to be fragmented.
  writer.uint32(0x0000_4000);
  writer.uint8(HOPS);
  writer.uint8(protocol);
  writer.uint16(0);
  writer.octets(from);
  writer.octets(to);
  const header = writer.finish();
  writeUint16(header, 10, checksum(header));
  return header;
}

function ipv6Header(protocol: number, from: Uint8Array, to: Uint8Array, length: number): Uint8Array {
  const writer = new OctetWriter();
  writer.uint32(0x6000_0000);
  writer.uint16(length);
  writer.uint8(protocol);
  writer.uint8(HOPS);
  writer.octets(from);
  writer.octets(to);
  return writer.finish();
}

/** RFC 1071; the lengths of UDP and TCP in pseudo headers are read as 32 bits here, which has the same sum (RFC 8200 §8.1). */
function checksum(octets: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < octets.length; i += 2) sum += ((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function writeUint16(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 8;
  octets[at + 1] = value & 0xff;
}

const UDP = { number: 17, headerOctets: 8, checksumAt: 6 } as const;
const TCP = { number: 6, headerOctets: 20, checksumAt: 16 } as const;
const DNS_PORT = 53;
const HOPS = 64;
const IPV4_HEADER_OCTETS = 20;
const IP_OCTETS_MAX = 65_535;
/** Of one segment: a longer message goes into two or three, as one IP packet could not hold the longest. */
const SEGMENT_OCTETS_MAX = 32_768;
