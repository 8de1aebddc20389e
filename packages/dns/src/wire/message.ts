/** A DNS message as a value (RFC 1035 §4.1), with its OPT record apart (RFC 6891). */
import type { Edns } from "./edns/edns.ts";
import type { Opcode } from "./iana/opcode.ts";
import type { Rcode } from "./iana/rcode.ts";
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
