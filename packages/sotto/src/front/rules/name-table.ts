/**
 * Names with two numbers each in typed arrays: text, of which a name shares its end with others (`name-text.ts`), and a hash
 * table with a value for each name (`name-slots.ts`). What is compared is the text, whatever the hashes say. Names above those in the
 * table have marks, which point into the name below them: who walks down from the root may stop where there is neither name nor mark.
 */
import type { Random } from "@sotto/dns/runtime";
import { NAME_OCTETS_MAX } from "@sotto/dns/wire";
import { NameSlots } from "./name-slots.ts";
import { NameText, REF_MASK, ROOT } from "./name-text.ts";
import { type HashSeed, hashLowered, makeHashSeed } from "./seeded-hash.ts";

/** Where the numbers of a name come from: the name itself, or one above it. */
export type Reach = "exact" | "below";

/** What became of a name that was added. `known`: it had a number already, which stays. `full`: a limit was reached. */
export type Addition = "added" | "known" | "full";

/** See the head of this file. */
export class NameTable {
  readonly #seed: HashSeed;
  readonly #slots = new NameSlots();
  readonly #text = new NameText();
  /** Numbers of the root, which has no slot. */
  readonly #root = { exact: 0, below: 0 };
  /** Names, each counted once. */
  size = 0;
  /** False when a mark found no room: then nobody may stop early. */
  #hasAllMarks = true;
  /**
   * By eight bits of the hash of the last label, whether there are names that end so, and whether one is no more than that. Nearly
   * all look-ups begin with a label that is above some names and says nothing itself.
   */
  readonly #tops = new Uint8Array(TOPS);
  readonly #starts = new Uint32Array(LABELS_MAX + 1);
  /** Of a name that is added: for each label the hash of the name that begins there, and its value in the table or 0. */
  readonly #hashes = new Int32Array(LABELS_MAX + 1);
  readonly #values = new Int32Array(LABELS_MAX + 1);

  constructor(random: Random) {
    this.#seed = makeHashSeed(random);
  }

  /**
   * The number of the longest entry for the uncompressed name at `start`: its own for reach `exact`, else that of the nearest
   * name above it for reach `below`; 0 when there is none.
   */
  longest(octets: Uint8Array, start: number): number {
    const labels = noteLabels(octets, start, this.#starts);
    const { multiplier } = this.#seed;
    const starts = this.#starts;
    let labelEnd = starts[0] ?? 0;
    const end = labelEnd + 1;
    let hash = this.#seed.start;
    let found = this.#root.below;
    let above = ROOT;
    if (labels === 0) return this.#root.exact || found;
    for (let label = labels; label > 0; label--) {
      const labelStart = starts[label] ?? 0;
      hash = hashLowered(octets, labelStart, labelEnd, hash, multiplier);
      const top = label === labels ? this.#tops[hash >>> TOPS_SHIFT] : Top.Named;
      if (top === Top.None) return found;
      if (top === Top.Named) {
        const value = this.#find(hash, octets, labelStart, end, labelEnd, above);
        if (value !== 0) found = this.#numberOf(value, label === 1 ? "exact" : "below") || found;
        else if (this.#hasAllMarks) return found;
        above = value & REF_MASK;
      }
      labelEnd = labelStart;
    }
    return found;
  }

  /** The value of the name from `start` to `end`, whose hash is known; 0 when it has none. */
  #find(
    hash: number,
    octets: Uint8Array,
    start: number,
    end: number,
    known: number,
    knownRef: number,
  ): number {
    const slots = this.#slots;
    let value = slots.first(hash);
    while (value !== 0 && !this.#text.isAt(value & REF_MASK, octets, start, end, known, knownRef))
      value = slots.next(hash);
    return value;
  }

  /** The number in a value for one reach; 0 when there is none. */
  #numberOf(value: number, reach: Reach): number {
    const kind = value >>> KIND_SHIFT;
    const isExact = reach === "exact";
    if (kind < Kind.Short) return (kind & (isExact ? Kind.Exact : Kind.Below)) === 0 ? 0 : 1;
    const width = widthOf(kind);
    return this.#text.numberBefore(value & REF_MASK, isExact ? 2 * width : width, kind === Kind.Long);
  }

  /**
   * Gives a number above 0 to a well-formed, uncompressed name in wire form; `exact` for the name itself, `below` for all
   * beneath it. Numbers other than 1 take up to twelve octets more.
   */
  add(wire: Uint8Array, start: number, end: number, reach: Reach, number: number): Addition {
    if (end - start === 1) return this.#addRoot(reach, number);
    if (this.#slots.wantsSpread) this.#slots.spread((value) => this.#hashAt(value & REF_MASK));
    const labels = noteLabels(wire, start, this.#starts);
    const nearest = this.#look(wire, labels);
    const top = (this.#hashes[labels] ?? 0) >>> TOPS_SHIFT;
    this.#tops[top] = Math.max(this.#tops[top] ?? 0, labels === 1 ? Top.Named : Top.Above);
    if (nearest === 1) return this.#extend(wire, start, reach, number);
    if (this.size >= NAMES_MAX) return "full";
    const linked = this.#cheapest(start, nearest, labels);
    const rest = linked > labels ? ROOT : (this.#values[linked] ?? 0) & REF_MASK;
    const labelsEnd = this.#starts[linked > labels ? 0 : linked] ?? 0;
    const isExact = reach === "exact";
    const value = this.#write(isExact ? number : 0, isExact ? 0 : number, wire, start, labelsEnd, rest);
    if (value === undefined || !this.#slots.put(this.#hashes[1] ?? 0, value)) return "full";
    this.size++;
    this.#mark(nearest, (value & REF_MASK) - start);
    return "added";
  }

  #addRoot(reach: Reach, number: number): Addition {
    const root = this.#root;
    if (root[reach] !== 0) return "known";
    if (root.exact === 0 && root.below === 0) this.size++;
    root[reach] = number;
    return "added";
  }

  /**
   * Looks for the name and all above it, and takes down what there is. Gives the label where the longest one begins: 1 when it
   * is the name itself, one more than there are when it is the root.
   */
  #look(wire: Uint8Array, labels: number): number {
    const starts = this.#starts;
    let nearest = labels + 1;
    let labelEnd = starts[0] ?? 0;
    const end = labelEnd + 1;
    let hash = this.#seed.start;
    let mayBeThere = true;
    let above = ROOT;
    for (let label = labels; label > 0; label--) {
      const labelStart = starts[label] ?? 0;
      hash = hashLowered(wire, labelStart, labelEnd, hash, this.#seed.multiplier);
      const value = mayBeThere ? this.#find(hash, wire, labelStart, end, labelEnd, above) : 0;
      this.#hashes[label] = hash;
      this.#values[label] = value;
      labelEnd = labelStart;
      above = value & REF_MASK;
      if (value !== 0) nearest = label;
      else mayBeThere = !this.#hasAllMarks;
    }
    return nearest;
  }

  /** The label from which on a name is not written but linked, so that it takes the fewest octets. */
  #cheapest(start: number, nearest: number, labels: number): number {
    let cheapest = labels + 1;
    let octetsMin = (this.#starts[0] ?? 0) - start + this.#text.linkOctets(ROOT);
    for (let label = labels; label >= nearest; label--) {
      const ref = (this.#values[label] ?? 0) & REF_MASK;
      if (ref === ROOT) continue;
      const octets = (this.#starts[label] ?? 0) - start + this.#text.linkOctets(ref);
      if (octets > octetsMin) continue;
      cheapest = label;
      octetsMin = octets;
    }
    return cheapest;
  }

  /** Marks all names between the nearest one and that which was put in; a name at `at` in `wire` has its text `at + offset`. */
  #mark(nearest: number, offset: number): void {
    for (let label = 2; label < nearest; label++) {
      // With a mark missing, there may be one above the gap.
      if (this.#values[label] !== 0) continue;
      if (!this.#slots.put(this.#hashes[label] ?? 0, (this.#starts[label] ?? 0) + offset))
        this.#hasAllMarks = false;
    }
  }

  /** The name has a slot. The first number of a reach counts. */
  #extend(wire: Uint8Array, start: number, reach: Reach, number: number): Addition {
    const value = this.#values[1] ?? 0;
    if (this.#numberOf(value, reach) !== 0) return "known";
    const exact = reach === "exact" ? number : this.#numberOf(value, "exact");
    const below = reach === "below" ? number : this.#numberOf(value, "below");
    const isMark = value >>> KIND_SHIFT === Kind.Mark;
    if (isMark && this.size >= NAMES_MAX) return "full";
    const extended =
      this.#inPlace(value, exact, below) ?? this.#write(exact, below, wire, start, start, value & REF_MASK);
    if (extended === undefined) return "full";
    // It was the last that was looked for.
    this.#slots.replace(this.#hashes[1] ?? 0, extended);
    if (isMark) this.size++;
    return "added";
  }

  /** The value of a name that has other numbers now, when they need no other place; else undefined. */
  #inPlace(value: number, exact: number, below: number): number | undefined {
    const kind = value >>> KIND_SHIFT;
    const wanted = kindOf(exact, below);
    if (wanted < Kind.Short && kind < Kind.Short) return (wanted << KIND_SHIFT) | (value & REF_MASK);
    if (kind < wanted || kind < Kind.Short) return undefined;
    this.#writeNumbers(value, exact, below);
    return value;
  }

  /** Writes labels, numbers before them unless both are 1 or none, and a link behind them; gives the value for the slot. */
  #write(
    exact: number,
    below: number,
    wire: Uint8Array,
    start: number,
    end: number,
    rest: number,
  ): number | undefined {
    const kind = kindOf(exact, below);
    const ref = this.#text.append(2 * widthOf(kind), wire, start, end, rest);
    if (ref === undefined) return undefined;
    const value = (kind << KIND_SHIFT) | ref;
    if (kind >= Kind.Short) this.#writeNumbers(value, exact, below);
    return value;
  }

  #writeNumbers(value: number, exact: number, below: number): void {
    const kind = value >>> KIND_SHIFT;
    const width = widthOf(kind);
    this.#text.writeBefore(value & REF_MASK, 2 * width, kind === Kind.Long, exact);
    this.#text.writeBefore(value & REF_MASK, width, kind === Kind.Long, below);
  }

  /** The hash of the name whose text is at `ref`; notes of labels stay as they are. */
  #hashAt(ref: number): number {
    const name = new Uint8Array(NAME_OCTETS_MAX);
    const starts = new Uint32Array(LABELS_MAX + 1);
    this.#text.copy(ref, name);
    const labels = noteLabels(name, 0, starts);
    let labelEnd = starts[0] ?? 0;
    let hash = this.#seed.start;
    for (let label = labels; label > 0; label--) {
      const labelStart = starts[label] ?? 0;
      hash = hashLowered(name, labelStart, labelEnd, hash, this.#seed.multiplier);
      labelEnd = labelStart;
    }
    return hash;
  }

  /** Bytes of the typed arrays. */
  get bytes(): number {
    return this.#text.bytes + this.#slots.bytes + this.#tops.length;
  }
}

/** Notes where the labels begin, from 1 for the leftmost on, and under 0 where the root is; gives their number. */
function noteLabels(octets: Uint8Array, start: number, starts: Uint32Array): number {
  let labels = 0;
  let at = start;
  for (let length = octets[at] ?? 0; length !== 0 && labels < LABELS_MAX; length = octets[at] ?? 0) {
    starts[++labels] = at;
    at += length + 1;
  }
  starts[0] = at;
  return labels;
}

function kindOf(exact: number, below: number): number {
  if (exact > SHORT_NUMBER_MAX || below > SHORT_NUMBER_MAX) return Kind.Long;
  if (exact > 1 || below > 1) return Kind.Short;
  return (exact > 0 ? Kind.Exact : 0) | (below > 0 ? Kind.Below : 0);
}

/** Octets of each number before the text. */
function widthOf(kind: number): number {
  return kind === Kind.Long ? 4 : kind === Kind.Short ? 1 : 0;
}

/** What the upper three bits of a value say. Its lower 27 are a reference; those between are the slots'. */
const Kind = {
  /** Only something below. */
  Mark: 0,
  /** The number 1 for the name itself, and by another bit for all below. */
  Exact: 1,
  Below: 2,
  /** Two numbers of one octet, or of four, stand before the text. */
  Short: 4,
  Long: 5,
} as const;
const KIND_SHIFT = 29;
const SHORT_NUMBER_MAX = 255;
/** See {@link NameTable}. */
const Top = { None: 0, Above: 1, Named: 2 } as const;
const TOPS = 256;
const TOPS_SHIFT = 24;
/** A quarter of all slots: each name may need a mark, too. */
const NAMES_MAX = 4_000_000;
/** A name of 255 octets has no more (RFC 1035 §2.3.4). */
const LABELS_MAX = 127;
