/** Defects of finished messages: what a client must not take for its reply (RFC 7766 §7). */
import {
  concatOctets,
  encodeMessage,
  HeaderFlag,
  parseName,
  setUint16,
  tryDecodeMessage,
  uint16At,
} from "@sotto/dns/wire";
import type { MessageDefect } from "./behaviour.ts";

/** The messages that are sent instead of the right one. */
export function spoilMessage(
  defect: MessageDefect | undefined,
  octets: Uint8Array,
  lastReply: Uint8Array | undefined,
): Uint8Array[] {
  switch (defect) {
    case undefined:
      return [octets];
    case "wrong-id":
      return [withOtherId(octets)];
    case "wrong-id-first":
      return [withOtherId(octets), octets];
    case "wrong-question":
      return [withOtherQuestion(octets)];
    case "no-question":
      return [withoutQuestion(octets)];
    case "query-bit":
      return [withFlags(octets, uint16At(octets, 2) & ~HeaderFlag.Response)];
    case "garbage":
      // An answer count of 9, a pointer to itself, and nonsense.
      return [
        concatOctets([
          octets.subarray(0, 2),
          Uint8Array.of(0x84, 0, 0, 1, 0, 9, 0, 0, 0, 0, 0xc0, 0x0c, 1, 2, 3),
        ]),
      ];
    case "cut":
      return [octets.subarray(0, octets.length - 3)];
    case "trailing-octets":
      return [concatOctets([octets, Uint8Array.of(0xde, 0xad, 0xbe, 0xef)])];
    case "twice":
      return [octets, octets];
    case "unsolicited-first":
      return [withOtherQuestion(withOtherId(octets)), octets];
    case "old-id-first":
      return lastReply === undefined ? [octets] : [lastReply, octets];
  }
}

function withOtherId(octets: Uint8Array): Uint8Array {
  const copy = octets.slice();
  setUint16(copy, 0, uint16At(copy, 0) ^ 0x5a5a);
  return copy;
}

function withFlags(octets: Uint8Array, flags: number): Uint8Array {
  const copy = octets.slice();
  setUint16(copy, 2, flags);
  return copy;
}

function withOtherQuestion(octets: Uint8Array): Uint8Array {
  const message = tryDecodeMessage(octets);
  if (!message.ok) return octets;
  const name = parseName("other.question.test.");
  const questions = message.value.questions.map((question) => ({ ...question, name }));
  const answers = message.value.answers.map((record) => ({ ...record, owner: name }));
  return encodeMessage({ ...message.value, questions, answers });
}

function withoutQuestion(octets: Uint8Array): Uint8Array {
  const message = tryDecodeMessage(octets);
  return message.ok ? encodeMessage({ ...message.value, questions: [] }) : octets;
}
