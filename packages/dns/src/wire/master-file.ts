/**
 * Master files (RFC 1035 §5) both ways: `$ORIGIN`, `$TTL` (RFC 2308 §4), `$INCLUDE`, generic types, classes and rdata
 * (RFC 3597 §5). `$GENERATE` is refused. A zone is not checked as a whole: no SOA is asked for, no class compared.
 */
import { RRClass } from "./iana/rr-class.ts";
import { type MasterFileEntry, MasterFileLexer } from "./master-file-lexer.ts";
import { Name, tryParseName } from "./name.ts";
import { type FormatProblem, type Parsed, parsed, problem } from "./parsed.ts";
import type { ResourceRecord } from "./record.ts";
import { recordToText, tryReadRecordFields } from "./record-text.ts";
import { tryParseTtl } from "./ttl-text.ts";

/** Where a zone file comes from and what it may leave out. */
export interface ZoneTextOptions {
  /** For relative names until the first `$ORIGIN`; absent: the root. */
  readonly origin?: Name;
  /** Seconds, for records without a TTL before any `$TTL` and any other TTL; absent: those are a problem. */
  readonly ttl?: number;
  /** For problems; absent: `zone`. */
  readonly fileName?: string;
  /** Gives the text of an included file; absent: `$INCLUDE` is a problem. */
  readonly include?: (path: string) => Parsed<string>;
}

/** The records of a zone file in its order; the first problem ends it, as `FILE:LINE: what`. */
export function tryParseZone(text: string, options: ZoneTextOptions = {}): Parsed<ResourceRecord[]> {
  const reader = new ZoneReader(options.include, options.ttl);
  const wrong = reader.read(text, options.fileName ?? "zone", options.origin ?? Name.root, 0);
  return wrong === undefined ? parsed(reader.records) : problem(wrong);
}

/** One record per line, in the given order, all names absolute. */
export function zoneToText(records: readonly ResourceRecord[]): string {
  return records.map((record) => `${recordToText(record)}\n`).join("");
}

/** The state that lasts over entries and included files. */
class ZoneReader {
  readonly records: ResourceRecord[] = [];
  readonly #include: ((path: string) => Parsed<string>) | undefined;
  /** `$TTL`, or else the last TTL that was written out (RFC 2308 §4, RFC 1035 §5.1). */
  #ttl: number | undefined;
  #ttlIsDirective = false;
  #class: RRClass = RRClass.IN;
  #owner: Name | undefined = undefined;
  #includes = 0;

  constructor(include: ((path: string) => Parsed<string>) | undefined, ttl: number | undefined) {
    this.#include = include;
    this.#ttl = ttl;
  }

  read(text: string, fileName: string, fileOrigin: Name, depth: number): FormatProblem | undefined {
    const lexer = new MasterFileLexer(text);
    let origin = fileOrigin;
    for (;;) {
      const next = lexer.next();
      if (!next.ok) return `${fileName}:${lexer.line}: ${next.problem}`;
      const entry = next.value;
      if (entry === undefined) return undefined;
      const first = entry.tokens[0];
      const directive =
        !entry.isIndented && first?.isQuoted === false && first.text.startsWith("$")
          ? first.text.toUpperCase()
          : "";
      const here = `${fileName}:${entry.line}: `;
      if (directive === "$ORIGIN") {
        const name = this.#only(entry, (argument) => tryParseName(argument, origin));
        if (!name.ok) return here + name.problem;
        origin = name.value;
      } else if (directive === "$INCLUDE") {
        const wrong = this.#readIncluded(entry, origin, depth);
        if (wrong !== undefined) return wrong.isInside ? wrong.problem : here + wrong.problem;
      } else {
        const wrong =
          directive === "" ? this.#readRecord(entry, origin) : this.#readDirective(directive, entry);
        if (wrong !== undefined) return here + wrong;
      }
    }
  }

  #only<T>(entry: MasterFileEntry, read: (argument: string) => Parsed<T>): Parsed<T> {
    const [directive, argument] = entry.tokens;
    if (argument === undefined || entry.tokens.length !== 2)
      return problem(`${directive?.text} wants exactly one argument`);
    return read(argument.text);
  }

  #readDirective(directive: string, entry: MasterFileEntry): FormatProblem | undefined {
    if (directive === "$GENERATE") return "$GENERATE is not supported, write the records out";
    if (directive !== "$TTL")
      return `${directive} is unknown, write \\$ when an owner begins with a dollar sign`;
    const ttl = this.#only(entry, tryParseTtl);
    if (!ttl.ok) return ttl.problem;
    this.#ttl = ttl.value;
    this.#ttlIsDirective = true;
    return undefined;
  }

  #readRecord(entry: MasterFileEntry, origin: Name): FormatProblem | undefined {
    if (this.records.length >= ZONE_RECORDS_MAX) return `zone has more than ${ZONE_RECORDS_MAX} records`;
    let tokens = entry.tokens;
    if (!entry.isIndented) {
      const owner = tryParseName(tokens[0]?.text ?? "", origin);
      if (!owner.ok) return owner.problem;
      this.#owner = owner.value;
      tokens = tokens.slice(1);
    }
    if (this.#owner === undefined) return "record begins with a blank, but there is no owner before it";
    const fields = tryReadRecordFields(tokens, this.#owner, origin);
    if (!fields.ok) return fields.problem;
    const ttl = fields.value.ttl ?? this.#ttl;
    if (ttl === undefined) return "record has no TTL, and there is no $TTL before it";
    if (!this.#ttlIsDirective) this.#ttl = ttl;
    this.#class = fields.value.class ?? this.#class;
    this.records.push({ ...fields.value, ttl, class: this.#class });
    return undefined;
  }

  /** Origin and owner of the including file are the same after it (RFC 1035 §5.1). */
  #readIncluded(
    entry: MasterFileEntry,
    origin: Name,
    depth: number,
  ): { readonly isInside: boolean; readonly problem: FormatProblem } | undefined {
    const [, path, originToken, ...more] = entry.tokens;
    if (path === undefined || more.length > 0) return outside("$INCLUDE wants a file and at most an origin");
    if (this.#include === undefined) return outside("$INCLUDE cannot be used here");
    if (depth >= INCLUDE_DEPTH_MAX)
      return outside(`files include each other more than ${INCLUDE_DEPTH_MAX} deep`);
    if (++this.#includes > INCLUDES_MAX) return outside(`more than ${INCLUDES_MAX} files are included`);
    const included = originToken === undefined ? parsed(origin) : tryParseName(originToken.text, origin);
    if (!included.ok) return outside(included.problem);
    const text = this.#include(path.text);
    if (!text.ok) return outside(`cannot include ${path.text}: ${text.problem}`);
    const owner = this.#owner;
    const wrong = this.read(text.value, path.text, included.value, depth + 1);
    this.#owner = owner;
    return wrong === undefined ? undefined : { isInside: true, problem: wrong };
  }
}

function outside(text: FormatProblem): { readonly isInside: false; readonly problem: FormatProblem } {
  return { isInside: false, problem: text };
}

/** Files within files; a file that includes itself ends here. */
export const INCLUDE_DEPTH_MAX = 8;
/** Files in all, so that small files that include each other twice do not become millions. */
export const INCLUDES_MAX = 1000;
/** About 2 GB of memory as records: a zone that large belongs in an authoritative server. */
export const ZONE_RECORDS_MAX = 5_000_000;
