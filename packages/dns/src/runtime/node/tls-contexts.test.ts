import assert from "node:assert/strict";
import { test } from "node:test";
import { rootCertificates } from "node:tls";
import type { TlsClientOptions } from "../network.ts";
import { TlsContexts } from "./tls-contexts.ts";

const PLAIN: TlsClientOptions = {
  serverName: undefined,
  alpn: ["dot"],
  trustAnchorsPem: undefined,
  session: undefined,
};

test("trust anchors are read once, and others never mixed with them", () => {
  const contexts = new TlsContexts();
  const builtIn = contexts.contextFor(PLAIN, undefined);
  assert.equal(contexts.contextFor({ ...PLAIN, serverName: "dns.example" }, undefined), builtIn);
  const own = rootCertificates.slice(0, 1);
  const ownContext = contexts.contextFor({ ...PLAIN, trustAnchorsPem: own }, undefined);
  assert.notEqual(ownContext, builtIn);
  assert.equal(contexts.contextFor({ ...PLAIN, trustAnchorsPem: own }, undefined), ownContext);
  // The same certificates in another list are read again: the list is what policies share.
  assert.notEqual(contexts.contextFor({ ...PLAIN, trustAnchorsPem: [...own] }, undefined), ownContext);
});

test("connections with other groups or a certificate of their own have a context of their own", () => {
  const contexts = new TlsContexts();
  const builtIn = contexts.contextFor(PLAIN, undefined);
  assert.notEqual(contexts.contextFor(PLAIN, ["X25519"]), builtIn);
  assert.throws(() => contexts.contextFor({ ...PLAIN, certificatePem: "none", keyPem: "none" }, undefined));
  assert.equal(contexts.contextFor(PLAIN, undefined), builtIn);
});
