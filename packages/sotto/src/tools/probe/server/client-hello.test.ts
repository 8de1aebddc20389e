import assert from "node:assert/strict";
import { test } from "node:test";
import { tryReadClientHello } from "../../../testserver/client-hello.ts";
import { makeClientHello, TLS_VERSIONS, tryReadHelloAnswer } from "./client-hello.ts";

const parts = {
  serverName: "dns.example",
  alpn: ["dot"],
  random: new Uint8Array(32).fill(7),
  keyShare: new Uint8Array(32).fill(9),
};

test("a ClientHello offers one version, the name and the protocol [rfc8446#4.1.2]", () => {
  const hello = tryReadClientHello(makeClientHello({ ...parts, version: TLS_VERSIONS["TLS 1.3"] }));
  assert.ok(hello?.ok, "readable");
  assert.equal(hello.value.serverName, "dns.example");
  assert.deepEqual(hello.value.alpn, ["dot"]);
});

test("a ServerHello is enough where other messages follow in its record [rfc5246#6.2.1]", () => {
  const hello = [2, 0, 0, 38, 3, 3, ...new Uint8Array(32), 0, 0xc0, 0x2b, 0];
  // A certificate that looks like supported_versions.
  const certificate = [11, 0, 0, 43, 0, 2, 3, 4];
  const record = Uint8Array.of(22, 3, 3, 0x01, 0x2c, ...hello, ...certificate);
  assert.deepEqual(tryReadHelloAnswer(record), { ok: true, value: { kind: "version", version: 0x0303 } });
});

test("an answer is a version or an alert, and nothing until it is whole [rfc8446#4.1.3]", () => {
  const random = new Uint8Array(32);
  // Version 1.2 in the field, 1.3 in the extension.
  const body = Uint8Array.of(3, 3, ...random, 0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4);
  const hello = Uint8Array.of(22, 3, 3, 0, body.length + 4, 2, 0, 0, body.length, ...body);
  assert.deepEqual(tryReadHelloAnswer(hello), { ok: true, value: { kind: "version", version: 0x0304 } });
  const old = Uint8Array.of(22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1, ...random, 0, 0, 0x2f, 0);
  assert.deepEqual(tryReadHelloAnswer(old), { ok: true, value: { kind: "version", version: 0x0301 } });
  assert.deepEqual(tryReadHelloAnswer(Uint8Array.of(21, 3, 1, 0, 2, 2, 70)), {
    ok: true,
    value: { kind: "alert", description: 70 },
  });
  // One that came in pieces was read before its extensions, as version 1.2.
  for (let octets = 0; octets < hello.length; octets++)
    assert.ok(!tryReadHelloAnswer(hello.subarray(0, octets)).ok, `${octets} octets`);
  assert.ok(!tryReadHelloAnswer(new TextEncoder().encode("HTTP/1.1 400 Bad Request")).ok);
});
