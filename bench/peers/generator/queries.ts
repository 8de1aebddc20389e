/** The queries that are asked, as octets ready to be written, and whether an answer is one to them. */
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  makePadding,
  parseName,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { type Question, questions, ZONE } from "../zone.ts";
import { allocate, type CMemory } from "./c-calls.ts";
import type { LoadNames } from "./orders.ts";

/** Gives queries one after the other; each is an index into its memory. */
export interface Queries {
  /** The next one, with this id in it. Its octets stay as they are until many others were taken. */
  take(id: number): number;
  /** With the two octets of length before the message. */
  framedPointer(index: number): bigint;
  framedOctets(index: number): number;
  /** {@link framedOctets}, as calls take it, and for the message alone. */
  framedSize(index: number): bigint;
  messagePointer(index: number): bigint;
  messageSize(index: number): bigint;
  /** The framed octets as they are now. */
  framed(index: number): Buffer;
  /** Names used up, which only cold ones are. */
  readonly used: number;
}

/** Queries are kept here, framed. */
export function makeQueries(names: LoadNames): Queries {
  return names.kind === "cold" ? coldQueries(names.first) : listedQueries(names.kind === "padded");
}

/** What stays for the process, because memory for calls is never freed. */
const listed = new Map<boolean, Queries>();

function listedQueries(isPadded: boolean): Queries {
  const known = listed.get(isPadded);
  if (known !== undefined) return known;
  const made = queriesOf(
    questions().map((question) => encode(question, isPadded)),
    () => undefined,
  );
  listed.set(isPadded, made);
  return made;
}

let cold: { readonly queries: Queries; next: number } | undefined;

/** More than can be under way, so that a query stays as it is until its answer has come. */
const COLD_AT_ONCE = 4096;
const COLD_DIGITS = 9;
/** Length and header, then the length octet of the first label and its letter. */
const COLD_DIGITS_AT = 2 + 12 + 2;

function coldQueries(first: number): Queries {
  if (cold === undefined) {
    const name = `n${"0".repeat(COLD_DIGITS)}.cold.${ZONE}`;
    const wires = Array.from({ length: COLD_AT_ONCE }, () => encode({ name, type: RRType.A }, false));
    const state = { next: 0, queries: queriesOf(wires, (octets) => writeDigits(octets, state.next++)) };
    cold = state;
  }
  cold.next = first;
  const { queries } = cold;
  const state = cold;
  return Object.create(queries, { used: { get: () => state.next - first } });
}

function writeDigits(octets: Buffer, number: number): void {
  let rest = number;
  for (let at = COLD_DIGITS_AT + COLD_DIGITS - 1; at >= COLD_DIGITS_AT; at--) {
    octets[at] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

function encode({ name, type }: Question, isPadded: boolean): Uint8Array {
  const asked = [{ name: parseName(`${name}.`), type, class: RRClass.IN }];
  const make = (padding: number | undefined): Uint8Array =>
    encodeMessage(
      makeMessage({
        recursionDesired: true,
        questions: asked,
        edns: padding === undefined ? undefined : makeEdns({ options: [makePadding(padding)] }),
      }),
    );
  if (!isPadded) return make(undefined);
  return make((PADDED_OCTETS - (make(0).length % PADDED_OCTETS)) % PADDED_OCTETS);
}

/** RFC 8467 §4.1. */
const PADDED_OCTETS = 128;

function queriesOf(messages: readonly Uint8Array[], change: (octets: Buffer) => void): Queries {
  const memories = messages.map((message): CMemory => {
    const memory = allocate(2 + message.length);
    memory.octets.writeUInt16BE(message.length, 0);
    memory.octets.set(message, 2);
    return memory;
  });
  const sizes = memories.map(({ octets }) => BigInt(octets.length));
  const inner = memories.map(({ octets, pointer }) => ({
    pointer: pointer + 2n,
    size: BigInt(octets.length - 2),
  }));
  // An index is one that was taken.
  const at = (index: number): CMemory => memories[index] as CMemory;
  let next = 0;
  return {
    used: 0,
    take: (id) => {
      const index = next;
      next = next + 1 === memories.length ? 0 : next + 1;
      const { octets } = at(index);
      change(octets);
      octets[2] = id >>> 8;
      octets[3] = id & 255;
      return index;
    },
    framedPointer: (index) => at(index).pointer,
    framedOctets: (index) => at(index).octets.length,
    framedSize: (index) => sizes[index] ?? 0n,
    messagePointer: (index) => inner[index]?.pointer ?? 0n,
    messageSize: (index) => inner[index]?.size ?? 0n,
    framed: (index) => at(index).octets,
  };
}

/** Whether a reply is for a query: the question's octets are the same, whatever the case; the id was looked at before. */
export function isAnswerTo(reply: Uint8Array, query: Buffer): boolean {
  let at = HEADER_OCTETS;
  for (; (query[at + 2] ?? 0) !== 0; at++)
    if (lowered(reply[at] ?? 0) !== lowered(query[at + 2] ?? 0)) return false;
  // The root label, type and class.
  for (const end = at + 5; at < end; at++) if (reply[at] !== query[at + 2]) return false;
  return true;
}

function lowered(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;
}

export const HEADER_OCTETS = 12;
