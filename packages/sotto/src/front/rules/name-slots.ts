/**
 * The slots of a table of names: a value for each, found by a hash. 256 shards, each with its slots in pages that all shards take from
 * the same segments: who grows takes another page, nothing is given back, and no more than one shard is laid out anew at a time.
 * Slots are filled from the one on that the hash says, and in the order of hashes, so that a search ends at the first larger one,
 * however full the shard is. 16 bits of the hash stand beside each value: they say where it belongs when its shard grows.
 */
export class NameSlots {
  #shards: Shard[] = [new Shard()];
  /** Bits of the hash beside each value, 0 for a free slot. */
  #places: Uint16Array[] = [new Uint16Array(PAGE_SLOTS)];
  #values: Int32Array[] = [new Int32Array(PAGE_SLOTS)];
  #pages = 0;
  /** What was found last: where it is among the slots of its shard. */
  #found = 0;
  /** For a shard that is laid out anew. */
  #heldPlaces = new Uint16Array(PAGE_SLOTS);
  #heldValues = new Int32Array(PAGE_SLOTS);

  constructor() {
    for (const shard of this.#shards) this.#grow(shard);
  }

  #shardOf(hash: number): Shard {
    const shards = this.#shards;
    return shards[shards.length === 1 ? 0 : hash >>> SHARD_SHIFT] ?? NO_SHARD;
  }

  /** The first value with this hash, 0 when there is none. Others may have the same bits of it. */
  first(hash: number): number {
    const shard = this.#shardOf(hash);
    return this.#seek(shard, homeOf(placeOf(hash), shard.homes), hash);
  }

  /** The one behind that which was found last. */
  next(hash: number): number {
    return this.#seek(this.#shardOf(hash), this.#found + 1, hash);
  }

  #seek(shard: Shard, from: number, hash: number): number {
    const wanted = placeOf(hash);
    const { pages } = shard;
    let slot = from;
    for (;;) {
      const id = pages[slot >> PAGE_SHIFT];
      if (id === undefined) return 0;
      const places = this.#places[id >> SEGMENT_SHIFT] ?? NO_PLACES;
      let at = ((id & SEGMENT_MASK) << PAGE_SHIFT) | (slot & PAGE_MASK);
      const last = at | PAGE_MASK;
      let place = places[at] ?? 0;
      while (place < wanted && place !== 0 && at < last) place = places[++at] ?? 0;
      slot = (slot & ~PAGE_MASK) | (at & PAGE_MASK);
      if (place === wanted) {
        const value = this.#values[id >> SEGMENT_SHIFT]?.[at] ?? 0;
        if (((value ^ (hash << CHECK_SHIFT)) & CHECK_MASK) === 0) {
          this.#found = slot;
          return value;
        }
      } else if (place > wanted || place === 0) return 0;
      slot++;
    }
  }

  /** Puts another value in the place of that which was found last, and has the same hash. */
  replace(hash: number, value: number): void {
    const id = this.#shardOf(hash).pages[this.#found >> PAGE_SHIFT] ?? 0;
    const values = this.#values[id >> SEGMENT_SHIFT] ?? NO_VALUES;
    values[((id & SEGMENT_MASK) << PAGE_SHIFT) | (this.#found & PAGE_MASK)] = checked(value, hash);
  }

  /** Adds a value, whatever is there with the same hash; false when there is no room. Bits 27 and 28 are not the caller's. */
  put(hash: number, value: number): boolean {
    const shard = this.#shardOf(hash);
    if ((shard.isCrowded || shard.count + 1 > shard.homes * FULLNESS_MAX) && !this.#grow(shard)) {
      if (shard.count + 1 > shard.pages.length * PAGE_SLOTS * FULLNESS_MAX) return false;
      while (shard.isCrowded) this.#layOut(shard, fewer(shard.homes));
    }
    this.#insert(shard, placeOf(hash), checked(value, hash));
    return true;
  }

  /** Puts a value before the first larger one, and all from there on one further up to the next free slot, which there is. */
  #insert(shard: Shard, newPlace: number, newValue: number): void {
    const { pages } = shard;
    const home = homeOf(newPlace, shard.homes);
    let place = newPlace;
    let value = newValue;
    shard.count++;
    for (let page = home >> PAGE_SHIFT, slot = home & PAGE_MASK; page < pages.length; page++, slot = 0) {
      const id = pages[page] ?? 0;
      const places = this.#places[id >> SEGMENT_SHIFT] ?? NO_PLACES;
      const values = this.#values[id >> SEGMENT_SHIFT] ?? NO_VALUES;
      const base = (id & SEGMENT_MASK) << PAGE_SHIFT;
      for (let at = base + slot; at < base + PAGE_SLOTS; at++) {
        const nextPlace = places[at] ?? 0;
        if (nextPlace !== 0 && nextPlace <= place) continue;
        const nextValue = values[at] ?? 0;
        places[at] = place;
        values[at] = value;
        if (nextPlace === 0) {
          shard.isCrowded = page === pages.length - 1 && at === base + PAGE_MASK;
          return;
        }
        place = nextPlace;
        value = nextValue;
      }
    }
  }

  /** Gives a shard some more pages; false when it has as many as it may have. */
  #grow(shard: Shard): boolean {
    const more = Math.max(1, shard.pages.length >> GROWTH_SHIFT);
    if (shard.pages.length + more > SHARD_PAGES_MAX) return false;
    for (let i = 0; i < more; i++) shard.pages.push(this.#newPage());
    this.#layOut(shard, shard.pages.length * PAGE_SLOTS - LAST_SLOTS);
    return true;
  }

  #newPage(): number {
    const segment = this.#pages >> SEGMENT_SHIFT;
    const places = this.#places[segment];
    const values = this.#values[segment];
    if (places === undefined || values === undefined) {
      this.#places.push(new Uint16Array(SEGMENT_PAGES * PAGE_SLOTS));
      this.#values.push(new Int32Array(SEGMENT_PAGES * PAGE_SLOTS));
    } else if ((this.#pages & SEGMENT_MASK) * PAGE_SLOTS >= places.length) {
      // Only the first segment is ever smaller.
      this.#places[segment] = new Uint16Array(places.length * 2);
      this.#places[segment].set(places);
      this.#values[segment] = new Int32Array(values.length * 2);
      this.#values[segment].set(values);
    }
    return this.#pages++;
  }

  /** Puts all values of a shard where they belong. */
  #layOut(shard: Shard, homesMax: number): void {
    this.#hold(shard);
    for (let homes = homesMax; ; homes = fewer(homes)) if (this.#tryLayOut(shard, homes)) return;
  }

  /** Takes all values out of a shard, in their order. */
  #hold(shard: Shard): void {
    if (this.#heldPlaces.length < shard.count) {
      const slots = shard.count * 2;
      this.#heldPlaces = new Uint16Array(slots);
      this.#heldValues = new Int32Array(slots);
    }
    const heldPlaces = this.#heldPlaces;
    const heldValues = this.#heldValues;
    let held = 0;
    for (const id of shard.pages) {
      const places = this.#places[id >> SEGMENT_SHIFT] ?? NO_PLACES;
      const values = this.#values[id >> SEGMENT_SHIFT] ?? NO_VALUES;
      const base = (id & SEGMENT_MASK) << PAGE_SHIFT;
      for (let at = base; at < base + PAGE_SLOTS; at++) {
        const place = places[at] ?? 0;
        if (place === 0) continue;
        heldPlaces[held] = place;
        heldValues[held++] = values[at] ?? 0;
        places[at] = 0;
      }
    }
  }

  /** False, with nothing in the shard, when its end has no room for those that belong near it: then it has to have fewer homes. */
  #tryLayOut(shard: Shard, homes: number): boolean {
    const { pages, count } = shard;
    const heldPlaces = this.#heldPlaces;
    const heldValues = this.#heldValues;
    let slot = -1;
    for (let held = 0; held < count; held++) slot = Math.max(slot + 1, homeOf(heldPlaces[held] ?? 0, homes));
    if (slot >= pages.length * PAGE_SLOTS - 1) return false;
    shard.homes = homes;
    shard.isCrowded = false;
    slot = -1;
    for (let held = 0; held < count; held++) {
      const place = heldPlaces[held] ?? 0;
      slot = Math.max(slot + 1, homeOf(place, homes));
      const id = pages[slot >> PAGE_SHIFT] ?? 0;
      const at = ((id & SEGMENT_MASK) << PAGE_SHIFT) | (slot & PAGE_MASK);
      const places = this.#places[id >> SEGMENT_SHIFT] ?? NO_PLACES;
      const values = this.#values[id >> SEGMENT_SHIFT] ?? NO_VALUES;
      places[at] = place;
      values[at] = heldValues[held] ?? 0;
    }
    return true;
  }

  /** All values go to 256 shards; `hashOf` tells the hash of a value. */
  spread(hashOf: (value: number) => number): void {
    const [single = NO_SHARD] = this.#shards;
    this.#hold(single);
    const values = this.#heldValues.slice(0, single.count);
    this.#pages = 0;
    this.#shards = Array.from({ length: SHARDS }, () => new Shard());
    for (const shard of this.#shards) this.#grow(shard);
    for (const value of values) this.put(hashOf(value), value);
  }

  /** True once a single shard is so large that {@link spread} should be called. */
  get wantsSpread(): boolean {
    return this.#shards.length === 1 && (this.#shards[0]?.count ?? 0) >= SINGLE_SHARD_MAX;
  }

  /** Bytes of all typed arrays. */
  get bytes(): number {
    let bytes = this.#heldPlaces.byteLength + this.#heldValues.byteLength;
    for (const one of [...this.#places, ...this.#values]) bytes += one.byteLength;
    return bytes;
  }
}

class Shard {
  /** Its pages, in the order of its slots. */
  readonly pages: number[] = [];
  count = 0;
  /** Slots that values may belong to; a few more are behind them. */
  homes = 0;
  /** The last slot is taken, so that a value behind all others would find none. */
  isCrowded = false;
}

/** Bits 8 to 23, never 0: shards are found by bits 24 to 31. */
function placeOf(hash: number): number {
  return (hash >>> 8) & 0xffff || 1;
}

/** The slot from which on a value is looked for. */
function homeOf(place: number, homes: number): number {
  return Math.imul(place, homes) >>> 16;
}

function fewer(homes: number): number {
  return homes - Math.max(1, homes >> 4);
}

function checked(value: number, hash: number): number {
  return (value & ~CHECK_MASK) | ((hash << CHECK_SHIFT) & CHECK_MASK);
}

const SHARDS = 256;
const SHARD_SHIFT = 24;
/** Until then one shard is enough. */
const SINGLE_SHARD_MAX = 2048;
/** An insertion passes 50 slots then, a search six, 12 octets of memory. */
const FULLNESS_MAX = 0.85;
/** A shard grows by a sixteenth, or one page. */
const GROWTH_SHIFT = 4;
/** Behind the last slot that a value may belong to. */
const LAST_SLOTS = 24;
const PAGE_SHIFT = 7;
const PAGE_SLOTS = 1 << PAGE_SHIFT;
const PAGE_MASK = PAGE_SLOTS - 1;
/** 65,536 slots: as many as 16 bits of hash tell apart. */
const SHARD_PAGES_MAX = 512;
const SEGMENT_SHIFT = 9;
const SEGMENT_PAGES = 1 << SEGMENT_SHIFT;
const SEGMENT_MASK = SEGMENT_PAGES - 1;
const CHECK_SHIFT = 27;
const CHECK_MASK = 3 << CHECK_SHIFT;
const NO_SHARD = new Shard();
const NO_PLACES = new Uint16Array(1);
const NO_VALUES = new Int32Array(1);
