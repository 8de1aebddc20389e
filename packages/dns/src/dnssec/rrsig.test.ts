import assert from "node:assert/strict";
import { test } from "node:test";
import { EdeCode, type Name, parseName, parseRecord, RRType } from "@sotto/dns/wire";
import { KEYS_PER_TAG_MAX, SIGNATURES_PER_SET_MAX, ValidationBudget } from "./budget.ts";
import { Dnskey } from "./key.ts";
import { signedSets } from "./rfc-zones.test-support.ts";
import {
  checkSignatures,
  isWildcard,
  readRrsig,
  type SignatureCheck,
  type SignatureVerdict,
  signedLabelCount,
  signersOf,
} from "./rrsig.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import {
  APEX,
  DAY_SECONDS,
  NOW_SECONDS,
  plainSet,
  type SignatureParts,
  signatureOver,
  signed,
  testKey,
  withSameTag,
} from "./test-signer.test-support.ts";

const KEY = testKey();
const WWW = plainSet("www.example. 3600 IN A 192.0.2.1");
const HOUR = 3600;

function checkOf(parts: Partial<SignatureCheck> = {}): SignatureCheck {
  return {
    keys: [KEY.dnskey],
    zone: APEX,
    nowSeconds: NOW_SECONDS,
    skew: { minSeconds: 0, maxSeconds: 0 },
    policy: { sha1: true },
    budget: new ValidationBudget(),
    ...parts,
  };
}

/** `right`, or the EDE code. */
function outcome(rrset: SignedRRset, parts: Partial<SignatureCheck> = {}): "right" | number {
  const verdict = checkSignatures(rrset, checkOf(parts));
  return verdict.kind === "right" ? "right" : verdict.error.code;
}

function rightOne(
  rrset: SignedRRset,
  parts: Partial<SignatureCheck> = {},
): SignatureVerdict & { kind: "right" } {
  const verdict = checkSignatures(rrset, checkOf(parts));
  assert.ok(verdict.kind === "right");
  return verdict;
}

interface Printed {
  readonly about: string;
  readonly text: string;
}

const PRINTED: readonly Printed[] = [
  {
    about: "RSA/SHA-256, RFC 5702 §6.1",
    text: `example.net. DNSKEY 256 3 8 AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk=
www.example.net. A 192.0.2.91
www.example.net. RRSIG A 8 3 3600 20300101000000 20000101000000 9033 example.net. kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriShZNz85mwlMgNEacFYK/lPtPiVYP4bwg==`,
  },
  {
    about: "RSA/SHA-512, RFC 5702 §6.2",
    text: `example.net. DNSKEY 256 3 10 AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6pnWnjJQujX/AyhqFDxj13tOnD9u/1kTg7cV6rklMrZDtJCQ5PCl/D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQBlZ3PFY12ZTSncorffcGmhOL
www.example.net. A 192.0.2.91
www.example.net. RRSIG A 10 3 3600 20300101000000 20000101000000 3740 example.net. tsb4wnjRUDnB1BUi+t6TMTXThjVnG+eCkWqjvvjhzQL1d0YRoOe0CbxrVDYd0xDtsuJRaeUw1ep94PzEWzr0iGYgZBWm/zpq+9fOuagYJRfDqfReKBzMweOLDiNa8iP5g9vMhpuv6OPlvpXwm9Sa9ZXIbNl1MBGk0fthPgxdDLw=`,
  },
  {
    about: "ECDSA P-256, RFC 6605 §6.1",
    text: `example.net. DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==
www.example.net. A 192.0.2.1
www.example.net. RRSIG A 13 3 3600 20100909100439 20100812100439 55648 example.net. qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==`,
  },
  {
    about: "ECDSA P-384, RFC 6605 §6.2",
    text: `example.net. DNSKEY 257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40
www.example.net. A 192.0.2.1
www.example.net. RRSIG A 14 3 3600 20100909102025 20100812102025 10771 example.net. /L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm`,
  },
  {
    about: "Ed25519, RFC 8080 §6.1 (erratum 4935)",
    text: `example.com. DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=
example.com. MX 10 mail.example.com.
example.com. RRSIG MX 15 2 3600 1440021600 1438207200 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==`,
  },
  {
    about: "Ed25519, second of RFC 8080 §6.1 (erratum 4935)",
    text: `example.com. DNSKEY 257 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=
example.com. MX 10 mail.example.com.
example.com. RRSIG MX 15 2 3600 1440021600 1438207200 35217 example.com. zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5poJ7gD7AQR0O7KuI5k2pcBg==`,
  },
  {
    about: "Ed448, RFC 8080 §6.2 (erratum 4935)",
    text: `example.com. DNSKEY 257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA
example.com. MX 10 mail.example.com.
example.com. RRSIG MX 16 2 3600 1440021600 1438207200 9713 example.com. 3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6SKiwZSAxGILn/NBtOXft0+Gj7FSvOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA`,
  },
  {
    about: "Ed448, second of RFC 8080 §6.2 (erratum 4935)",
    text: `example.com. DNSKEY 257 3 16 kkreGWoccSDmUBGAe7+zsbG6ZAFQp+syPmYUurBRQc3tDjeMCJcVMRDmgcNLp5HlHAMy12VoISsA
example.com. MX 10 mail.example.com.
example.com. RRSIG MX 16 2 3600 1440021600 1438207200 38353 example.com. E1/oLjSGIbmLny/4fcgM1z4oL6aqo+izT3urCyHyvEp4Sp8Syg1eI+lJ57CSnZqjJP41O/9l4m0AsQ4f7qI1gVnML8vWWiyW2KXhT9kuAICUSxv5OWbf81Rq7Yu60npabODB0QFPb/rkW3kUZmQ0YQUA`,
  },
];

for (const { about, text } of PRINTED)
  test(`a printed signature is right, and wrong when any part of it is changed: ${about}`, () => {
    const [keys, rrset] = signedSets(text);
    assert.ok(keys !== undefined && rrset !== undefined);
    const [signature] = rrset.signatures;
    assert.ok(signature !== undefined);
    const { inception } = readRrsig(signature);
    const check = {
      keys: keys.rdatas.map((rdata) => new Dnskey(rdata)),
      zone: keys.owner,
      nowSeconds: inception + 1000,
    };
    assert.deepEqual(rightOne(rrset, check), {
      kind: "right",
      ttlSeconds: 3600,
      labels: rrset.owner.labelCount,
    });
    for (let at = 0; at < signature.length; at += 1) {
      const changed = signature.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      // The signer's name may not be a name any more; then the record would not have been decoded.
      if (at >= 18 && at < 18 + keys.owner.wire.length) continue;
      assert.notEqual(outcome({ ...rrset, signatures: [changed] }, check), "right", `octet ${at}`);
    }
    for (const cut of [1, 2, 32]) {
      const signatures: Uint8Array[] = [signature.subarray(0, -cut)];
      assert.equal(outcome({ ...rrset, signatures }, check), EdeCode.DnssecBogus);
    }
    const longer = Uint8Array.of(...signature, 0);
    assert.equal(outcome({ ...rrset, signatures: [longer] }, check), EdeCode.DnssecBogus);
    assert.equal(
      outcome({ ...rrset, rdatas: [...rrset.rdatas, Uint8Array.of(0, 0, 0)] }, check),
      EdeCode.DnssecBogus,
    );
  });

test("signatures of every algorithm of the fake internet's signer are right", () => {
  for (const algorithm of [5, 7, 8, 10, 13, 14, 15, 16]) {
    const key = testKey({ algorithm });
    assert.equal(outcome(signed(WWW, key), { keys: [key.dnskey] }), "right", `algorithm ${algorithm}`);
  }
});

test("SHA-1 is not checked where the policy says so, and unknown algorithms never are (RFC 8624 §3.1)", () => {
  const cases: [number, boolean, "right" | number][] = [
    [5, false, EdeCode.RrsigsMissing],
    [7, false, EdeCode.RrsigsMissing],
    [8, false, "right"],
    [253, true, EdeCode.RrsigsMissing],
    [1, true, EdeCode.RrsigsMissing],
    [12, true, EdeCode.RrsigsMissing],
  ];
  for (const [algorithm, sha1, expected] of cases) {
    const key = testKey({ algorithm });
    const budget = new ValidationBudget();
    assert.equal(
      outcome(signed(WWW, key), { keys: [key.dnskey], policy: { sha1 }, budget }),
      expected,
      `algorithm ${algorithm}`,
    );
    assert.equal(budget.signatureChecks, expected === "right" ? 1 : 0);
  }
});

/** The outcome at a time relative to the inception of a signature. */
function atTime(inception: number, lifeSeconds: number, afterSeconds: number, skew = 0): "right" | number {
  const rrset = signed(WWW, KEY, { inception: inception >>> 0, expiration: (inception + lifeSeconds) >>> 0 });
  return outcome(rrset, {
    nowSeconds: inception + afterSeconds,
    skew: { minSeconds: skew, maxSeconds: skew },
  });
}

test("a signature is right from its inception to its expiration, both included (RFC 4035 §5.3.1)", () => {
  const cases: [number, "right" | number][] = [
    [-1, EdeCode.SignatureNotYetValid],
    [0, "right"],
    [1, "right"],
    [HOUR, "right"],
    [HOUR + 1, EdeCode.SignatureExpired],
  ];
  for (const [afterSeconds, expected] of cases)
    assert.equal(atTime(NOW_SECONDS, HOUR, afterSeconds), expected, `${afterSeconds} s`);
});

test("times are serial numbers, so that 2106 is a year like others (RFC 4034 §3.1.5)", () => {
  const wrap = 2 ** 32;
  for (const inception of [wrap - HOUR, wrap - 2, wrap - 1, wrap, wrap + HOUR, 2 * wrap - 2]) {
    assert.equal(atTime(inception, HOUR, -1), EdeCode.SignatureNotYetValid, `${inception}`);
    assert.equal(atTime(inception, HOUR, 0), "right", `${inception}`);
    assert.equal(atTime(inception, HOUR, HOUR), "right", `${inception}`);
    assert.equal(atTime(inception, HOUR, HOUR + 1), EdeCode.SignatureExpired, `${inception}`);
  }
});

test("a life of up to 68 years counts, and one of a second or of none (RFC 4034 §3.1.5)", () => {
  assert.equal(atTime(NOW_SECONDS, 2 ** 31 - 1, HOUR), "right");
  assert.equal(atTime(NOW_SECONDS, 1, 1), "right");
  assert.equal(atTime(NOW_SECONDS, 0, 0), "right");
  assert.equal(atTime(NOW_SECONDS, 0, 1), EdeCode.SignatureExpired);
});

test("a signature that ends before it begins has its own code, whatever the time is (RFC 8914 §4.26)", () => {
  for (const afterSeconds of [-HOUR, -1, 0, 1, HOUR])
    for (const skew of [0, 10 * DAY_SECONDS])
      assert.equal(atTime(NOW_SECONDS, -1, afterSeconds, skew), EdeCode.SignatureExpiredBeforeValid);
});

test("a tenth of the life is allowed for clocks, between the least and the most", () => {
  const skew = { minSeconds: HOUR, maxSeconds: DAY_SECONDS };
  const cases: [number, number][] = [
    [HOUR, HOUR],
    [10 * HOUR, HOUR],
    [20 * HOUR, 2 * HOUR],
    [10 * DAY_SECONDS, DAY_SECONDS],
    [30 * DAY_SECONDS, DAY_SECONDS],
  ];
  for (const [life, allowed] of cases) {
    const [inception, expiration] = [NOW_SECONDS, NOW_SECONDS + life];
    const rrset = signed(WWW, KEY, { inception, expiration });
    const at = (nowSeconds: number): "right" | number => outcome(rrset, { nowSeconds, skew });
    assert.equal(at(inception - allowed), "right");
    assert.equal(at(inception - allowed - 1), EdeCode.SignatureNotYetValid);
    assert.equal(at(expiration + allowed), "right");
    assert.equal(at(expiration + allowed + 1), EdeCode.SignatureExpired);
  }
});

test("a set is kept no longer than its TTL, its original TTL and what is left of the signature (RFC 4035 §5.3.3)", () => {
  const cases: [number, number, number, number][] = [
    // TTL, original TTL, seconds that are left, expected
    [300, 3600, DAY_SECONDS, 300],
    [3600, 300, DAY_SECONDS, 300],
    [3600, 3600, 120, 120],
    [3600, 3600, 1, 1],
    [0, 3600, DAY_SECONDS, 0],
    [3600, 0, DAY_SECONDS, 0],
    [86_400, 86_400, 86_400, 86_400],
  ];
  for (const [ttlSeconds, originalTtl, leftSeconds, expected] of cases) {
    const rrset = { ...WWW, ttlSeconds };
    const right = rightOne(signed(rrset, KEY, { originalTtl, expiration: NOW_SECONDS + leftSeconds }));
    assert.equal(right.ttlSeconds, expected, `${ttlSeconds} ${originalTtl} ${leftSeconds}`);
  }
});

test("what only the allowance for clocks keeps right is kept for a minute at most", () => {
  const skew = { minSeconds: HOUR, maxSeconds: HOUR };
  for (const late of [0, 1, 59, HOUR])
    assert.equal(rightOne(signed(WWW, KEY, { expiration: NOW_SECONDS - late }), { skew }).ttlSeconds, 60);
  const short = signed({ ...WWW, ttlSeconds: 5 }, KEY, { expiration: NOW_SECONDS - 1 });
  assert.equal(rightOne(short, { skew }).ttlSeconds, 5);
});

test("the signer must be the zone, and the owner must be in it (RFC 4035 §5.3.1)", () => {
  const signers: Record<string, "right" | number> = {
    "example.": "right",
    "EXAMPLE.": "right",
    ".": EdeCode.RrsigsMissing,
    "www.example.": EdeCode.RrsigsMissing,
    "xample.": EdeCode.RrsigsMissing,
    "test.": EdeCode.RrsigsMissing,
  };
  for (const [signer, expected] of Object.entries(signers))
    assert.equal(outcome(signed(WWW, KEY, { signerName: parseName(signer) })), expected, signer);
  const outside = plainSet("www.invalid. A 192.0.2.1");
  assert.equal(outcome(signed(outside, KEY)), EdeCode.RrsigsMissing);
});

test("a signature with more labels than its owner is wrong, whoever made it (RFC 4035 §5.3.1)", () => {
  for (const labels of [3, 4, 127, 255])
    assert.equal(outcome(signed(WWW, KEY, { labels })), EdeCode.DnssecBogus, `${labels} labels`);
  // A `*` at the left is not counted, so that two labels are too many for *.example.
  const wildcard = plainSet("*.example. A 192.0.2.1");
  assert.equal(outcome(signed(wildcard, KEY)), "right");
  assert.equal(outcome(signed(wildcard, KEY, { labels: 2 })), EdeCode.DnssecBogus);
});

test("a name made from a wildcard is signed as the wildcard, and the labels tell (RFC 4035 §5.3.2)", () => {
  const owners: [string, string, number][] = [
    ["www.example.", "*.example.", 1],
    ["a.b.c.example.", "*.example.", 1],
    ["a.b.c.example.", "*.c.example.", 2],
    ["a.b.c.example.", "*.b.c.example.", 3],
    ["*.b.example.", "*.example.", 1],
    ["A.B.Example.", "*.b.example.", 2],
  ];
  for (const [owner, wildcard, labels] of owners) {
    const rrset = { ...WWW, owner: parseName(owner) };
    assert.equal(rightOne(signed(rrset, KEY, {}, parseName(wildcard))).labels, labels, owner);
  }
  // The signature of the wildcard of another name, and that of the name itself with too few labels.
  const other = signed(
    { ...WWW, owner: parseName("a.b.example.") },
    KEY,
    { labels: 2 },
    parseName("*.c.example."),
  );
  assert.equal(outcome(other), EdeCode.DnssecBogus);
  assert.equal(outcome(signed(WWW, KEY, { labels: 1 })), EdeCode.DnssecBogus);
});

test("labels and wildcards are counted as RFC 4034 §3.1.3 says", () => {
  const cases: [string, number, boolean][] = [
    [".", 0, false],
    ["*.", 0, true],
    ["example.", 1, false],
    ["*.example.", 1, true],
    ["a.*.example.", 3, false],
    ["\\*.example.", 1, true],
    ["**.example.", 2, false],
  ];
  for (const [text, labels, wildcard] of cases) {
    assert.equal(signedLabelCount(parseName(text)), labels, text);
    assert.equal(isWildcard(parseName(text)), wildcard, text);
  }
});

test("case, order and doubles of records do not matter (RFC 4034 §6)", () => {
  const lower = plainSet("www.example. MX 10 a.example.", "www.example. MX 20 b.example.");
  const upper = plainSet("WWW.Example. MX 20 B.EXAMPLE.", "WWW.Example. MX 10 A.example.");
  const { signatures } = signed(lower);
  assert.equal(outcome({ ...upper, signatures }), "right");
  assert.equal(outcome({ ...upper, rdatas: [...upper.rdatas, ...lower.rdatas], signatures }), "right");
  assert.equal(outcome({ ...upper, rdatas: upper.rdatas.slice(1), signatures }), EdeCode.DnssecBogus);
  assert.equal(outcome({ ...lower, rdatas: [], signatures }), EdeCode.DnssecBogus);
});

test("names in rdata are compared without case only in the types of RFC 4034 §6.2 (RFC 6840 §5.1) [6840-5.1-a]", () => {
  const foldable: [string, string][] = [
    ["NS a.example.", "NS A.EXAMPLE."],
    ["CNAME a.example.", "CNAME A.EXAMPLE."],
    ["DNAME a.example.", "DNAME A.EXAMPLE."],
    ["PTR a.example.", "PTR A.EXAMPLE."],
    ["SOA a.example. b.example. 1 2 3 4 5", "SOA A.example. B.EXAMPLE. 1 2 3 4 5"],
    ["SRV 1 2 3 a.example.", "SRV 1 2 3 A.EXAMPLE."],
    ["KX 1 a.example.", "KX 1 A.EXAMPLE."],
    ["AFSDB 1 a.example.", "AFSDB 1 A.EXAMPLE."],
    ["RP a.example. b.example.", "RP A.EXAMPLE. B.example."],
    ['NAPTR 1 2 "u" "s" "" a.example.', 'NAPTR 1 2 "u" "s" "" A.EXAMPLE.'],
  ];
  const exact: [string, string][] = [
    ["NSEC a.example. A", "NSEC A.EXAMPLE. A"],
    ['HINFO "a" "b"', 'HINFO "A" "B"'],
    ['TXT "a"', 'TXT "A"'],
    ["SVCB 1 a.example.", "SVCB 1 A.EXAMPLE."],
    ["HTTPS 1 a.example.", "HTTPS 1 A.EXAMPLE."],
    ["CAA 0 issue a", "CAA 0 issue A"],
  ];
  for (const [one, other] of foldable) {
    const { signatures } = signed(plainSet(`www.example. ${one}`));
    assert.equal(outcome({ ...plainSet(`www.example. ${other}`), signatures }), "right", other);
  }
  for (const [one, other] of exact) {
    const { signatures } = signed(plainSet(`www.example. ${one}`));
    assert.equal(outcome({ ...plainSet(`www.example. ${one}`), signatures }), "right", one);
    assert.equal(outcome({ ...plainSet(`www.example. ${other}`), signatures }), EdeCode.DnssecBogus, other);
  }
});

test("one right signature is enough, wherever it stands, and others do not matter (RFC 6840 §5.4, §5.12) [6840-5.12-a]", () => {
  const stranger = testKey({ seed: "stranger" });
  const wrong = [
    signatureOver(WWW, stranger),
    signatureOver(WWW, KEY, { expiration: NOW_SECONDS - HOUR }),
    signatureOver(WWW, testKey({ algorithm: 253 })),
    signatureOver({ ...WWW, rdatas: [Uint8Array.of(1, 2, 3, 4)] }, KEY),
    signatureOver(WWW, KEY, { signerName: parseName(".") }),
  ];
  const right = signatureOver(WWW, KEY);
  for (let at = 0; at <= wrong.length; at++)
    assert.equal(outcome({ ...WWW, signatures: wrong.toSpliced(at, 0, right) }), "right", `at ${at}`);
});

test("of several reasons a signature that was checked and is wrong tells most", () => {
  const corrupt = signatureOver(WWW, KEY);
  corrupt[40] = (corrupt[40] ?? 0) ^ 1;
  const expired = signatureOver(WWW, KEY, { expiration: NOW_SECONDS - HOUR });
  const stranger = signatureOver(WWW, testKey({ seed: "stranger" }));
  const cases: [Uint8Array[], number][] = [
    [[], EdeCode.RrsigsMissing],
    [[expired, stranger], EdeCode.SignatureExpired],
    [[stranger, expired], EdeCode.DnskeyMissing],
    [[expired, corrupt], EdeCode.DnssecBogus],
    [[corrupt, expired], EdeCode.DnssecBogus],
  ];
  for (const [signatures, code] of cases) assert.equal(outcome({ ...WWW, signatures }), code);
});

test("a key must be there, be a zone key, have protocol 3 and not be revoked (RFC 4035 §5.3.1, RFC 5011 §2.1)", () => {
  const cases: [string, Parameters<typeof testKey>[0], "right" | number][] = [
    ["zone key", {}, "right"],
    ["zone key without SEP", { flags: 256 }, "right"],
    ["no zone key", { flags: 1 }, EdeCode.NoZoneKeyBitSet],
    ["other flags only", { flags: 0xfeff & ~0x80 }, EdeCode.NoZoneKeyBitSet],
    ["protocol 2", { protocol: 2 }, EdeCode.NoZoneKeyBitSet],
    ["revoked", { flags: 257 | 0x80 }, EdeCode.DnssecBogus],
  ];
  for (const [name, plan, expected] of cases) {
    const key = testKey(plan);
    assert.equal(outcome(signed(WWW, key), { keys: [key.dnskey] }), expected, name);
  }
  assert.equal(outcome(signed(WWW, KEY), { keys: [] }), EdeCode.DnskeyMissing);
  assert.equal(
    outcome(signed(WWW, KEY), { keys: [testKey({ seed: "other" }).dnskey] }),
    EdeCode.DnskeyMissing,
  );
  assert.equal(outcome(signed(WWW, KEY, { algorithm: 16 })), EdeCode.DnskeyMissing);
  assert.equal(outcome(signed(WWW, KEY, { keyTag: KEY.keyTag ^ 1 })), EdeCode.DnskeyMissing);
});

test("keys of one tag are all tried, up to a limit (KeyTrap) [4035-4-a]", () => {
  const others = Array.from({ length: KEYS_PER_TAG_MAX }, (_, i) => withSameTag(KEY, i));
  for (const { tag } of others) assert.equal(tag, KEY.keyTag);
  const rrset = signed(WWW, KEY);
  const budget = new ValidationBudget();
  assert.equal(outcome(rrset, { keys: [...others.slice(1), KEY.dnskey], budget }), "right");
  assert.ok(budget.signatureChecks <= KEYS_PER_TAG_MAX);
  const spent = new ValidationBudget();
  assert.equal(outcome(rrset, { keys: [...others, KEY.dnskey], budget: spent }), EdeCode.DnssecBogus);
  assert.ok(spent.signatureChecks <= KEYS_PER_TAG_MAX);
});

test("of one set a limited number of signatures is looked at (KeyTrap)", () => {
  const stranger = signatureOver(WWW, testKey({ seed: "stranger" }));
  const right = signatureOver(WWW, KEY);
  const many = Array.from({ length: SIGNATURES_PER_SET_MAX - 1 }, () => stranger);
  assert.equal(outcome({ ...WWW, signatures: [...many, right] }), "right");
  assert.equal(outcome({ ...WWW, signatures: [...many, stranger, right] }), EdeCode.DnskeyMissing);
});

test("wrong signatures use up the purse long before right ones do, and then nothing is checked", () => {
  const budget = new ValidationBudget();
  const corrupt = signatureOver(WWW, KEY);
  corrupt[40] = (corrupt[40] ?? 0) ^ 1;
  const rrset = { ...WWW, signatures: [corrupt] };
  let sets = 0;
  while (!budget.isSpent && sets < 1000) {
    assert.equal(outcome(rrset, { budget }), EdeCode.DnssecBogus);
    sets++;
  }
  assert.equal(budget.signatureChecks, sets);
  assert.ok(sets <= 16, `${sets} failures`);
  const verdict = checkSignatures(signed(WWW), checkOf({ budget }));
  assert.ok(verdict.kind === "wrong");
  assert.equal(verdict.error.code, EdeCode.DnssecBogus);
  assert.match(verdict.error.text, /more work/);
  assert.equal(budget.signatureChecks, sets);
});

test("right signatures use up the purse, too", () => {
  const budget = new ValidationBudget();
  const rrset = signed(WWW);
  let right = 0;
  while (right < 1000 && outcome(rrset, { budget }) === "right") right++;
  assert.equal(right, 300);
  assert.ok(budget.isSpent);
});

test("the fields of RRSIG are read from their octets (RFC 4034 §3.1)", () => {
  const { rdata } = parseRecord(
    "www.example. RRSIG A 13 2 4294967295 20380119031408 20010909014640 65535 Sub.Example. AQID",
    { ttl: 0 },
  );
  const { signer, signature, ...numbers } = readRrsig(rdata);
  assert.deepEqual(numbers, {
    typeCovered: RRType.A,
    algorithm: 13,
    labels: 2,
    originalTtl: 4_294_967_295,
    expiration: 2 ** 31,
    inception: 1_000_000_000,
    keyTag: 65_535,
  });
  assert.ok(signer.equals(parseName("sub.example.")));
  assert.deepEqual([...signature], [1, 2, 3]);
});

test("signers of a set stand at or above its owner, for DS above (RFC 4035 §3.1.4.1)", () => {
  const signers = (type: RRType, names: string[]): string[] => {
    const rrset = { ...WWW, type };
    const parts = (signer: string): SignatureParts => ({ signerName: parseName(signer) });
    const signatures = names.map((name) => signatureOver(rrset, KEY, parts(name)));
    return signersOf({ ...rrset, signatures }).map((name: Name) => name.toString());
  };
  assert.deepEqual(signers(RRType.A, ["example.", "EXAMPLE.", "www.example."]), ["example.", "www.example."]);
  assert.deepEqual(signers(RRType.A, ["a.www.example.", "test.", "."]), ["."]);
  assert.deepEqual(signers(RRType.DS, ["www.example.", "example."]), ["example."]);
  assert.deepEqual(signers(RRType.A, []), []);
});
