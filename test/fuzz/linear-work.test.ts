/**
 * Work must grow with the size of what strangers send and not with its square. Each shape is read at one size and at
 * eight times that size; the quickest of several readings counts, so that a busy machine does no harm.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  concatOctets,
  FrameReader,
  MessageView,
  setUint16,
  tryDecodeMessage,
  tryFindTtls,
} from "@sotto/dns/wire";

const SMALL_OCTETS = 8_000;
const GROWTH = 8;
const ATTEMPTS_MAX = 8;
/** Quadratic work would take 64 times as long. */
const GROWTH_MAX = 3 * GROWTH;

interface Shape {
  readonly title: string;
  /** A message of about that many octets. */
  readonly make: (octets: number) => Uint8Array;
}

function header(counts: { question?: number; answer?: number; additional?: number }): Uint8Array {
  const octets = new Uint8Array(12);
  setUint16(octets, 4, counts.question ?? 0);
  setUint16(octets, 6, counts.answer ?? 0);
  setUint16(octets, 10, counts.additional ?? 0);
  return octets;
}

function repeated(piece: Uint8Array, count: number): Uint8Array {
  const octets = new Uint8Array(piece.length * count);
  for (let i = 0; i < count; i++) octets.set(piece, i * piece.length);
  return octets;
}

/** Type 65280, class IN, TTL 0, no rdata. */
const FIXED = Uint8Array.of(0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0);
/** 127 labels of one octet. */
const LONGEST = concatOctets([repeated(Uint8Array.of(1, 0x61), 127), Uint8Array.of(0)]);

const shapes: readonly Shape[] = [
  {
    title: "records without rdata",
    make: (octets) => {
      const count = Math.floor(octets / 11);
      return concatOctets([
        header({ answer: count }),
        repeated(concatOctets([Uint8Array.of(0), FIXED]), count),
      ]);
    },
  },
  {
    title: "records whose owners point to different suffixes of the longest name",
    make: (octets) => {
      const count = Math.floor(octets / 12);
      const records = Array.from({ length: count }, (_, i) =>
        concatOctets([Uint8Array.of(0xc0, 12 + 2 * (i % 120)), FIXED]),
      );
      return concatOctets([header({ answer: count + 1 }), LONGEST, FIXED, ...records]);
    },
  },
  {
    title: "rdata that points to the longest name",
    make: (octets) => {
      const count = Math.floor(octets / 15);
      const cname = Uint8Array.of(0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 0, 0, 2, 0xc0, 12);
      return concatOctets([header({ answer: count + 1 }), LONGEST, FIXED, repeated(cname, count)]);
    },
  },
  {
    title: "chains of 120 pointers",
    make: (octets) => {
      const count = Math.floor(octets / 12);
      const pieces: Uint8Array[] = [Uint8Array.of(0), FIXED];
      for (let i = 0; i < count; i++) {
        const link = i % 120;
        const target = link === 0 ? 12 : 23 + 12 * (link - 1);
        pieces.push(Uint8Array.of(0xc0 | (target >>> 8), target & 0xff), FIXED);
      }
      return concatOctets([header({ answer: count + 1 }), ...pieces]);
    },
  },
  {
    title: "one-octet labels without an end",
    make: (octets) => concatOctets([header({ question: 1 }), repeated(Uint8Array.of(1, 0x61), octets / 2)]),
  },
  {
    title: "thousands of empty options",
    make: (octets) => {
      const options = octets - (octets % 4);
      const opt = Uint8Array.of(0, 0, 41, 4, 0xd0, 0, 0, 0, 0, options >>> 8, options & 0xff);
      return concatOctets([header({ additional: 1 }), opt, new Uint8Array(options)]);
    },
  },
  {
    title: "an option of full length",
    make: (octets) => {
      const opt = Uint8Array.of(0, 0, 41, 4, 0xd0, 0, 0, 0, 0, (octets + 4) >>> 8, (octets + 4) & 0xff);
      return concatOctets([
        header({ additional: 1 }),
        opt,
        Uint8Array.of(0, 12, octets >>> 8, octets & 0xff),
        new Uint8Array(octets),
      ]);
    },
  },
];

/** Milliseconds of the quickest of `times` runs of eight. */
function quickest(run: () => void, times = 12): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times; i++) {
    const start = process.hrtime.bigint();
    for (let k = 0; k < 8; k++) run();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e6);
  }
  return best;
}

/** Work that is not linear is so each time; a machine that is busy with others only sometimes. */
function assertLinear(work: (octets: Uint8Array) => void, small: Uint8Array, large: Uint8Array): void {
  let said = "";
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const smallMs = quickest(() => work(small));
    const largeMs = quickest(() => work(large));
    // Below a hundredth of a millisecond the clock and the garbage collector say more than the work.
    if (largeMs < Math.max(smallMs, 0.01) * GROWTH_MAX) return;
    said = `${small.length} octets took ${smallMs} ms, ${large.length} took ${largeMs} ms`;
  }
  assert.fail(said);
}

test("messages of every hostile shape are read in linear work", async (context) => {
  const view = new MessageView();
  for (const { title, make } of shapes) {
    await context.test(title, () => {
      const small = make(SMALL_OCTETS);
      const large = make(SMALL_OCTETS * GROWTH);
      assert.ok(large.length <= 65_535 && large.length > 7 * small.length);
      const isWhole = title !== "one-octet labels without an end";
      assert.equal(tryDecodeMessage(large).ok, isWhole);
      assertLinear((octets) => void tryDecodeMessage(octets), small, large);
      assertLinear((octets) => void view.reset(octets), small, large);
      assertLinear((octets) => void tryFindTtls(octets), small, large);
    });
  }
});

test("a stream of empty messages is cut in linear work", () => {
  const work = (octets: Uint8Array): void => void new FrameReader().push(octets, () => true);
  assertLinear(work, new Uint8Array(SMALL_OCTETS), new Uint8Array(SMALL_OCTETS * GROWTH));
});

test("a message that comes in single octets is collected in linear work", () => {
  const make = (length: number): Uint8Array =>
    concatOctets([Uint8Array.of(length >>> 8, length & 0xff), new Uint8Array(length)]);
  const work = (octets: Uint8Array): void => {
    const reader = new FrameReader();
    for (let at = 0; at < octets.length; at++) reader.push(octets.subarray(at, at + 1), () => true);
  };
  assertLinear(work, make(SMALL_OCTETS), make(SMALL_OCTETS * GROWTH));
});
