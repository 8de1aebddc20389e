/** Certificates that nobody should present, over real TLS: what cannot be read is a value, and no connection is left behind. */
import assert from "node:assert/strict";
import { createPrivateKey, webcrypto } from "node:crypto";
import { type TestContext, test } from "node:test";
import { createServer, type TLSSocket, type TlsOptions } from "node:tls";
import type { ByteStream, Endpoint } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import {
  makeCertificate,
  type TestCertificate,
} from "../../packages/dns/src/transport/certificates.test-support.ts";

const root = await makeCertificate({ subject: "root", isAuthority: true });
const leaf = await makeCertificate({ subject: "leaf", issuer: root, names: ["dns.example"] });

function pemOf(der: Uint8Array): string {
  const lines = Buffer.from(der).toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** With a key of an algorithm that nobody knows. */
function withStrangeKey({ der }: TestCertificate): Uint8Array {
  const strange = Buffer.from(der);
  const ecPublicKey = Buffer.from("06072a8648ce3d0201", "hex");
  strange[strange.indexOf(ecPublicKey) + ecPublicKey.length - 1] = 9;
  return strange;
}

/** A server that presents these. */
async function serve(
  context: TestContext,
  chain: readonly Uint8Array[],
  options: TlsOptions = {},
  onSocket: (socket: TLSSocket) => void = () => undefined,
): Promise<Endpoint> {
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", leaf.keys.privateKey));
  const server = createServer(
    {
      cert: chain.map(pemOf).join(""),
      key: createPrivateKey({ key, format: "der", type: "pkcs8" }).export({ type: "pkcs8", format: "pem" }),
      // It may present what it likes.
      ciphers: "DEFAULT@SECLEVEL=0",
      ...options,
    },
    (socket) => {
      socket.on("error", () => undefined);
      socket.on("end", () => socket.end());
      socket.resume();
      onSocket(socket);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return { address: "127.0.0.1", port: address.port };
}

async function connect(remote: Endpoint): Promise<ByteStream> {
  return nodeRuntime().network.connect({
    remote,
    localAddress: undefined,
    tls: { serverName: "dns.example", alpn: ["dot"], trustAnchorsPem: undefined, session: undefined },
    connectTimeoutMs: 5000,
    handshakeTimeoutMs: 5000,
    signal: undefined,
  });
}

test("a chain ends before a certificate whose key cannot be read", async (context) => {
  const remote = await serve(context, [leaf.der, withStrangeKey(root), root.der]);
  const stream = await connect(remote);
  assert.deepEqual(
    stream.security?.peerChain.map(({ subject }) => subject),
    ["CN=leaf"],
  );
  assert.notEqual(stream.security?.chainProblem, undefined);
  const closed = new Promise<void>((resolve) => {
    const nothing = (): undefined => undefined;
    stream.setHandlers({ onData: nothing, onEnd: nothing, onDrain: nothing, onClose: () => resolve() });
  });
  stream.end();
  await closed;
});

test("a server that was looked at cannot show another certificate over the same connection (RFC 9325 §3.5)", async (context) => {
  const outcome = Promise.withResolvers<string>();
  const remote = await serve(context, [leaf.der], { maxVersion: "TLSv1.2" }, (socket) => {
    socket.once("error", () => outcome.resolve("refused"));
    socket.renegotiate({}, (error) => outcome.resolve(error === null ? "shaken again" : "refused"));
  });
  const stream = await connect(remote);
  assert.equal(stream.security?.protocol, "TLSv1.2");
  const nothing = (): undefined => undefined;
  stream.setHandlers({ onData: nothing, onEnd: nothing, onDrain: nothing, onClose: nothing });
  assert.equal(await outcome.promise, "refused");
  stream.reset();
});
