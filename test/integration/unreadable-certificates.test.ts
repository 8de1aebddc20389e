/**
 * Certificates whose names cannot be read. Node 22.23 and 24.22 throw for them where others tell of no names: a server with such
 * a certificate left its connection open for ever, and a client with one would have ended the process of a server that asks
 * for certificates.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import {
  makeCertificate,
  type TestCertificate,
  x509,
} from "../../packages/dns/src/transport/certificates.test-support.ts";

const DAYS = [-3650, 3650] as const;
const authority = await makeCertificate({ subject: "authority", isAuthority: true, days: DAYS });
const AUTHORITIES = [pem(authority.der)];

/** Values of subjectAltName, in DER. */
const UNREADABLE: readonly (readonly [what: string, hex: string])[] = [
  ["an empty list of names", "3000"],
  ["names that are no list", "0500"],
  ["names that end too early", "3003"],
  ["nothing where names should be", ""],
];

function withNames(hex: string): Promise<TestCertificate> {
  const extensions = [new x509.Extension("2.5.29.17", false, Buffer.from(hex, "hex"))];
  return makeCertificate({ subject: "peer", issuer: authority, days: DAYS, extensions });
}

function pem(der: Uint8Array): string {
  const base64 = Buffer.from(der).toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

async function keyPem({ keys: { privateKey } }: TestCertificate): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", privateKey)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`;
}

for (const [what, hex] of UNREADABLE) {
  test(`a server whose certificate has ${what} is one without names [8310-8.1-a]`, async () => {
    const certificate = await withNames(hex);
    const server = createServer({ cert: pem(certificate.der), key: await keyPem(certificate) });
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    server.on("connection", (socket: Socket) => socket.on("close", () => resolve()));
    server.on("secureConnection", (socket) => socket.on("error", () => undefined).resume());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo; // A listening server has one.
    const stream = await nodeRuntime().network.connect({
      remote: { address: "127.0.0.1", port },
      tls: { alpn: ["dot"], session: undefined, serverName: "dns.example", trustAnchorsPem: AUTHORITIES },
      localAddress: undefined,
      connectTimeoutMs: 5000,
      handshakeTimeoutMs: 5000,
      signal: undefined,
    });
    assert.deepEqual(stream.security?.peerChain[0]?.subjectAltNames, []);
    stream.reset();
    await ended;
    server.close();
  });

  test(`a client whose certificate has ${what} is one without names`, async () => {
    const [own, theirs] = [await withNames("3000"), await withNames(hex)];
    const { promise: came, resolve, reject } = Promise.withResolvers<readonly string[] | undefined>();
    const listener = await nodeRuntime().network.listen(
      {
        local: { address: "127.0.0.1", port: 0 },
        reusePort: false,
        handshakeTimeoutMs: 5000,
        tls: {
          certificatePem: pem(own.der),
          keyPem: await keyPem(own),
          alpn: ["dot"],
          ticketKeys: undefined,
          clientAuthoritiesPem: AUTHORITIES,
        },
      },
      {
        onStream(stream) {
          resolve(stream.security?.peerChain[0]?.subjectAltNames);
          stream.reset();
        },
        onFailure: (_remote, _stage, problem) => reject(problem),
      },
    );
    const { port, address: host } = listener.local;
    const pair = { cert: pem(theirs.der), key: await keyPem(theirs) };
    const client = connect({ port, host, ...pair, rejectUnauthorized: false, ALPNProtocols: ["dot"] });
    client.on("error", () => undefined).resume();
    assert.deepEqual(await came, []);
    client.destroy();
    await listener.close();
  });
}
