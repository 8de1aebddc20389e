/**
 * Whole replies, encoded, in typed arrays with an exact budget (architecture §6). A hit is a copy and a few patched octets:
 * no object is made. Keyed by lower-cased qname, qtype, qclass, DO and CD under a secret hash, with a full comparison of the
 * key.
 *
 * The memory may be shared by the threads of a process (see message-shard.ts for how they keep out of each other's way):
 * what one stores all find, and reading takes no lock. Times are seconds of the monotonic clock, so all threads must have
 * the same; `runtime/node` gives them that.
 */
import type { Random } from "@sotto/dns/runtime";
import {
  HeaderFlag,
  lowerOctet,
  type MessageView,
  type Name,
  Rcode,
  tryFindTtls,
  uint16At,
} from "@sotto/dns/wire";
import { type MessageCacheCounters, makeMessageCacheCounters } from "./message-cache-counters.ts";
import type { MessageHit } from "./message-hit.ts";
import { KEY_SECRET_OCTETS, MessageKey } from "./message-key.ts";
import { CacheMemory, makePrivateMemory, type SharedCacheMemory } from "./message-memory.ts";
import type { NewEntry } from "./message-ring.ts";
import { MessageShard } from "./message-shard.ts";

export interface MessageCacheOptions {
  /** Memory for rings and indexes together, at least {@link MESSAGE_CACHE_BYTES_MIN}. Not looked at when `shared` is given. */
  readonly bytesMax: number;
  /** Longest life of an entry, seconds. Default one day: RFC 8767 §4 allows a cap, and old answers are seldom right. */
  readonly ttlSecondsMax?: number;
  /** Longest life of NXDOMAIN and of replies without answers, seconds. Default one hour (RFC 2308 §5). */
  readonly negativeTtlSecondsMax?: number;
  /** The memory to use together with other threads. Absent: memory of its own. */
  readonly shared?: SharedCacheMemory | undefined;
  /** Which thread this is, from 0: no two that live at the same time may have the same. Needed with `shared`. Default 0. */
  readonly workerId?: number | undefined;
}

/** Replies by question. */
export class MessageCache {
  /** Of this object; others with the same memory have their own. */
  readonly counters: MessageCacheCounters = makeMessageCacheCounters();
  readonly #memory: CacheMemory;
  readonly #shard: MessageShard;
  /** The upper bits of a hash tell the shard, the lower ones the place in its index. */
  readonly #shardShift: number;
  readonly #key: MessageKey;
  readonly #ttlSecondsMax: number;
  readonly #negativeTtlSecondsMax: number;

  constructor(options: MessageCacheOptions, random: Random) {
    const { shared, workerId = 0 } = options;
    this.#memory = shared
      ? new CacheMemory(shared.buffer, shared.shardCount)
      : makePrivateMemory(options.bytesMax);
    this.#shard = new MessageShard(this.#memory, workerId, this.counters);
    this.#shardShift = 32 - Math.log2(this.#memory.shardCount);
    this.#key = new MessageKey(shared?.secret ?? random.octets(KEY_SECRET_OCTETS));
    this.#ttlSecondsMax = options.ttlSecondsMax ?? TTL_SECONDS_MAX_DEFAULT;
    this.#negativeTtlSecondsMax = options.negativeTtlSecondsMax ?? NEGATIVE_TTL_SECONDS_MAX_DEFAULT;
  }

  /** Entries, also expired ones that nobody asked for again. */
  get count(): number {
    return this.#sum((shard) => shard.count);
  }

  /** Bytes of the rings in use. */
  get usedBytes(): number {
    return this.#sum((shard) => shard.usedBytes);
  }

  #sum(figure: (shard: MessageShard) => number): number {
    let sum = 0;
    for (let i = 0; i < this.#memory.shardCount; i++) {
      this.#memory.select(i);
      sum += figure(this.#shard);
    }
    return sum;
  }

  /**
   * The reply for the view's question, DO and CD; undefined when there is none or it has expired, more than `graceSeconds` ago where
   * these are given (RFC 8767).
   */
  find(view: MessageView, nowMs: number, graceSeconds = 0): MessageHit | undefined {
    this.#setKey(view);
    const hit = this.#shard.find(this.#key, Math.floor(nowMs / 1000), graceSeconds);
    if (hit === undefined) this.counters.misses++;
    else this.counters.hits++;
    return hit;
  }

  /** Sets the key and selects the shard where it belongs. */
  #setKey(view: MessageView): void {
    this.#key.set(view);
    if (this.#memory.shardCount > 1) this.#memory.select(this.#key.hash >>> this.#shardShift);
  }

  /**
   * Keeps a reply (without OPT) for the view's question, for its smallest TTL and at most `lifeSecondsMax`; SERVFAIL for
   * {@link FAILURE_SECONDS}. Gives false, and keeps nothing, for replies that are truncated, malformed or too large, have
   * another response code, and whose life is 0; an older reply for the question is gone then too. False also when another
   * thread is writing to the same shard: then the older reply stays.
   */
  store(
    view: MessageView,
    reply: Uint8Array,
    nowMs: number,
    lifeSecondsMax: number = Number.POSITIVE_INFINITY,
  ): boolean {
    this.#setKey(view);
    const entry = this.#entryOf(reply, nowMs, lifeSecondsMax);
    if (entry !== undefined) return this.#shard.store(this.#key, entry);
    this.#shard.forget(this.#key);
    return false;
  }

  /** Undefined for what must not be kept. */
  #entryOf(reply: Uint8Array, nowMs: number, lifeSecondsMax: number): NewEntry | undefined {
    const ttls = tryFindTtls(reply);
    if (!ttls.ok || ttls.value.offsets.length > TTLS_MAX) return undefined;
    const lifeSeconds = Math.floor(
      Math.min(this.#lifeSeconds(reply, ttls.value.smallestTtl), lifeSecondsMax),
    );
    if (!(lifeSeconds > 0)) return undefined;
    return { reply, ttlOffsets: ttls.value.offsets, storedAtSeconds: Math.floor(nowMs / 1000), lifeSeconds };
  }

  /** 0 for what must not be kept. */
  #lifeSeconds(reply: Uint8Array, smallestTtl: number): number {
    const flags = uint16At(reply, 2);
    const rcode = flags & 0xf;
    if ((flags & HeaderFlag.Truncated) !== 0) return 0;
    if (rcode === Rcode.ServFail) return Math.min(smallestTtl, FAILURE_SECONDS);
    if (rcode !== Rcode.NoError && rcode !== Rcode.NXDomain) return 0;
    // Without a record there is no TTL to go by (RFC 2308 §5).
    if (smallestTtl === Number.POSITIVE_INFINITY) return 0;
    const isNegative = rcode === Rcode.NXDomain || uint16At(reply, 6) === 0;
    const capSeconds = isNegative
      ? Math.min(this.#negativeTtlSecondsMax, this.#ttlSecondsMax)
      : this.#ttlSecondsMax;
    // RFC 2181 §8: a TTL with the top bit set counts as 0.
    return smallestTtl > 0x7fff_ffff ? 0 : Math.min(smallestTtl, capSeconds);
  }

  /** Forgets every reply at the name, and beneath it when `isZone`; gives how many. Walks over all of the memory. */
  flush(name: Name, isZone: boolean): number {
    const wire = name.wire.map(lowerOctet);
    return this.#sum((shard) => shard.flush(wire, isZone));
  }

  /** Forgets everything. */
  clear(): void {
    for (let i = 0; i < this.#memory.shardCount; i++) {
      this.#memory.select(i);
      this.#shard.clear();
    }
  }

  /**
   * Says that the thread with this id has ended. If it died while it wrote, its shard is emptied and can be written to
   * again; until then it can be read. Gives how many shards that were (none or one).
   */
  recoverFrom(workerId: number): number {
    return this.#sum((shard) => (shard.recoverFrom(workerId) ? 1 : 0));
  }
}

const TTL_SECONDS_MAX_DEFAULT = 86_400;
const NEGATIVE_TTL_SECONDS_MAX_DEFAULT = 3600;
/** RFC 9520 §3.2: failures are kept for at least one second; ages are whole seconds, so two are needed. */
const FAILURE_SECONDS = 2;
/** TTLs of one reply that can be aged; replies with more records are not cached. */
const TTLS_MAX = 2048;
