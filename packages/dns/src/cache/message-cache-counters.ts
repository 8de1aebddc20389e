/** What a message cache counts: its own doings only, also when several share the memory. */

/** What a cache has done. */
export interface MessageCacheCounters {
  hits: number;
  misses: number;
  stored: number;
  /** Removed to make room. */
  evicted: number;
  /** Not stored because too many other keys have the same hash. */
  crowdedOut: number;
  /** Not stored because another thread was writing to the same shard. */
  busy: number;
  /** Misses that were found, and written over by another thread while they were copied. */
  torn: number;
}

/** All zeros. */
export function makeMessageCacheCounters(): MessageCacheCounters {
  return { hits: 0, misses: 0, stored: 0, evicted: 0, crowdedOut: 0, busy: 0, torn: 0 };
}
