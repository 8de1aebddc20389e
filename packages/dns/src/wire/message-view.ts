/**
 * Header, question and OPT of a message without decoding its records: what a server needs to answer from its cache.
 * A view can be reused for the next message, so that the hot path makes no garbage.
 */
import { type Edns, type EdnsOption, tryReadOptions } from "./edns/edns.ts";
import { RRType } from "./iana/rr-type.ts";
import { HEADER_OCTETS, HeaderFlag } from "./message.ts";
import { Name, readNameInto, skipName } from "./name.ts";
import { uint16At, uint32At } from "./octets.ts";
import { type FormatProblem, type Parsed, parsed, problem } from "./parsed.ts";
import type { Question } from "./record.ts";

/** A look at a message. All offsets are into `octets`; question fields count only when `questionCount` is 1 or more. */
export class MessageView {
  octets: Uint8Array = NOTHING;
  /** What is wrong with the OPT record or its number, undefined when nothing is: answer FORMERR (RFC 6891 §6.1.1). */
  ednsProblem: FormatProblem | undefined = undefined;
  /** After the first question. */
  questionEnd: number = HEADER_OCTETS;
  /** Octets of the first question's name in wire form; it starts at offset 12 and is never compressed. */
  qnameOctets = 0;
  qtype = 0;
  qclass = 0;
  /** Where the OPT record starts (its root owner), -1 when there is none. */
  optOffset = -1;
  #optionsEnd = 0;
  #qname: Name | undefined = undefined;

  /**
   * Looks at another message. A problem means that not even the question can be trusted; the header fields are valid
   * unless the message is shorter than 12 octets. `qname` is the first question's name, when it is known already.
   */
  reset(octets: Uint8Array, qname?: Name): FormatProblem | undefined {
    this.octets = octets;
    this.ednsProblem = undefined;
    this.questionEnd = HEADER_OCTETS;
    this.qnameOctets = 0;
    this.qtype = 0;
    this.qclass = 0;
    this.optOffset = -1;
    this.#optionsEnd = 0;
    this.#qname = qname;
    if (octets.length < HEADER_OCTETS) return "message is shorter than its header";
    return this.questionCount === 0 ? this.#findOpt(HEADER_OCTETS) : this.#readQuestions();
  }

  #readQuestions(): FormatProblem | undefined {
    const octets = this.octets;
    let at = HEADER_OCTETS;
    // The common case first: one question whose name has no pointer.
    for (;;) {
      const label = octets[at];
      if (label === undefined) return "question name runs past the end";
      if (label === 0) break;
      if (label > 63) return "question name has a bad label";
      at += label + 1;
    }
    const end = at + 1;
    this.qnameOctets = end - HEADER_OCTETS;
    if (this.qnameOctets > 255) return "question name is longer than 255 octets";
    if (end + 4 > octets.length) return "question runs past the end";
    this.qtype = uint16At(octets, end);
    this.qclass = uint16At(octets, end + 2);
    this.questionEnd = end + 4;
    at = this.questionEnd;
    for (let i = 1; i < this.questionCount; i++) {
      const next = skipName(octets, at, octets.length);
      if (next < 0 || next + 4 > octets.length) return "question runs past the end";
      at = next + 4;
    }
    return this.#findOpt(at);
  }

  /** Walks over all records once; their rdata is not looked at. */
  #findOpt(start: number): FormatProblem | undefined {
    const octets = this.octets;
    const others = this.answerCount + this.authorityCount;
    const count = others + this.additionalCount;
    let at = start;
    for (let i = 0; i < count; i++) {
      const fixed = octets[at] === 0 ? at + 1 : skipName(octets, at, octets.length);
      if (fixed < 0 || fixed + 10 > octets.length) return "record runs past the end";
      const end = fixed + 10 + uint16At(octets, fixed + 8);
      if (end > octets.length) return "record runs past the end";
      if (uint16At(octets, fixed) === RRType.OPT) this.#noteOpt(at, fixed, end, i >= others);
      at = end;
    }
    return at === octets.length ? undefined : "message goes on after its last record";
  }

  #noteOpt(at: number, fixed: number, end: number, isAdditional: boolean): void {
    if (!isAdditional) this.ednsProblem = "OPT record outside the additional section";
    else if (this.optOffset >= 0) this.ednsProblem = "more than one OPT record";
    else if (fixed !== at + 1) this.ednsProblem = "OPT record with an owner other than the root";
    else {
      this.optOffset = at;
      this.#optionsEnd = end;
      let option = at + 11;
      while (option + 4 <= end) option += 4 + uint16At(this.octets, option + 2);
      if (option !== end) this.ednsProblem = "EDNS option runs past the OPT record";
    }
  }

  get id(): number {
    return uint16At(this.octets, 0);
  }
  /** The second header word; see {@link HeaderFlag}. */
  get flags(): number {
    return uint16At(this.octets, 2);
  }
  get isResponse(): boolean {
    return ((this.octets[2] ?? 0) & 0x80) !== 0;
  }
  get opcode(): number {
    return ((this.octets[2] ?? 0) >>> 3) & 0xf;
  }
  get isTruncated(): boolean {
    return (this.flags & HeaderFlag.Truncated) !== 0;
  }
  get recursionDesired(): boolean {
    return (this.flags & HeaderFlag.RecursionDesired) !== 0;
  }
  get authenticData(): boolean {
    return (this.flags & HeaderFlag.AuthenticData) !== 0;
  }
  get checkingDisabled(): boolean {
    return (this.flags & HeaderFlag.CheckingDisabled) !== 0;
  }
  /** All twelve bits when there is an OPT record, else four. */
  get rcode(): number {
    const upper = this.optOffset < 0 ? 0 : (this.octets[this.optOffset + 5] ?? 0);
    return (upper << 4) | (this.flags & 0xf);
  }
  get questionCount(): number {
    return uint16At(this.octets, 4);
  }
  get answerCount(): number {
    return uint16At(this.octets, 6);
  }
  get authorityCount(): number {
    return uint16At(this.octets, 8);
  }
  get additionalCount(): number {
    return uint16At(this.octets, 10);
  }

  /** True when the message has an OPT record, and a usable one. */
  get hasEdns(): boolean {
    return this.optOffset >= 0;
  }
  /** Never below 512 (RFC 6891 §6.2.3); 512 without EDNS (RFC 1035 §4.2.1). */
  get udpPayloadOctets(): number {
    return this.optOffset < 0 ? 512 : Math.max(512, uint16At(this.octets, this.optOffset + 3));
  }
  get ednsVersion(): number {
    return this.optOffset < 0 ? 0 : (this.octets[this.optOffset + 6] ?? 0);
  }
  get dnssecOk(): boolean {
    return this.optOffset >= 0 && (uint32At(this.octets, this.optOffset + 5) & 0x8000) !== 0;
  }

  /** Where the data of the first option with this code starts, -1 when there is none. */
  optionOffset(code: number): number {
    if (this.optOffset < 0) return -1;
    let at = this.optOffset + 11;
    while (at + 4 <= this.#optionsEnd) {
      if (uint16At(this.octets, at) === code) return at + 4;
      at += 4 + uint16At(this.octets, at + 2);
    }
    return -1;
  }

  /** A view of the data of the first option with this code; undefined when there is none. */
  optionData(code: number): Uint8Array | undefined {
    const at = this.optionOffset(code);
    if (at < 0) return undefined;
    return this.octets.subarray(at, Math.min(at + uint16At(this.octets, at - 2), this.#optionsEnd));
  }

  /** All options, as views; empty without EDNS or when they are malformed. */
  options(): EdnsOption[] {
    if (this.optOffset < 0) return [];
    const options = tryReadOptions(this.octets.subarray(this.optOffset + 11, this.#optionsEnd));
    return options.ok ? options.value : [];
  }

  /** The OPT record as a value; undefined without EDNS. */
  get edns(): Edns | undefined {
    if (this.optOffset < 0) return undefined;
    return {
      udpPayloadOctets: uint16At(this.octets, this.optOffset + 3),
      version: this.ednsVersion,
      dnssecOk: this.dnssecOk,
      reservedFlags: uint16At(this.octets, this.optOffset + 7) & 0x7fff,
      options: this.options(),
    };
  }

  /** The first question's name, decoded on first use and kept. The root when there is no question. */
  get qname(): Name {
    if (this.#qname === undefined) {
      const reading = { next: 0, problem: "" };
      const isThere = this.qnameOctets > 0;
      const name = isThere
        ? readNameInto(this.octets, HEADER_OCTETS, this.questionEnd, false, reading)
        : undefined;
      this.#qname = name ?? Name.root;
    }
    return this.#qname;
  }

  /** The first question as a value. */
  get question(): Question {
    return { name: this.qname, type: this.qtype, class: this.qclass };
  }
}

const NOTHING = new Uint8Array(HEADER_OCTETS);

/** A view of its own for one message; see {@link MessageView.reset} for what is a problem. */
export function tryViewMessage(octets: Uint8Array): Parsed<MessageView> {
  const view = new MessageView();
  const wrong = view.reset(octets);
  return wrong === undefined ? parsed(view) : problem(wrong);
}
