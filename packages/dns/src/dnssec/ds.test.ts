import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName, parseRecord } from "@sotto/dns/wire";
import { type Ds, isDigestOf, readDs, usableDs } from "./ds.ts";
import { Dnskey } from "./key.ts";

const POLICY = { sha1: true } as const;

function rdataOf(text: string): Uint8Array {
  return parseRecord(text, { ttl: 0 }).rdata;
}

interface DigestExample {
  readonly about: string;
  readonly zone: string;
  readonly key: string;
  readonly ds: string;
}

const DSKEY =
  "256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==";

const EXAMPLES: readonly DigestExample[] = [
  {
    about: "SHA-1, RFC 4034 §5.4",
    zone: "dskey.example.com.",
    key: DSKEY,
    ds: "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
  },
  {
    about: "SHA-256, RFC 4509 §2.3",
    zone: "dskey.example.com.",
    key: DSKEY,
    ds: "60485 5 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A",
  },
  {
    about: "SHA-256, RFC 6605 §6.1",
    zone: "example.net.",
    key: "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
    ds: "55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
  },
  {
    about: "SHA-384, RFC 6605 §6.2",
    zone: "example.net.",
    key: "257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
    ds: "10771 14 4 72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6",
  },
  {
    about: "Ed25519, RFC 8080 §6.1",
    zone: "example.com.",
    key: "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
    ds: "3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b",
  },
  {
    about: "Ed25519, second of RFC 8080 §6.1",
    zone: "example.com.",
    key: "257 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=",
    ds: "35217 15 2 401781b934e392de492ec77ae2e15d70f6575a1c0bc59c5275c04ebe80c6614c",
  },
  {
    about: "Ed448, RFC 8080 §6.2",
    zone: "example.com.",
    key: "257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA",
    ds: "9713 16 2 6ccf18d5bc5d7fc2fceb1d59d17321402f2aa8d368048db93dd811f5cb2b19c7",
  },
  {
    about: "Ed448, second of RFC 8080 §6.2",
    zone: "example.com.",
    key: "257 3 16 kkreGWoccSDmUBGAe7+zsbG6ZAFQp+syPmYUurBRQc3tDjeMCJcVMRDmgcNLp5HlHAMy12VoISsA",
    ds: "38353 16 2 645ff078b3568f5852b70cb60e8e696cc77b75bfaaffc118cf79cbda1ba28af4",
  },
];

for (const { about, zone, key, ds } of EXAMPLES)
  test(`a digest stands for its key, its zone and nothing else: ${about}`, () => {
    const dnskey = new Dnskey(rdataOf(`${zone} DNSKEY ${key}`));
    const record = readDs(rdataOf(`${zone} DS ${ds}`));
    assert.equal(record.keyTag, dnskey.tag);
    assert.ok(isDigestOf(record, parseName(zone), dnskey));
    assert.ok(isDigestOf(record, parseName(zone.toUpperCase()), dnskey), "case of the zone's name");
    const wrong: Partial<Ds>[] = [
      { keyTag: record.keyTag ^ 1 },
      { algorithm: record.algorithm ^ 1 },
      { digestType: 3 },
      { digestType: 0 },
      { digest: record.digest.subarray(1) },
      { digest: record.digest.toReversed() },
      { digest: new Uint8Array(0) },
    ];
    for (const parts of wrong)
      assert.equal(
        isDigestOf({ ...record, ...parts }, parseName(zone), dnskey),
        false,
        JSON.stringify(parts),
      );
    assert.equal(isDigestOf(record, parseName("other.example."), dnskey), false);
    const revoked = dnskey.rdata.slice();
    revoked[1] = (revoked[1] ?? 0) | 0x80;
    assert.equal(
      isDigestOf({ ...record, keyTag: new Dnskey(revoked).tag }, parseName(zone), new Dnskey(revoked)),
      false,
    );
  });

/** DS rdata with an arbitrary digest. */
function ds(algorithm: number, digestType: number): Uint8Array {
  return Uint8Array.of(0, algorithm, algorithm, digestType, ...new Uint8Array(32));
}

/** Digest types of the records that are left, or why there are none. */
function usable(...rdatas: Uint8Array[]): string | string[] {
  const found = usableDs(rdatas, POLICY);
  return found.kind === "usable"
    ? found.records.map(({ algorithm, digestType }) => `${algorithm}/${digestType}`)
    : found.kind;
}

test("SHA-1 counts only where nothing better stands beside it (RFC 4509 §3, RFC 6605 §5)", () => {
  assert.deepEqual(usable(ds(13, 1)), ["13/1"]);
  assert.deepEqual(usable(ds(13, 1), ds(13, 2)), ["13/2"]);
  assert.deepEqual(usable(ds(13, 2), ds(13, 1)), ["13/2"]);
  assert.deepEqual(usable(ds(13, 1), ds(8, 4)), ["8/4"]);
  assert.deepEqual(usable(ds(13, 2), ds(13, 4)), ["13/2", "13/4"]);
  // A digest or an algorithm that nobody knows here is not better.
  assert.deepEqual(usable(ds(13, 1), ds(13, 3)), ["13/1"]);
  assert.deepEqual(usable(ds(13, 1), ds(250, 2)), ["13/1"]);
});

test("records with unknown digests or algorithms are as if they were not there (RFC 4035 §5.2, RFC 6840 §5.2) [6840-a]", () => {
  assert.equal(usable(ds(12, 2)), "unsupported algorithm");
  assert.equal(usable(ds(1, 2), ds(253, 2), ds(254, 2), ds(0, 2)), "unsupported algorithm");
  assert.equal(usable(ds(13, 3)), "unsupported digest");
  assert.equal(usable(ds(13, 5), ds(13, 6), ds(13, 0), ds(13, 255)), "unsupported digest");
  assert.equal(usable(ds(12, 3)), "unsupported algorithm");
  assert.equal(usable(), "unsupported algorithm");
  assert.deepEqual(usable(ds(12, 2), ds(13, 3), ds(15, 2)), ["15/2"]);
});

test("without SHA-1 signatures, zones that have no others have no usable DS (RFC 8624 §3.1)", () => {
  assert.equal(usableDs([ds(5, 2), ds(7, 2)], { sha1: false }).kind, "unsupported algorithm");
  assert.equal(usableDs([ds(5, 2), ds(8, 2)], { sha1: false }).kind, "usable");
  assert.equal(usableDs([ds(3, 2), ds(6, 2)], { sha1: true }).kind, "unsupported algorithm");
});
