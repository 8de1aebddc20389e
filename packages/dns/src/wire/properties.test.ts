/** What holds for every message, not only for those somebody thought of. Seeded: a failure repeats. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Edns, ednsOctets, makeEdns, tryReadOptions, writeEdns } from "./edns/edns.ts";
import { FrameReader, frameMessage } from "./frame.ts";
import { octetsToHex, tryHexToOctets } from "./hex.ts";
import { RRType } from "./iana/rr-type.ts";
import { type Message, makeMessage } from "./message.ts";
import { tryDecodeMessage } from "./message-decoder.ts";
import { encodeMessage } from "./message-encoder.ts";
import { tryViewMessage } from "./message-view.ts";
import { NAME_OCTETS_MAX, Name, parseName, tryReadName } from "./name.ts";
import { concatOctets, OctetReader, OctetWriter } from "./octets.ts";
import type { ResourceRecord } from "./record.ts";
import { tryFindTtls } from "./reply-patcher.ts";

const SEED = { seed: 20_261_123, numRuns: 400 };

/** Objects as ours are, not without a prototype. */
const PLAIN = { noNullPrototype: true } as const;

const octet = fc.integer({ min: 0, max: 255 });
/** Compression may change the case of a name, so names that must come back exactly have no capitals. */
const smallOctet = octet.map((value) => (value >= 0x41 && value <= 0x5a ? value + 0x20 : value));

function nameOf(labelOctet: fc.Arbitrary<number>): fc.Arbitrary<Name> {
  const label = fc
    .uint8Array({ minLength: 1, maxLength: 63 })
    .chain((raw) => fc.array(labelOctet, { minLength: raw.length, maxLength: raw.length }));
  return fc
    .array(fc.oneof({ weight: 4, arbitrary: fc.array(labelOctet, { minLength: 1, maxLength: 5 }) }, label), {
      maxLength: 12,
    })
    .map((labels) => {
      const pieces: number[] = [];
      for (const one of labels) {
        if (pieces.length + one.length + 2 > NAME_OCTETS_MAX) break;
        pieces.push(one.length, ...one);
      }
      return new Name(Uint8Array.of(...pieces, 0));
    });
}

const anyName = nameOf(octet);
const smallName = nameOf(smallOctet);
const uint16 = fc.integer({ min: 0, max: 0xffff });
const octetString = fc.uint8Array({ maxLength: 200 });

/** Types without a form of their own, and those whose names are compressed. */
function rdataOf(name: fc.Arbitrary<Name>): fc.Arbitrary<{ type: number; rdata: Uint8Array }> {
  const suffix20 = fc.uint8Array({ minLength: 20, maxLength: 20 });
  return fc.oneof(
    fc.record({ type: fc.constantFrom(65_280, 10, 61_000), rdata: octetString }),
    fc.record({ type: fc.constant(RRType.A), rdata: fc.uint8Array({ minLength: 4, maxLength: 4 }) }),
    fc.record({
      type: fc.constantFrom(RRType.NS, RRType.CNAME, RRType.PTR, RRType.DNAME),
      rdata: name.map((one) => one.wire),
    }),
    fc.record({
      type: fc.constantFrom(RRType.MX, RRType.KX),
      rdata: fc.tuple(uint16, name).map(([n, one]) => concatOctets([Uint8Array.of(n >>> 8, n), one.wire])),
    }),
    fc.record({
      type: fc.constant(RRType.SOA),
      rdata: fc.tuple(name, name, suffix20).map(([a, b, c]) => concatOctets([a.wire, b.wire, c])),
    }),
  );
}

const edns: fc.Arbitrary<Edns> = fc.record(
  {
    udpPayloadOctets: uint16,
    version: octet,
    dnssecOk: fc.boolean(),
    reservedFlags: fc.integer({ min: 0, max: 0x7fff }),
    options: fc.array(fc.record({ code: uint16, data: octetString }, PLAIN), { maxLength: 5 }),
  },
  PLAIN,
);

function messageOf(name: fc.Arbitrary<Name>): fc.Arbitrary<Message> {
  // Few names, used often, make compression work.
  return fc.array(name, { minLength: 1, maxLength: 4 }).chain((pool) => {
    const pooled = fc
      .constantFrom(...pool)
      .chain((one) => fc.oneof(fc.constant(one), fc.constant(one.parent()), fc.constant(one.suffix(2))));
    const record: fc.Arbitrary<ResourceRecord> = fc
      .record({
        owner: pooled,
        class: uint16,
        ttl: fc.integer({ min: 0, max: 0x7fff_ffff }),
        typed: rdataOf(pooled),
      })
      .map(({ typed, ...rest }) => ({ ...rest, ...typed }));
    const section = fc.array(record, { maxLength: 6 });
    return fc
      .record({
        id: uint16,
        flags: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
        opcode: fc.integer({ min: 0, max: 15 }),
        rcode: fc.integer({ min: 0, max: 4095 }),
        questions: fc.array(fc.record({ name: pooled, type: uint16, class: uint16 }, PLAIN), {
          maxLength: 2,
        }),
        answers: section,
        authorities: section,
        additionals: section,
        edns: fc.option(edns, { nil: undefined }),
      })
      .map(({ flags, rcode, ...rest }) => ({
        ...rest,
        rcode: rest.edns === undefined ? rcode & 0xf : rcode,
        isResponse: flags[0] ?? false,
        isAuthoritative: flags[1] ?? false,
        isTruncated: flags[2] ?? false,
        recursionDesired: flags[3] ?? false,
        recursionAvailable: flags[4] ?? false,
        reservedFlag: flags[5] ?? false,
        authenticData: flags[6] ?? false,
        checkingDisabled: flags[7] ?? false,
      }));
  });
}

test("names: text and wire form both come back", () => {
  fc.assert(
    fc.property(anyName, (name) => {
      assert.deepEqual(parseName(name.toString()).wire, name.wire);
      const read = tryReadName(name.wire, 0);
      assert.ok(read.ok);
      assert.deepEqual(read.value.name.wire, name.wire);
      assert.equal(read.value.next, name.wire.length);
    }),
    SEED,
  );
});

test("names: order, equality and keys agree", () => {
  fc.assert(
    fc.property(anyName, anyName, (a, b) => {
      assert.equal(a.compare(b) === 0, a.equals(b));
      assert.equal(a.equals(b), a.key === b.key);
      assert.equal(Math.sign(a.compare(b)) + Math.sign(b.compare(a)), 0);
      assert.ok(a.equals(a.toLowerCase()));
      assert.ok(a.isAtOrBelow(a.parent()));
    }),
    SEED,
  );
});

test("names: compressed names come back, in whatever order they are written", () => {
  fc.assert(
    fc.property(fc.array(anyName, { maxLength: 20 }), (names) => {
      const writer = new OctetWriter(1);
      for (const name of names) {
        writer.name(name);
        writer.name(name.parent());
      }
      const reader = new OctetReader(writer.finish());
      for (const name of names) {
        assert.ok(reader.name().equals(name));
        assert.ok(reader.name().equals(name.parent()));
      }
      assert.equal(reader.problem, undefined);
      assert.equal(reader.remaining, 0);
    }),
    SEED,
  );
});

test("messages: decoding gives what was encoded", () => {
  fc.assert(
    fc.property(messageOf(smallName), (message) => {
      const read = tryDecodeMessage(encodeMessage(message));
      assert.ok(read.ok, read.ok ? "" : read.problem);
      assert.deepEqual(read.value, message);
    }),
    SEED,
  );
});

test("messages: with capitals too, and compression never makes them longer", () => {
  fc.assert(
    fc.property(messageOf(anyName), (message) => {
      const wire = encodeMessage(message);
      const read = tryDecodeMessage(wire);
      assert.ok(read.ok);
      assert.deepEqual(encodeMessage(read.value), wire);
      const records = [...message.answers, ...message.authorities, ...message.additionals];
      let plain = 12 + (message.edns === undefined ? 0 : ednsOctets(message.edns));
      for (const question of message.questions) plain += question.name.wire.length + 4;
      for (const record of records) plain += record.owner.wire.length + 10 + record.rdata.length;
      assert.ok(wire.length <= plain);
      for (const [i, record] of [...read.value.answers, ...read.value.authorities].entries())
        assert.ok(record.owner.equals(records[i]?.owner ?? Name.root));
    }),
    SEED,
  );
});

test("messages: a view sees what a full decoding sees", () => {
  fc.assert(
    fc.property(messageOf(anyName), (message) => {
      const wire = encodeMessage(message);
      const seen = tryViewMessage(wire);
      assert.ok(seen.ok, seen.ok ? "" : seen.problem);
      const view = seen.value;
      assert.equal(view.ednsProblem, undefined);
      assert.equal(view.id, message.id);
      assert.equal(view.rcode, message.rcode);
      assert.deepEqual(view.edns, message.edns);
      assert.equal(view.questionCount, message.questions.length);
      if (message.questions.length > 0) {
        assert.ok(view.qname.equals(message.questions[0]?.name ?? Name.root));
        assert.equal(view.qtype, message.questions[0]?.type);
      }
      const ttls = tryFindTtls(wire);
      assert.ok(ttls.ok);
      const records = [...message.answers, ...message.authorities, ...message.additionals];
      assert.equal(ttls.value.offsets.length, records.length);
      assert.equal(ttls.value.smallestTtl, Math.min(...records.map((record) => record.ttl)));
    }),
    SEED,
  );
});

test("messages: cut to any size they are still messages, within the size when header, question and OPT fit", () => {
  fc.assert(
    fc.property(
      messageOf(anyName),
      fc.integer({ min: 0, max: 1500 }),
      fc.integer({ min: 0, max: 500 }),
      (message, octetsMax, padBlockOctets) => {
        const wire = encodeMessage(message, {
          octetsMax,
          padBlockOctets: message.edns === undefined ? 0 : padBlockOctets,
        });
        const read = tryDecodeMessage(wire);
        assert.ok(read.ok, read.ok ? "" : read.problem);
        const least = encodeMessage({ ...message, answers: [], authorities: [], additionals: [] });
        assert.ok(wire.length <= Math.max(octetsMax, least.length));
      },
    ),
    SEED,
  );
});

test("EDNS: an OPT record's options come back", () => {
  fc.assert(
    fc.property(edns, (value) => {
      const writer = new OctetWriter();
      writeEdns(writer, value, 0);
      assert.equal(writer.length, ednsOctets(value));
      assert.deepEqual(tryReadOptions(writer.finish().subarray(11)), { ok: true, value: value.options });
      const read = tryDecodeMessage(encodeMessage(makeMessage({ edns: makeEdns(value) })));
      assert.ok(read.ok);
      assert.deepEqual(read.value.edns, value);
    }),
    SEED,
  );
});

test("frames: any segmentation gives the same messages [7766-8-b]", () => {
  fc.assert(
    fc.property(
      fc.array(octetString, { maxLength: 8 }),
      fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 1 }),
      (messages, steps) => {
        const stream = concatOctets(messages.map((message) => frameMessage(message)));
        const reader = new FrameReader();
        const read: Uint8Array[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const step = 1 + (steps[i % steps.length] ?? 0);
          reader.push(stream.subarray(at, at + step), (message) => read.push(message.slice()) > 0);
          at += step;
        }
        assert.deepEqual(read, messages);
        assert.equal(reader.bufferedOctets, 0);
      },
    ),
    SEED,
  );
});

test("hexadecimal text comes back", () => {
  fc.assert(
    fc.property(octetString, (octets) => {
      assert.deepEqual(tryHexToOctets(octetsToHex(octets)), { ok: true, value: octets });
    }),
    SEED,
  );
});
