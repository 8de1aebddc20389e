import assert from "node:assert/strict";
import { Socket } from "node:net";
import { test } from "node:test";
import { keepLastWriteApart } from "./tls-records.ts";

/** A socket whose writes are kept, each done when the test says so. */
function recordingSocket(): { socket: Socket; written: string[]; finishOne: (error?: Error) => void } {
  const socket = new Socket();
  const written: string[] = [];
  const waiting: ((error?: Error | null) => void)[] = [];
  Reflect.set(socket, "_write", (chunk: Buffer, encoding: string, callback: () => void) => {
    assert.equal(encoding, "buffer");
    written.push(chunk.toString());
    waiting.push(callback);
  });
  keepLastWriteApart(socket);
  return { socket, written, finishOne: (error) => waiting.shift()?.(error) };
}

test("writes that waited leave as two: all but the last together, and the last alone [7858-3.3-b]", async () => {
  const { socket, written, finishOne } = recordingSocket();
  const done: string[] = [];
  for (const text of ["one", "two", "three", "four"])
    socket.write(Buffer.from(text), () => void done.push(text));
  assert.deepEqual(written, ["one"]);
  finishOne();
  await new Promise(setImmediate);
  assert.deepEqual(written, ["one", "twothree"]);
  finishOne();
  assert.deepEqual(written, ["one", "twothree", "four"]);
  finishOne();
  await new Promise(setImmediate);
  assert.deepEqual(done, ["one", "two", "three", "four"]);
});

test("a failure of the first part ends it all", async () => {
  const { socket, written, finishOne } = recordingSocket();
  const problem = new Promise((resolve) => socket.once("error", resolve));
  for (const text of ["one", "two", "three"]) socket.write(Buffer.from(text));
  finishOne();
  await new Promise(setImmediate);
  finishOne(new Error("broken"));
  assert.match(String(await problem), /broken/);
  assert.deepEqual(written, ["one", "two"]);
});
