import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChannelSecurity } from "@sotto/dns/runtime";
import { authenticate, type TlsPolicy, UNAUTHENTICATED_TLS } from "./authentication.ts";
import { makeCertificate, NOW_MS, presented, presenting } from "./certificates.test-support.ts";

const DAY_MS = 86_400_000;
const BY_NAME: TlsPolicy = { ...UNAUTHENTICATED_TLS, authName: "dns.example", authenticate: "required" };
const names = ["dns.example"];
const root = await makeCertificate({ subject: "root", isAuthority: true, days: [-1000, 3000] });
const leaf = await makeCertificate({ subject: "leaf", issuer: root, names });

function problemOf(security: ChannelSecurity, policy: Partial<TlsPolicy>, wallMs = NOW_MS): string {
  const outcome = authenticate(security, { ...BY_NAME, ...policy }, wallMs);
  assert.ok(!outcome.isAuthenticated);
  return outcome.problem;
}

const byPin = (...pins: string[]): Partial<TlsPolicy> => ({ authName: undefined, pins });

test("each key that was seen is told, ready to be copied, and why it does not count [7858-4.2-b]", async () => {
  const stranger = await makeCertificate({ subject: "stranger", isAuthority: true });
  const pinOf = (of: typeof leaf): string => `sha256:${presented(of).spkiSha256}`;
  assert.equal(
    problemOf(presenting([leaf, root], { chainProblem: undefined }), byPin("one", "two")),
    `no pin matches (2 are configured); the server showed ${pinOf(leaf)} (its own key, not pinned), ${pinOf(root)} (key of CN=root, not pinned); if its operator announced another key, pin that one, too`,
  );
  assert.match(
    problemOf(presenting([leaf, root], { chainProblem: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY" }), byPin("one")),
    /\(key of CN=root, would not count: the path to an authority is not valid: the issuer is not known\)/,
  );
  const pinned = byPin(presented(stranger).spkiSha256);
  assert.match(
    problemOf(presenting([leaf, stranger], { chainProblem: undefined }), pinned),
    /\(key of CN=stranger, pinned, but does not count: it did not sign the one before it\)/,
  );
});

test("what was seen is not believed the next time", () => {
  const security = presenting([leaf, root], { chainProblem: undefined });
  const policy = byPin("one");
  assert.equal(problemOf(security, policy), problemOf(security, policy));
});

test("a clock that is behind is told apart from a certificate that has expired, with what it says", () => {
  const tomorrow = presenting([leaf, root], { chainProblem: "CERT_NOT_YET_VALID" });
  assert.equal(
    problemOf(tomorrow, {}, NOW_MS - 3 * DAY_MS),
    "certificate path: certificate is not yet valid; CN=leaf is valid from 2025-12-31 00:00 UTC, in 2 days, but our clock says 2025-12-29 00:00 UTC: that is probably wrong, set it first",
  );
  assert.match(
    problemOf(presenting([leaf, root], { chainProblem: "certificate is not yet valid" }), {}, 0),
    /our clock says 1970-01-01 00:00 UTC: that is probably wrong/,
  );
  assert.equal(
    problemOf(
      presenting([leaf, root], { chainProblem: "CERT_HAS_EXPIRED" }),
      {},
      NOW_MS + 90 * DAY_MS + 5 * 3_600_000,
    ),
    "certificate path: certificate has expired; CN=leaf was valid until 2026-04-01 00:00 UTC, 5 h ago, as our clock says 2026-04-01 05:00 UTC: if that is right, the server's operator has to renew it",
  );
});

test("an authority that is not known is named, and whether others were configured", async () => {
  const unknown = "UNABLE_TO_GET_ISSUER_CERT_LOCALLY";
  const alone = presenting([leaf], { chainProblem: unknown });
  assert.equal(
    problemOf(alone, {}),
    "certificate path: the issuer is not known; its issuer CN=root is not among the authorities that the runtime brings along; a private one has to be configured",
  );
  const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  assert.match(
    problemOf(alone, { trustAnchorsPem: [pem, pem + pem] }),
    /its issuer CN=root is not among the configured authorities \(3\)$/,
  );
  assert.match(problemOf(alone, { trustAnchorsPem: [] }), /is not among the configured authorities \(0\)$/);
  const self = await makeCertificate({ subject: "self", names });
  assert.match(
    problemOf(presenting([self], { chainProblem: "DEPTH_ZERO_SELF_SIGNED_CERT" }), {}),
    /^certificate path: self-signed certificate; CN=self signed itself and is not among/,
  );
});

test("what strangers wrote is cut and cannot steer a terminal, and dates beyond all calendars harm nobody", () => {
  const evil = {
    ...presented(leaf),
    subject: `CN=\u001b[2J\u202e${"x".repeat(10_000)}`,
    issuer: "CN=\u0007",
    subjectAltNames: Array.from({ length: 1000 }, (_, i) => `DNS:n${i}.\u001b[31mexample\n`),
  };
  const chain = Array.from({ length: 10 }, () => evil);
  const security = { ...presenting([]), peerChain: chain };
  const texts = [
    problemOf({ ...security, chainProblem: undefined }, {}),
    problemOf({ ...security, chainProblem: "unable \u001b[31m" }, {}),
    problemOf({ ...security, chainProblem: "\u0000" }, byPin("one")),
    ...[Number.NaN, Number.POSITIVE_INFINITY, 9e15].flatMap((ms) => [
      problemOf({ ...security, chainProblem: "x", peerChain: [{ ...evil, notBeforeMs: ms }] }, {}),
      problemOf({ ...security, chainProblem: "x", peerChain: [{ ...evil, notAfterMs: -ms }] }, {}),
    ]),
  ];
  for (const text of texts) {
    assert.ok(!/[\p{Cc}\p{Cf}]/u.test(text), JSON.stringify(text));
    assert.ok(text.length < 2000, `${text.length} characters`);
  }
  assert.match(texts[0] ?? "", / and 995 more$/);
  assert.ok(texts.some((text) => text.includes("a time that no calendar has")));
});
