/** Random zones with everything that makes denials hard, and what is true about a name in them, found the plain way. */
import type { SeededRandom } from "@sotto/dns/testing";
import { type Name, parseName, parseRecord, RRType } from "@sotto/dns/wire";
import { addNsec, addNsec3, type Nsec3Plan } from "../testing/fake-internet/denial-chain.ts";
import { Zone } from "../testing/fake-internet/zone.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import { APEX } from "./test-signer.test-support.ts";

/** What a server would rightly say. `elsewhere`: the name lies below a cut or a DNAME. */
export type Truth = "answer" | "referral" | "nodata" | "nxdomain" | "elsewhere";

const LABELS = ["a", "b", "c", "B", "*", "\\000", "zz"] as const;
export const TOY_TYPES: readonly RRType[] = [
  RRType.A,
  RRType.TXT,
  RRType.CNAME,
  RRType.NS,
  RRType.DS,
  RRType.ANY,
];

/** A name at or below the apex, of up to four labels more. */
export function toyName(random: SeededRandom, depthMin = 0): Name {
  let text = "";
  const depth = depthMin + random.below(5 - depthMin);
  for (let i = 0; i < depth; i++) text += `${LABELS[random.below(LABELS.length)]}.`;
  return parseName(`${text}example.`);
}

/** An unsigned zone with aliases, wildcards, cuts with and without DS, glue, DNAME and names that are empty. */
export function toyZone(random: SeededRandom): Zone {
  const zone = new Zone(APEX, []);
  const add = (owner: Name, text: string): void => zone.add(parseRecord(`${owner} 300 ${text}`));
  add(APEX, "SOA ns.invalid. hostmaster.invalid. 1 2 3 4 5");
  add(APEX, "NS ns.invalid.");
  for (let i = random.below(10); i >= 0; i--) {
    const owner = toyName(random, 1);
    if (zone.node(owner) !== undefined || hasAbove(zone, owner, RRType.DNAME)) continue;
    const hasBelow = zone.exists(owner);
    const isWild = owner.toString().startsWith("*");
    switch (random.below(8)) {
      case 0:
        add(owner, "CNAME www.invalid.");
        break;
      case 1:
        if (isWild) break;
        add(owner, "NS ns.invalid.");
        if (random.chance(0.5)) add(owner, "DS 1 13 2 00");
        if (random.chance(0.5)) add(owner, "A 192.0.2.1");
        break;
      case 2:
        if (!isWild && !hasBelow) add(owner, "DNAME invalid.");
        break;
      case 3:
        add(owner, "TXT x");
        break;
      default:
        add(owner, "A 192.0.2.1");
    }
  }
  return zone;
}

function hasAbove(zone: Zone, name: Name, type: RRType): boolean {
  for (let at = name; at.isBelow(zone.origin); at = at.parent())
    if (zone.rrset(at.parent(), type).length > 0) return true;
  return false;
}

export function truthOf(zone: Zone, qname: Name, qtype: RRType): Truth {
  const cut = zone.cutAbove(qname);
  if ((cut !== undefined && !cut.equals(qname)) || hasAbove(zone, qname, RRType.DNAME)) return "elsewhere";
  if (cut !== undefined && qtype !== RRType.DS) return "referral";
  if (zone.exists(qname)) return truthAt(zone, qname, qtype);
  const wildcard = parseName("*", closestEncloser(zone, qname));
  return zone.exists(wildcard) ? truthAt(zone, wildcard, qtype) : "nxdomain";
}

function truthAt(zone: Zone, name: Name, qtype: RRType): Truth {
  const types = [...(zone.node(name)?.rrsets.keys() ?? [])];
  const hasData = types.some((type) => type !== RRType.NSEC && type !== RRType.NSEC3PARAM);
  if (qtype === RRType.ANY) return hasData ? "answer" : "nodata";
  return types.includes(qtype) || types.includes(RRType.CNAME) ? "answer" : "nodata";
}

export function closestEncloser(zone: Zone, name: Name): Name {
  let at = name;
  while (!zone.exists(at)) at = at.parent();
  return at;
}

/** True when the zone delegates the name. */
export function isCut(zone: Zone, name: Name): boolean {
  return !name.equals(zone.origin) && zone.rrset(name, RRType.NS).length > 0;
}

/** The NSEC or NSEC3 sets of the zone, as if they had been verified. The zone is changed. */
export function chainOf(zone: Zone, denial: "nsec" | Nsec3Plan): SignedRRset[] {
  if (denial === "nsec") addNsec(zone, undefined);
  else addNsec3(zone, denial, undefined);
  const type = denial === "nsec" ? RRType.NSEC : RRType.NSEC3;
  return [...zone.nodes].flatMap(({ owner, rrsets }) => {
    const rdatas = (rrsets.get(type) ?? []).map(({ rdata }) => rdata);
    return rdatas.length === 0 ? [] : [{ owner, type, ttlSeconds: 300, rdatas, signatures: [] }];
  });
}
