/** The record cache as text: for people who look, and for a restart that does not begin with nothing. */
import { type RRset, type RRsetCache, Trust } from "@sotto/dns/cache";
import {
  Name,
  type Parsed,
  parsed,
  problem,
  type ResourceRecord,
  RRClass,
  RRType,
  recordToText,
  tryParseZone,
  uint16At,
} from "@sotto/dns/wire";
import { collectRRsets } from "./rrset-table.ts";

/** A set with its signatures, a line each, with what is left of the TTL. */
export function linesOf({ owner, type, ttlSeconds, rdatas, signatures }: RRset): string[] {
  const line = (recordType: RRType, rdata: Uint8Array): string =>
    `${recordToText({ owner, type: recordType, class: RRClass.IN, ttl: ttlSeconds, rdata })}\n`;
  return [
    ...rdatas.map((rdata) => line(type, rdata)),
    ...signatures.map((signature) => line(RRType.RRSIG, signature)),
  ];
}

/** Lines in the order of the cache; what a wildcard made is left out, because its proofs are. */
export function* dumpCache(rrsets: RRsetCache): Generator<string> {
  yield HEAD;
  for (const rrset of rrsets.all()) if (rrset.proofs.length === 0) yield* linesOf(rrset);
}

/**
 * Takes records over as answers that nobody has validated yet: they are looked at like any other before a client gets them. Gives
 * the number of sets; a problem with its line when the text is no master file, and then nothing is taken.
 */
export function loadCache(text: string, rrsets: RRsetCache): Parsed<number> {
  if (!text.startsWith(HEAD)) return problem(`the first line is not ${JSON.stringify(HEAD.trim())}`);
  const records = tryParseZone(text, { origin: Name.root, ttl: 0, fileName: "dump" });
  if (!records.ok) return problem(records.problem);
  const bySet = new Map<string, ResourceRecord[]>();
  for (const record of records.value) {
    const type = record.type === RRType.RRSIG ? uint16At(record.rdata, 0) : record.type;
    const key = `${type} ${record.owner.key}`;
    const set = bySet.get(key);
    if (set === undefined) bySet.set(key, [record]);
    else set.push(record);
  }
  let loaded = 0;
  for (const set of bySet.values()) {
    const isSignature = ({ type }: ResourceRecord): boolean => type === RRType.RRSIG;
    const [first] = set.filter((record) => !isSignature(record));
    const table = collectRRsets(set, set.filter(isSignature), Name.root, RRType.A);
    const rrset = first && table?.get(first.owner, first.type);
    if (rrset === undefined || rrset.ttlSeconds === 0) continue;
    rrsets.store(rrset, Trust.Answer);
    loaded++;
  }
  return parsed(loaded);
}

const HEAD = "; sotto cache 1\n";
