import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChannelSecurity } from "@sotto/dns/runtime";
import { type Authentication, authenticate, type TlsPolicy, UNAUTHENTICATED_TLS } from "./authentication.ts";
import {
  type CertificatePlan,
  makeCertificate,
  NOW_MS,
  presented,
  presenting,
  type TestCertificate,
  tlsaRdata,
  x509,
} from "./certificates.test-support.ts";
import { usableTlsa } from "./tlsa.ts";

const NAME = "dns.example";
const root = await makeCertificate({ subject: "root", isAuthority: true });
const middle = await makeCertificate({ subject: "middle", issuer: root, isAuthority: true });
const leaf = await makeCertificate({ subject: "leaf", issuer: middle, names: [NAME] });
const other = await makeCertificate({ subject: "other", isAuthority: true });

const BY_DANE: TlsPolicy = { ...UNAUTHENTICATED_TLS, authName: NAME, authenticate: "required" };

function judge(
  security: ChannelSecurity,
  rdatas: readonly Uint8Array[],
  parts: Partial<TlsPolicy> = {},
): Authentication {
  return authenticate(security, { ...BY_DANE, tlsa: usableTlsa(rdatas), ...parts }, NOW_MS);
}

function told(outcome: Authentication): string {
  return outcome.isAuthenticated ? outcome.by : `not: ${outcome.problem}`;
}

const EVERY_MATCHING = ["0 0", "0 1", "0 2", "1 0", "1 1", "1 2"];

test("each usage, selector and matching type authenticates the certificate it stands for and no other [6698-2-a]", () => {
  const trusted = presenting([leaf, middle, root], { chainProblem: undefined });
  for (const matching of EVERY_MATCHING) {
    const cases: [string, TestCertificate, string][] = [
      [`3 ${matching}`, leaf, `DANE-EE 3 ${matching}`],
      [`2 ${matching}`, root, `DANE-TA 2 ${matching} and name dns.example`],
      [`2 ${matching}`, middle, `DANE-TA 2 ${matching} and name dns.example`],
      [`1 ${matching}`, leaf, `PKIX-EE 1 ${matching} and name dns.example`],
      [`0 ${matching}`, root, `PKIX-TA 0 ${matching} and name dns.example`],
      [`0 ${matching}`, middle, `PKIX-TA 0 ${matching} and name dns.example`],
    ];
    for (const [parameters, of, expected] of cases)
      assert.equal(told(judge(trusted, [tlsaRdata(parameters, of)])), expected);
    for (const usage of [0, 1, 2, 3])
      assert.equal(judge(trusted, [tlsaRdata(`${usage} ${matching}`, other)]).isAuthenticated, false);
  }
});

test("an anchor's record says nothing about the leaf, and the leaf's nothing about an authority [6698-2-a]", () => {
  const trusted = presenting([leaf, middle, root], { chainProblem: undefined });
  for (const usage of [0, 2])
    assert.equal(judge(trusted, [tlsaRdata(`${usage} 1 1`, leaf)]).isAuthenticated, false);
  for (const usage of [1, 3])
    assert.equal(judge(trusted, [tlsaRdata(`${usage} 1 1`, root)]).isAuthenticated, false);
});

test("with DANE-EE neither name, nor dates, nor path of the certificate count [7671-5.1-a]", async () => {
  const bare = await makeCertificate({ subject: "bare", days: [-20, -10] });
  assert.equal(told(judge(presenting([bare]), [tlsaRdata("3 1 1", bare)])), "DANE-EE 3 1 1");
});

test("PKIX usages want what PKIX wants besides", async () => {
  const misnamed = await makeCertificate({ subject: "x", issuer: root, names: ["other.example"] });
  const good = { chainProblem: undefined };
  for (const [usage, name] of [
    [0, "PKIX-TA"],
    [1, "PKIX-EE"],
  ] as const) {
    const of = (certificate: TestCertificate): Uint8Array[] => [
      tlsaRdata(`${usage} 1 1`, usage === 0 ? root : certificate),
    ];
    assert.match(
      told(judge(presenting([leaf, middle, root]), of(leaf))),
      new RegExp(
        `^not: ${name} ${usage} 1 1: certificate path: unable to verify the first certificate; CN=root `,
      ),
    );
    assert.equal(
      told(judge(presenting([misnamed, root], good), of(misnamed))),
      `not: ${name} ${usage} 1 1: the certificate is not for dns.example but for DNS:other.example`,
    );
  }
});

test("an anchor that the server does not send is taken from the record or from the path that was validated", () => {
  const security = presenting([leaf, middle]);
  assert.equal(judge(security, [tlsaRdata("2 0 0", root)]).isAuthenticated, true);
  assert.equal(judge(security, [tlsaRdata("2 1 0", root)]).isAuthenticated, true);
  assert.equal(judge(security, [tlsaRdata("2 0 1", root)]).isAuthenticated, false);
  const validated = presenting([leaf, middle], { chainProblem: undefined, trustAnchor: presented(root) });
  assert.equal(told(judge(validated, [tlsaRdata("0 0 1", root)])), "PKIX-TA 0 0 1 and name dns.example");
});

test("certificates may come in any order, and strangers among them lead nowhere", () => {
  assert.equal(
    judge(presenting([leaf, other, root, middle]), [tlsaRdata("2 0 1", root)]).isAuthenticated,
    true,
  );
  assert.equal(
    told(judge(presenting([leaf, other]), [tlsaRdata("2 0 1", other)])),
    "not: DANE-TA 2 0 1: the certificates do not lead to an authority that TLSA records name",
  );
});

const critical = (oid: string): x509.Extension => new x509.Extension(oid, true, Uint8Array.of(5, 0));
const BROKEN: readonly {
  readonly what: string;
  readonly problem: RegExp;
  readonly middle?: Partial<CertificatePlan>;
  readonly leaf?: Partial<CertificatePlan>;
  readonly root?: Partial<CertificatePlan>;
}[] = [
  { what: "all is well", problem: /^DANE-TA/ },
  { what: "expired leaf", leaf: { days: [-20, -10] }, problem: /leaf has expired/ },
  { what: "leaf of tomorrow", leaf: { days: [1, 10] }, problem: /leaf is not yet valid/ },
  { what: "expired authority", middle: { days: [-20, -10] }, problem: /middle has expired/ },
  { what: "expired anchor", root: { days: [-20, -10] }, problem: /root has expired/ },
  {
    what: "other name",
    leaf: { names: ["other.example"] },
    problem: /not for dns\.example but for DNS:other/,
  },
  { what: "no name", leaf: { names: [] }, problem: /not for dns\.example but for no name/ },
  { what: "a server that signs", middle: { isAuthority: false }, problem: /middle is no authority/ },
  { what: "too long", root: { pathLength: 0 }, problem: /root allows no path of this length/ },
  {
    what: "for clients",
    leaf: { extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])] },
    problem: /not for servers/,
  },
  {
    what: "for servers",
    leaf: { extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth])] },
    problem: /^DANE-TA/,
  },
  {
    what: "an authority for clients",
    middle: { extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])] },
    problem: /middle is not for servers/,
  },
  {
    what: "may not sign certificates",
    middle: { extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true)] },
    problem: /do not lead to an authority|no authority/,
  },
  {
    what: "unknown critical extension",
    leaf: { extensions: [critical("1.2.3.4")] },
    problem: /critical extension/,
  },
  {
    what: "name constraints",
    middle: { extensions: [new x509.Extension("2.5.29.30", false, Uint8Array.of(0x30, 0))] },
    problem: /name constraints/,
  },
  {
    what: "an anchor with a weak signature of its own",
    root: { algorithm: { hash: "SHA-1" } },
    problem: /^DANE-TA/,
  },
  {
    what: "an authority with a weak signature",
    middle: { algorithm: { hash: "SHA-1" } },
    problem: /signature that is too weak/,
  },
  { what: "weak signature", leaf: { algorithm: { hash: "SHA-1" } }, problem: /signature that is too weak/ },
];

for (const row of BROKEN)
  test(`a path below an anchor of TLSA records: ${row.what} [6698-2-a]`, async () => {
    const top = await makeCertificate({ subject: "root", isAuthority: true, ...row.root });
    const between = await makeCertificate({
      subject: "middle",
      issuer: top,
      isAuthority: true,
      ...row.middle,
    });
    const end = await makeCertificate({ subject: "leaf", issuer: between, names: [NAME], ...row.leaf });
    const outcome = judge(presenting([end, between, top]), [tlsaRdata("2 1 1", top)]);
    assert.match(told(outcome), row.problem);
    assert.equal(outcome.isAuthenticated, told(outcome).startsWith("DANE-TA"));
  });

test("an issuer's name without its signature leads nowhere", async () => {
  const impostor = await makeCertificate({ subject: "middle", isAuthority: true });
  const forged = await makeCertificate({ subject: "leaf", issuer: impostor, names: [NAME] });
  assert.equal(judge(presenting([forged, middle, root]), [tlsaRdata("2 1 1", root)]).isAuthenticated, false);
});

test("two authorities that issued each other end", async () => {
  const keys = other.keys;
  const a = await makeCertificate({ subject: "a", isAuthority: true });
  const b = await makeCertificate({ subject: "b", issuer: a, isAuthority: true, keys });
  const back = await makeCertificate({
    subject: "a",
    isAuthority: true,
    issuer: { ...b, keys },
    keys: a.keys,
  });
  const end = await makeCertificate({ subject: "leaf", issuer: b, names: [NAME] });
  assert.match(
    told(judge(presenting([end, b, back]), [tlsaRdata("2 0 0", root)])),
    /do not lead to an authority/,
  );
});

test("one record that is satisfied is enough, and why one that matched was not is told", () => {
  const security = presenting([leaf, middle, root]);
  assert.equal(
    told(judge(security, [tlsaRdata("3 1 1", other), tlsaRdata("2 1 1", root)])),
    "DANE-TA 2 1 1 and name dns.example",
  );
  assert.match(
    told(judge(security, [tlsaRdata("3 1 1", other), tlsaRdata("1 1 1", leaf)])),
    /^not: PKIX-EE 1 1 1: certificate path/,
  );
  assert.match(
    told(judge(security, [tlsaRdata("3 1 1", other)])),
    /^not: no TLSA record matches, .* 3 1 1 [0-9a-f]{64}$/,
  );
});

test("pins count besides TLSA records [8310-6.4-a]", () => {
  const security = presenting([leaf]);
  const records = [tlsaRdata("3 1 1", leaf)];
  const pin = presented(leaf).spkiSha256;
  assert.equal(told(judge(security, records, { pins: [pin] })), `DANE-EE 3 1 1 and pin sha256:${pin}`);
  assert.match(told(judge(security, records, { pins: ["other"] })), /no pin matches/);
});

test("without a usable record, or without a certificate, nobody is authenticated", () => {
  assert.equal(
    judge(presenting([leaf, middle, root], { chainProblem: undefined }), []).isAuthenticated,
    false,
  );
  assert.equal(judge(presenting([]), [tlsaRdata("3 1 1", leaf)]).isAuthenticated, false);
  const garbage = { ...presented(leaf), der: Uint8Array.of(0x30, 0x82) };
  const security = { ...presenting([]), peerChain: [garbage] };
  for (const usage of [2, 3])
    assert.equal(judge(security, [tlsaRdata(`${usage} 1 1`, leaf)]).isAuthenticated, false);
});

test("within dates that cannot be read no certificate is valid", async () => {
  const direct = await makeCertificate({ subject: "leaf", issuer: root, names: [NAME] });
  const utcTime = Buffer.from("170d", "hex");
  const from = Buffer.from(root.der).indexOf(utcTime);
  for (const at of [from, Buffer.from(root.der).indexOf(utcTime, from + 1)]) {
    const der = Buffer.from(root.der);
    der.write("soon or later", at + utcTime.length, "latin1");
    const undated = { ...root, der: new Uint8Array(der) };
    const record = tlsaRdata("2 0 1", undated);
    assert.match(told(judge(presenting([direct, undated]), [record])), /^not: .*(expired|not yet valid)/);
  }
});
