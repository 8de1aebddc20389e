/**
 * Where trust begins: keys and digests of keys by zone, and zones that are excepted from validation (RFC 4035 §4.4,
 * RFC 7646). The root's keys are built in.
 */
import {
  type Name,
  octetsEqual,
  type Parsed,
  parsed,
  parseRecord,
  problem,
  RRType,
  tryParseRecord,
} from "@sotto/dns/wire";
import { type Ds, isDigestOf, readDs } from "./ds.ts";
import { Dnskey } from "./key.ts";

/** What is trusted at one zone. */
export interface TrustAnchor {
  readonly zone: Name;
  readonly ds: readonly Ds[];
  readonly keys: readonly Dnskey[];
}

/** The root's key-signing keys of 2017 and 2024 (IANA, https://data.iana.org/root-anchors/root-anchors.xml). */
export const ROOT_ANCHORS: readonly string[] = [
  ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
  ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
];

/** Reads a DS or DNSKEY record in zone file form as an anchor. */
export function tryParseAnchor(text: string): Parsed<TrustAnchor> {
  const record = tryParseRecord(text, { ttl: 0 });
  if (!record.ok) return record;
  const { owner, type, rdata } = record.value;
  if (type === RRType.DS) return parsed({ zone: owner, ds: [readDs(rdata)], keys: [] });
  if (type === RRType.DNSKEY) return parsed({ zone: owner, ds: [], keys: [new Dnskey(rdata)] });
  return problem("a trust anchor is a DS or a DNSKEY record");
}

/** Anchors and exceptions by zone. */
export class TrustAnchors {
  readonly #anchors = new Map<string, TrustAnchor>();
  readonly #exceptions = new Set<string>();

  constructor(anchors: readonly TrustAnchor[], exceptions: readonly Name[]) {
    for (const anchor of anchors) this.#add(anchor);
    for (const name of exceptions) this.#exceptions.add(name.key);
  }

  get zones(): Name[] {
    return Array.from(this.#anchors.values(), ({ zone }) => zone);
  }

  /** What is trusted now, by zone. */
  get all(): TrustAnchor[] {
    return Array.from(this.#anchors.values());
  }

  at(zone: Name): TrustAnchor | undefined {
    return this.#anchors.get(zone.key);
  }

  /**
   * Replaces what is trusted at a zone (RFC 5011). An anchor without keys and digests makes the zone bogus; undefined is as if
   * nothing had been configured there (RFC 5011 §5).
   */
  replace(zone: Name, anchor: TrustAnchor | undefined): void {
    if (anchor === undefined) this.#anchors.delete(zone.key);
    else this.#anchors.set(zone.key, anchor);
  }

  /** The anchor that counts for a name, undefined when none does or an exception is closer (RFC 7646 §2). */
  closest(name: Name): TrustAnchor | undefined {
    for (let zone = name; ; zone = zone.parent()) {
      if (this.#exceptions.has(zone.key)) return undefined;
      const anchor = this.#anchors.get(zone.key);
      if (anchor !== undefined || zone.isRoot) return anchor;
    }
  }

  #add(anchor: TrustAnchor): void {
    const known = this.#anchors.get(anchor.zone.key);
    const merged = known === undefined ? anchor : mergeAnchors(known, anchor);
    this.#anchors.set(anchor.zone.key, merged);
  }
}

function mergeAnchors(a: TrustAnchor, b: TrustAnchor): TrustAnchor {
  return { zone: a.zone, ds: [...a.ds, ...b.ds], keys: [...a.keys, ...b.keys] };
}

/** True when the anchor stands for this key, by digest or as it is. */
export function isAnchored(anchor: TrustAnchor, key: Dnskey): boolean {
  return (
    anchor.keys.some((known) => octetsEqual(known.rdata, key.rdata)) ||
    anchor.ds.some((ds) => isDigestOf(ds, anchor.zone, key))
  );
}

/** The built-in anchors. */
export function rootAnchors(): TrustAnchor[] {
  return ROOT_ANCHORS.map((text) => {
    const { owner, rdata } = parseRecord(text, { ttl: 0 });
    return { zone: owner, ds: [readDs(rdata)], keys: [] };
  });
}
