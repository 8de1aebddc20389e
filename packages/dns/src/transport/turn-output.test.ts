import assert from "node:assert/strict";
import { test } from "node:test";
import { concatOctets, frameMessage } from "@sotto/dns/wire";
import { TurnOutput } from "./turn-output.ts";

function reply(fill: number, octets: number): Uint8Array {
  return new Uint8Array(octets).fill(fill);
}

function take(output: TurnOutput): Uint8Array {
  const all = output.view(0, output.octets);
  output.clear();
  return all;
}

for (const sizes of [[12], [12, 512], [5000], [0, 1], [9000, 9000, 65_535], new Array<number>(400).fill(100)])
  test(`replies of ${sizes.length > 5 ? `${sizes.length} times ${sizes[0]}` : sizes.join(", ")} octets stand behind their lengths in order [7766-8-a]`, () => {
    const output = new TurnOutput();
    const replies = sizes.map((octets, i) => reply(i, octets));
    for (const one of replies) output.append(one);
    const lastAt = output.octets - 2 - (sizes.at(-1) ?? 0);
    assert.equal(output.lastAt, lastAt);
    assert.deepEqual(take(output), concatOctets(replies.map(frameMessage)));
    assert.equal(output.octets, 0);
  });

test("turns of several connections do not touch each other, whatever their order, nor what was given away", () => {
  const outputs = [new TurnOutput(), new TurnOutput(), new TurnOutput()];
  const expected: Uint8Array[][] = outputs.map(() => []);
  const given: { octets: Uint8Array; wanted: Uint8Array }[] = [];
  // Enough to go through the common memory several times.
  for (let step = 0; step < 3000; step++) {
    const who = (step * 7 + (step >> 3)) % outputs.length;
    const output = outputs[who];
    const waiting = expected[who];
    assert.ok(output !== undefined && waiting !== undefined);
    const one = reply(step & 0xff, (step * 37) % 300);
    output.append(one);
    waiting.push(frameMessage(one));
    if (step % 5 !== 0) continue;
    given.push({ octets: take(output), wanted: concatOctets(waiting.splice(0)) });
  }
  for (const { octets, wanted } of given) assert.deepEqual(octets, wanted);
});

// A client of a front end got the answer to another client's query, and then nothing it could read: a reply was appended to a turn
// that lay in the common memory of before, where other connections had begun behind it.
test("a turn that goes on after the common memory was replaced leaves alone who began behind it", () => {
  const [first, behind, last] = [new TurnOutput(), new TurnOutput(), new TurnOutput()];
  first.append(reply(1, 100));
  behind.append(reply(2, 100));
  // More than what is left of the common memory, whatever was used of it before.
  for (let i = 0; i < 200; i++) {
    last.append(reply(3, 100));
    last.clear();
  }
  first.append(reply(4, 100));
  assert.deepEqual(take(behind), frameMessage(reply(2, 100)));
  assert.deepEqual(take(first), concatOctets([frameMessage(reply(1, 100)), frameMessage(reply(4, 100))]));
});

test("what is kept follows what was appended, in one piece, and is held until it is given away or cleared", () => {
  const [output, other] = [new TurnOutput(), new TurnOutput()];
  const replies = [1, 2, 3].map((fill) => reply(fill, 100));
  const [first, second, third] = replies;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  output.keep(second);
  other.append(first);
  output.keep(third);
  output.append(first);
  assert.deepEqual([output.octets, output.heldOctets], [102, 306]);
  output.gather();
  assert.deepEqual([output.octets, output.heldOctets, output.lastAt], [306, 306, 204]);
  assert.deepEqual(take(output), concatOctets(replies.map(frameMessage)));
  output.keep(first);
  output.clear();
  output.gather();
  assert.deepEqual([output.octets, output.heldOctets], [0, 0]);
});
