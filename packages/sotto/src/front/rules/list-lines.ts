/** Single lines of domain lists and hosts files, from octets straight into a set. */
import { NAME_OCTETS_MAX } from "@sotto/dns/wire";
import { PASS } from "./list-policy.ts";
import { LISTED, type NameReach, type NameSet } from "./name-set.ts";

/** What a line was. `names`: it put names into the set, so many of which were there before. */
export type LineOutcome =
  | { readonly kind: "nothing" }
  | { readonly kind: "names"; readonly repeated: number }
  | { readonly kind: "bad" | "unsupported"; readonly what: string; readonly hint: string };

/**
 * `name`, `*.name` and `.name` (only and also what is below), `||name^` and `@@||name^` (an exception) as filter lists have them.
 * Comments begin with `#`, `!` or `;`.
 */
export function readDomainLine(
  octets: Uint8Array,
  lineStart: number,
  lineEnd: number,
  names: NameSet,
  reach: NameReach,
): LineOutcome {
  const start = skipBlanks(octets, lineStart, lineEnd);
  const first = octets[start];
  // `[Adblock Plus 2.0]` is how filter lists begin.
  if (start >= lineEnd || first === HASH || first === BANG || first === SEMICOLON || first === BRACKET)
    return NOTHING;
  if (first === BAR || first === AT) return readFilter(octets, start, lineEnd, names);
  const end = tokenEnd(octets, start, lineEnd);
  const next = skipBlanks(octets, end, lineEnd);
  if (next < lineEnd && octets[next] !== HASH && octets[next] !== SEMICOLON)
    return bad("has more than a name", "one name a line, or say format: hosts");
  let from = start;
  let own = reach;
  if (octets[from] === STAR && octets[from + 1] === DOT) {
    from += 2;
    own = "below";
  } else if (octets[from] === DOT) {
    from++;
    own = "suffix";
  }
  return addName(octets, from, end, names, own, LISTED);
}

/** `||name^`; what else filter lists can say is about pages, not names. */
function readFilter(octets: Uint8Array, start: number, lineEnd: number, names: NameSet): LineOutcome {
  const end = tokenEnd(octets, start, lineEnd);
  const isException = octets[start] === AT && octets[start + 1] === AT;
  const from = isException ? start + 2 : start;
  const isFilter = octets[from] === BAR && octets[from + 1] === BAR && octets[end - 1] === CARET;
  if (!isFilter || end - 1 <= from + 2) return PAGE_FILTER;
  for (let i = from + 2; i < end - 1; i++) if (!isNameOctet(octets[i] ?? 0)) return PAGE_FILTER;
  return addName(octets, from + 2, end - 1, names, "suffix", isException ? PASS : LISTED);
}

/** Address and names; which address does not matter. Names that stand for the machine itself are left out. */
export function readHostsLine(
  octets: Uint8Array,
  lineStart: number,
  lineEnd: number,
  names: NameSet,
  reach: NameReach,
): LineOutcome {
  let end = lineStart;
  while (end < lineEnd && octets[end] !== HASH) end++;
  let start = skipBlanks(octets, lineStart, end);
  if (start >= end) return NOTHING;
  const addressEnd = tokenEnd(octets, start, end);
  if (!looksLikeAddress(octets, start, addressEnd))
    return bad("does not begin with an address", "write 0.0.0.0 NAME, or say format: domains");
  start = skipBlanks(octets, addressEnd, end);
  if (start >= end) return bad("has no name", "write 0.0.0.0 NAME");
  let repeated = 0;
  let hasNames = false;
  while (start < end) {
    const nameEnd = tokenEnd(octets, start, end);
    if (!isOwnName(octets, start, nameEnd)) {
      const outcome = addName(octets, start, nameEnd, names, reach, LISTED);
      if (outcome.kind !== "names") return outcome;
      repeated += outcome.repeated;
      hasNames = true;
    }
    start = skipBlanks(octets, nameEnd, end);
  }
  if (!hasNames) return NOTHING;
  return repeated === 0 ? ADDED : repeated === 1 ? REPEATED : { kind: "names", repeated };
}

/** Adds the name that stands as text from `start` to `end`. */
function addName(
  octets: Uint8Array,
  start: number,
  end: number,
  names: NameSet,
  reach: NameReach,
  number: number,
): LineOutcome {
  const length = nameFromText(octets, start, end);
  if (length < 0) {
    const what = `${quoted(octets, start, end)} is not a name`;
    return bad(what, "labels of 1 to 63 letters, digits, - and _, others as xn--");
  }
  const addition = names.add(wire, 0, length, reach, number);
  if (addition === "full") return bad("there is no room for more names", "split the list, or leave some out");
  return addition === "known" ? REPEATED : ADDED;
}

/** Where the name is put in wire form. */
const wire = new Uint8Array(NAME_OCTETS_MAX);

/** Octets of the name in wire form, -1 when it is none: names in lists have letters, digits, hyphens and underscores only. */
function nameFromText(octets: Uint8Array, start: number, end: number): number {
  const stop = end > start && octets[end - 1] === DOT ? end - 1 : end;
  // The root would mean everything, which nobody means who writes a list.
  if (stop === start || stop - start > NAME_OCTETS_MAX - 2) return -1;
  let labelAt = 0;
  let at = 1;
  let hasLetter = false;
  for (let i = start; i < stop; i++) {
    const octet = octets[i] ?? 0;
    if (octet === DOT) {
      if (at - labelAt === 1) return -1;
      wire[labelAt] = at - labelAt - 1;
      labelAt = at++;
      hasLetter = false;
      continue;
    }
    if (!isNameOctet(octet) || at - labelAt > 63) return -1;
    if (octet > NINE) hasLetter = true;
    wire[at++] = octet;
  }
  // No top-level domain is a number, but addresses end in one.
  if (at - labelAt === 1 || !hasLetter) return -1;
  wire[labelAt] = at - labelAt - 1;
  wire[at] = 0;
  return at + 1;
}

function isNameOctet(octet: number): boolean {
  return (
    (octet >= 0x61 && octet <= 0x7a) ||
    (octet >= 0x30 && octet <= NINE) ||
    octet === DOT ||
    octet === 0x2d ||
    octet === 0x5f ||
    (octet >= 0x41 && octet <= 0x5a)
  );
}

/** Digits, hexadecimal ones too, with dots or colons between them. Nothing is done with the address. */
function looksLikeAddress(octets: Uint8Array, start: number, end: number): boolean {
  let separators = 0;
  for (let i = start; i < end; i++) {
    const octet = (octets[i] ?? 0) | 0x20;
    if (octets[i] === DOT || octets[i] === COLON) separators++;
    // A zone, as in fe80::1%lo0.
    else if (octets[i] === PERCENT) break;
    else if (!(octet >= 0x61 && octet <= 0x66) && !((octets[i] ?? 0) >= 0x30 && (octets[i] ?? 0) <= NINE))
      return false;
  }
  return separators >= 2;
}

/** Names of the machine itself, with which hosts files begin. */
const OWN_NAMES: ReadonlySet<string> = new Set([
  "localhost",
  "localhost.localdomain",
  "local",
  "broadcasthost",
  "ip6-localhost",
  "ip6-loopback",
  "ip6-localnet",
  "ip6-mcastprefix",
  "ip6-allnodes",
  "ip6-allrouters",
  "ip6-allhosts",
  "0.0.0.0",
]);
const OWN_NAME_OCTETS_MAX = 21;

function isOwnName(octets: Uint8Array, start: number, end: number): boolean {
  const first = (octets[start] ?? 0) | 0x20;
  // l, b, i and 0: nearly all names are not looked at.
  if (
    end - start > OWN_NAME_OCTETS_MAX ||
    !(first === 0x6c || first === 0x62 || first === 0x69 || first === 0x30)
  )
    return false;
  return OWN_NAMES.has(textOf(octets, start, end).toLowerCase());
}

function skipBlanks(octets: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(octets[at] ?? 0)) at++;
  return at;
}

function tokenEnd(octets: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && !isBlank(octets[at] ?? 0)) at++;
  return at;
}

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09 || octet === 0x0d;
}

/** For messages: short, and without what could steer a terminal. */
function quoted(octets: Uint8Array, start: number, end: number): string {
  const shown = textOf(octets, start, Math.min(end, start + SHOWN_OCTETS_MAX));
  return JSON.stringify(end - start > SHOWN_OCTETS_MAX ? `${shown}…` : shown);
}

function textOf(octets: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i++) {
    const octet = octets[i] ?? 0;
    text += octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : ".";
  }
  return text;
}

function bad(what: string, hint: string): LineOutcome {
  return { kind: "bad", what, hint };
}

const NOTHING: LineOutcome = { kind: "nothing" };
const ADDED: LineOutcome = { kind: "names", repeated: 0 };
const REPEATED: LineOutcome = { kind: "names", repeated: 1 };
const PAGE_FILTER: LineOutcome = {
  kind: "unsupported",
  what: "this filter is about pages, not about a name",
  hint: "only ||name^ and @@||name^ can be done in the DNS",
};
const SHOWN_OCTETS_MAX = 64;
const HASH = 0x23;
const BANG = 0x21;
const SEMICOLON = 0x3b;
const BRACKET = 0x5b;
const BAR = 0x7c;
const AT = 0x40;
const CARET = 0x5e;
const STAR = 0x2a;
const DOT = 0x2e;
const COLON = 0x3a;
const PERCENT = 0x25;
const NINE = 0x39;
