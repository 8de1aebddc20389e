import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName, parseRecord } from "@sotto/dns/wire";
import { Dnskey, keyTagOf } from "./key.ts";

const ZONE = parseName("example.com.");

function keyOf(text: string): Dnskey {
  return new Dnskey(parseRecord(`example.com. DNSKEY ${text}`, { ttl: 0, origin: ZONE }).rdata);
}

interface KeyFields {
  readonly flags?: number;
  readonly protocol?: number;
  readonly algorithm?: number;
  readonly publicKey?: Uint8Array;
}

function keyRdata(fields: KeyFields): Uint8Array {
  const { flags = 257, protocol = 3, algorithm = 15, publicKey = new Uint8Array(32) } = fields;
  return Uint8Array.of(flags >>> 8, flags & 0xff, protocol, algorithm, ...publicKey);
}

test("key tags are those that RFCs print", () => {
  const cases: [string, string, number][] = [
    [
      "RFC 4034 §5.4",
      "256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
      60485,
    ],
    [
      "RFC 5702 §6.1",
      "256 3 8 AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk=",
      9033,
    ],
    [
      "RFC 6605 §6.1",
      "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
      55648,
    ],
    [
      "RFC 6605 §6.2",
      "257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
      10771,
    ],
    ["RFC 8080 §6.1", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", 3613],
    [
      "RFC 8080 §6.2",
      "257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA",
      9713,
    ],
  ];
  for (const [name, text, tag] of cases) assert.equal(keyOf(text).tag, tag, name);
});

test("the tag of algorithm 1 is the last but one 16 bits of the modulus (RFC 4034 Appendix B.1)", () => {
  const publicKey = Uint8Array.of(1, 3, 0x11, 0x22, 0x33, 0x44);
  assert.equal(keyTagOf(keyRdata({ algorithm: 1, publicKey })), 0x2233);
  // The same octets under another number are summed up.
  assert.notEqual(keyTagOf(keyRdata({ algorithm: 5, publicKey })), 0x2233);
  assert.equal(keyTagOf(Uint8Array.of(1, 0, 3, 1, 9)), 0, "too short for a modulus");
});

test("the tag carries over from the upper 16 bits once (RFC 4034 Appendix B)", () => {
  const referenceTag = (rdata: Uint8Array): number => {
    let sum = 0n;
    for (const [i, octet] of rdata.entries()) sum += BigInt(octet) << (i % 2 === 0 ? 8n : 0n);
    return Number((sum + ((sum >> 16n) & 0xffffn)) & 0xffffn);
  };
  for (const octets of [0, 1, 2, 3, 64, 255, 512, 4096, 65_531]) {
    const publicKey = new Uint8Array(octets).fill(0xff);
    const rdata = Uint8Array.of(0xff, 0xff, 0xff, 0xff, ...publicKey);
    assert.equal(keyTagOf(rdata), referenceTag(rdata), `${octets} octets`);
  }
});

test("only a key with the zone flag and protocol 3 is a zone key (RFC 4034 §2.1.1, §2.1.2)", () => {
  const cases: [number, number, boolean][] = [
    [256, 3, true],
    [257, 3, true],
    [0, 3, false],
    [1, 3, false],
    [0xfeff, 3, false],
    [0xffff, 3, true],
    [257, 0, false],
    [257, 2, false],
    [257, 255, false],
  ];
  for (const [flags, protocol, isZoneKey] of cases) {
    const key = new Dnskey(keyRdata({ flags, protocol }));
    assert.equal(key.isZoneKey, isZoneKey, `flags ${flags}, protocol ${protocol}`);
    assert.equal(key.isSecureEntryPoint, (flags & 1) === 1);
    assert.equal(key.isRevoked, (flags & 128) === 128);
  }
});

test("the REVOKE bit changes the tag (RFC 5011 §2.1)", () => {
  const tags = [257, 257 | 128].map((flags) => new Dnskey(keyRdata({ flags })).tag);
  assert.equal((tags[1] ?? 0) - (tags[0] ?? 0), 128);
});

test("keys that cannot be keys are undefined and not an exception", () => {
  const rsa = (...octets: number[]): Uint8Array => Uint8Array.from(octets);
  const modulus = (octets: number): number[] => Array.from({ length: octets }, () => 0xa5);
  const cases: [string, number, Uint8Array][] = [
    ["RSA without octets", 8, rsa()],
    ["RSA without an exponent", 8, rsa(0, 0, 0, ...modulus(128))],
    ["RSA whose exponent goes past the end", 8, rsa(200, 1, 2, 3)],
    ["RSA with a long length that is cut off", 8, rsa(0, 1)],
    ["RSA with a huge exponent", 8, rsa(9, ...modulus(9), ...modulus(128))],
    ["RSA of 504 bits", 8, rsa(1, 3, ...modulus(63))],
    ["RSA of 4104 bits", 8, rsa(1, 3, ...modulus(513))],
    ["P-256 of 63 octets", 13, new Uint8Array(63).fill(1)],
    ["P-256 that is no point of the curve", 13, new Uint8Array(64).fill(1)],
    ["P-384 of 64 octets", 14, new Uint8Array(64).fill(1)],
    ["Ed25519 of 31 octets", 15, new Uint8Array(31)],
    ["Ed25519 of 33 octets", 15, new Uint8Array(33)],
    ["Ed448 of 56 octets", 16, new Uint8Array(56)],
    ["DSA that is too short", 3, new Uint8Array(20)],
    ["algorithm 0", 0, new Uint8Array(64)],
    ["RSAMD5", 1, rsa(1, 3, ...modulus(128))],
    ["GOST", 12, new Uint8Array(64)],
    ["a private algorithm", 253, new Uint8Array(64)],
    ["algorithm 255", 255, new Uint8Array(64)],
  ];
  for (const [name, algorithm, publicKey] of cases)
    assert.equal(new Dnskey(keyRdata({ algorithm, publicKey })).publicKey, undefined, name);
});

test("RSA exponents may have a long length, and moduli 512 to 4096 bits (RFC 3110 §2, RFC 5702 §2)", () => {
  const modulus = (octets: number): number[] => [0xc1, ...new Uint8Array(octets - 1).fill(0xa5)];
  for (const octets of [64, 128, 256, 512]) {
    for (const head of [
      [1, 3],
      [3, 1, 0, 1],
      [0, 0, 3, 1, 0, 1],
      [8, 0, 0, 0, 0, 0, 1, 0, 1],
    ]) {
      const { publicKey } = new Dnskey(
        keyRdata({ algorithm: 10, publicKey: Uint8Array.from([...head, ...modulus(octets)]) }),
      );
      assert.equal(publicKey?.asymmetricKeyDetails?.modulusLength, octets * 8, `${octets} octets, ${head}`);
    }
  }
});
