/** Finds the end of a zone transfer in its messages: RFC 5936 §2.2 for AXFR, RFC 1995 §4 for IXFR. */
import { HEADER_OCTETS, RRType, skipName, uint16At, uint32At } from "@sotto/dns/wire";

/** What a message means for the transfer. */
export type TransferStep = "goes on" | "ends" | "malformed";

/** See the head of this file. */
export class TransferProgress {
  readonly #isIncremental: boolean;
  /** Of an IXFR: what the client has; undefined when it did not say. */
  readonly #ownSerial: number | undefined;
  #records = 0;
  #serial = 0;
  /** The answer to an IXFR is made of differences. */
  #hasDifferences = false;
  /** SOA records with the new serial, after the first. */
  #ends = 0;

  /** `query` is the message that asked. */
  constructor(query: Uint8Array, qtype: number) {
    this.#isIncremental = qtype === RRType.IXFR;
    this.#ownSerial = this.#isIncremental ? serialInQuery(query) : undefined;
  }

  note(message: Uint8Array): TransferStep {
    if (message.length < HEADER_OCTETS) return "malformed";
    // An error ends it: REFUSED, NOTAUTH, SERVFAIL in the middle.
    if (((message[3] ?? 0) & 0xf) !== 0) return "ends";
    let at = skipQuestions(message);
    const count = uint16At(message, 6);
    if (at < 0 || (count === 0 && this.#records === 0)) return at < 0 ? "malformed" : "ends";
    for (let i = 0; i < count; i++) {
      const fixed = skipName(message, at, message.length);
      const end = fixed < 0 ? -1 : fixed + FIXED_OCTETS + uint16At(message, fixed + 8);
      if (fixed < 0 || end > message.length) return "malformed";
      const serial =
        uint16At(message, fixed) === RRType.SOA ? serialOf(message, fixed + FIXED_OCTETS, end) : undefined;
      if (serial === -1) return "malformed";
      const step = this.#noteRecord(serial);
      if (step !== "goes on") return step;
      at = end;
    }
    return this.#isUpToDate ? "ends" : "goes on";
  }

  /** `serial` is that of an SOA record; undefined for others. */
  #noteRecord(serial: number | undefined): TransferStep {
    const nth = ++this.#records;
    if (nth === 1) {
      if (serial === undefined) return "malformed";
      this.#serial = serial;
      return "goes on";
    }
    if (serial === undefined) return "goes on";
    // An IXFR may be answered with the whole zone, whose second record is no SOA.
    if (nth === 2 && this.#isIncremental && serial !== this.#serial) this.#hasDifferences = true;
    if (!this.#hasDifferences) return "ends";
    if (serial !== this.#serial) return "goes on";
    this.#ends++;
    // The first begins the last additions.
    return this.#ends === 2 ? "ends" : "goes on";
  }

  /** RFC 1995 §2: a single SOA that is not newer. */
  get #isUpToDate(): boolean {
    if (!this.#isIncremental || this.#records !== 1) return false;
    const own = this.#ownSerial;
    // RFC 1982 §3.2: newer means less than half the circle ahead.
    return own === undefined || (this.#serial - own) >>> 0 >= 2 ** 31 || own === this.#serial;
  }
}

function serialInQuery(query: Uint8Array): number | undefined {
  const at = skipQuestions(query);
  if (at < 0 || uint16At(query, 8) === 0) return undefined;
  const fixed = skipName(query, at, query.length);
  if (fixed < 0 || uint16At(query, fixed) !== RRType.SOA) return undefined;
  const serial = serialOf(query, fixed + FIXED_OCTETS, query.length);
  return serial < 0 ? undefined : serial;
}

/** -1 when it cannot be read. */
function serialOf(message: Uint8Array, rdataAt: number, end: number): number {
  const rname = skipName(message, rdataAt, end);
  const serial = rname < 0 ? -1 : skipName(message, rname, end);
  return serial < 0 || serial + 20 > end ? -1 : uint32At(message, serial);
}

/** -1 when they run past the end. */
function skipQuestions(message: Uint8Array): number {
  let at = HEADER_OCTETS;
  for (let i = 0; i < uint16At(message, 4); i++) {
    const end = skipName(message, at, message.length);
    if (end < 0 || end + 4 > message.length) return -1;
    at = end + 4;
  }
  return at;
}

/** Type, class, TTL, length. */
const FIXED_OCTETS = 10;
