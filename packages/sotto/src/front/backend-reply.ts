/**
 * A backend's reply as clients and the packet cache get it: without its OPT record, whose keepalive, padding and cookie were for
 * our connection only. Records are not decoded.
 */
import {
  type EdnsOption,
  EdnsOptionCode,
  type ExtendedError,
  encodeMessage,
  HEADER_OCTETS,
  MessageView,
  OPT_FIXED_OCTETS,
  type Parsed,
  parsed,
  problem,
  Rcode,
  RRType,
  setUint16,
  setUint32,
  skipName,
  tryDecodeMessage,
  tryReadExtendedError,
  uint16At,
  uint32At,
} from "@sotto/dns/wire";
import { readSubnet } from "./backend-subnet.ts";
import { passedOptions } from "./passed-options.ts";
import type { EdnsEdit } from "./rules/index.ts";

/** To what a reply is the reply. */
export interface AskedBackend {
  /** The client's query. */
  readonly view: MessageView;
  /** What the rules made of its options. */
  readonly changes: readonly EdnsEdit[];
  /** Options that its pool passes. */
  readonly passed: ReadonlySet<number>;
}

export interface BackendReply {
  /** Without OPT. The octets are the reply's own, changed. */
  readonly base: Uint8Array;
  readonly rcode: Rcode;
  /** What the backend says about its answer (RFC 8914). */
  readonly errors: readonly ExtendedError[];
  /** What else of its OPT record the client gets. */
  readonly options: readonly EdnsOption[];
  /** Longest time in a cache, seconds; Infinity where the TTLs alone decide, 0 for not at all. */
  readonly lifeSeconds: number;
}

/** Reads replies, one after the other. */
export class BackendReplyReader {
  readonly #view = new MessageView();

  /** A reply that cannot be read is a problem: clients get SERVFAIL in its place. */
  read(octets: Uint8Array, asked: AskedBackend): Parsed<BackendReply> {
    const view = this.#view;
    const wrong = view.reset(octets) ?? view.ednsProblem;
    if (wrong !== undefined) return problem(wrong);
    const { rcode } = view;
    // Extended codes such as BADCOOKIE are between us and the backend (RFC 6891 §6.1.3).
    if (rcode > 0xf) return problem(`response code ${rcode} is no answer to a client`);
    const errors = view.hasEdns ? errorsOf(view) : NO_ERRORS;
    const subnet = readSubnet(asked.view, asked.changes, view.optionData(EdnsOptionCode.ClientSubnet));
    if (!subnet.ok) return subnet;
    const passed = passedOptions(view, asked.passed);
    const { option, isForAll } = subnet.value;
    const options = option === undefined ? passed : [option, ...passed];
    const base = withoutOpt(view);
    if (!base.ok) return base;
    const mayStay = errors.length === 0 && options.length === 0 && isForAll;
    return parsed({
      base: base.value,
      rcode,
      errors,
      options,
      lifeSeconds: mayStay ? lifeOf(base.value, view.qtype) : 0,
    });
  }
}

function errorsOf(view: MessageView): readonly ExtendedError[] {
  if (view.optionOffset(EdnsOptionCode.ExtendedError) < 0) return NO_ERRORS;
  const errors: ExtendedError[] = [];
  for (const { code, data } of view.options()) {
    if (code !== EdnsOptionCode.ExtendedError || errors.length >= EXTENDED_ERRORS_MAX) continue;
    const error = tryReadExtendedError(data);
    if (error.ok) errors.push(error.value);
  }
  return errors;
}

function withoutOpt(view: MessageView): Parsed<Uint8Array> {
  const { octets, optOffset } = view;
  if (optOffset < 0) return parsed(octets);
  const end = optOffset + OPT_FIXED_OCTETS + uint16At(octets, optOffset + OPT_FIXED_OCTETS - 2);
  if (end === octets.length) {
    setUint16(octets, 10, uint16At(octets, 10) - 1);
    return parsed(octets.subarray(0, optOffset));
  }
  // Names behind it may point behind it.
  const message = tryDecodeMessage(octets);
  return message.ok ? parsed(encodeMessage({ ...message.value, edns: undefined })) : message;
}

/**
 * Negative replies live as long as their SOA says, and without one not at all (RFC 2308 §5); the SOA's TTL becomes that time, so
 * that it goes down with the reply's age.
 */
function lifeOf(base: Uint8Array, qtype: number): number {
  const rcode = uint16At(base, 2) & 0xf;
  if (rcode !== Rcode.NoError && rcode !== Rcode.NXDomain) return Number.POSITIVE_INFINITY;
  const answers = uint16At(base, 6);
  const count = answers + uint16At(base, 8);
  let at = HEADER_OCTETS;
  for (let i = uint16At(base, 4); i > 0; i--) at = skipName(base, at, base.length) + 4;
  for (let i = 0; i < count; i++) {
    const fixed = skipName(base, at, base.length);
    const end = fixed + 10 + uint16At(base, fixed + 8);
    const type = uint16At(base, fixed);
    const isAnswer = i < answers;
    if (isAnswer && rcode === Rcode.NoError && (type === qtype || qtype === RRType.ANY))
      return Number.POSITIVE_INFINITY;
    if (!isAnswer && type === RRType.SOA) {
      const seconds = Math.min(uint32At(base, fixed + 4), uint32At(base, end - 4));
      setUint32(base, fixed + 4, seconds);
      return seconds;
    }
    at = end;
  }
  return 0;
}

const EXTENDED_ERRORS_MAX = 4;
const NO_ERRORS: readonly ExtendedError[] = [];
