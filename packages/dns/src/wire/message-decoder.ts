/**
 * Decoding of whole messages (RFC 1035 §4.1) with strict lengths and linear work. Everything that outlives the call is
 * copied. Servers on the hot path use `message-view.ts` instead.
 */
import { copyOctets } from "./copy-octets.ts";
import { type Edns, type EdnsOption, OPTION_HEADER_OCTETS } from "./edns/edns.ts";
import { expandRdata, isCheckedByExpansion, mayHoldCompressedNames } from "./embedded-names.ts";
import { RRClass } from "./iana/rr-class.ts";
import { RRType } from "./iana/rr-type.ts";
import { HEADER_OCTETS, HeaderFlag, type Message } from "./message.ts";
import { Name, type NameReading, readNameInto } from "./name.ts";
import { MESSAGE_OCTETS_MAX, uint16At, uint32At } from "./octets.ts";
import { type FormatProblem, type Parsed, parsed, problem } from "./parsed.ts";
import { rdataProblem } from "./rdata/check.ts";
import type { Question, ResourceRecord } from "./record.ts";

/**
 * Decodes a whole message. Octets after the last record, records that do not fit their length, more than one OPT and
 * an OPT outside the additional section are problems. Where the first question has exactly the name `qname`, with its case, the
 * message has that object.
 */
export function tryDecodeMessage(octets: Uint8Array, qname?: Name): Parsed<Message> {
  if (octets.length < HEADER_OCTETS) return problem("message is shorter than its header");
  if (octets.length > MESSAGE_OCTETS_MAX) return problem("message is longer than 65535 octets");
  const decoder = new MessageDecoder(octets);
  if (qname !== undefined && startsWith(octets, qname.wire)) decoder.rememberOwner(qname, HEADER_OCTETS);
  const message = decoder.decode();
  return decoder.problem === undefined ? parsed(message) : problem(decoder.problem);
}

/** One pass over one message; after the first problem nothing more is read. */
class MessageDecoder {
  readonly octets: Uint8Array;
  at: number = HEADER_OCTETS;
  problem: FormatProblem | undefined = undefined;
  edns: Edns | undefined = undefined;
  upperRcode = 0;
  /** The first name of the message, which most pointers point to, and where it starts. */
  firstOwner: Name | undefined = undefined;
  firstOffset = 0;
  /** Later owners and where they start: pointers to them give the same object again. */
  ownerOffsets: number[] | undefined = undefined;
  owners: Name[] | undefined = undefined;

  constructor(octets: Uint8Array) {
    this.octets = octets;
  }

  decode(): Message {
    const octets = this.octets;
    const flags = uint16At(octets, 2);
    const questions = this.questions(uint16At(octets, 4));
    const answers = this.records(uint16At(octets, 6), false);
    const authorities = this.records(uint16At(octets, 8), false);
    const additionals = this.records(uint16At(octets, 10), true);
    if (this.at !== octets.length) this.fail("message goes on after its last record");
    return {
      id: uint16At(octets, 0),
      isResponse: (flags & HeaderFlag.Response) !== 0,
      opcode: (flags >>> 11) & 0xf,
      isAuthoritative: (flags & HeaderFlag.Authoritative) !== 0,
      isTruncated: (flags & HeaderFlag.Truncated) !== 0,
      recursionDesired: (flags & HeaderFlag.RecursionDesired) !== 0,
      recursionAvailable: (flags & HeaderFlag.RecursionAvailable) !== 0,
      reservedFlag: (flags & HeaderFlag.Reserved) !== 0,
      authenticData: (flags & HeaderFlag.AuthenticData) !== 0,
      checkingDisabled: (flags & HeaderFlag.CheckingDisabled) !== 0,
      rcode: (this.upperRcode << 4) | (flags & 0xf),
      questions,
      answers,
      authorities,
      additionals,
      edns: this.edns,
    };
  }

  fail(text: FormatProblem): void {
    this.problem ??= text;
  }

  questions(count: number): readonly Question[] {
    if (count === 0) return NO_QUESTIONS;
    // A list of exactly one is a third of the size of one that can grow.
    if (count === 1) return [this.question()];
    const questions: Question[] = [];
    for (let i = 0; i < count && this.problem === undefined; i++) questions.push(this.question());
    return questions;
  }

  question(): Question {
    const octets = this.octets;
    const name = this.owner();
    const at = this.at;
    if (at + 4 > octets.length) this.fail("question runs past the end");
    this.at = at + 4;
    return { name, type: uint16At(octets, at), class: uint16At(octets, at + 2) };
  }

  /** Reads a section; only the additional section may hold the OPT record. */
  records(count: number, isAdditional: boolean): readonly ResourceRecord[] {
    if (count === 0) return NO_RECORDS;
    const octets = this.octets;
    const records: ResourceRecord[] = [];
    for (let i = 0; i < count && this.problem === undefined; i++) {
      const ownerAt = this.at;
      const owner = this.owner();
      const at = this.at;
      const start = at + RECORD_FIXED_OCTETS;
      const end = start + uint16At(octets, at + 8);
      if (end > octets.length) this.fail("record runs past the end");
      if (this.problem !== undefined) break;
      this.at = end;
      const type = uint16At(octets, at);
      if (type === RRType.OPT) {
        this.opt(at - ownerAt, at, end, isAdditional);
        continue;
      }
      const rrClass = uint16At(octets, at + 2);
      const ttl = uint32At(octets, at + 4);
      const rdata = this.rdata(type, rrClass, start, end);
      // RFC 2181 §8: a TTL with the top bit set is treated as zero.
      records.push({ owner, type, class: rrClass, ttl: ttl > 0x7fff_ffff ? 0 : ttl, rdata });
    }
    return records;
  }

  /** The name at `at`. Names that begin where an earlier owner began are that same object. */
  owner(): Name {
    const octets = this.octets;
    const at = this.at;
    const first = octets[at] ?? 0;
    if (first === 0 && at < octets.length) {
      this.at = at + 1;
      return Name.root;
    }
    if (at === HEADER_OCTETS && this.firstOwner !== undefined) {
      this.at = at + this.firstOwner.wire.length;
      return this.firstOwner;
    }
    const target = first >= 0xc0 ? ((first & 0x3f) << 8) | (octets[at + 1] ?? 0) : at;
    if (target < at && at + 2 <= octets.length) {
      const known = this.knownOwner(target);
      if (known !== undefined) {
        this.at = at + 2;
        return known;
      }
    }
    const name = readNameInto(octets, at, octets.length, true, reading);
    if (name === undefined) {
      this.fail(reading.problem);
      return Name.root;
    }
    this.at = reading.next;
    this.rememberOwner(name, target);
    return name;
  }

  knownOwner(offset: number): Name | undefined {
    if (this.firstOwner !== undefined && this.firstOffset === offset) return this.firstOwner;
    const index = this.ownerOffsets?.indexOf(offset) ?? -1;
    return index < 0 ? undefined : this.owners?.[index];
  }

  rememberOwner(name: Name, offset: number): void {
    if (this.firstOwner === undefined) {
      this.firstOwner = name;
      this.firstOffset = offset;
    } else if (this.owners === undefined || this.ownerOffsets === undefined) {
      this.owners = [name];
      this.ownerOffsets = [offset];
    } else if (this.owners.length < OWNERS_MAX) {
      this.owners.push(name);
      this.ownerOffsets.push(offset);
    }
  }

  rdata(type: RRType, rrClass: RRClass, start: number, end: number): Uint8Array {
    // Empty rdata stands for "no data" in the classes ANY and NONE (RFC 2136 §2.4).
    if (start === end && (rrClass === RRClass.ANY || rrClass === RRClass.NONE)) return new Uint8Array(0);
    if (!mayHoldCompressedNames(type)) {
      const rdata = copyOctets(this.octets, start, end);
      this.problem ??= rdataProblem(type, rdata);
      return rdata;
    }
    const rdata = expandRdata(type, this.octets, start, end);
    if (typeof rdata === "string") {
      this.fail(rdata);
      return new Uint8Array(0);
    }
    if (!isCheckedByExpansion(type)) this.problem ??= rdataProblem(type, rdata);
    return rdata;
  }

  /** The OPT record whose fixed part starts at `at`. The only name of one octet is the root, written out. */
  opt(ownerOctets: number, at: number, end: number, isAdditional: boolean): void {
    // RFC 6891 §6.1.1: one OPT at most, in the additional section; §6.1.2: its owner is the root.
    if (!isAdditional) this.fail("OPT record outside the additional section");
    else if (this.edns !== undefined) this.fail("more than one OPT record");
    else if (ownerOctets !== 1) this.fail("OPT record with an owner other than the root");
    else {
      const octets = this.octets;
      const flags = uint16At(octets, at + 6);
      this.upperRcode = octets[at + 4] ?? 0;
      this.edns = {
        udpPayloadOctets: uint16At(octets, at + 2),
        version: octets[at + 5] ?? 0,
        dnssecOk: (flags & 0x8000) !== 0,
        reservedFlags: flags & 0x7fff,
        options: this.options(at + RECORD_FIXED_OCTETS, end),
      };
    }
  }

  options(start: number, end: number): readonly EdnsOption[] {
    if (start === end) return NO_OPTIONS;
    const octets = this.octets;
    const options: EdnsOption[] = [];
    let at = start;
    while (at < end) {
      const dataAt = at + OPTION_HEADER_OCTETS;
      const dataEnd = dataAt + uint16At(octets, at + 2);
      if (dataEnd > end) {
        this.fail("EDNS option runs past the OPT record");
        break;
      }
      options.push({ code: uint16At(octets, at), data: copyOctets(octets, dataAt, dataEnd) });
      at = dataEnd;
    }
    return options;
  }
}

/** Whether that is what comes behind the header. */
function startsWith(octets: Uint8Array, wire: Uint8Array): boolean {
  for (let i = 0; i < wire.length; i++) if (octets[HEADER_OCTETS + i] !== wire[i]) return false;
  return true;
}

/** Type, class, TTL and RDLENGTH. */
const RECORD_FIXED_OCTETS = 10;
/** How many owners are remembered; later ones are decoded each for itself, which only costs memory. */
const OWNERS_MAX = 16;

const NO_QUESTIONS: readonly Question[] = Object.freeze([]);
const NO_RECORDS: readonly ResourceRecord[] = Object.freeze([]);
const NO_OPTIONS: readonly EdnsOption[] = Object.freeze([]);
const reading: NameReading = { next: 0, problem: "" };
