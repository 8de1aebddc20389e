/** Well-formed messages that mutation starts from: one of each shape that the codec treats in its own way. */
import {
  concatOctets,
  encodeMessage,
  type Message,
  makeEdns,
  makeKeepalive,
  makeMessage,
  parseName,
  type ResourceRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";

const owner = parseName("www.example.");
const other = parseName("ns.test.");

function record(type: number, rdata: Uint8Array, rrClass: number = RRClass.IN): ResourceRecord {
  return { owner, type, class: rrClass, ttl: 300, rdata };
}

const records: readonly ResourceRecord[] = [
  record(RRType.A, Uint8Array.of(192, 0, 2, 1)),
  record(RRType.AAAA, new Uint8Array(16).fill(1)),
  record(RRType.CNAME, other.wire),
  record(RRType.MX, concatOctets([Uint8Array.of(0, 10), other.wire])),
  record(RRType.SOA, concatOctets([other.wire, owner.wire, new Uint8Array(20)])),
  record(RRType.SRV, concatOctets([new Uint8Array(6), other.wire])),
  record(RRType.NAPTR, concatOctets([Uint8Array.of(0, 1, 0, 2, 1, 0x75, 2, 0x61, 0x62, 0), other.wire])),
  record(RRType.TXT, Uint8Array.of(2, 0x68, 0x69, 0)),
  record(RRType.DS, concatOctets([Uint8Array.of(0x12, 0x34, 13, 2), new Uint8Array(32)])),
  record(RRType.RRSIG, concatOctets([new Uint8Array(18), parseName("example.").wire, new Uint8Array(64)])),
  record(RRType.NSEC, concatOctets([other.wire, Uint8Array.of(0, 2, 0x40, 1)])),
  record(RRType.NSEC3, Uint8Array.of(1, 0, 0, 0, 1, 0xaa, 2, 1, 2, 0, 1, 0x40)),
  record(
    RRType.SVCB,
    concatOctets([Uint8Array.of(0, 1), other.wire, Uint8Array.of(0, 1, 0, 3, 2, 0x68, 0x32)]),
  ),
  record(RRType.CAA, Uint8Array.of(0, 5, 0x69, 0x73, 0x73, 0x75, 0x65, 0x3b)),
  record(RRType.LOC, new Uint8Array(16)),
  record(RRType.APL, Uint8Array.of(0, 1, 24, 0x83, 192, 0, 2)),
  record(65_280, new Uint8Array(5).fill(9)),
  record(RRType.MX, new Uint8Array(0), RRClass.ANY),
];

const question = { name: owner, type: RRType.A, class: RRClass.IN };
const options = [
  makeKeepalive(300),
  { code: 10, data: new Uint8Array(16).fill(2) },
  { code: 8, data: Uint8Array.of(0, 1, 24, 0, 192, 0, 2) },
  { code: 15, data: Uint8Array.of(0, 22, 0x68, 0x69) },
  { code: 12, data: new Uint8Array(20) },
];

/** The messages themselves. */
export const seedMessages: readonly Message[] = [
  makeMessage(),
  makeMessage({ id: 1, recursionDesired: true, questions: [question] }),
  makeMessage({
    id: 2,
    recursionDesired: true,
    questions: [question],
    edns: makeEdns({ dnssecOk: true, options }),
  }),
  makeMessage({ id: 3, questions: [question, { ...question, name: other }] }),
  ...records.map((one) =>
    makeMessage({ isResponse: true, questions: [question], answers: [one, one], edns: makeEdns() }),
  ),
  makeMessage({
    isResponse: true,
    questions: [question],
    answers: records.slice(0, 5),
    authorities: records.slice(5, 9),
    additionals: records.slice(9),
  }),
];

/** The same in wire form. */
export const seedOctets: readonly Uint8Array[] = seedMessages.map((message) => encodeMessage(message));
