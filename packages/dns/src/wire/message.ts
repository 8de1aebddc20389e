/**
 * Whole messages (RFC 1035 §4.1): decoding with strict lengths and linear work, encoding with compression, size limit
 * and padding. Servers on the hot path use `message-view.ts` instead.
 */
import { type Edns, ednsOctets, OPTION_HEADER_OCTETS, tryReadOptions, writeEdns } from "./edns/edns.ts";
import { expandRdata, mayHoldCompressedNames, writeRdata } from "./embedded-names.ts";
import { EdnsOptionCode } from "./iana/edns-option-code.ts";
import type { Opcode } from "./iana/opcode.ts";
import type { Rcode } from "./iana/rcode.ts";
import { RRClass } from "./iana/rr-class.ts";
import { RRType } from "./iana/rr-type.ts";
import { MESSAGE_OCTETS_MAX, OctetReader, OctetWriter, uint16At } from "./octets.ts";
import { type Parsed, parsed, problem } from "./parsed.ts";
import { rdataProblem } from "./rdata/check.ts";
import type { Question, ResourceRecord } from "./record.ts";

/** A DNS message. `additionals` never holds the OPT record: that is `edns`. */
export interface Message {
  readonly id: number;
  /** QR: this is a response. */
  readonly isResponse: boolean;
  readonly opcode: Opcode;
  /** AA. */
  readonly isAuthoritative: boolean;
  /** TC. */
  readonly isTruncated: boolean;
  /** RD. */
  readonly recursionDesired: boolean;
  /** RA. */
  readonly recursionAvailable: boolean;
  /** The bit that must be zero (RFC 1035 §4.1.1). */
  readonly reservedFlag: boolean;
  /** AD (RFC 4035 §3.2.3). */
  readonly authenticData: boolean;
  /** CD (RFC 4035 §3.2.2). */
  readonly checkingDisabled: boolean;
  /** All twelve bits: header and OPT together (RFC 6891 §6.1.3). */
  readonly rcode: Rcode;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
  /** Undefined when the message has no OPT record. */
  readonly edns: Edns | undefined;
}

/** An empty query with the given parts. */
export function makeMessage(parts: Partial<Message> = {}): Message {
  return {
    id: 0,
    isResponse: false,
    opcode: 0,
    isAuthoritative: false,
    isTruncated: false,
    recursionDesired: false,
    recursionAvailable: false,
    reservedFlag: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
    edns: undefined,
    ...parts,
  };
}

/** Header octets (RFC 1035 §4.1.1). */
export const HEADER_OCTETS = 12;

/** Bits of the second header word. */
export const HeaderFlag = {
  Response: 0x8000,
  Authoritative: 0x0400,
  Truncated: 0x0200,
  RecursionDesired: 0x0100,
  RecursionAvailable: 0x0080,
  Reserved: 0x0040,
  AuthenticData: 0x0020,
  CheckingDisabled: 0x0010,
} as const;

/**
 * Decodes a whole message. Octets after the last record, records that do not fit their length, more than one OPT and
 * an OPT outside the additional section are problems.
 */
export function tryDecodeMessage(octets: Uint8Array): Parsed<Message> {
  if (octets.length < HEADER_OCTETS) return problem("message is shorter than its header");
  if (octets.length > MESSAGE_OCTETS_MAX) return problem("message is longer than 65535 octets");
  const reader = new OctetReader(octets);
  const id = reader.uint16();
  const flags = reader.uint16();
  const questionCount = reader.uint16();
  const answerCount = reader.uint16();
  const authorityCount = reader.uint16();
  const additionalCount = reader.uint16();
  const questions = readQuestions(reader, questionCount);
  const answers = readRecords(reader, answerCount, undefined);
  const authorities = readRecords(reader, authorityCount, undefined);
  const opt: OptHolder = { edns: undefined, upperRcode: 0 };
  const additionals = readRecords(reader, additionalCount, opt);
  if (reader.problem !== undefined) return problem(reader.problem);
  if (reader.remaining > 0) return problem("message goes on after its last record");
  return parsed({
    id,
    isResponse: (flags & HeaderFlag.Response) !== 0,
    opcode: (flags >>> 11) & 0xf,
    isAuthoritative: (flags & HeaderFlag.Authoritative) !== 0,
    isTruncated: (flags & HeaderFlag.Truncated) !== 0,
    recursionDesired: (flags & HeaderFlag.RecursionDesired) !== 0,
    recursionAvailable: (flags & HeaderFlag.RecursionAvailable) !== 0,
    reservedFlag: (flags & HeaderFlag.Reserved) !== 0,
    authenticData: (flags & HeaderFlag.AuthenticData) !== 0,
    checkingDisabled: (flags & HeaderFlag.CheckingDisabled) !== 0,
    rcode: (opt.upperRcode << 4) | (flags & 0xf),
    questions,
    answers,
    authorities,
    additionals,
    edns: opt.edns,
  });
}

interface OptHolder {
  edns: Edns | undefined;
  upperRcode: number;
}

function readQuestions(reader: OctetReader, count: number): Question[] {
  const questions: Question[] = [];
  for (let i = 0; i < count && reader.problem === undefined; i++) {
    const name = reader.name();
    const type = reader.uint16();
    questions.push({ name, type, class: reader.uint16() });
  }
  return questions;
}

/** Reads a section; `opt` receives the OPT record of the additional section and is undefined for the others. */
function readRecords(reader: OctetReader, count: number, opt: OptHolder | undefined): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  for (let i = 0; i < count && reader.problem === undefined; i++) {
    const owner = reader.name();
    const type = reader.uint16();
    const rrClass = reader.uint16();
    const ttl = reader.uint32();
    const octets = reader.uint16();
    const start = reader.offset;
    reader.take(octets);
    if (reader.problem !== undefined) break;
    if (type === RRType.OPT) {
      if (opt === undefined) reader.fail("OPT record outside the additional section");
      else readOpt(reader, opt, owner.isRoot, rrClass, ttl, start);
      continue;
    }
    const rdata = readRdata(reader, type, rrClass, start);
    // RFC 2181 §8: a TTL with the top bit set is treated as zero.
    records.push({ owner, type, class: rrClass, ttl: ttl > 0x7fff_ffff ? 0 : ttl, rdata });
  }
  return records;
}

function readRdata(reader: OctetReader, type: RRType, rrClass: RRClass, start: number): Uint8Array {
  const end = reader.offset;
  // Empty rdata stands for "no data" in the classes ANY and NONE (RFC 2136 §2.4).
  const isPlaceholder = start === end && (rrClass === RRClass.ANY || rrClass === RRClass.NONE);
  if (isPlaceholder || !mayHoldCompressedNames(type)) {
    const rdata = reader.octets.slice(start, end);
    const wrong = isPlaceholder ? undefined : rdataProblem(type, rdata);
    if (wrong !== undefined) reader.fail(wrong);
    return rdata;
  }
  const rdata = expandRdata(type, reader.octets, start, end);
  if (typeof rdata !== "string") return rdata;
  reader.fail(rdata);
  return reader.octets.subarray(0, 0);
}

function readOpt(
  reader: OctetReader,
  opt: OptHolder,
  ownerIsRoot: boolean,
  udpPayloadOctets: number,
  ttl: number,
  start: number,
): void {
  // RFC 6891 §6.1.1: one OPT at most; §6.1.2: its owner is the root.
  if (opt.edns !== undefined) {
    reader.fail("more than one OPT record");
    return;
  }
  if (!ownerIsRoot) {
    reader.fail("OPT record with an owner other than the root");
    return;
  }
  const options = tryReadOptions(reader.octets.slice(start, reader.offset));
  if (!options.ok) {
    reader.fail(options.problem);
    return;
  }
  opt.upperRcode = ttl >>> 24;
  opt.edns = {
    udpPayloadOctets,
    version: (ttl >>> 16) & 0xff,
    dnssecOk: (ttl & 0x8000) !== 0,
    reservedFlags: ttl & 0x7fff,
    options: options.value,
  };
}

/** How {@link encodeMessage} shapes the result. */
export interface EncodeOptions {
  /**
   * Largest result; when the records do not fit, whole RRsets are left out from the end and TC is set. Absent: 65535.
   * Header, question and OPT are always written.
   */
  readonly octetsMax?: number;
  /**
   * Adds a padding option as the last thing so that the length becomes a multiple of this (RFC 8467 §4.1), cut at
   * `octetsMax`. Needs `edns`, which must not hold a padding option. Absent or 0: none.
   */
  readonly padBlockOctets?: number;
  /** A writer to use instead of a new one; the result is then a view, valid until its next use. */
  readonly writer?: OctetWriter;
}

/** Encodes a message with name compression. Throws a RangeError only for counts or rdata over 65535. */
export function encodeMessage(message: Message, options: EncodeOptions = {}): Uint8Array {
  const writer = options.writer ?? new OctetWriter();
  writer.reset();
  const octetsMax = options.octetsMax ?? MESSAGE_OCTETS_MAX;
  writeHeader(writer, message);
  for (const question of message.questions) {
    writer.name(question.name);
    writer.uint16(question.type);
    writer.uint16(question.class);
  }
  const roomMax = octetsMax - (message.edns === undefined ? 0 : ednsOctets(message.edns));
  const isWhole =
    writeSection(writer, message.answers, roomMax, 6) &&
    writeSection(writer, message.authorities, roomMax, 8) &&
    writeSection(writer, message.additionals, roomMax, ADDITIONAL_COUNT_AT);
  // RFC 2181 §9: TC says that required data is missing; additional data alone does not set it when it is only extra,
  // but a resolver cannot tell glue that is needed from glue that is not, so it is set for every section.
  if (!isWhole) writer.setUint16(2, headerFlags(message) | HeaderFlag.Truncated);
  if (message.edns !== undefined)
    writeOptAndPadding(writer, message, message.edns, octetsMax, options.padBlockOctets ?? 0);
  return options.writer === undefined ? writer.finish() : writer.view();
}

function headerFlags(message: Message): number {
  return (
    (message.isResponse ? HeaderFlag.Response : 0) |
    ((message.opcode & 0xf) << 11) |
    (message.isAuthoritative ? HeaderFlag.Authoritative : 0) |
    (message.isTruncated ? HeaderFlag.Truncated : 0) |
    (message.recursionDesired ? HeaderFlag.RecursionDesired : 0) |
    (message.recursionAvailable ? HeaderFlag.RecursionAvailable : 0) |
    (message.reservedFlag ? HeaderFlag.Reserved : 0) |
    (message.authenticData ? HeaderFlag.AuthenticData : 0) |
    (message.checkingDisabled ? HeaderFlag.CheckingDisabled : 0) |
    (message.rcode & 0xf)
  );
}

function writeHeader(writer: OctetWriter, message: Message): void {
  writer.uint16(message.id);
  writer.uint16(headerFlags(message));
  writer.uint16(countOf(message.questions));
  writer.uint16(countOf(message.answers));
  writer.uint16(countOf(message.authorities));
  writer.uint16(countOf(message.additionals));
}

function countOf(section: readonly unknown[]): number {
  if (section.length >= 0xffff) throw new RangeError("a section holds more than 65534 records");
  return section.length;
}

/** Writes a section; false when it had to stop. RRsets are kept or left out whole (RFC 2181 §9). */
function writeSection(
  writer: OctetWriter,
  records: readonly ResourceRecord[],
  roomMax: number,
  countAt: number,
): boolean {
  let rrsetStart = writer.length;
  let rrsetFirst = 0;
  for (let i = 0; i < records.length; i++) {
    const record = records[i];
    if (record === undefined) break;
    if (i > 0 && !sameRRset(record, records[i - 1])) {
      rrsetStart = writer.length;
      rrsetFirst = i;
    }
    writeRecord(writer, record);
    if (writer.length > roomMax) {
      writer.truncate(rrsetStart);
      cutCounts(writer, countAt, rrsetFirst);
      return false;
    }
  }
  return true;
}

/** Corrects the counts of a section that was cut and of the sections after it, which are left out. */
function cutCounts(writer: OctetWriter, countAt: number, kept: number): void {
  writer.setUint16(countAt, kept);
  for (let at = countAt + 2; at <= ADDITIONAL_COUNT_AT; at += 2) writer.setUint16(at, 0);
}

const ADDITIONAL_COUNT_AT = 10;

function sameRRset(a: ResourceRecord, b: ResourceRecord | undefined): boolean {
  return b !== undefined && a.type === b.type && a.class === b.class && a.owner.equals(b.owner);
}

function writeRecord(writer: OctetWriter, record: ResourceRecord): void {
  writer.name(record.owner);
  writer.uint16(record.type);
  writer.uint16(record.class);
  writer.uint32(record.ttl);
  const lengthAt = writer.length;
  writer.uint16(0);
  writeRdata(writer, record.type, record.rdata);
  const octets = writer.length - lengthAt - 2;
  if (octets > 0xffff) throw new RangeError("rdata is longer than 65535 octets");
  writer.setUint16(lengthAt, octets);
}

function writeOptAndPadding(
  writer: OctetWriter,
  message: Message,
  edns: Edns,
  octetsMax: number,
  padBlockOctets: number,
): void {
  const view = writer.view();
  writer.setUint16(ADDITIONAL_COUNT_AT, uint16At(view, ADDITIONAL_COUNT_AT) + 1);
  const optStart = writer.length;
  writeEdns(writer, edns, message.rcode);
  if (padBlockOctets === 0) return;
  const padding = paddingOctets(writer.length, padBlockOctets, octetsMax);
  if (padding === undefined) return;
  writer.uint16(EdnsOptionCode.Padding);
  writer.uint16(padding);
  writer.zeros(padding);
  writer.setUint16(optStart + 9, writer.length - optStart - 11);
}

/**
 * Length of the padding option's data that brings a message to a multiple of `blockOctets`, but not over `octetsMax`;
 * undefined when not even an empty option fits (RFC 8467 §4.1: the option itself costs 4 octets).
 */
export function paddingOctets(
  messageOctets: number,
  blockOctets: number,
  octetsMax: number,
): number | undefined {
  const bare = messageOctets + OPTION_HEADER_OCTETS;
  if (bare > octetsMax) return undefined;
  return Math.min(Math.ceil(bare / blockOctets) * blockOctets, octetsMax) - bare;
}
