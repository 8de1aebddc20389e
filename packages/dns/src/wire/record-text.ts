/** Single records as text (RFC 1035 §5.1, RFC 3597 §5): `www.example. 300 IN A 192.0.2.1`, both ways. */
import { RRClass, rrClassFromText, rrClassToText } from "./iana/rr-class.ts";
import { isMetaType, rrTypeFromText, rrTypeToText } from "./iana/rr-type.ts";
import { MasterFileLexer } from "./master-file-lexer.ts";
import { Name, tryParseName } from "./name.ts";
import { type Parsed, parsed, problem } from "./parsed.ts";
import { rdataToText, tryRdataFromTokens } from "./rdata/rdata-text.ts";
import type { ResourceRecord } from "./record.ts";
import type { TextToken } from "./text-token.ts";
import { looksLikeTtl, tryParseTtl } from "./ttl-text.ts";

/** Owner, TTL, class, type and rdata, separated by tabs, without a line end; all names absolute. */
export function recordToText(record: ResourceRecord): string {
  const { owner, ttl, type, rdata } = record;
  return `${owner.toString()}\t${ttl}\t${rrClassToText(record.class)}\t${rrTypeToText(type)}\t${rdataToText(type, rdata)}`;
}

/** What a record may leave out. */
export interface RecordTextOptions {
  /** For relative names; absent: the root. */
  readonly origin?: Name;
  /** Seconds, when the text gives none; absent: a text without a TTL is a problem. */
  readonly ttl?: number;
  /** When the text gives none; absent: IN. */
  readonly class?: RRClass;
}

/** One record, on one line or in parentheses; nothing may follow it but comments. */
export function tryParseRecord(text: string, options: RecordTextOptions = {}): Parsed<ResourceRecord> {
  const lexer = new MasterFileLexer(text);
  const entry = lexer.next();
  if (!entry.ok) return entry;
  const next = entry.value === undefined ? entry : lexer.next();
  if (!next.ok) return next;
  if (entry.value === undefined) return problem("there is no record in an empty text");
  if (next.value !== undefined) return problem("there is more than one record");
  const [first, ...rest] = entry.value.tokens;
  const origin = options.origin ?? Name.root;
  const owner = tryParseName(first?.text ?? "", origin);
  if (!owner.ok) return owner;
  const fields = tryReadRecordFields(rest, owner.value, origin);
  if (!fields.ok) return fields;
  const ttl = fields.value.ttl ?? options.ttl;
  if (ttl === undefined) return problem("record has no TTL");
  return parsed({ ...fields.value, ttl, class: fields.value.class ?? options.class ?? RRClass.IN });
}

/** Like {@link tryParseRecord}, for records written in our own sources and for tests: throws a RangeError. */
export function parseRecord(text: string, options: RecordTextOptions = {}): ResourceRecord {
  const record = tryParseRecord(text, options);
  if (!record.ok) throw new RangeError(`${record.problem}: ${text}`);
  return record.value;
}

/** A record whose TTL and class may not have been given. */
export interface RecordFields extends Omit<ResourceRecord, "ttl" | "class"> {
  readonly ttl: number | undefined;
  readonly class: RRClass | undefined;
}

/** What follows the owner: TTL and class in either order, each optional, then type and rdata. */
export function tryReadRecordFields(
  tokens: readonly TextToken[],
  owner: Name,
  origin: Name,
): Parsed<RecordFields> {
  let ttl: number | undefined;
  let rrClass: RRClass | undefined;
  for (const [i, token] of tokens.entries()) {
    const { text } = token;
    if (ttl === undefined && looksLikeTtl(text)) {
      const seconds = tryParseTtl(text);
      if (!seconds.ok) return seconds;
      ttl = seconds.value;
      continue;
    }
    const type = rrTypeFromText(text);
    const classHere = rrClass === undefined ? rrClassFromText(text) : undefined;
    // ANY is a class and a type; in a record it can only be the class, because no record is of type ANY.
    if (classHere !== undefined) {
      rrClass = classHere;
      continue;
    }
    if (type === undefined) return problem(`${JSON.stringify(text)} is not a TTL, class or type`);
    if (isMetaType(type)) return problem(`no record can be of type ${rrTypeToText(type)}`);
    const rdata = tryRdataFromTokens(type, tokens.slice(i + 1), origin);
    if (!rdata.ok) return problem(`${rrTypeToText(type)} ${owner.toString()}: ${rdata.problem}`);
    return parsed({ owner, type, class: rrClass, ttl, rdata: rdata.value });
  }
  return problem("record has no type");
}
