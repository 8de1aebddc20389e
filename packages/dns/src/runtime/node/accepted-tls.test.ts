import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { makeAuthority } from "../../../../sotto/src/operations/index.ts";
import type { AcceptedTls } from "./accepted-tls.ts";
import { TlsAcceptor } from "./node-tls-server.ts";

const pair = makeAuthority("accepted-tls authority", Date.now()).then((authority) =>
  authority.issue(["dns.example"], Date.now()),
);

/** A listener whose connections are handed to a TLS acceptor, and what becomes of each. */
async function listen(context: TestContext, touch: (socket: Socket) => Promise<void> | undefined) {
  const { certificatePem, keyPem } = await pair;
  const acceptor = new TlsAcceptor({ certificatePem, keyPem, alpn: ["dot"], ticketKeys: undefined }, 10_000);
  const told: string[] = [];
  let settle: (socket: AcceptedTls) => void = () => undefined;
  const settled = new Promise<AcceptedTls>((resolve) => {
    settle = resolve;
  });
  const server = createServer({ allowHalfOpen: true }, async (below) => {
    await touch(below);
    acceptor.accept(below, {
      onSecure: (socket) => {
        told.push("secure");
        acceptor.ended(socket);
        settle(socket);
      },
      onFailed: (socket, problem) => {
        told.push(problem?.message ?? "gone");
        acceptor.ended(socket);
        settle(socket);
      },
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  context.after(async () => {
    (await settled).destroy();
    server.close();
  });
  return { port: address.port, settled, told };
}

const untouched = (): undefined => undefined;
/** Its octets are read into the socket below first, as when many handshakes wait for their turn. */
const afterItsHello = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => void (socket.readableLength > 0 ? resolve() : setImmediate(look));
    look();
  });

for (const [title, touch, hasSocketBelow] of [
  ["a connection that nobody has read from is taken from its socket", untouched, false],
  ["one whose first octets have been read keeps its socket, and loses nothing", afterItsHello, true],
] as const)
  test(title, async (context) => {
    const { port, settled, told } = await listen(context, touch);
    const client = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["dot"] });
    context.after(() => void client.destroy());
    client.write("question");
    const socket = await settled;
    assert.equal(Boolean(Reflect.get(socket, "_parent")), hasSocketBelow);
    assert.equal(socket.alpnProtocol, "dot");
    assert.equal(Reflect.get(socket, "secureConnecting"), false);
    assert.equal(socket.remotePort, client.localPort);
    const [question] = await once(socket, "data");
    assert.equal(String(question), "question");
    // After its end the client still waits for the answer (RFC 7766 §6.2.4).
    client.end();
    await once(socket, "end");
    socket.end("answer");
    const [answer] = await once(client, "data");
    assert.equal(String(answer), "answer");
    await Promise.all([once(socket, "close"), once(client, "close")]);
    assert.deepEqual(told, ["secure"]);
  });

test("a client that goes in the middle of its handshake is told of once, and its socket is gone", async (context) => {
  const { port, settled, told } = await listen(context, untouched);
  const client = connectTcp(port, "127.0.0.1");
  // The head of a ClientHello that never comes.
  client.end(Buffer.from("1603010100", "hex"));
  const socket = await settled;
  if (!socket.closed) await once(socket, "close");
  assert.deepEqual(told, ["gone"]);
});

test("octets that are no handshake fail it with OpenSSL's reason", async (context) => {
  const { port, settled, told } = await listen(context, untouched);
  const client = connectTcp(port, "127.0.0.1");
  context.after(() => void client.destroy());
  client.on("error", () => undefined);
  client.write("no handshake at all\n\n");
  await settled;
  assert.match(told.join(), /wrong version number|packet length too long|http request/i);
});

test("a broken record after the handshake is an error of the socket", async (context) => {
  const { port, settled, told } = await listen(context, untouched);
  const below = connectTcp(port, "127.0.0.1");
  const client = connectTls({ socket: below, rejectUnauthorized: false });
  context.after(() => void below.destroy());
  client.on("error", () => undefined);
  const secured = once(client, "secureConnect");
  const socket = await settled;
  const problem = new Promise((resolve) => socket.on("error", resolve));
  socket.resume();
  await secured;
  // An application data record that no key fits.
  below.write(Buffer.concat([Buffer.from("1703030020", "hex"), Buffer.alloc(32)]));
  assert.match(String(await problem), /bad record mac|decryption failed/i);
  assert.deepEqual(told, ["secure"]);
});
