/** Realistic messages for the codec benchmark, in wire form as servers send them. */
import {
  concatOctets,
  encodeMessage,
  type Message,
  makeCookie,
  makeEdns,
  makeMessage,
  parseName,
  type ResourceRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";

/** One case: its name for people and its message. */
export interface BenchMessage {
  readonly title: string;
  readonly message: Message;
}

/** A query, an answer with a CNAME and glue, and a signed answer. */
export function benchMessages(): readonly BenchMessage[] {
  return [
    { title: "query with EDNS and a cookie", message: query() },
    { title: "answer: CNAME, 4 A, 3 NS, 4 glue", message: answer() },
    { title: "signed answer: 4 RRSIG", message: signedAnswer() },
  ];
}

function query(): Message {
  const cookie = makeCookie({ client: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), server: new Uint8Array(0) });
  return makeMessage({
    id: 0x1234,
    recursionDesired: true,
    questions: [{ name: parseName("www.example.com."), type: RRType.A, class: RRClass.IN }],
    edns: makeEdns({ options: [cookie] }),
  });
}

function answer(): Message {
  const owner = parseName("www.example.com.");
  const target = parseName("www.example.com.cdn.example.net.");
  const zone = parseName("cdn.example.net.");
  const servers = [1, 2, 3].map((i) => parseName(`ns${i}.dns.example.org.`));
  return makeMessage({
    id: 0x1234,
    isResponse: true,
    recursionDesired: true,
    recursionAvailable: true,
    questions: [{ name: owner, type: RRType.A, class: RRClass.IN }],
    answers: [
      record(owner, RRType.CNAME, 300, target.wire),
      ...[1, 2, 3, 4].map((i) => record(target, RRType.A, 20, Uint8Array.of(192, 0, 2, i))),
    ],
    authorities: servers.map((server) => record(zone, RRType.NS, 3600, server.wire)),
    additionals: [
      ...servers.map((server, i) => record(server, RRType.A, 3600, Uint8Array.of(198, 51, 100, i))),
      record(parseName("ns1.dns.example.org."), RRType.AAAA, 3600, ipv6()),
    ],
    edns: makeEdns(),
  });
}

function signedAnswer(): Message {
  const owner = parseName("www.example.com.");
  const zone = parseName("example.com.");
  const servers = [1, 2].map((i) => parseName(`ns${i}.example.com.`));
  return makeMessage({
    id: 0x1234,
    isResponse: true,
    authenticData: true,
    questions: [{ name: owner, type: RRType.A, class: RRClass.IN }],
    answers: [
      record(owner, RRType.A, 300, Uint8Array.of(192, 0, 2, 1)),
      record(owner, RRType.A, 300, Uint8Array.of(192, 0, 2, 2)),
      record(owner, RRType.RRSIG, 300, signature(RRType.A)),
    ],
    authorities: [
      ...servers.map((server) => record(zone, RRType.NS, 3600, server.wire)),
      record(zone, RRType.RRSIG, 3600, signature(RRType.NS)),
    ],
    additionals: servers.flatMap((server, i) => [
      record(server, RRType.A, 3600, Uint8Array.of(198, 51, 100, i)),
      record(server, RRType.RRSIG, 3600, signature(RRType.A)),
    ]),
    edns: makeEdns({ dnssecOk: true }),
  });
}

function record(
  owner: ResourceRecord["owner"],
  type: number,
  ttl: number,
  rdata: Uint8Array,
): ResourceRecord {
  return { owner, type, class: RRClass.IN, ttl, rdata };
}

function ipv6(): Uint8Array {
  return Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, ...new Uint8Array(11), 1);
}

/** The shape of an ECDSA P-256 signature (RFC 6605 §4); nobody checks it here. */
function signature(covered: number): Uint8Array {
  const fixed = Uint8Array.of(0, covered, 13, 3, 0, 0, 1, 44, 0x6a, 0, 0, 0, 0x69, 0, 0, 0, 0x12, 0x34);
  return concatOctets([fixed, parseName("example.com.").wire, new Uint8Array(64).fill(7)]);
}

/** As it goes over the wire. */
export function wireOf(bench: BenchMessage): Uint8Array {
  return encodeMessage(bench.message);
}
