import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChannelSecurity, PresentedCertificate } from "@sotto/dns/runtime";
import {
  type Authentication,
  authenticate,
  certifiesName,
  type TlsPolicy,
  UNAUTHENTICATED_TLS,
} from "./authentication.ts";
import { makeCertificate, presented, presenting } from "./certificates.test-support.ts";

function certificate(parts: Partial<PresentedCertificate> = {}): PresentedCertificate {
  return {
    der: new Uint8Array(0),
    spkiSha256: "leaf-pin",
    subject: "CN=dns.example",
    issuer: "CN=authority",
    subjectAltNames: ["DNS:dns.example", "IP:192.0.2.53", "IP:2001:db8::53"],
    notBeforeMs: 0,
    notAfterMs: 1,
    ...parts,
  };
}

function security(parts: Partial<ChannelSecurity> = {}): ChannelSecurity {
  return {
    protocol: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    group: undefined,
    alpn: "dot",
    resumed: false,
    serverName: undefined,
    peerChain: [certificate()],
    chainProblem: undefined,
    ...parts,
  };
}

const judge = (given: ChannelSecurity, policy: TlsPolicy): Authentication => authenticate(given, policy, 0);

const BY_NAME: TlsPolicy = { ...UNAUTHENTICATED_TLS, authName: "dns.example", authenticate: "required" };
const BY_PIN: TlsPolicy = {
  ...UNAUTHENTICATED_TLS,
  pins: ["backup-pin", "leaf-pin"],
  authenticate: "required",
};

test("a valid path and a DNS-ID in subjectAltName authenticate by name [8310-8.1-a 8310-8.1-b]", () => {
  assert.deepEqual(judge(security(), BY_NAME), { isAuthenticated: true, by: "name dns.example" });
});

test("a broken path fails whatever the name says [8310-8.1-a]", () => {
  const outcome = judge(security({ chainProblem: "certificate has expired" }), BY_NAME);
  assert.deepEqual(outcome, { isAuthenticated: false, problem: "certificate path: certificate has expired" });
});

test("a common name is never looked at [8310-8.1-b 9525-6-a]", () => {
  const leaf = certificate({ subject: "CN=dns.example", subjectAltNames: ["DNS:other.example"] });
  const outcome = judge(security({ peerChain: [leaf] }), BY_NAME);
  assert.equal(outcome.isAuthenticated, false);
});

test("names match whole, wildcards only as the whole left-most label, addresses as IP-IDs [9525-6-a]", () => {
  const cases: [string, string, boolean][] = [
    ["DNS:dns.example", "dns.example", true],
    ["DNS:DNS.Example", "dns.eXAMPLE", true],
    ["DNS:dns.example.", "dns.example", true],
    ["DNS:dns.example", "dns.example.", true],
    ["DNS:dns.example", "adns.example", false],
    ["DNS:dns.example", "a.dns.example", false],
    ["DNS:*.example", "dns.example", true],
    ["DNS:*.example", "a.dns.example", false],
    ["DNS:*.example", "example", false],
    ["DNS:*.example", ".example", false],
    ["DNS:d*.example", "dns.example", false],
    ["DNS:*s.example", "dns.example", false],
    ["DNS:*s.example", "*s.example", false],
    ["DNS:dns.*", "dns.example", false],
    ["DNS:*.*.example", "a.dns.example", false],
    ["DNS:*", "example", false],
    ["DNS:*.", "example", false],
    ["DNS:", "example", false],
    ["IP:192.0.2.53", "192.0.2.53", true],
    ["IP:192.0.2.54", "192.0.2.53", false],
    ["DNS:192.0.2.53", "192.0.2.53", false],
    ["DNS:*.0.2.53", "192.0.2.53", false],
    ["IP:2001:DB8:0:0:0:0:0:53", "2001:db8::53", true],
    ["URI:dns.example", "dns.example", false],
  ];
  for (const [entry, name, expected] of cases)
    assert.equal(
      certifiesName(certificate({ subjectAltNames: [entry] }), name),
      expected,
      `${entry} for ${name}`,
    );
});

test("a certificate with thousands of names is told of in a line", () => {
  const names = Array.from({ length: 4000 }, (_, i) => `DNS:${"x".repeat(i)}.example`);
  const outcome = judge(security({ peerChain: [certificate({ subjectAltNames: names })] }), BY_NAME);
  assert.ok(!outcome.isAuthenticated && outcome.problem.length < 2500);
  assert.match(outcome.isAuthenticated ? "" : outcome.problem, / and 399[0-9] more$/);
});

test("one pin of the set is enough, and needs no valid path [7858-4.2-a 7858-4.2-c]", () => {
  assert.deepEqual(judge(security({ chainProblem: "self-signed certificate" }), BY_PIN), {
    isAuthenticated: true,
    by: "pin sha256:leaf-pin",
  });
});

test("when no pin matches there is no recovery [7858-4.2-b]", () => {
  const outcome = judge(security(), { ...BY_PIN, pins: ["backup-pin"] });
  assert.deepEqual(outcome, {
    isAuthenticated: false,
    problem:
      "no pin matches (1 is configured); the server showed sha256:leaf-pin (its own key, not pinned); if its operator announced another key, pin that one, too",
  });
});

test("name and pins together must both succeed [8310-6.4-a]", () => {
  const both: TlsPolicy = { ...BY_PIN, authName: "dns.example" };
  const cases = [
    { name: "both", policy: both, expected: true },
    { name: "wrong pin", policy: { ...both, pins: ["backup-pin"] }, expected: false },
    { name: "wrong name", policy: { ...both, authName: "other.example" }, expected: false },
  ];
  for (const { name, policy, expected } of cases)
    assert.equal(judge(security(), policy).isAuthenticated, expected, name);
});

/**
 * Whoever has a certificate of any authority could add another one that bears the authority's name and a pinned key: OpenSSL
 * passes over it when it builds the path, and it stood right above the leaf in what the server presented.
 */
test("a pin above the leaf counts only on a validated path whose signatures lead there [7858-4.2-b]", async () => {
  const authority = await makeCertificate({ subject: "authority", isAuthority: true });
  const leaf = await makeCertificate({ subject: "dns.example", issuer: authority });
  const stranger = await makeCertificate({ subject: "stranger", isAuthority: true });
  const namesake = await makeCertificate({ subject: "authority", isAuthority: true });
  const cases = [
    { name: "validated", above: authority, chainProblem: undefined, expected: true },
    { name: "not validated", above: authority, chainProblem: "self-signed", expected: false },
    { name: "slipped in", above: stranger, chainProblem: undefined, expected: false },
    { name: "slipped in under the name", above: namesake, chainProblem: undefined, expected: false },
  ];
  for (const { name, above, chainProblem, expected } of cases) {
    const policy: TlsPolicy = { ...BY_PIN, pins: [presented(above).spkiSha256] };
    const given = presenting([leaf, above, authority], { chainProblem });
    assert.equal(judge(given, policy).isAuthenticated, expected, name);
  }
});

test("strict without a name or pin, or without a certificate, authenticates nobody [8310-6.6-a 8310-6.6-c]", () => {
  assert.equal(
    judge(security(), { ...UNAUTHENTICATED_TLS, authenticate: "required" }).isAuthenticated,
    false,
  );
  assert.equal(judge(security({ peerChain: [] }), BY_NAME).isAuthenticated, false);
  assert.equal(judge(security({ peerChain: [] }), BY_PIN).isAuthenticated, false);
});
