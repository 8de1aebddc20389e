/**
 * Small worlds of signed zones for tests of the validator: the fake internet's signer and authority, asked directly. What
 * is asked and what comes back can be looked at and changed on the way.
 */
import {
  encodeMessage,
  type Message,
  makeEdns,
  makeMessage,
  Name,
  parseName,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
  tryDecodeMessage,
  tryParseZone,
} from "@sotto/dns/wire";
import { answerQuery } from "../testing/fake-internet/authority.ts";
import type { Nsec3Plan } from "../testing/fake-internet/denial-chain.ts";
import { signZone } from "../testing/fake-internet/sign.ts";
import type { SigningFlaw } from "../testing/fake-internet/signing-flaws.ts";
import { type AnswerFlaw, Zone } from "../testing/fake-internet/zone.ts";
import { type DsPlan, dsRecords, type KeyPlan } from "../testing/fake-internet/zone-key.ts";
import { ValidationBudget } from "./budget.ts";
import { readDs } from "./ds.ts";
import { signedSetsOf } from "./rfc-zones.test-support.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import { KEY_PLAN, NOW_SECONDS } from "./test-signer.test-support.ts";
import { type TrustAnchor, TrustAnchors } from "./trust-anchors.ts";
import {
  type DenialJudgement,
  type Evidence,
  type ValidationSession,
  Validator,
  type ValidatorOptions,
} from "./validator.ts";
import { type Verdict, weakest } from "./verdict.ts";

/** One zone; those that are signed have DS above them unless `ds` says otherwise. */
export interface ZonePlan {
  readonly origin: string;
  /** Records besides SOA. */
  readonly text?: string;
  /** Default: one key that signs everything. Empty: the zone is unsigned. */
  readonly keys?: readonly KeyPlan[];
  /** Default `nsec`. */
  readonly denial?: "nsec" | Nsec3Plan;
  readonly flaw?: SigningFlaw;
  readonly ds?: readonly DsPlan[];
  readonly answerFlaw?: AnswerFlaw;
}

const TTL_SECONDS = 300;

/** Changes a reply before the validator sees it. */
export type Tamper = (reply: Message) => Message;

export class ZoneWorld {
  readonly zones: readonly { readonly origin: Name; readonly zone: Zone }[];
  readonly #plans: readonly ZonePlan[];

  constructor(plans: readonly ZonePlan[]) {
    this.#plans = plans;
    this.zones = plans.map((plan) => ({ origin: parseName(plan.origin), zone: this.#build(plan) }));
  }

  #build(plan: ZonePlan): Zone {
    const origin = parseName(plan.origin);
    const soa = "@ SOA ns.invalid. hostmaster.invalid. 1 3600 600 604800 60\n@ NS ns.invalid.\n";
    const records = tryParseZone(`$TTL ${TTL_SECONDS}\n${soa}${plan.text ?? ""}`, {
      origin,
      ttl: TTL_SECONDS,
    });
    if (!records.ok) throw new RangeError(`${plan.origin}: ${records.problem}`);
    const delegations = this.#plans
      .filter((child) => child !== plan && this.#parentOf(child) === plan)
      .flatMap(delegationOf);
    const plain = new Zone(origin, [...records.value, ...delegations], plan.answerFlaw);
    const keys = plan.keys ?? [KEY_PLAN];
    if (keys.length === 0) return plain;
    const { denial = "nsec", flaw = {} } = plan;
    const parent = this.#parentOf(plan);
    const above = parent && { origin: parseName(parent.origin), key: parent.keys?.[0] ?? KEY_PLAN };
    return signZone(plain, { keys, denial, nowSeconds: NOW_SECONDS, flaw, above });
  }

  #parentOf(child: ZonePlan): ZonePlan | undefined {
    const name = parseName(child.origin);
    return this.#plans
      .filter(({ origin }) => name.isBelow(parseName(origin)))
      .sort((a, b) => b.origin.length - a.origin.length || (b.origin === "." ? -1 : 1))[0];
  }

  zoneAt(origin: string): Zone {
    const found = this.zones.find((served) => served.origin.equals(parseName(origin)));
    if (found === undefined) throw new RangeError(`no zone ${origin}`);
    return found.zone;
  }

  /** The deepest zone that a question belongs to. */
  zoneOf(name: Name, type: RRType): Name {
    const holders = this.zones
      .map(({ origin }) => origin)
      .filter((origin) =>
        type === RRType.DS && !name.isRoot ? name.isBelow(origin) : name.isAtOrBelow(origin),
      )
      .sort((a, b) => b.labelCount - a.labelCount);
    return holders[0] ?? parseName(".");
  }

  /** What the servers say. */
  reply(name: Name, type: RRType): Message {
    const query = makeMessage({
      questions: [{ name, type, class: RRClass.IN }],
      edns: makeEdns({ dnssecOk: true, udpPayloadOctets: 4096 }),
    });
    const octets = answerQuery(this.zones, encodeMessage(query), "tcp");
    const message = octets === undefined ? undefined : tryDecodeMessage(octets);
    if (message?.ok !== true) throw new RangeError(`no answer for ${name}`);
    return message.value;
  }

  /** Digests of the keys of a zone as anchors. */
  anchor(origin: string, plans: readonly DsPlan[] = [{}]): TrustAnchor {
    const plan = this.#plans.find((one) => one.origin === origin);
    if (plan === undefined) throw new RangeError(`no zone ${origin}`);
    const zone = parseName(origin);
    const records = dsRecords(zone, plan.keys ?? [KEY_PLAN], plans, TTL_SECONDS);
    return { zone, ds: records.map(({ rdata }) => readDs(rdata)), keys: [] };
  }
}

/** NS and DS as the parent has them. */
function delegationOf(child: ZonePlan): ResourceRecord[] {
  const owner = parseName(child.origin);
  const ns = {
    owner,
    type: RRType.NS,
    class: RRClass.IN,
    ttl: TTL_SECONDS,
    rdata: parseName("ns.invalid.").wire,
  };
  const keys = child.keys ?? [KEY_PLAN];
  const plans = child.ds ?? (keys.length === 0 ? [] : [{}]);
  return [ns, ...dsRecords(owner, keys.length === 0 ? [KEY_PLAN] : keys, plans, TTL_SECONDS)];
}

export interface ClientOptions extends Partial<Omit<ValidatorOptions, "anchors">> {
  /** Default: the key of the first zone. */
  readonly anchors?: readonly TrustAnchor[];
  readonly exceptions?: readonly string[];
  /** Changes what comes back for DS and DNSKEY. */
  readonly tamper?: Tamper;
}

/** A validator that asks a world; it counts what it asks. */
export class WorldClient implements ValidationSession {
  readonly world: ZoneWorld;
  readonly validator: Validator;
  budget = new ValidationBudget();
  nowSeconds = NOW_SECONDS;
  uptimeSeconds = 0;
  tamper: Tamper;
  /** Like `example. DS`. */
  readonly asked: string[] = [];
  readonly proved: { readonly zone: Name; readonly proofs: readonly SignedRRset[] }[] = [];

  constructor(world: ZoneWorld, options: ClientOptions = {}) {
    this.world = world;
    this.tamper = options.tamper ?? ((reply) => reply);
    const { origin } = world.zones[0] ?? { origin: parseName(".") };
    const { anchors = [world.anchor(origin.toString())], exceptions = [], tamper: _, ...rest } = options;
    this.validator = new Validator({
      nowSeconds: () => this.nowSeconds,
      uptimeSeconds: () => this.uptimeSeconds,
      ...rest,
      anchors: new TrustAnchors(
        anchors,
        exceptions.map((name) => parseName(name)),
      ),
    });
  }

  ask(name: Name, type: RRType): Promise<Evidence> {
    this.asked.push(`${name} ${type === RRType.DS ? "DS" : "DNSKEY"}`);
    // Far more than anything honest needs: whoever asks for ever is stopped here.
    if (this.asked.length > ASKED_MAX) throw new RangeError(`asked ${ASKED_MAX} times`);
    return Promise.resolve(evidenceOf(this.tamper(this.world.reply(name, type)), name, type));
  }

  onProved(zone: Name, proofs: readonly SignedRRset[]): void {
    this.proved.push({ zone, proofs });
  }

  /** Judges what the servers say about a name, with a purse of its own. */
  judge(name: Name | string, type: RRType = RRType.A, change: Tamper = (reply) => reply): Promise<Judged> {
    const qname = typeof name === "string" ? parseName(name) : name;
    return this.judgeReply(change(this.world.reply(qname, type)), qname, type);
  }

  async judgeReply(reply: Message, qname: Name, qtype: RRType): Promise<Judged> {
    this.budget = new ValidationBudget();
    const proofs = proofsOf(reply);
    const chain = answersOf(reply);
    const verdicts: Verdict[] = [];
    let name = qname;
    let hasAnswer = false;
    for (const rrset of chain) {
      verdicts.push(
        await this.validator.judgeRRset(rrset, proofs, this.world.zoneOf(rrset.owner, rrset.type), this),
      );
      if (rrset.type === qtype || qtype === RRType.ANY) hasAnswer = true;
      else if (rrset.type === RRType.CNAME) name = new Name(rrset.rdatas[0] ?? name.wire);
      else if (rrset.type === RRType.DNAME)
        name = name.replaceSuffix(rrset.owner, new Name(rrset.rdatas[0] ?? name.wire)) ?? name;
    }
    if (hasAnswer) return { verdict: weakest(verdicts), kind: "answer" };
    const denied = await this.deny(reply, name, qtype);
    const { kind, ...verdict } = denied;
    return { verdict: weakest([...verdicts, verdict]), kind };
  }

  deny(reply: Message, qname: Name, qtype: RRType): Promise<DenialJudgement> {
    const soa = signedSetsOf(reply.authorities).find(({ type }) => type === RRType.SOA);
    const kind = reply.rcode === Rcode.NXDomain ? "nxdomain" : "nodata";
    const denial = { qname, qtype, kind, soa, proofs: proofsOf(reply) } as const;
    return this.validator.judgeDenial(denial, this.world.zoneOf(qname, qtype), this);
  }
}

const ASKED_MAX = 500;

export interface Judged {
  readonly verdict: Verdict;
  /** What the reply turned out to be. */
  readonly kind: "answer" | DenialJudgement["kind"];
}

export function proofsOf(reply: Message): SignedRRset[] {
  return signedSetsOf(reply.authorities).filter(({ type }) => type === RRType.NSEC || type === RRType.NSEC3);
}

/** The sets of an answer but for the CNAMEs that a DNAME made. */
export function answersOf(reply: Message): SignedRRset[] {
  const sets = signedSetsOf(reply.answers);
  return sets.filter(
    ({ owner, type, signatures }) =>
      type !== RRType.CNAME ||
      signatures.length > 0 ||
      !sets.some((dname) => dname.type === RRType.DNAME && owner.isBelow(dname.owner)),
  );
}

function evidenceOf(reply: Message, name: Name, type: RRType): Evidence {
  if (reply.rcode !== Rcode.NoError && reply.rcode !== Rcode.NXDomain) return { kind: "failed", errors: [] };
  const sets = answersOf(reply);
  const rrset = sets.find((set) => set.type === type && set.owner.equals(name));
  if (rrset !== undefined) return { kind: "rrset", rrset };
  const alias = sets.find((set) => set.type === RRType.CNAME || set.type === RRType.DNAME);
  if (alias !== undefined) return { kind: "alias", rrset: alias };
  return { kind: "negative", proofs: proofsOf(reply), ttlSeconds: 60 };
}

/** The status, and the codes that go with it, like `bogus 9` or `secure`. */
export function told({ verdict }: { readonly verdict: Verdict }): string {
  const errors = verdict.status === "bogus" || verdict.status === "insecure" ? verdict.errors : [];
  return [verdict.status, ...errors.map(({ code }) => code)].join(" ");
}
