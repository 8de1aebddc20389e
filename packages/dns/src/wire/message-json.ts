/**
 * Messages as JSON objects (RFC 8427): what `messageToJson` gives is what kdig prints with `+json`, without its dates.
 * OPT stands among the additional records as on the wire. The one bit RFC 8427 has no word for, Z, is a member `Z`
 * when it is set. Octets of whole messages or sections (`messageOctetsHEX` …) and compressed names are not written.
 */
import { type Edns, writeEdns } from "./edns/edns.ts";
import { octetsToHex } from "./hex.ts";
import { rrClassToText } from "./iana/rr-class.ts";
import { RRType, rrTypeToText } from "./iana/rr-type.ts";
import type { Message } from "./message.ts";
import { OctetWriter, uint16At, uint32At } from "./octets.ts";
import { rdataToText } from "./rdata/rdata-text.ts";
import type { Question, ResourceRecord } from "./record.ts";

/** A message (RFC 8427 §2.1). Flags are 0 or 1; absent sections are empty. */
export interface JsonMessage {
  readonly ID: number;
  readonly QR: number;
  readonly Opcode: number;
  readonly AA: number;
  readonly TC: number;
  readonly RD: number;
  readonly RA: number;
  /** Ours: the reserved flag, absent when it is 0. */
  readonly Z?: number;
  readonly AD: number;
  readonly CD: number;
  /** The four bits of the header; with EDNS the upper eight are in the TTL of OPT. */
  readonly RCODE: number;
  readonly QDCOUNT: number;
  readonly ANCOUNT: number;
  readonly NSCOUNT: number;
  readonly ARCOUNT: number;
  /** The question, when there is exactly one. */
  readonly QNAME?: string;
  readonly QTYPE?: number;
  readonly QTYPEname?: string;
  readonly QCLASS?: number;
  readonly QCLASSname?: string;
  /** The questions, when there are several. */
  readonly questionRRs?: readonly JsonQuestion[];
  readonly answerRRs?: readonly JsonRecord[];
  readonly authorityRRs?: readonly JsonRecord[];
  readonly additionalRRs?: readonly JsonRecord[];
}

/** A question of several (RFC 8427 §2.2). */
export interface JsonQuestion {
  readonly NAME: string;
  readonly TYPE: number;
  readonly TYPEname: string;
  readonly CLASS: number;
  readonly CLASSname: string;
}

/** A record (RFC 8427 §2.2). Its rdata is there twice: as octets and, for known types, as text in `rdataA` and the like. */
export interface JsonRecord {
  readonly NAME: string;
  readonly TYPE: number;
  readonly TYPEname: string;
  readonly CLASS: number;
  /** Absent in OPT, whose class is a payload size. */
  readonly CLASSname?: string;
  readonly TTL: number;
  readonly [rdata: `rdata${string}`]: string;
  readonly RDLENGTH: number;
  /** Upper-case digits; absent without octets. */
  readonly RDATAHEX?: string;
}

/** A message as RFC 8427 writes it. */
export function messageToJson(message: Message): JsonMessage {
  const additionals = message.additionals.map((record) => recordToJson(record));
  if (message.edns !== undefined) additionals.push(optToJson(message.edns, message.rcode));
  return {
    ID: message.id,
    QR: Number(message.isResponse),
    Opcode: message.opcode,
    AA: Number(message.isAuthoritative),
    TC: Number(message.isTruncated),
    RD: Number(message.recursionDesired),
    RA: Number(message.recursionAvailable),
    ...(message.reservedFlag ? { Z: 1 } : {}),
    AD: Number(message.authenticData),
    CD: Number(message.checkingDisabled),
    RCODE: message.rcode & 0xf,
    QDCOUNT: message.questions.length,
    ANCOUNT: message.answers.length,
    NSCOUNT: message.authorities.length,
    ARCOUNT: additionals.length,
    ...questionsToJson(message.questions),
    ...(message.answers.length > 0
      ? { answerRRs: message.answers.map((record) => recordToJson(record)) }
      : {}),
    ...(message.authorities.length > 0
      ? { authorityRRs: message.authorities.map((record) => recordToJson(record)) }
      : {}),
    ...(additionals.length > 0 ? { additionalRRs: additionals } : {}),
  };
}

function questionsToJson(questions: readonly Question[]): Partial<JsonMessage> {
  const [first] = questions;
  if (first === undefined) return {};
  if (questions.length > 1) return { questionRRs: questions.map((question) => questionToJson(question)) };
  return {
    QNAME: first.name.toString(),
    QTYPE: first.type,
    QTYPEname: rrTypeToText(first.type),
    QCLASS: first.class,
    QCLASSname: rrClassToText(first.class),
  };
}

function questionToJson(question: Question): JsonQuestion {
  return {
    NAME: question.name.toString(),
    TYPE: question.type,
    TYPEname: rrTypeToText(question.type),
    CLASS: question.class,
    CLASSname: rrClassToText(question.class),
  };
}

function recordToJson(record: ResourceRecord): JsonRecord {
  const { type, rdata } = record;
  const typeName = rrTypeToText(type);
  const hasText = rdata.length > 0 && !typeName.startsWith("TYPE");
  return {
    NAME: record.owner.toString(),
    TYPE: type,
    TYPEname: typeName,
    CLASS: record.class,
    CLASSname: rrClassToText(record.class),
    TTL: record.ttl,
    ...(hasText ? { [`rdata${typeName}`]: rdataToText(type, rdata) } : {}),
    RDLENGTH: rdata.length,
    ...(rdata.length > 0 ? { RDATAHEX: octetsToHex(rdata).toUpperCase() } : {}),
  };
}

/** The fields of an OPT record in the places of a record's, as on the wire (RFC 6891 §6.1.2). */
function optToJson(edns: Edns, rcode: number): JsonRecord {
  const writer = new OctetWriter();
  writeEdns(writer, edns, rcode);
  const opt = writer.view();
  const rdata = opt.subarray(11);
  return {
    NAME: ".",
    TYPE: RRType.OPT,
    TYPEname: "OPT",
    CLASS: uint16At(opt, 3),
    TTL: uint32At(opt, 5),
    RDLENGTH: rdata.length,
    ...(rdata.length > 0 ? { RDATAHEX: octetsToHex(rdata).toUpperCase() } : {}),
  };
}
