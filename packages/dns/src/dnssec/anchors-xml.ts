/**
 * The file in which IANA publishes the root's trust anchors, `root-anchors.xml` (RFC 9718 §2). Reads exactly that form: an
 * element or attribute that it does not define is a problem. Does not check the signature that is published beside the
 * file: whoever fetched it must know where it came from.
 */
import { type Name, type Parsed, parsed, problem, tryParseName, tryParseRecord } from "@sotto/dns/wire";
import { isSupportedDigest } from "./algorithms.ts";
import { type Ds, isDigestOf, readDs } from "./ds.ts";
import { Dnskey } from "./key.ts";
import type { TrustAnchor } from "./trust-anchors.ts";
import { tryReadXml, type XmlElement } from "./xml.ts";

/** One KeyDigest: a key's digest and when it is to be trusted. */
export interface PublishedDigest {
  readonly ds: Ds;
  /** Seconds since 1970. */
  readonly fromSeconds: number;
  /** Seconds since 1970; undefined: no end is known yet. */
  readonly untilSeconds: number | undefined;
}

export interface PublishedAnchors {
  readonly zone: Name;
  readonly digests: readonly PublishedDigest[];
}

/** What of the file is to be trusted at a moment (RFC 9718 §2.2); without digests when nothing is. */
export function anchorAt({ zone, digests }: PublishedAnchors, nowSeconds: number): TrustAnchor {
  const valid = digests.filter(
    ({ fromSeconds, untilSeconds = Number.POSITIVE_INFINITY }) =>
      fromSeconds <= nowSeconds && nowSeconds < untilSeconds,
  );
  return { zone, ds: valid.map(({ ds }) => ds), keys: [] };
}

/** Reads the file. */
export function tryReadAnchorsXml(text: string): Parsed<PublishedAnchors> {
  const root = tryReadXml(text, {
    charactersMax: FILE_CHARACTERS_MAX,
    elementsMax: ELEMENTS_MAX,
    depthMax: 3,
  });
  if (!root.ok) return root;
  const wrong = checkShape(root.value, "TrustAnchor", ["id", "source"], ["Zone", "KeyDigest"]);
  if (wrong !== undefined) return problem(wrong);
  const [zoneText, ...otherZones] = root.value.children.filter(({ name }) => name === "Zone");
  if (zoneText === undefined || otherZones.length > 0) return problem("TrustAnchor has not exactly one Zone");
  const zone = tryParseName(zoneText.text);
  if (!zone.ok) return problem(`Zone: ${zone.problem}`);
  const digests: PublishedDigest[] = [];
  for (const element of root.value.children) {
    if (element.name !== "KeyDigest") continue;
    const digest = tryReadDigest(element, zone.value);
    if (!digest.ok) return problem(`KeyDigest ${element.attributes.get("id") ?? ""}: ${digest.problem}`);
    digests.push(digest.value);
  }
  return digests.length === 0
    ? problem("TrustAnchor has no KeyDigest")
    : parsed({ zone: zone.value, digests });
}

function tryReadDigest(element: XmlElement, zone: Name): Parsed<PublishedDigest> {
  const wrong = checkShape(element, "KeyDigest", ["id", "validFrom", "validUntil"], DIGEST_PARTS);
  if (wrong !== undefined) return problem(wrong);
  const parts = new Map(element.children.map(({ name, text }) => [name, text]));
  if (parts.size !== element.children.length) return problem("an element stands there twice");
  const from = tryReadDateTime(element.attributes.get("validFrom") ?? "");
  if (!from.ok) return problem(`validFrom ${from.problem}`);
  const untilText = element.attributes.get("validUntil");
  const until = untilText === undefined ? undefined : tryReadDateTime(untilText);
  if (until?.ok === false) return problem(`validUntil ${until.problem}`);
  const fields = ["KeyTag", "Algorithm", "DigestType", "Digest"].map((name) => parts.get(name) ?? "");
  if (fields.some((field) => !/^[0-9A-Za-z]+$/.test(field)))
    return problem("KeyTag, Algorithm, DigestType or Digest is missing or malformed");
  const record = tryParseRecord(`. 0 IN DS ${fields.join(" ")}`);
  if (!record.ok) return record;
  const ds = readDs(record.value.rdata);
  const mismatch = checkKey(ds, zone, parts.get("PublicKey"), parts.get("Flags"));
  if (mismatch !== undefined) return problem(mismatch);
  return parsed({ ds, fromSeconds: from.value, untilSeconds: until?.value });
}

/** The key itself may stand beside its digest; then both must belong together. */
function checkKey(
  ds: Ds,
  zone: Name,
  keyText: string | undefined,
  flags: string | undefined,
): string | undefined {
  if (keyText === undefined && flags === undefined) return undefined;
  if (keyText === undefined || flags === undefined) return "of PublicKey and Flags there is only one";
  if (!/^[0-9]+$/.test(flags) || !/^[0-9A-Za-z+/=\s]+$/.test(keyText))
    return "PublicKey or Flags is malformed";
  // A KSK is a zone key of protocol 3 (RFC 4034 §2.1.2).
  const record = tryParseRecord(`. 0 IN DNSKEY ${flags} 3 ${ds.algorithm} ${keyText.replace(/\s+/g, " ")}`);
  if (!record.ok) return record.problem;
  if (!isSupportedDigest(ds.digestType)) return undefined;
  return isDigestOf(ds, zone, new Dnskey(record.value.rdata)) ? undefined : "Digest is not that of PublicKey";
}

/** Attributes and children must be among those that the form defines. */
function checkShape(
  element: XmlElement,
  name: string,
  attributes: readonly string[],
  children: readonly string[],
): string | undefined {
  if (element.name !== name) return `${element.name} stands where ${name} should`;
  for (const attribute of element.attributes.keys())
    if (!attributes.includes(attribute)) return `${name} has an attribute ${attribute}`;
  for (const child of element.children) {
    if (!children.includes(child.name)) return `${name} has an element ${child.name}`;
    if (child.name !== "KeyDigest" && child.attributes.size > 0) return `${child.name} has attributes`;
  }
  return undefined;
}

/** `2017-02-02T00:00:00+00:00`: a dateTime of XML Schema with its zone, as seconds since 1970. */
function tryReadDateTime(text: string): Parsed<number> {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
  const ms = form.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms)
    ? problem(`${JSON.stringify(text.slice(0, 40))} is not a moment`)
    : parsed(Math.floor(ms / 1000));
}

const DIGEST_PARTS = ["KeyTag", "Algorithm", "DigestType", "Digest", "PublicKey", "Flags"];
/** IANA's file has 2 kB. */
const FILE_CHARACTERS_MAX = 128 * 1024;
const ELEMENTS_MAX = 1000;
