import assert from "node:assert/strict";
import { test } from "node:test";
import { tryReadCertificateParts } from "./certificate-parts.ts";
import { makeCertificate, tlsaRdata } from "./certificates.test-support.ts";
import { tlsaToText, usableTlsa } from "./tlsa.ts";

const certificate = await makeCertificate({ subject: "a" });
const textsOf = (rdatas: readonly Uint8Array[]): string[] => usableTlsa(rdatas).map(tlsaToText);

test("records with unknown parameters or malformed data are not used [6698-2-a]", () => {
  const digest = new Uint8Array(32);
  const unusable: [string, Uint8Array][] = [
    ["nothing", Uint8Array.of()],
    ["parameters only", Uint8Array.of(3, 1, 1)],
    ["usage 4", Uint8Array.of(4, 1, 1, ...digest)],
    ["usage 255, for private use", Uint8Array.of(255, 1, 1, ...digest)],
    ["selector 2", Uint8Array.of(3, 2, 1, ...digest)],
    ["matching type 3", Uint8Array.of(3, 1, 3, ...digest)],
    ["a short digest", Uint8Array.of(3, 1, 1, ...digest.subarray(1))],
    ["a long digest", Uint8Array.of(3, 1, 1, ...digest, 0)],
    ["SHA-512 of 32 octets", Uint8Array.of(3, 1, 2, ...digest)],
    ["no certificate", Uint8Array.of(2, 0, 0, ...digest)],
    ["no key", Uint8Array.of(2, 1, 0, ...digest)],
  ];
  for (const [what, rdata] of unusable) assert.deepEqual(textsOf([rdata]), [], what);
  assert.deepEqual(textsOf(unusable.map(([, rdata]) => rdata).concat(tlsaRdata("3 1 1", certificate))), [
    "DANE-EE 3 1 1",
  ]);
});

test("of several digests only the strongest counts, for each usage and selector (RFC 7671 §9)", () => {
  const records = ["3 1 1", "3 1 2", "3 1 0", "3 0 1", "2 1 1"].map((text) => tlsaRdata(text, certificate));
  assert.deepEqual(textsOf(records), ["DANE-EE 3 1 2", "DANE-EE 3 1 0", "DANE-EE 3 0 1", "DANE-TA 2 1 1"]);
  assert.deepEqual(usableTlsa(records.toReversed()), usableTlsa(records), "whatever the order of the set");
});

test("certificates that are cut off or changed are values, not exceptions", () => {
  const { der } = certificate;
  assert.equal(tryReadCertificateParts(der).ok, true);
  for (let length = 0; length < der.length; length++)
    assert.equal(tryReadCertificateParts(der.subarray(0, length)).ok, false, `${length} octets`);
  for (let at = 0; at < der.length; at++) {
    const changed = der.slice();
    changed[at] = 0xff - (changed[at] ?? 0);
    tryReadCertificateParts(changed);
  }
});
