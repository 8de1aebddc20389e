import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { descriptorOf } from "./fast-open.ts";
import { promptAcknowledgement } from "./prompt-acknowledgement.ts";
import { systemCalls } from "./system-calls.ts";

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** Offset of `tcpi_unacked` in `struct tcp_info`. */
const UNACKED_AT = 24;

test("what has arrived is acknowledged by the time that the call returns [rfc9293#3.8.6.3]", async (context) => {
  const [calls, acknowledge] = [await systemCalls(), await promptAcknowledgement()];
  if (typeof calls === "string" || acknowledge === undefined) return context.skip(String(calls));
  const server = createServer().listen(0, "127.0.0.1");
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
  const unacknowledged = (): number => {
    const info = new Uint8Array(256);
    const octets = new Uint8Array(Int32Array.of(info.length).buffer);
    assert.equal(calls.getsockopt(descriptorOf(accepted) ?? -1, IPPROTO_TCP, TCP_INFO, info, octets), 0);
    return new DataView(info.buffer).getUint32(UNACKED_AT, true);
  };
  // A connection on which both sides have answered each other, where the system waits with acknowledgements.
  for (let i = 0; i < 32; i++) {
    client.write("query");
    await once(accepted, "data");
    accepted.write("answer");
    await once(client, "data");
  }
  acknowledge(client);
  assert.equal(unacknowledged(), 0);
  client.destroy();
  acknowledge(client);
});
