/**
 * Reads messages from JSON objects (RFC 8427). Absent members of the header are 0. Where a thing is said twice, as a
 * number and a name or as octets and text, both must say the same. Unknown members are ignored (RFC 8427 §1.1).
 */
import { type Edns, tryReadOptions } from "./edns/edns.ts";
import { tryHexToOctets } from "./hex.ts";
import { RRClass, rrClassFromText } from "./iana/rr-class.ts";
import { RRType, rrTypeFromText, rrTypeToText } from "./iana/rr-type.ts";
import { MasterFileLexer } from "./master-file-lexer.ts";
import type { Message } from "./message.ts";
import { Name, tryParseName } from "./name.ts";
import { octetsEqual } from "./octets.ts";
import { type FormatProblem, type Parsed, parsed, problem } from "./parsed.ts";
import { rdataProblem } from "./rdata/check.ts";
import { tryRdataFromTokens } from "./rdata/rdata-text.ts";
import type { Question, ResourceRecord } from "./record.ts";

/** Reads a message from a value that came out of `JSON.parse`. */
export function tryMessageFromJson(value: unknown): Parsed<Message> {
  const reader = new JsonReader(value, "message");
  const questions = readQuestions(reader);
  const answers = readSection(reader, "answerRRs", "ANCOUNT");
  const authorities = readSection(reader, "authorityRRs", "NSCOUNT");
  const additionals = readSection(reader, "additionalRRs", "ARCOUNT");
  if (answers.opts.length + authorities.opts.length > 0)
    reader.fail("OPT record outside the additional section");
  if (additionals.opts.length > 1) reader.fail("more than one OPT record");
  const [opt] = additionals.opts;
  const upperRcode = opt === undefined ? 0 : opt.upperRcode;
  const message: Message = {
    id: reader.number("ID", 0xffff) ?? 0,
    isResponse: reader.flag("QR"),
    opcode: reader.number("Opcode", 15) ?? 0,
    isAuthoritative: reader.flag("AA"),
    isTruncated: reader.flag("TC"),
    recursionDesired: reader.flag("RD"),
    recursionAvailable: reader.flag("RA"),
    reservedFlag: reader.flag("Z"),
    authenticData: reader.flag("AD"),
    checkingDisabled: reader.flag("CD"),
    rcode: (upperRcode << 4) | (reader.number("RCODE", 15) ?? 0),
    questions,
    answers: answers.records,
    authorities: authorities.records,
    additionals: additionals.records,
    edns: opt?.edns,
  };
  return reader.failure.problem === undefined ? parsed(message) : problem(reader.failure.problem);
}

/** Members of one object; the first problem counts, and is shared with the objects within. */
class JsonReader {
  readonly failure: { problem: FormatProblem | undefined };
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #place: string;

  constructor(
    value: unknown,
    place: string,
    failure: { problem: FormatProblem | undefined } = { problem: undefined },
  ) {
    this.failure = failure;
    this.#place = place;
    this.#members = {};
    if (typeof value !== "object" || value === null || Array.isArray(value)) this.fail("not an object");
    // Any object may be looked at as a record of unknown members.
    else this.#members = value as Readonly<Record<string, unknown>>;
  }

  fail(text: FormatProblem): void {
    this.failure.problem ??= `${this.#place}: ${text}`;
  }

  #member(name: string): unknown {
    return Object.hasOwn(this.#members, name) ? this.#members[name] : undefined;
  }

  has(name: string): boolean {
    return this.#member(name) !== undefined;
  }

  number(name: string, max: number): number | undefined {
    const value = this.#member(name);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max) return value;
    this.fail(`${name} is not a whole number from 0 to ${max}`);
    return undefined;
  }

  flag(name: string): boolean {
    return this.number(name, 1) === 1;
  }

  text(name: string): string | undefined {
    const value = this.#member(name);
    if (value === undefined || typeof value === "string") return value;
    this.fail(`${name} is not a string`);
    return undefined;
  }

  /** A number that may also be given by name, or only so. */
  named(name: string, fromText: (text: string) => number | undefined): number | undefined {
    const value = this.number(name, 0xffff);
    const text = this.text(`${name}name`);
    if (text === undefined) return value;
    const meant = fromText(text);
    if (meant === undefined) this.fail(`${name}name is unknown`);
    else if (value !== undefined && value !== meant) this.fail(`${name} and ${name}name are different`);
    return meant;
  }

  name(member: string): Name {
    const name = tryParseName(this.text(member) ?? "");
    if (name.ok) return name.value;
    this.fail(`${member}: ${name.problem}`);
    return Name.root;
  }

  /** The objects of a list; an absent list is empty. */
  list(name: string): JsonReader[] {
    const value = this.#member(name);
    if (value === undefined) return [];
    if (Array.isArray(value) && value.length <= LIST_MAX)
      return value.map((entry, i) => new JsonReader(entry, `${name}[${i}]`, this.failure));
    this.fail(`${name} is not a list of at most ${LIST_MAX}`);
    return [];
  }

  /** A count that is given must be true. */
  count(name: string, length: number): void {
    const value = this.number(name, 0xffff);
    if (value !== undefined && value !== length) this.fail(`${name} is ${value}, but there are ${length}`);
  }
}

function readQuestions(reader: JsonReader): Question[] {
  const questions = reader.has("questionRRs")
    ? reader.list("questionRRs").map((one) => readQuestion(one, ""))
    : reader.has("QNAME")
      ? [readQuestion(reader, "Q")]
      : [];
  reader.count("QDCOUNT", questions.length);
  return questions;
}

function readQuestion(reader: JsonReader, prefix: "" | "Q"): Question {
  const name = reader.name(`${prefix}NAME`);
  const type = reader.named(`${prefix}TYPE`, rrTypeFromText);
  if (type === undefined) reader.fail("question without a type");
  return { name, type: type ?? 0, class: reader.named(`${prefix}CLASS`, rrClassFromText) ?? RRClass.IN };
}

interface Opt {
  readonly edns: Edns;
  readonly upperRcode: number;
}

interface Section {
  readonly records: ResourceRecord[];
  readonly opts: Opt[];
}

function readSection(reader: JsonReader, name: string, countName: string): Section {
  const section: Section = { records: [], opts: [] };
  for (const entry of reader.list(name)) {
    const type = entry.named("TYPE", rrTypeFromText);
    if (type === undefined) entry.fail("record without a type");
    else if (type === RRType.OPT) section.opts.push(readOpt(entry));
    else readRecords(entry, type, section.records);
    if (reader.failure.problem !== undefined) break;
  }
  reader.count(countName, section.records.length + section.opts.length);
  return section;
}

/** One record, or those of an RRset, whose rdata stand in the list `rrSet` (RFC 8427 §2.2). */
function readRecords(entry: JsonReader, type: RRType, records: ResourceRecord[]): void {
  const owner = entry.name("NAME");
  const rrClass = entry.named("CLASS", rrClassFromText) ?? RRClass.IN;
  const ttl = entry.number("TTL", 0x7fff_ffff) ?? 0;
  for (const one of entry.has("rrSet") ? entry.list("rrSet") : [entry])
    records.push({ owner, type, class: rrClass, ttl, rdata: readRdata(one, type, rrClass) });
}

function readRdata(reader: JsonReader, type: RRType, rrClass: RRClass): Uint8Array {
  const hex = readHex(reader);
  const text = readRdataText(reader, type);
  const rdata = hex ?? text ?? new Uint8Array(0);
  if (hex !== undefined && text !== undefined && !octetsEqual(hex, text))
    reader.fail(`RDATAHEX and rdata${rrTypeToText(type)} are different`);
  reader.count("RDLENGTH", rdata.length);
  // RFC 2136 §2.4: in the classes ANY and NONE there may be no rdata, whatever the type.
  if (rdata.length === 0 && (rrClass === RRClass.ANY || rrClass === RRClass.NONE)) return rdata;
  const wrong = rdataProblem(type, rdata);
  if (wrong !== undefined) reader.fail(wrong);
  return rdata;
}

function readHex(reader: JsonReader): Uint8Array | undefined {
  const hex = reader.text("RDATAHEX");
  if (hex === undefined) return undefined;
  const octets = tryHexToOctets(hex);
  if (octets.ok && octets.value.length <= 0xffff) return octets.value;
  reader.fail(octets.ok ? "RDATAHEX is longer than 65535 octets" : `RDATAHEX: ${octets.problem}`);
  return undefined;
}

function readRdataText(reader: JsonReader, type: RRType): Uint8Array | undefined {
  const member = `rdata${rrTypeToText(type)}`;
  const text = reader.text(member);
  if (text === undefined) return undefined;
  // A blank in front: what follows is not an owner and not a directive.
  const lexer = new MasterFileLexer(` ${text}`);
  const entry = lexer.next();
  const rdata = entry.ok ? tryRdataFromTokens(type, entry.value?.tokens ?? [], Name.root) : entry;
  if (rdata.ok) return rdata.value;
  reader.fail(`${member}: ${rdata.problem}`);
  return undefined;
}

function readOpt(reader: JsonReader): Opt {
  if (!reader.name("NAME").isRoot) reader.fail("OPT record with an owner other than the root");
  const ttl = reader.number("TTL", 0xffff_ffff) ?? 0;
  const rdata = readHex(reader) ?? new Uint8Array(0);
  reader.count("RDLENGTH", rdata.length);
  const options = tryReadOptions(rdata);
  if (!options.ok) reader.fail(options.problem);
  const edns: Edns = {
    udpPayloadOctets: reader.number("CLASS", 0xffff) ?? 0,
    version: (ttl >>> 16) & 0xff,
    dnssecOk: (ttl & 0x8000) !== 0,
    reservedFlags: ttl & 0x7fff,
    options: options.ok ? options.value : [],
  };
  return { edns, upperRcode: ttl >>> 24 };
}

/** As many records as a section can hold. */
const LIST_MAX = 0xfffe;
