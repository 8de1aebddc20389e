/** Encoding of messages (RFC 1035 §4.1) with name compression, size limit and padding. */
import { type Edns, ednsOctets, OPTION_HEADER_OCTETS, writeEdns } from "./edns/edns.ts";
import { writeRdata } from "./embedded-names.ts";
import { EdnsOptionCode } from "./iana/edns-option-code.ts";
import { HeaderFlag, type Message } from "./message.ts";
import { MESSAGE_OCTETS_MAX, OctetWriter } from "./octets.ts";
import type { Question, ResourceRecord } from "./record.ts";

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
  /** A writer to use instead of our own; the result is then a view, valid until its next use. */
  readonly writer?: OctetWriter;
}

/**
 * Encodes a message with name compression. Throws a RangeError only for what cannot be written: more than 65534 records
 * in a section, rdata or EDNS options over 65535 octets.
 */
export function encodeMessage(message: Message, options: EncodeOptions = {}): Uint8Array {
  const writer = options.writer ?? scratch;
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
    writeOptAndPadding(writer, message.rcode, message.edns, octetsMax, options.padBlockOctets ?? 0);
  if (writer.length > MESSAGE_OCTETS_MAX) throw new RangeError("message is longer than 65535 octets");
  return options.writer === undefined ? writer.finishToSend() : writer.view();
}

/** What a query says; its id is 0. */
export interface QueryParts {
  readonly question: Question;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly authenticData: boolean;
  readonly edns: Edns | undefined;
}

/** Encodes a query, as {@link encodeMessage} does it, without making a message first. Padding needs `edns`. */
export function encodeQuery(query: QueryParts, padBlockOctets = 0): Uint8Array {
  const { question, edns } = query;
  const writer = scratch;
  writer.reset();
  writer.uint16(0);
  writer.uint16(
    (query.recursionDesired ? HeaderFlag.RecursionDesired : 0) |
      (query.authenticData ? HeaderFlag.AuthenticData : 0) |
      (query.checkingDisabled ? HeaderFlag.CheckingDisabled : 0),
  );
  writer.uint16(1);
  for (let others = 0; others < 3; others++) writer.uint16(0);
  writer.plainName(question.name);
  writer.uint16(question.type);
  writer.uint16(question.class);
  if (edns !== undefined) writeOptAndPadding(writer, 0, edns, MESSAGE_OCTETS_MAX, padBlockOctets);
  if (writer.length > MESSAGE_OCTETS_MAX) throw new RangeError("message is longer than 65535 octets");
  return writer.finishToSend();
}

/** Memory to write in; nothing in it survives the call. */
const scratch = new OctetWriter(4096);

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
  const lengthAt = writer.recordHead(record.type, record.class, record.ttl);
  writeRdata(writer, record.type, record.rdata);
  const octets = writer.length - lengthAt - 2;
  if (octets > 0xffff) throw new RangeError("rdata is longer than 65535 octets");
  writer.setUint16(lengthAt, octets);
}

function writeOptAndPadding(
  writer: OctetWriter,
  rcode: number,
  edns: Edns,
  octetsMax: number,
  padBlockOctets: number,
): void {
  writer.setUint16(ADDITIONAL_COUNT_AT, writer.uint16At(ADDITIONAL_COUNT_AT) + 1);
  const optStart = writer.length;
  writeEdns(writer, edns, rcode);
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
