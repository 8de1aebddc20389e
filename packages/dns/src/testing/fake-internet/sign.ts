/**
 * Signs zones (RFC 4034, RFC 5155), rightly or with a flaw. A second implementation beside the validator on purpose: it
 * shares no code with it, so that both cannot be wrong alike.
 */
import {
  canonicalRdata,
  concatOctets,
  encodeRdataOf,
  type Name,
  type ResourceRecord,
  RRType,
  setUint16,
  setUint32,
} from "@sotto/dns/wire";
import { addNsec, addNsec3, DENIAL_TTL, type Nsec3Plan, packed } from "./denial-chain.ts";
import { type RrsigFields, type SigningFlaw, VALID, type Validity } from "./signing-flaws.ts";
import { Zone } from "./zone.ts";
import { type KeyPlan, keyWithTag, type ZoneKey, zoneKey } from "./zone-key.ts";

/** How a zone is signed. */
export interface SigningOptions {
  readonly keys: readonly KeyPlan[];
  readonly denial: "nsec" | Nsec3Plan;
  /** Seconds since 1970. */
  readonly nowSeconds: number;
  readonly flaw: SigningFlaw;
  /** The zone above and its key, for data that it signs wrongly. */
  readonly above: { readonly origin: Name; readonly key: KeyPlan } | undefined;
}

const DAY_SECONDS = 86_400;

/** A signed copy of a zone. */
export function signZone(zone: Zone, options: SigningOptions): Zone {
  const { flaw, denial } = options;
  const records: ResourceRecord[] = [];
  for (const node of zone.nodes) for (const rrset of node.rrsets.values()) records.push(...rrset);
  const signed = new Zone(zone.origin, records, zone.answerFlaw);
  for (const plan of options.keys) {
    const rdata = { ok: true, value: zoneKey(zone.origin, plan).dnskeyRdata } as const;
    if (plan.isPublished !== false) signed.add(packed(zone.origin, RRType.DNSKEY, rdata, DENIAL_TTL));
  }
  for (const rdata of crowdOf(zone.origin, options))
    signed.add(packed(zone.origin, RRType.DNSKEY, { ok: true, value: rdata }, DENIAL_TTL));
  if (denial === "nsec") addNsec(signed, flaw.chain);
  else addNsec3(signed, denial, flaw.chain);
  const signer = new Signer(zone.origin, options);
  for (const node of [...signed.nodes]) {
    if (!signed.isAuthoritativeFor(node.owner)) continue;
    const isCut = signed.cutAbove(node.owner) !== undefined;
    for (const [type, rrset] of [...node.rrsets]) {
      // At a cut only DS and the denial records are the parent's own.
      if (isCut && type !== RRType.DS && type !== RRType.NSEC) continue;
      if (type !== RRType.RRSIG) for (const record of signer.sign(rrset)) signed.add(record);
    }
  }
  if (flaw.afterwards !== undefined) signed.change(flaw.afterwards);
  return signed;
}

/** Keys that nobody has, with the tag of one that somebody has. */
function crowdOf(origin: Name, { keys, flaw }: SigningOptions): Uint8Array[] {
  const [first] = keys;
  if (flaw.crowdKeys === undefined || first === undefined || !RSA_ALGORITHMS.has(first.algorithm)) return [];
  const like = zoneKey(origin, first);
  return Array.from({ length: flaw.crowdKeys }, (_, i) => keyWithTag(like, i));
}

/** RFC 3110 keys: any odd number will do as a modulus. */
const RSA_ALGORITHMS: ReadonlySet<number> = new Set([5, 7, 8, 10]);

class Signer {
  readonly #origin: Name;
  readonly #options: SigningOptions;
  readonly #keys: readonly ZoneKey[];

  constructor(origin: Name, options: SigningOptions) {
    this.#origin = origin;
    this.#options = options;
    this.#keys = options.keys.map((plan) => zoneKey(origin, plan));
  }

  /** The signatures over one set. */
  sign(rrset: readonly ResourceRecord[]): ResourceRecord[] {
    const [first] = rrset;
    const { flaw } = this.#options;
    if (first === undefined || flaw.isSigned?.(first.type, first.owner) === false) return [];
    const validities = flaw.validity?.(first.type) ?? [VALID];
    const { crowdSignatures = 0 } = flaw;
    const isCrowded = first.type === RRType.A || first.type === RRType.TXT;
    if (crowdSignatures > 0 && isCrowded) return this.#wrongSignatures(first, rrset, crowdSignatures);
    return this.#signersFor(first.type).flatMap(({ key, origin }) =>
      validities.map((validity) => this.#signature(first, rrset, key, origin, validity)),
    );
  }

  #wrongSignatures(first: ResourceRecord, rrset: readonly ResourceRecord[], count: number): ResourceRecord[] {
    const [key] = this.#keys;
    if (key === undefined) return [];
    const right = this.#signature(first, rrset, key, this.#origin, VALID);
    return Array.from({ length: count }, (_, i) => {
      const rdata = right.rdata.slice();
      const at = rdata.length - 3;
      setUint16(rdata, at, (i + 1) * 7);
      return { ...right, rdata };
    });
  }

  #signersFor(type: RRType): { readonly key: ZoneKey; readonly origin: Name }[] {
    const { above, flaw } = this.#options;
    if (above !== undefined && flaw.isSignedAbove?.(type) === true)
      return [{ key: zoneKey(above.origin, above.key), origin: above.origin }];
    const role = type === RRType.DNSKEY ? "ksk" : "zsk";
    return this.#keys
      .filter(({ plan }) => plan.role === "csk" || plan.role === role)
      .map((key) => ({ key, origin: this.#origin }));
  }

  #signature(
    { owner, type, ttl }: ResourceRecord,
    rrset: readonly ResourceRecord[],
    key: ZoneKey,
    signerName: Name,
    { fromDays, toDays }: Validity,
  ): ResourceRecord {
    const { flaw, nowSeconds } = this.#options;
    const isWildcard = owner.wire[0] === 1 && owner.wire[1] === 0x2a;
    const right: RrsigFields = {
      typeCovered: type,
      algorithm: key.plan.algorithm,
      labels: owner.labelCount - (isWildcard ? 1 : 0),
      originalTtl: ttl,
      expiration: nowSeconds + toDays * DAY_SECONDS,
      inception: nowSeconds + fromDays * DAY_SECONDS,
      keyTag: key.keyTag,
      signerName,
    };
    const fields = flaw.fields?.(right) ?? right;
    const head = encodeRdataOf("RRSIG", {
      ...fields,
      signerName: fields.signerName.toLowerCase(),
      signature: new Uint8Array(0),
    });
    if (!head.ok) throw new RangeError(head.problem);
    const octets = signedOctets(head.value, rrset, fields);
    const other = { ...key.plan, seed: `${key.plan.seed ?? ""} wrong` };
    const signingKey = flaw.isWrongKey === true ? zoneKey(this.#origin, other) : key;
    const signature = signingKey.sign(octets);
    if (flaw.isCorrupt?.(type) === true) signature[5] = (signature[5] ?? 0) ^ 0xff;
    return packed(owner, RRType.RRSIG, encodeRdataOf("RRSIG", { ...fields, signature }), ttl);
  }
}

/** The octets that a signature is made over (RFC 4034 §3.1.8.1). */
function signedOctets(
  rrsigRdataWithoutSignature: Uint8Array,
  rrset: readonly ResourceRecord[],
  { labels, originalTtl }: RrsigFields,
): Uint8Array {
  const first = rrset[0];
  if (first === undefined) return rrsigRdataWithoutSignature;
  const owner = ownerForSigning(first.owner, labels);
  const pieces = rrset.map((record) => {
    const rdata = canonicalRdata(record.type, record.rdata);
    const head = new Uint8Array(10);
    setUint16(head, 0, record.type);
    setUint16(head, 2, record.class);
    setUint32(head, 4, originalTtl);
    setUint16(head, 8, rdata.length);
    return { rdata, octets: concatOctets([owner, head, rdata]) };
  });
  pieces.sort((a, b) => Buffer.compare(a.rdata, b.rdata));
  return concatOctets([rrsigRdataWithoutSignature, ...pieces.map(({ octets }) => octets)]);
}

/** RFC 4035 §5.3.2: names made from a wildcard are signed as the wildcard. */
function ownerForSigning(owner: Name, labels: number): Uint8Array {
  const lower = owner.toLowerCase();
  if (lower.labelCount <= labels) return lower.wire;
  return concatOctets([Uint8Array.of(1, 0x2a), lower.suffix(labels).wire]);
}
