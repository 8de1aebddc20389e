import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { makeAuthority, makeSelfSigned, spkiPin } from "./certificate.ts";

const now = Date.UTC(2026, 10, 23);

test("a self-made certificate names its subjects in subjectAltName only, and has a pin [7858-4.2-c]", async () => {
  const pair = await makeSelfSigned(["dns.example", "127.0.0.1", "::1"], now);
  const certificate = new X509Certificate(pair.certificatePem);
  assert.equal(
    certificate.subjectAltName,
    "DNS:dns.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
  );
  assert.equal(certificate.verify(certificate.publicKey), true);
  assert.match(spkiPin(pair.certificatePem), /^[A-Za-z0-9+/]{43}=$/);
  assert.match(pair.keyPem, /BEGIN PRIVATE KEY/);
});

test("an authority issues certificates that verify against it", async () => {
  const authority = await makeAuthority("test authority", now);
  const pair = await authority.issue(["dns.example"], now);
  const leaf = new X509Certificate(pair.certificatePem);
  const root = new X509Certificate(authority.certificatePem);
  assert.equal(leaf.verify(root.publicKey), true);
  assert.equal(leaf.checkIssued(root), true);
  assert.equal(root.ca, true);
  assert.equal(leaf.ca, false);
  assert.equal(pair.certificatePem.match(/BEGIN CERTIFICATE/g)?.length, 2);
});
