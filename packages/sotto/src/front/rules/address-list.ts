/** Sets of client addresses: prefixes a line, as they stand in lists of networks. */
import { type Parsed, PrefixTrie, parsed, problem, tryParsePrefix } from "@sotto/dns/wire";

/** A set that is ready for use. */
export interface LoadedAddresses {
  readonly kind: "addresses";
  readonly prefixes: PrefixTrie;
  readonly report: AddressListReport;
}

/** What became of the lines. */
export interface AddressListReport {
  readonly source: string;
  readonly lines: number;
  readonly prefixes: number;
  readonly bad: number;
  /** `FILE:LINE: what, hint`: the first ten. */
  readonly problems: readonly string[];
}

/**
 * Reads a prefix or address a line; comments begin with `#` or `;`. Bad lines are skipped and told; a text with more bad lines
 * than good ones is a problem as a whole, and so is one that is too long.
 */
export function loadAddressSet(octets: Uint8Array, source: string): Parsed<LoadedAddresses> {
  if (octets.length > LIST_OCTETS_MAX)
    return problem(`${source} is larger than ${LIST_OCTETS_MAX} octets, write fewer and shorter prefixes`);
  const lines = new TextDecoder().decode(octets).split("\n");
  // What stands behind the last line end is no line when it is nothing.
  if (lines.at(-1) === "") lines.pop();
  return addressSetOf(lines, source);
}

/** The same from lines, such as those of a configuration. */
export function addressSetOf(lines: readonly string[], source: string): Parsed<LoadedAddresses> {
  const trie = new PrefixTrie();
  const problems: string[] = [];
  let prefixes = 0;
  let bad = 0;
  for (const [i, line] of lines.entries()) {
    const text = line.replace(/[#;].*/, "").trim();
    if (text === "") continue;
    const prefix = prefixes >= PREFIXES_MAX ? TOO_MANY : tryParsePrefix(text.slice(0, SHOWN_MAX));
    if (prefix.ok) {
      trie.set(prefix.value, 1);
      prefixes++;
      continue;
    }
    bad++;
    if (problems.length < PROBLEMS_TOLD_MAX)
      problems.push(`${source}:${i + 1}: ${prefix.problem}, one prefix or address a line`);
  }
  if (bad > prefixes)
    return problem(
      `${source} is no list of addresses: ${bad} lines cannot be read, such as ${problems[0] ?? ""}`,
    );
  const report = { source, lines: lines.length, prefixes, bad, problems };
  return parsed({ kind: "addresses", prefixes: trie, report });
}

/** A node of the trie for each bit: this many take some 300 MB at worst, and 20 MB as networks are announced. */
const PREFIXES_MAX = 200_000;
const LIST_OCTETS_MAX = 16 * 1024 * 1024;
const PROBLEMS_TOLD_MAX = 10;
/** No prefix is longer as text. */
const SHOWN_MAX = 64;
const TOO_MANY = problem(`there are more than ${PREFIXES_MAX} prefixes`);
