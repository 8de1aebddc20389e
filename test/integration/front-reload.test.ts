/** What is under way while the configuration changes. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import {
  encodeMessage,
  FrameReader,
  frameMessage,
  type Message,
  makeMessage,
  parseName,
  parseRecord,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import type { FrontConfig } from "../../packages/sotto/src/config/index.ts";
import { startTestFront, type TestFront } from "./front.test-support.ts";
import { ScriptedBackend, type ScriptedQuery } from "./scripted-backend.test-support.ts";

const SOA = "example. 60 SOA ns.example. admin.example. 1 1 1 1 1";

function part({ id, questions }: Message, texts: readonly string[]): Uint8Array {
  const answers = texts.map((text) => parseRecord(text));
  return encodeMessage(makeMessage({ id, isResponse: true, questions, answers }));
}

/** A front end whose first pool is the scripted backend, and which gives transfers to loopback. */
function configOf(front: TestFront, port: number | undefined): FrontConfig {
  const config = front.config("access: { transfers: [127.0.0.0/8] }");
  if (port === undefined) return config;
  const pools = config.pools.map((pool, i) => {
    const [backend] = pool.backends;
    if (i > 0 || backend === undefined) return pool;
    const { address } = backend;
    return {
      ...pool,
      backends: [{ ...backend, address: { ...address, endpoint: { ...address.endpoint, port } } }],
    };
  });
  return { ...config, pools };
}

/** Asks for the zone over TCP; gives what comes, and tells of each message. */
async function transfer(front: TestFront, onMessage: (count: number) => void): Promise<readonly Message[]> {
  const socket = connect(front.port("tcp"), "127.0.0.1");
  const messages: Message[] = [];
  const reader = new FrameReader();
  const questions = [{ name: parseName("example."), type: RRType.AXFR, class: RRClass.IN }];
  socket.write(frameMessage(encodeMessage(makeMessage({ id: 7, questions }))));
  socket.on("data", (octets: Buffer) =>
    reader.push(octets, (message) => {
      const read = tryDecodeMessage(message.slice());
      assert.ok(read.ok);
      messages.push(read.value);
      onMessage(messages.length);
      if (read.value.rcode !== 0 || (read.value.answers.at(-1)?.type === RRType.SOA && messages.length > 1))
        socket.end();
      return true;
    }),
  );
  socket.on("error", () => undefined);
  // Not `once`: it rejects when the connection is reset, which is an end like any other here.
  await new Promise((resolve) => socket.on("close", resolve));
  return messages;
}

// The pools of before were closed as soon as no query waited, whatever transfer was at its third of ten thousand messages.
test("a transfer goes on to its end while its pool is replaced", { timeout: 20_000 }, async (context) => {
  const held: ScriptedQuery[] = [];
  await using backend = await ScriptedBackend.open((one) => {
    // Two: a message is passed on when the next one is there.
    one.reply(part(one.query, [SOA, "a.example. 60 A 192.0.2.1"]));
    one.reply(part(one.query, ["b.example. 60 A 192.0.2.2"]));
    held.push(one);
  });
  const front = await startTestFront(context, "access: { transfers: [127.0.0.0/8] }");
  await front.front.reload(configOf(front, backend.port));
  let isReloaded: Promise<unknown> = Promise.resolve();
  const messages = await transfer(front, (count) => {
    if (count > 1) return;
    isReloaded = (async () => {
      await front.front.reload(configOf(front, undefined));
      await front.front.reload({ ...configOf(front, undefined), deadlineMs: 3000 });
      for (const one of held) one.reply(part(one.query, ["c.example. 60 A 192.0.2.3", SOA]));
    })();
  });
  await isReloaded;
  assert.deepEqual(
    messages.map(({ rcode, answers }) => [rcode, answers.length]),
    [
      [0, 2],
      [0, 1],
      [0, 2],
    ],
  );
});

test("the end of the front end ends transfers of pools that it no longer has", {
  timeout: 20_000,
}, async (context) => {
  await using backend = await ScriptedBackend.open((one) => {
    one.reply(part(one.query, [SOA, "a.example. 60 A 192.0.2.1"]));
    one.reply(part(one.query, ["b.example. 60 A 192.0.2.2"]));
  });
  const front = await startTestFront(context, "access: { transfers: [127.0.0.0/8] }");
  await front.front.reload(configOf(front, backend.port));
  let isClosed: Promise<unknown> = Promise.resolve();
  const messages = await transfer(front, (count) => {
    if (count === 1)
      isClosed = front.front.reload(configOf(front, undefined)).then(() => front.front.close());
  });
  await isClosed;
  assert.ok(messages.length < 3);
  assert.equal(backend.connections, 0, "its connection is gone, too");
});
