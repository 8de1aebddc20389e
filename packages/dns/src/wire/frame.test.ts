import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameReader, frameMessage } from "./frame.ts";
import { concatOctets } from "./octets.ts";

/** Feeds a stream in pieces of `step` octets and gives the messages, copied. */
function readInSteps(stream: Uint8Array, step: number): { messages: Uint8Array[]; reader: FrameReader } {
  const reader = new FrameReader();
  const messages: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += step) {
    const chunk = stream.subarray(at, at + step);
    const consumed = reader.push(chunk, (message) => messages.push(message.slice()) > 0);
    assert.equal(consumed, chunk.length);
  }
  return { messages, reader };
}

const messages = [0, 1, 2, 12, 255, 256, 600].map((length, i) => new Uint8Array(length).fill(i + 1));
const stream = concatOctets(messages.map((message) => frameMessage(message)));

test("length and message are one array, the length in network byte order [1035-4.2.2-a 7766-8-a]", () => {
  const framed = frameMessage(new Uint8Array(0x0102).fill(7));
  assert.equal(framed.length, 0x0104);
  assert.deepEqual(framed.subarray(0, 3), Uint8Array.of(1, 2, 7));
});

test("a message of 65535 octets can be framed, one more cannot", () => {
  const framed = frameMessage(new Uint8Array(65_535));
  assert.deepEqual(framed.subarray(0, 2), Uint8Array.of(255, 255));
  assert.throws(() => frameMessage(new Uint8Array(65_536)), RangeError);
  assert.equal(readInSteps(framed, 1000).messages[0]?.length, 65_535);
});

test("messages come out whole whatever the segmentation, down to one octet at a time [7766-8-b 1035-4.2.2-a]", () => {
  for (const step of [1, 2, 3, 5, 13, 256, 257, stream.length]) {
    const { messages: read, reader } = readInSteps(stream, step);
    assert.deepEqual(read, messages, `steps of ${step}`);
    assert.equal(reader.bufferedOctets, 0);
  }
});

test("every cut into two pieces gives the same messages [7766-8-b]", () => {
  for (let cut = 0; cut <= stream.length; cut++) {
    const reader = new FrameReader();
    const read: Uint8Array[] = [];
    for (const piece of [stream.subarray(0, cut), stream.subarray(cut)])
      reader.push(piece, (message) => read.push(message.slice()) > 0);
    assert.deepEqual(read, messages, `cut at ${cut}`);
  }
});

test("what is held back is counted, the length octets too", () => {
  const reader = new FrameReader();
  const deliver = (): boolean => true;
  const framed = frameMessage(new Uint8Array(4));
  const held = [...framed].map((octet) => {
    reader.push(Uint8Array.of(octet), deliver);
    return reader.bufferedOctets;
  });
  assert.deepEqual(held, [1, 2, 3, 4, 5, 0]);
});

test("whole messages are views of the chunk, others are collected", () => {
  const reader = new FrameReader();
  const framed = frameMessage(Uint8Array.of(1, 2, 3));
  let isView = false;
  const deliver = (message: Uint8Array): boolean => {
    isView = message.buffer === framed.buffer;
    return true;
  };
  reader.push(framed, deliver);
  assert.equal(isView, true);
  reader.push(framed.subarray(0, 3), deliver);
  reader.push(framed.subarray(3), deliver);
  assert.equal(isView, false);
});

test("a receiver can stop after any message and go on later where it stopped", () => {
  for (const step of [1, 7, stream.length]) {
    const reader = new FrameReader();
    const read: Uint8Array[] = [];
    for (let at = 0; at < stream.length; ) {
      const chunk = stream.subarray(at, at + step);
      at += reader.push(chunk, (message) => {
        read.push(message.slice());
        return false;
      });
    }
    assert.deepEqual(read, messages);
  }
});

test("an empty chunk changes nothing", () => {
  const reader = new FrameReader();
  assert.equal(
    reader.push(new Uint8Array(0), () => assert.fail("nothing was sent")),
    0,
  );
  assert.equal(reader.bufferedOctets, 0);
});
