import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { readShared } from "./shared-reads.ts";

/** A connection: what the listener accepted, not read yet, and the client's end. */
async function pair(context: TestContext): Promise<{ accepted: Socket; client: Socket }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const client = connect(address.port, "127.0.0.1");
  const accepted = await new Promise<Socket>((resolve) => server.once("connection", resolve));
  context.after(() => {
    client.destroy();
    accepted.destroy();
    server.close();
  });
  return { accepted, client };
}

test("what several sockets are sent arrives in one memory, and a slice of it is a copy", async (context) => {
  const memories = new Set<ArrayBufferLike>();
  for (const text of ["first", "second"]) {
    const { accepted, client } = await pair(context);
    const copy = await new Promise<Uint8Array>((resolve) => {
      const isShared = readShared(accepted, (octets) => {
        memories.add(octets.buffer);
        resolve(octets.slice());
      });
      assert.ok(isShared);
      accepted.resume();
      client.write(text);
    });
    assert.equal(Buffer.from(copy).toString(), text);
    assert.ok(!memories.has(copy.buffer));
  }
  assert.equal(memories.size, 1);
});

test("a pause stops reading at once, and the end comes after all octets", async (context) => {
  const { accepted, client } = await pair(context);
  let seen = 0;
  const first = new Promise<void>((resolve) => {
    readShared(accepted, (octets) => {
      if (seen === 0) accepted.pause();
      seen += octets.length;
      resolve();
    });
  });
  accepted.resume();
  const all = 1024 * 1024;
  client.end(Buffer.alloc(all));
  await first;
  // Turns in which a socket that is read would have been read.
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  assert.ok(seen <= 65_536);
  accepted.resume();
  await once(accepted, "end");
  assert.equal(seen, all);
});

test("a socket with octets that wait in its stream is left alone", async (context) => {
  const { accepted, client } = await pair(context);
  client.write("early");
  await once(accepted, "readable");
  assert.equal(
    readShared(accepted, () => assert.fail("read past the stream")),
    false,
  );
  assert.equal(String(accepted.read()), "early");
});
