/** The queries of the storm: each has a nonce in its name that no other has, and its answer has to repeat it. */
import { allocate } from "../peers/generator/c-calls.ts";
import type { Queries } from "../peers/generator/queries.ts";

/** Of the first label. */
export const NONCE_OCTETS = 16;
const NONCE_AT = 13;
const SUFFIX = Buffer.from("\x05storm\x07example\x00\x00\x1c\x00\x01", "latin1");
const HEADER_OCTETS = 12;
export const QUESTION_END = HEADER_OCTETS + 1 + NONCE_OCTETS + SUFFIX.length;
const OPT = Buffer.from("00002904d0000000000000", "hex");

/** One query that is written anew for each sending; with an OPT record or without. */
export class StormQuery implements Queries {
  readonly used = 0;
  readonly #memory;
  readonly #size: bigint;

  constructor(hasOpt: boolean) {
    const message = Buffer.concat([
      // RD, one question.
      Buffer.from(`00000100000100000000000${hasOpt ? 1 : 0}`, "hex"),
      Buffer.from([NONCE_OCTETS]),
      Buffer.alloc(NONCE_OCTETS),
      SUFFIX,
      ...(hasOpt ? [OPT] : []),
    ]);
    this.#memory = allocate(2 + message.length);
    this.#memory.octets.writeUInt16BE(message.length, 0);
    this.#memory.octets.set(message, 2);
    this.#size = BigInt(this.#memory.octets.length);
  }

  /** Puts in an id and the nonce of a connection's place and a number, eight hexadecimal digits each. */
  set(id: number, place: number, number: number): void {
    const { octets } = this.#memory;
    octets[2] = id >>> 8;
    octets[3] = id & 255;
    writeHex(octets, 2 + NONCE_AT, place);
    writeHex(octets, 2 + NONCE_AT + 8, number);
  }

  take(): number {
    return 0;
  }
  framedPointer(): bigint {
    return this.#memory.pointer;
  }
  framedOctets(): number {
    return this.#memory.octets.length;
  }
  framedSize(): bigint {
    return this.#size;
  }
  messagePointer(): bigint {
    return this.#memory.pointer + 2n;
  }
  messageSize(): bigint {
    return this.#size - 2n;
  }
  framed(): Buffer {
    return this.#memory.octets;
  }
}

/** What an answer is, looked at octet by octet. */
export type StormVerdict = "right" | "failed" | "wrong";

/** Judges the message from `start` to `end` that has the id of a query with this nonce. */
export function judgeStorm(
  octets: Buffer,
  start: number,
  end: number,
  place: number,
  number: number,
): StormVerdict {
  if (end - start < QUESTION_END || ((octets[start + 2] ?? 0) & 0x82) !== 0x80) return "wrong";
  if (octets.readUInt16BE(start + 4) !== 1 || octets[start + HEADER_OCTETS] !== NONCE_OCTETS) return "wrong";
  if (!isHex(octets, start + NONCE_AT, place) || !isHex(octets, start + NONCE_AT + 8, number)) return "wrong";
  for (let i = 0; i < SUFFIX.length; i++)
    if (octets[start + NONCE_AT + NONCE_OCTETS + i] !== SUFFIX[i]) return "wrong";
  if (((octets[start + 3] ?? 0) & 15) !== 0) return "failed";
  // One answer: the question's name, AAAA, IN, any TTL, sixteen octets.
  const record = start + QUESTION_END;
  if (end - record < RECORD_OCTETS || octets.readUInt16BE(start + 6) !== 1) return "wrong";
  if (octets.readUInt32BE(record) !== NAME_AND_TYPE || octets.readUInt16BE(record + 10) !== NONCE_OCTETS)
    return "wrong";
  return isHex(octets, record + 12, place) && isHex(octets, record + 20, number) ? "right" : "wrong";
}

const RECORD_OCTETS = 12 + NONCE_OCTETS;
/** A pointer to the question's name, and AAAA. */
const NAME_AND_TYPE = 0xc00c_001c;

function writeHex(octets: Buffer, at: number, value: number): void {
  for (let i = 7, rest = value; i >= 0; i--, rest >>>= 4) octets[at + i] = DIGITS.charCodeAt(rest & 15);
}

function isHex(octets: Buffer, at: number, value: number): boolean {
  for (let i = 7, rest = value; i >= 0; i--, rest >>>= 4)
    if (octets[at + i] !== DIGITS.charCodeAt(rest & 15)) return false;
  return true;
}

const DIGITS = "0123456789abcdef";
