/**
 * Zones inside scenarios, signed when the file is read: our extension of the form, so that answers need no recorded
 * signatures. The fake internet signs and serves them; what is written here is read from `ZONE_BEGIN … ZONE_END`.
 */
import {
  type Name,
  type Parsed,
  parsed,
  problem,
  type ResourceRecord,
  RRType,
  tryParseName,
  tryParseZone,
} from "@sotto/dns/wire";
import type { ServedZone } from "../fake-internet/authority.ts";
import type { Nsec3Plan } from "../fake-internet/denial-chain.ts";
import { signaturesOf } from "../fake-internet/denial-proofs.ts";
import { signZone } from "../fake-internet/sign.ts";
import { SIGNING_FLAWS, type SigningFlaw } from "../fake-internet/signing-flaws.ts";
import { ANSWER_FLAWS, type AnswerFlaw, Zone } from "../fake-internet/zone.ts";
import { type DsPlan, dsRecords, type KeyPlan, zoneKey } from "../fake-internet/zone-key.ts";

/** What stands behind ZONE_BEGIN, and the zone's text. */
interface ZonePlan {
  readonly origin: Name;
  readonly records: readonly ResourceRecord[];
  readonly keys: KeyPlan[];
  /** DS records that the zone above has for this one; undefined: those of its keys. */
  ds: readonly DsPlan[] | undefined;
  denial: "nsec" | Nsec3Plan;
  flaw: SigningFlaw;
  answerFlaw: AnswerFlaw | undefined;
  /** How the resolver is told to trust the zone's key. */
  anchor: "none" | "ds" | "dnskey" | "wrong";
}

/** The zones of one scenario. Each is built when it is first asked for, when all others are known. */
export class ScenarioZones {
  readonly #zones: PlannedZone[] = [];
  readonly #nowSeconds: number;

  /** `nowSeconds`: seconds since 1970; right signatures are valid from a day before to a month after. */
  constructor(nowSeconds: number) {
    this.#nowSeconds = nowSeconds;
  }

  /** Adds the zone that `words` (behind ZONE_BEGIN) and its text describe. */
  add(words: readonly string[], text: string): Parsed<ServedZone> {
    const plan = readPlan(words, text);
    if (!plan.ok) return plan;
    const zone = new PlannedZone(plan.value, this.#zones, this.#nowSeconds);
    this.#zones.push(zone);
    return parsed(zone);
  }

  /** Trust anchors for the resolver, as records. */
  get anchors(): ResourceRecord[] {
    return this.#zones.flatMap(({ plan }) => anchorsOf(plan));
  }

  /**
   * The signatures over a set, as records of `owner`, which a wildcard may have made; empty when no zone has such a set.
   * `zoneName`: the zone that signs, when that is not the closest one.
   */
  signatures(owner: Name, type: RRType, zoneName: Name | undefined): readonly ResourceRecord[] {
    const isSigner = ({ origin }: ServedZone): boolean =>
      zoneName?.equals(origin) ??
      (owner.isAtOrBelow(origin) && !(type === RRType.DS && owner.equals(origin)));
    const candidates = this.#zones.filter(isSigner).sort((a, b) => b.origin.labelCount - a.origin.labelCount);
    for (const { zone } of candidates) {
      const wildcard = zone.closestEncloser(owner).tryPrepend(Uint8Array.of(0x2a));
      const sources = [owner, ...(wildcard.ok ? [wildcard.value] : [])];
      for (const source of sources) {
        const found = signaturesOf(zone, source, type, owner);
        if (found.length > 0) return found;
      }
    }
    return [];
  }
}

class PlannedZone implements ServedZone {
  readonly plan: ZonePlan;
  readonly #all: readonly PlannedZone[];
  readonly #nowSeconds: number;
  #zone: Zone | undefined;

  constructor(plan: ZonePlan, all: readonly PlannedZone[], nowSeconds: number) {
    this.plan = plan;
    this.#all = all;
    this.#nowSeconds = nowSeconds;
  }

  get origin(): Name {
    return this.plan.origin;
  }

  get zone(): Zone {
    this.#zone ??= this.#build();
    return this.#zone;
  }

  #build(): Zone {
    const { origin, records, keys, denial, flaw, answerFlaw } = this.plan;
    const plain = new Zone(origin, [...records, ...this.#delegationSigners()], answerFlaw);
    if (keys.length === 0) return plain;
    const [above] = this.#all
      .filter(({ plan }) => plan.keys.length > 0 && origin.isBelow(plan.origin))
      .sort((a, b) => b.origin.labelCount - a.origin.labelCount);
    const key = above?.plan.keys[0];
    return signZone(plain, {
      keys,
      denial,
      nowSeconds: this.#nowSeconds,
      flaw,
      above: above === undefined || key === undefined ? undefined : { origin: above.origin, key },
    });
  }

  /** DS records for the delegated zones of the scenario, from the first description of each. */
  #delegationSigners(): ResourceRecord[] {
    const { origin, records } = this.plan;
    const cuts = new Map(
      records
        .filter(({ type, owner }) => type === RRType.NS && !owner.equals(origin))
        .map(({ owner }) => [owner.key, owner]),
    );
    return [...cuts.values()].flatMap((cut) => {
      const child = this.#all.find((one) => one.origin.equals(cut))?.plan;
      if (child === undefined) return [];
      const plans = child.ds ?? (child.keys.length > 0 ? [{}] : []);
      return dsRecords(cut, child.keys.length > 0 ? child.keys : [DEFAULT_KEY], plans, TTL_SECONDS);
    });
  }
}

function anchorsOf({ origin, keys, anchor }: ZonePlan): ResourceRecord[] {
  switch (anchor) {
    case "none":
      return [];
    case "ds":
    case "wrong":
      return dsRecords(origin, keys, [{ isWrong: anchor === "wrong" }], TTL_SECONDS);
    case "dnskey":
      return keys.map((plan) => ({
        owner: origin,
        type: RRType.DNSKEY,
        class: 1,
        ttl: TTL_SECONDS,
        rdata: zoneKey(origin, plan).dnskeyRdata,
      }));
  }
}

function readPlan([originText = "", ...words]: readonly string[], text: string): Parsed<ZonePlan> {
  const origin = tryParseName(originText);
  if (!origin.ok) return origin;
  const soa = `@ ${TTL_SECONDS} IN SOA ns hostmaster 1 3600 600 604800 ${NEGATIVE_TTL_SECONDS}\n`;
  const hasSoa = /^@\s[^\n;]*\bSOA\b/m.test(text);
  const records = tryParseZone(`$TTL ${TTL_SECONDS}\n${hasSoa ? "" : soa}${text}\n`, {
    origin: origin.value,
    ttl: TTL_SECONDS,
    fileName: originText,
  });
  if (!records.ok) return records;
  const plan: ZonePlan = {
    origin: origin.value,
    records: records.value,
    keys: [],
    ds: undefined,
    denial: "nsec",
    flaw: {},
    answerFlaw: undefined,
    anchor: "none",
  };
  for (const word of words) {
    const [key = "", value = ""] = word.split("=");
    const wrong = WORDS[key]?.(plan, value) ?? (WORDS[key] === undefined ? "unknown word" : "");
    if (wrong !== "") return problem(`${wrong}: ${word}`);
  }
  return parsed(plan);
}

const dashed = (name: string): string => name.toLowerCase().replaceAll(" ", "-");

/** What each word of ZONE_BEGIN does; gives what is wrong with it, or nothing. */
const WORDS: Readonly<Record<string, (plan: ZonePlan, value: string) => string | undefined>> = {
  key: (plan, value) => {
    const [role = "", algorithm = "", seed] = value.split(":");
    if (role !== "csk" && role !== "ksk" && role !== "zsk" && role !== "idle") return "unknown role";
    plan.keys.push({ role, algorithm: Number(algorithm), ...(seed === undefined ? {} : { seed }) });
    return undefined;
  },
  denial: (plan, value) => {
    if (value === "nsec") return undefined;
    const [kind = "", iterations = "0", salt = ""] = value.split(":");
    if (kind !== "nsec3" && kind !== "optout") return "unknown denial";
    plan.denial = { iterations: Number(iterations), salt, isOptOut: kind === "optout" };
    return undefined;
  },
  ds: (plan, value) => {
    const plans: DsPlan[] = [];
    for (const one of value.split(","))
      if (one === "wrong") plans.push({ isWrong: true });
      else if (/^\d+$/.test(one)) plans.push({ digestType: Number(one) });
      else if (one !== "none") return "unknown DS";
    plan.ds = plans;
    return undefined;
  },
  flaw: (plan, value) => {
    const found = Object.entries(SIGNING_FLAWS).find(([name]) => dashed(name) === value);
    if (found === undefined) return "unknown flaw";
    plan.flaw = found[1];
    return undefined;
  },
  answers: (plan, value) => {
    plan.answerFlaw = ANSWER_FLAWS.find((flaw) => dashed(flaw) === value);
    return plan.answerFlaw === undefined ? "unknown flaw of answers" : undefined;
  },
  anchor: (plan, value) => {
    if (value !== "" && value !== "ds" && value !== "dnskey" && value !== "wrong") return "unknown anchor";
    plan.anchor = value === "" ? "ds" : value;
    return undefined;
  },
};

const TTL_SECONDS = 3600;
const NEGATIVE_TTL_SECONDS = 300;
/** For DS records of zones that have no key. */
const DEFAULT_KEY: KeyPlan = { role: "csk", algorithm: 13 };
