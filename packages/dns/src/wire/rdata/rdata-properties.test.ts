/** What holds for whatever values a record type can hold, for every type of the table. Seeded: a failure repeats. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { octetsToHex } from "../hex.ts";
import { RRType } from "../iana/rr-type.ts";
import { Name } from "../name.ts";
import { parseRecord } from "../record-text.ts";
import { addressPrefixes } from "./address-prefixes.ts";
import {
  characterString,
  characterStrings,
  optionalString,
  propertyTag,
  textRest,
} from "./character-strings.ts";
import { rdataProblem } from "./check.ts";
import { name, nameAsIs, uint8, uint16, uint32, uint48 } from "./field.ts";
import { amtRelay, hostIdentity, ipsecGateway } from "./gateway.ts";
import { location } from "./location.ts";
import {
  base64Rest,
  base64Some,
  countedBase32hex,
  countedHex,
  eui48,
  eui64,
  hexSome,
  ipv4,
  ipv6,
  locator64,
  nsapAddress,
  zoneDigest,
} from "./octet-fields.ts";
import { canonicalRdata, decodeRdata, encodeRdata, type RdataFields } from "./rdata.ts";
import { rdataToText } from "./rdata-text.ts";
import { svcParams } from "./svc-params.ts";
import { period, timestamp } from "./time-fields.ts";
import { countedBase64, transactionError } from "./transaction.ts";
import { typeBitmap } from "./type-bitmap.ts";
import { RDATA_TYPES, type RdataMnemonic } from "./types.ts";
import { wellKnownServices } from "./well-known-services.ts";

const SEED = { seed: 20_261_123, numRuns: 60 };

/** Objects as ours are, not without a prototype. */
const PLAIN = { noNullPrototype: true } as const;

const octet = fc.integer({ min: 0, max: 255 });
const number16 = fc.integer({ min: 0, max: 0xffff });
const number32 = fc.integer({ min: 0, max: 0xffff_ffff });
const octets = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });
const exactly = (length: number): fc.Arbitrary<Uint8Array> => octets(length, length);
const anyName: fc.Arbitrary<Name> = fc
  .array(octets(1, 9), { maxLength: 4 })
  .map((labels) => new Name(Uint8Array.from([...labels.flatMap((label) => [label.length, ...label]), 0])));
const ascending = (most: number): fc.Arbitrary<number[]> =>
  fc
    .uniqueArray(fc.integer({ min: 0, max: most }), { maxLength: 9 })
    .map((values) => values.sort((a, b) => a - b));
const withoutZerosBehind = (maxLength: number): fc.Arbitrary<Uint8Array> =>
  octets(0, maxLength).filter((value) => value.at(-1) !== 0);
const gateway = fc.oneof(fc.constant(undefined), exactly(4), exactly(16), anyName);
const precision = fc
  .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 }))
  .map(([mantissa, power]) => (mantissa === 0 ? 0 : mantissa * 16 + power));
const angle = (degrees: number): fc.Arbitrary<number> =>
  fc
    .integer({ min: -degrees * 3_600_000, max: degrees * 3_600_000 })
    .map((thousandths) => 2 ** 31 + thousandths);

const letters = fc
  .array(fc.constantFrom(..."azAZ09"), { minLength: 1, maxLength: 9 })
  .map((characters) => new TextEncoder().encode(characters.join("")));

const prefix = fc.oneof(
  fc.record(
    {
      family: fc.constant(1),
      bits: fc.nat(32),
      isNegated: fc.boolean(),
      address: withoutZerosBehind(4),
    },
    PLAIN,
  ),
  fc.record(
    {
      family: fc.constant(2),
      bits: fc.nat(128),
      isNegated: fc.boolean(),
      address: withoutZerosBehind(16),
    },
    PLAIN,
  ),
);

const protocols = fc
  .array(octets(1, 9), { minLength: 1, maxLength: 3 })
  .map((ids) => Uint8Array.from(ids.flatMap((id) => [id.length, ...id])));

/** Parameters in order; each may be left out, and mandatory tells some of those that are there. */
const params = fc
  .record(
    {
      mandatory: fc.boolean(),
      1: fc.option(protocols, { nil: undefined }),
      3: fc.option(exactly(2), { nil: undefined }),
      4: fc.option(
        octets(1, 3).map((list) => Uint8Array.from([...list].flatMap((one) => [192, 0, 2, one]))),
        { nil: undefined },
      ),
      5: fc.option(octets(0, 20), { nil: undefined }),
      6: fc.option(exactly(32), { nil: undefined }),
      7: fc.option(octets(0, 20), { nil: undefined }),
      667: fc.option(octets(0, 20), { nil: undefined }),
    },
    PLAIN,
  )
  .map(({ mandatory, ...values }) => {
    const list = Object.entries(values).flatMap(([key, value]) =>
      value === undefined ? [] : [{ key: Number(key), value }],
    );
    const keys = list.flatMap(({ key }) => [key >>> 8, key & 0xff]);
    return mandatory && keys.length > 0 ? [{ key: 0, value: Uint8Array.from(keys) }, ...list] : list;
  });

/** What each field can hold. Fields that the table makes for itself are taken out of it. */
const arbitraries = new Map<unknown, fc.Arbitrary<unknown>>([
  [uint8, octet],
  [uint16, number16],
  [uint32, number32],
  [uint48, fc.maxSafeNat().map((value) => value % 2 ** 48)],
  [timestamp, number32],
  [period, number32],
  [transactionError, number16],
  [RDATA_TYPES.DS.algorithm, octet],
  [RDATA_TYPES.CERT.algorithm, octet],
  [RDATA_TYPES.CERT.type, number16],
  [RDATA_TYPES.RRSIG.typeCovered, number16],
  [RDATA_TYPES.DSYNC.scheme, octet],
  [name, anyName],
  [nameAsIs, anyName],
  [characterString, fc.oneof(octets(0, 20), exactly(255))],
  [optionalString, fc.option(octets(0, 20), { nil: undefined })],
  [characterStrings, fc.array(octets(0, 20), { minLength: 1, maxLength: 4 })],
  [textRest, octets(0, 300)],
  [propertyTag, letters],
  [base64Rest, octets(0, 80)],
  [base64Some, octets(1, 80)],
  [hexSome, octets(1, 80)],
  [zoneDigest, octets(12, 80)],
  [nsapAddress, octets(1, 20)],
  [countedHex, octets(0, 20)],
  [countedBase32hex, octets(1, 40)],
  [countedBase64, octets(0, 40)],
  [ipv4, exactly(4)],
  [ipv6, exactly(16)],
  [eui48, exactly(6)],
  [eui64, exactly(8)],
  [locator64, exactly(8)],
  [addressPrefixes, fc.array(prefix, { maxLength: 4 })],
  [svcParams, params],
  [typeBitmap, ascending(0xffff)],
  [wellKnownServices, fc.record({ protocol: octet, ports: ascending(1024) }, PLAIN)],
  [
    location,
    fc.record(
      {
        size: precision,
        horizontalPrecision: precision,
        verticalPrecision: precision,
        latitude: angle(90),
        longitude: angle(180),
        altitude: number32,
      },
      PLAIN,
    ),
  ],
  [ipsecGateway, fc.record({ algorithm: octet, gateway }, PLAIN)],
  [amtRelay, fc.record({ isDiscoveryOptional: fc.boolean(), relay: gateway }, PLAIN)],
  [
    hostIdentity,
    fc.record(
      {
        algorithm: octet,
        tag: octets(1, 16),
        publicKey: octets(1, 80),
        rendezvousServers: fc.array(anyName, { maxLength: 3 }),
      },
      PLAIN,
    ),
  ],
]);

function fieldsFor(mnemonic: string, fields: Readonly<Record<string, unknown>>): fc.Arbitrary<RdataFields> {
  const parts: Record<string, fc.Arbitrary<unknown>> = {};
  for (const [key, field] of Object.entries(fields)) {
    const arbitrary = arbitraries.get(field);
    assert.ok(arbitrary !== undefined, `say above what ${mnemonic}'s ${key} can hold`);
    parts[key] = arbitrary;
  }
  return fc.record(parts, PLAIN);
}

/** Values to compare: names as text, octets as hex. */
function comparable(value: unknown): unknown {
  if (value instanceof Name) return value.toString();
  if (value instanceof Uint8Array) return octetsToHex(value);
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, comparable(one)]));
}

const mnemonics: readonly (readonly [string, number, fc.Arbitrary<RdataFields>])[] = Object.entries(
  RDATA_TYPES,
).map(([mnemonic, fields]) => {
  // Object.entries forgets that its keys are those of the table.
  const type = RRType[mnemonic as RdataMnemonic];
  return [mnemonic, type, fieldsFor(mnemonic, fields)];
});

function packedFor(type: number, values: RdataFields): Uint8Array {
  const rdata = encodeRdata(type, values);
  assert.ok(rdata.ok, rdata.ok ? "" : rdata.problem);
  return rdata.value;
}

for (const [mnemonic, type, arbitrary] of mnemonics) {
  test(`${mnemonic}: any values come back from octets, and octets from text`, () => {
    fc.assert(
      fc.property(arbitrary, (values) => {
        const rdata = packedFor(type, values);
        assert.equal(rdataProblem(type, rdata), undefined);
        const read = decodeRdata(type, rdata);
        assert.ok(read.ok);
        assert.deepEqual(comparable(read.value), comparable(values));
        // Signatures of transactions are never in zones, so their text is not read.
        if (type === RRType.TSIG || type === RRType.TKEY) return;
        const text = rdataToText(type, rdata);
        assert.doesNotMatch(text, /^\\#/);
        assert.equal(octetsToHex(parseRecord(`x. 1 IN ${mnemonic} ${text}`).rdata), octetsToHex(rdata), text);
      }),
      SEED,
    );
  });
}

test("changed or cut octets have values only when well-formed, and those values give them back", () => {
  const known = fc
    .constantFrom(...mnemonics)
    .chain(([, type, arbitrary]) =>
      fc.record({ type: fc.constant(type), values: arbitrary, at: fc.nat(300), octet, isCut: fc.boolean() }),
    );
  fc.assert(
    fc.property(known, ({ type, values, at, octet: changed, isCut }) => {
      const rdata = packedFor(type, values).slice();
      const where = rdata.length === 0 ? 0 : at % rdata.length;
      if (rdata.length > 0) rdata[where] = changed;
      const mutant = isCut ? rdata.subarray(0, where) : rdata;
      const read = decodeRdata(type, mutant);
      // Only forms of the future may be well-formed and have no values.
      if (rdataProblem(type, mutant) !== undefined) assert.equal(read.ok, false);
      if (!read.ok) return;
      assert.equal(octetsToHex(packedFor(type, read.value)), octetsToHex(mutant));
    }),
    { ...SEED, numRuns: 5000 },
  );
});

test("the canonical form is well-formed, has the same length, and is its own canonical form", () => {
  const known = fc
    .constantFrom(...mnemonics)
    .chain(([, type, arbitrary]) => fc.record({ type: fc.constant(type), values: arbitrary }));
  fc.assert(
    fc.property(known, ({ type, values }) => {
      const rdata = packedFor(type, values);
      const canonical = canonicalRdata(type, rdata);
      assert.equal(canonical.length, rdata.length);
      assert.equal(rdataProblem(type, canonical), undefined);
      assert.deepEqual(canonicalRdata(type, canonical), canonical);
    }),
    { ...SEED, numRuns: 2000 },
  );
});
