/**
 * Reads a list of names as it arrives, octet by octet from files of strangers: lines are bounded, bad ones are skipped, counted and
 * the first few told with line, what and hint. A list that is no list at all (an error page, a picture) is a problem as a whole.
 */
import type { Random } from "@sotto/dns/runtime";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import { type LineOutcome, readDomainLine, readHostsLine } from "./list-lines.ts";
import type { ListPolicy } from "./list-policy.ts";
import { NameSet } from "./name-set.ts";
import { RpzReader } from "./rpz-reader.ts";

/**
 * `domains`: a name a line, also `||name^` of filter lists, which stand for all below too. `hosts`: address and names, which stand
 * for themselves. `rpz`: a response policy zone with triggers by query name.
 */
export type NameListFormat = "domains" | "hosts" | "rpz";

/** What became of the lines of a list. */
export interface NameListReport {
  /** File or other source, as it was given. */
  readonly source: string;
  readonly lines: number;
  /** Names in the set. */
  readonly names: number;
  /** Lines that said what an earlier one had said. */
  readonly repeated: number;
  /** Lines that could not be read, or for which there was no room. */
  readonly bad: number;
  /** Lines that are right and mean something that is not done here. */
  readonly unsupported: number;
  /** `FILE:LINE: what, hint`: the first ten of the bad and unsupported ones. */
  readonly problems: readonly string[];
}

/** A list that is ready for use. */
export interface LoadedNames {
  readonly kind: "names";
  readonly names: NameSet;
  /** What the numbers of the set mean: `policies[number]`; 0 is nothing, 1 is `listed`. */
  readonly policies: readonly ListPolicy[];
  readonly report: NameListReport;
}

/** How a list is to be read. */
export interface NameListOptions {
  readonly format: NameListFormat;
  /** For messages: the file. */
  readonly source: string;
  /** What a name of a `domains` or `hosts` list stands for; absent: `suffix` and `exact`. */
  readonly reach?: "exact" | "suffix" | undefined;
}

/** Takes a list in pieces; 64 KiB of it take a few milliseconds. */
export class NameListReader {
  readonly #options: NameListOptions;
  readonly #names: NameSet;
  readonly #policies: ListPolicy[] = [{ kind: "none" }, { kind: "listed" }, { kind: "pass" }];
  readonly #rpz: RpzReader | undefined;
  /** A line that is not complete yet. */
  readonly #rest = new Uint8Array(LINE_OCTETS_MAX);
  #restOctets = 0;
  /** The line in hand is longer than the limit, and skipped to its end. */
  #isSkipping = false;
  #line = 0;
  #repeated = 0;
  #bad = 0;
  #unsupported = 0;
  readonly #problems: string[] = [];

  constructor(options: NameListOptions, random: Random) {
    this.#options = options;
    this.#names = new NameSet(random);
    if (options.format === "rpz") this.#rpz = new RpzReader(this.#names, this.#policies);
  }

  /** The next octets, in pieces of any size; they are not kept. */
  push(chunk: Uint8Array): void {
    let start = 0;
    while (start < chunk.length) {
      const found = chunk.indexOf(LINE_FEED, start);
      const end = found < 0 ? chunk.length : found;
      if (found >= 0 && this.#restOctets === 0 && !this.#isSkipping) this.#take(chunk, start, end);
      else this.#keep(chunk, start, end, found >= 0);
      start = end + 1;
    }
  }

  /** Puts together a line that came in pieces. */
  #keep(chunk: Uint8Array, start: number, end: number, isWhole: boolean): void {
    const octets = this.#restOctets + end - start;
    if (octets > LINE_OCTETS_MAX) this.#isSkipping = true;
    if (!this.#isSkipping) {
      this.#rest.set(chunk.subarray(start, end), this.#restOctets);
      this.#restOctets = octets;
    }
    if (!isWhole) return;
    if (this.#isSkipping) {
      this.#line++;
      this.#note({
        kind: "bad",
        what: `line is longer than ${LINE_OCTETS_MAX} octets`,
        hint: "one name a line",
      });
    } else this.#take(this.#rest, 0, this.#restOctets);
    this.#restOctets = 0;
    this.#isSkipping = false;
  }

  #take(octets: Uint8Array, lineStart: number, end: number): void {
    this.#line++;
    const hasMark = this.#line === 1 && BYTE_ORDER_MARK.every((octet, i) => octets[lineStart + i] === octet);
    const start = hasMark ? lineStart + BYTE_ORDER_MARK.length : lineStart;
    const { format, reach } = this.#options;
    const stop = end > start && octets[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
    if (stop - start > LINE_OCTETS_MAX) {
      this.#note({
        kind: "bad",
        what: `line is longer than ${LINE_OCTETS_MAX} octets`,
        hint: "one name a line",
      });
    } else if (this.#rpz !== undefined) this.#note(this.#rpz.line(octets, start, stop));
    else if (format === "hosts")
      this.#note(readHostsLine(octets, start, stop, this.#names, reach ?? "exact"));
    else this.#note(readDomainLine(octets, start, stop, this.#names, reach ?? "suffix"));
  }

  #note(outcome: LineOutcome): void {
    if (outcome.kind === "nothing") return;
    if (outcome.kind === "names") {
      this.#repeated += outcome.repeated;
      return;
    }
    if (outcome.kind === "bad") this.#bad++;
    else this.#unsupported++;
    if (this.#problems.length >= PROBLEMS_TOLD_MAX) return;
    this.#problems.push(`${this.#options.source}:${this.#line}: ${outcome.what}, ${outcome.hint}`);
  }

  /** The set, or why this is no list: more of it is bad than good. */
  finish(): Parsed<LoadedNames> {
    if (this.#restOctets > 0 || this.#isSkipping) this.#keep(NOTHING, 0, 0, true);
    const unfinished = this.#rpz?.finish();
    if (unfinished !== undefined) this.#note(unfinished);
    const good = this.#names.size + this.#repeated;
    if (this.#bad > good) {
      const { source, format } = this.#options;
      return problem(
        `${source} is no list of format ${format}: ${this.#bad} of ${this.#line} lines cannot be read, such as ${this.#problems[0] ?? ""}`,
      );
    }
    return parsed({ kind: "names", names: this.#names, policies: this.#policies, report: this.#report() });
  }

  #report(): NameListReport {
    return {
      source: this.#options.source,
      lines: this.#line,
      names: this.#names.size,
      repeated: this.#repeated,
      bad: this.#bad,
      unsupported: this.#unsupported,
      problems: this.#problems,
    };
  }
}

/** Reads a list that is there as a whole; a large one keeps the caller waiting, for it there is {@link NameListReader}. */
export function loadNameSet(
  pieces: Uint8Array | Iterable<Uint8Array>,
  options: NameListOptions,
  random: Random,
): Parsed<LoadedNames> {
  const reader = new NameListReader(options, random);
  if (pieces instanceof Uint8Array) reader.push(pieces);
  else for (const piece of pieces) reader.push(piece);
  return reader.finish();
}

/** Longest line; a name has 255 octets, and a local record may have a long text. */
export const LINE_OCTETS_MAX = 4096;
/** Enough to see what is wrong with a list. */
const PROBLEMS_TOLD_MAX = 10;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const NOTHING = new Uint8Array(0);
/** Some editors begin files with it. */
const BYTE_ORDER_MARK: readonly number[] = [0xef, 0xbb, 0xbf];
