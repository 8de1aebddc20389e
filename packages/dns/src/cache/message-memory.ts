/**
 * Where a message cache lives: one buffer, cut into shards, each with its own state words, index and ring. The buffer may
 * be shared by threads: one makes a {@link SharedCacheMemory}, the others get it as a structured clone (`workerData`).
 */
import type { Random } from "@sotto/dns/runtime";
import { KEY_SECRET_OCTETS } from "./message-key.ts";
import { nextLap } from "./ring-position.ts";

/** A message cache that threads share. Can be cloned (posted to a worker); the octets of replies are not copied then. */
export interface SharedCacheMemory {
  readonly buffer: SharedArrayBuffer;
  /** A power of two. */
  readonly shardCount: number;
  /** What the hash of keys is made from: all threads must agree, and clients must not know it. */
  readonly secret: Uint8Array;
}

/**
 * Memory for a message cache of at most so many bytes, for all threads together; made once and given to each of them. Not
 * less than {@link MESSAGE_CACHE_BYTES_MIN} and not more than {@link MESSAGE_CACHE_BYTES_MAX}.
 */
export function shareMessageCache(bytesMax: number, random: Random): SharedCacheMemory {
  const bytes = withinLimits(bytesMax);
  const shardCount = Math.max(sharedShards(bytes), privateShards(bytes));
  const buffer = new SharedArrayBuffer(layoutOf(bytes, shardCount).shardBytes * shardCount);
  new CacheMemory(buffer, shardCount).prepare();
  return { buffer, shardCount, secret: random.octets(KEY_SECRET_OCTETS) };
}

/** The same for one thread. */
export function makePrivateMemory(bytesMax: number): CacheMemory {
  const bytes = withinLimits(bytesMax);
  const shardCount = privateShards(bytes);
  const memory = new CacheMemory(
    new ArrayBuffer(layoutOf(bytes, shardCount).shardBytes * shardCount),
    shardCount,
  );
  memory.prepare();
  return memory;
}

/**
 * The memory as one thread sees it, with a shard selected. One view for all shards, not one for each: then a look-up
 * touches few objects. Other threads may change all of it at any time when `isShared`.
 */
export class CacheMemory {
  readonly isShared: boolean;
  readonly shardCount: number;
  /** All of it, as words, as halves of words, and as octets. */
  readonly words: Int32Array;
  readonly halves: Uint16Array;
  readonly bytes: Uint8Array;
  /** Slots of each index. */
  readonly slotCount: number;
  /** Length of each ring, {@link UNIT_WORDS} each. */
  readonly units: number;
  /** Bits of a position that tell the place in the ring; those above count laps. */
  readonly unitBits: number;
  /** The selected shard: where in `words` its state ({@link State}), its index and its ring start, and where it ends. */
  stateAt = 0;
  slotsAt = 0;
  ringAt = 0;
  ringEnd = 0;
  readonly #shardWords: number;

  constructor(buffer: ArrayBuffer | SharedArrayBuffer, shardCount: number) {
    const { shardBytes, slotCount, units } = layoutOf(buffer.byteLength, shardCount);
    this.isShared = buffer instanceof SharedArrayBuffer;
    this.shardCount = shardCount;
    this.words = new Int32Array(buffer);
    this.halves = new Uint16Array(buffer);
    this.bytes = new Uint8Array(buffer);
    this.slotCount = slotCount;
    this.units = units;
    this.unitBits = Math.ceil(Math.log2(units));
    this.#shardWords = shardBytes / 4;
    this.select(0);
  }

  select(shard: number): void {
    this.stateAt = shard * this.#shardWords;
    this.slotsAt = this.stateAt + STATE_WORDS;
    this.ringAt = this.slotsAt + this.slotCount * SLOT_WORDS;
    this.ringEnd = this.stateAt + this.#shardWords;
  }

  /** Makes all shards empty, while nobody else knows them. Position 0 marks what is empty, so the first lap is not used. */
  prepare(): void {
    const start = nextLap(0, this.unitBits);
    for (let shard = 0; shard < this.shardCount; shard++) {
      this.select(shard);
      for (const word of [State.Floor, State.Head, State.Tail]) this.words[this.stateAt + word] = start;
    }
    this.select(0);
  }
}

/** Words of a shard's state. All are positions (see ring-position.ts) but `Lock`, `Used` and `Count`. */
export const State = {
  /** Entries before it must not be read any more. All threads read it for every hit, so it has a cache line of its own. */
  Floor: 0,
  /** 0, or who is writing. */
  Lock: 16,
  /** Where the next entry goes. */
  Head: 17,
  /** Where the oldest entry is. */
  Tail: 18,
  /** Units between the two. */
  Used: 19,
  /** Entries in the index. */
  Count: 20,
} as const;

function layoutOf(
  bytes: number,
  shardCount: number,
): { readonly shardBytes: number; readonly slotCount: number; readonly units: number } {
  const shardBytes = Math.floor(bytes / shardCount / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
  const slotCount = 2 ** Math.floor(Math.log2(shardBytes / BYTES_PER_SLOT));
  const units = (shardBytes / 4 - STATE_WORDS - slotCount * SLOT_WORDS) / UNIT_WORDS;
  return { shardBytes, slotCount, units };
}

function withinLimits(bytesMax: number): number {
  return Math.min(MESSAGE_CACHE_BYTES_MAX, Math.max(MESSAGE_CACHE_BYTES_MIN, bytesMax));
}

/** Many, so that workers seldom want to store in the same one, but none so small that the largest reply would not fit. */
function sharedShards(bytes: number): number {
  return Math.min(SHARDS_MAX, Math.max(1, 2 ** Math.floor(Math.log2(bytes / SHARED_SHARD_BYTES_MIN))));
}

/** One, unless positions would run out of bits. */
function privateShards(bytes: number): number {
  return Math.max(1, 2 ** Math.ceil(Math.log2(bytes / SHARD_BYTES_MAX)));
}

/** Smaller than this a cache cannot hold large replies beside others. */
export const MESSAGE_CACHE_BYTES_MIN = 256 * 1024;
/** Larger offsets would not fit a word. */
export const MESSAGE_CACHE_BYTES_MAX: number = 4 * 1024 ** 3;
/** Entries start at multiples of this. */
export const UNIT_WORDS = 2;
export const UNIT_BYTES: number = 4 * UNIT_WORDS;
/** Words per slot of an index: the hash; position and marks. */
export const SLOT_WORDS = 2;
/** A quarter of its ring must hold a message of 64 KiB. */
const SHARED_SHARD_BYTES_MIN = 1024 * 1024;
/** Thirty bits of position count 16 laps of such a shard and more of smaller ones. */
const SHARD_BYTES_MAX = 512 * 1024 * 1024;
/** A store takes a microsecond and is part of a miss that takes thirty: workers seldom meet. */
const SHARDS_MAX = 16;
/** The index gets a slot for each of so many bytes; an entry with one A record takes about 120. */
const BYTES_PER_SLOT = 128;
const CACHE_LINE_BYTES = 64;
const STATE_WORDS = (2 * CACHE_LINE_BYTES) / 4;
