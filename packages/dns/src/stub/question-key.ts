/**
 * Questions as keys: a number that is equal for equal questions, and one of 65,536. A map by texts has to keep a table of
 * all texts it ever saw, which costs more than the rest of it.
 */
import type { Random } from "@sotto/dns/runtime";
import { lowerOctet, type Name, type RRType, uint32At } from "@sotto/dns/wire";

/** How a question is asked. */
export interface QuestionFlags {
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
}

/** One question with its flags; two with the same answer are {@link QuestionKey.isSame}. */
export class QuestionKey implements QuestionFlags {
  readonly name: Name;
  readonly type: RRType;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  readonly hash: number;
  #text: string | undefined = undefined;

  constructor(name: Name, type: RRType, { dnssecOk, checkingDisabled }: QuestionFlags, hash: number) {
    this.name = name;
    this.type = type;
    this.dnssecOk = dnssecOk;
    this.checkingDisabled = checkingDisabled;
    this.hash = hash;
  }

  isSame(other: QuestionKey): boolean {
    return (
      this.hash === other.hash &&
      this.type === other.type &&
      this.dnssecOk === other.dnssecOk &&
      this.checkingDisabled === other.checkingDisabled &&
      this.name.equals(other.name)
    );
  }

  /** For maps that live long. */
  get text(): string {
    this.#text ??= this.name.keyWith(flagBits(this), this.type >>> 8, this.type & 0xff);
    return this.#text;
  }
}

function flagBits({ dnssecOk, checkingDisabled }: QuestionFlags): number {
  return (dnssecOk ? 1 : 0) | (checkingDisabled ? 2 : 0);
}

/** Makes keys, with secret factors (as `cache/message-key` does): whoever chooses names cannot choose ones with equal numbers. */
export class QuestionKeys {
  readonly #factors: Int32Array;

  constructor(random: Random) {
    const octets = random.octets(4 * FACTORS);
    this.#factors = Int32Array.from({ length: FACTORS }, (_, i) => uint32At(octets, 4 * i));
  }

  of(name: Name, type: RRType, flags: QuestionFlags): QuestionKey {
    const factors = this.#factors;
    const { wire } = name;
    let sum = Math.imul(factors[0] ?? 0, type) + Math.imul(factors[1] ?? 0, flagBits(flags));
    for (let at = 0, factor = 2; at < wire.length; at += 2, factor++) {
      // A name ends in a zero octet: a zero for the missing half of the last pair changes nothing.
      const pair = (lowerOctet(wire[at] ?? 0) << 8) | lowerOctet(wire[at + 1] ?? 0);
      sum = (sum + Math.imul(factors[factor] ?? 0, pair)) | 0;
    }
    // Only the upper bits of such sums are well spread.
    return new QuestionKey(name, type, flags, sum >>> 16);
  }
}

/** Type, flags, and the pairs of the longest name. */
const FACTORS = 2 + 128;
