import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  octetsToHex,
  parseName,
  parseRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { describeOctets } from "./describe-octets.ts";

/** Lines of a message with so many questions, records and options that begin with a word. */
function linesOf(count: number, word: string): readonly string[] {
  const each = <T>(make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  const message = makeMessage({
    isResponse: true,
    questions: each((i) => ({ name: parseName(`q${i}.test.`), type: RRType.A, class: RRClass.IN })),
    answers: each((i) => parseRecord(`a${i}.test. 60 IN A 192.0.2.1`)),
    edns: makeEdns({ options: each((i) => ({ code: 65_001, data: Uint8Array.of(i) })) }),
  });
  const { lines } = describeOctets(octetsToHex(encodeMessage(message).slice()));
  return lines.filter((line) => line.startsWith(`${word}: `));
}

// Questions and options beyond the twentieth were left out without a word.
for (const word of ["question", "answer", "option"])
  test(`of what a message has of each kind the first twenty are told, and how many more: ${word}`, () => {
    assert.equal(linesOf(20, word).length, 20);
    assert.doesNotMatch(linesOf(20, word).join("\n"), /more/);
    const many = linesOf(23, word);
    assert.equal(many.length, 21);
    assert.equal(many.at(-1), `${word}: and 3 more`);
  });
