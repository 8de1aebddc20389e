import assert from "node:assert/strict";
import { once } from "node:events";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { type ConnectionOptions, connect } from "node:tls";
import { SeededRandom } from "@sotto/dns/testing";
import { tryReadClientHello } from "./client-hello.ts";

/** What OpenSSL sends first. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const [near, far] = duplexPair();
  const client = connect({ ...options, socket: near });
  client.on("error", () => undefined);
  const [octets] = (await once(far, "data")) as [Buffer];
  client.destroy();
  return octets;
}

const OFFER: ConnectionOptions = { servername: "dns.example.test", ALPNProtocols: ["dot", "h2"] };

test("a ClientHello tells name, protocols and versions", async () => {
  const octets = await helloOf(OFFER);
  const hello = tryReadClientHello(octets);
  assert.ok(hello?.ok === true);
  const { versions, serverName, alpn, groups, cipherSuites, offersResumption, offersEarlyData } = hello.value;
  assert.deepEqual([versions, serverName, alpn], [["TLSv1.3", "TLSv1.2"], "dns.example.test", ["dot", "h2"]]);
  assert.deepEqual([offersResumption, offersEarlyData, hello.value.octets], [false, false, octets.length]);
  assert.ok(groups.includes(29) && cipherSuites > 5);
  const bare = tryReadClientHello(await helloOf({ maxVersion: "TLSv1.2" }));
  assert.ok(bare?.ok === true);
  assert.deepEqual(
    [bare.value.versions, bare.value.serverName, bare.value.alpn],
    [["TLSv1.2"], undefined, []],
  );
});

test("it is read from any number of octets, and from several records", async () => {
  const octets = await helloOf(OFFER);
  for (let end = 0; end < octets.length; end++)
    assert.equal(tryReadClientHello(octets.subarray(0, end)), undefined);
  const records: Buffer[] = [];
  for (let at = 5; at < octets.length; at += 50) {
    const piece = octets.subarray(at, at + 50);
    records.push(Buffer.from([22, 3, 1, 0, piece.length]), piece);
  }
  const hello = tryReadClientHello(Buffer.concat(records));
  assert.ok(hello?.ok === true);
  assert.equal(hello.value.serverName, "dns.example.test");
});

test("what is no ClientHello is a problem, and nothing throws", async () => {
  for (const octets of [
    [0, 28, 1, 2, 3],
    [22, 3, 1, 0, 0],
    [22, 3, 1, 0, 4, 2, 0, 0, 0],
    [22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3],
  ])
    assert.equal(tryReadClientHello(Buffer.from(octets))?.ok, false, octets.join(" "));
  const random = new SeededRandom(3);
  const octets = await helloOf(OFFER);
  for (let round = 0; round < 5000; round++) {
    const spoilt = Buffer.from(octets);
    for (let i = 0; i < 3; i++) spoilt[9 + random.below(spoilt.length - 9)] = random.below(256);
    const hello = tryReadClientHello(spoilt);
    assert.ok(hello === undefined || typeof hello.ok === "boolean");
  }
});
