import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import {
  type Message,
  type Name,
  parseName,
  Rcode,
  type ResourceRecord,
  RRType,
  rdataProblem,
  recordToText,
} from "@sotto/dns/wire";
import type { Nsec3Plan } from "../testing/fake-internet/denial-chain.ts";
import type { Zone, ZoneNode } from "../testing/fake-internet/zone.ts";
import { APEX } from "./test-signer.test-support.ts";
import { closestEncloser, TOY_TYPES, toyName, toyZone, truthOf } from "./toy-zone.test-support.ts";
import { answersOf, type Judged, told, WorldClient, ZoneWorld } from "./zone-world.test-support.ts";

const PLANS: readonly ("nsec" | Nsec3Plan)[] = [
  "nsec",
  {},
  { iterations: 2, salt: "c0" },
  { isOptOut: true },
];
const SEEDS = 24;
const QUESTIONS = 30;

/** A random zone, signed; its plain records stay with it, to know what is true. */
function worldOf(random: SeededRandom, denial: "nsec" | Nsec3Plan): { world: ZoneWorld; plain: Zone } {
  const plain = toyZone(random);
  const text = [...plain.nodes]
    .filter(({ owner }) => !owner.equals(APEX))
    .flatMap((node) => [...textsOf(node)])
    .join("\n");
  return { world: new ZoneWorld([{ origin: "example.", text, denial }]), plain };
}

function* textsOf({ owner, rrsets }: ZoneNode): Generator<string> {
  const words: Record<number, string> = {
    [RRType.A]: "A 192.0.2.1",
    [RRType.TXT]: "TXT x",
    [RRType.CNAME]: "CNAME www.invalid.",
    [RRType.NS]: "NS ns.invalid.",
    [RRType.DS]: "DS 1 13 2 00",
    [RRType.DNAME]: "DNAME invalid.",
  };
  for (const type of rrsets.keys()) yield `${owner} 300 ${words[type]}`;
}

function zoneText(zone: Zone): string {
  return [...zone.nodes].flatMap((node) => [...textsOf(node)]).join("\n");
}

interface Asked {
  readonly client: WorldClient;
  readonly plain: Zone;
  readonly qname: Name;
  readonly qtype: RRType;
  readonly reply: Message;
  readonly random: SeededRandom;
  readonly denial: "nsec" | Nsec3Plan;
}

/** Calls back with random questions for random zones that the zone itself answers. */
async function forRandomQuestions(check: (asked: Asked) => Promise<void>): Promise<void> {
  for (const denial of PLANS)
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new SeededRandom(seed * 7919);
      const { world, plain } = worldOf(random, denial);
      const client = new WorldClient(world);
      for (let i = 0; i < QUESTIONS; i++) {
        const qname = toyName(random);
        const qtype = TOY_TYPES[random.below(TOY_TYPES.length)] ?? RRType.A;
        if (qname.equals(APEX) && qtype === RRType.DS) continue;
        const reply = world.reply(qname, qtype);
        if (!reply.isAuthoritative) continue;
        try {
          await check({ client, plain, qname, qtype, reply, random, denial });
        } catch (error) {
          const about = `${JSON.stringify(denial)} seed ${seed} ${qname} ${qtype}`;
          throw new Error(`${about}\n${zoneText(plain)}`, { cause: error });
        }
      }
    }
}

/** An alias leads out of these zones, and a DNAME does, too: then nothing is left to deny. */
function leadsOut(reply: Message, qtype: RRType): boolean {
  return answersOf(reply).some(
    ({ type }) => (type === RRType.CNAME || type === RRType.DNAME) && type !== qtype && qtype !== RRType.ANY,
  );
}

async function judgeAll(client: WorldClient, reply: Message, qname: Name, qtype: RRType): Promise<Judged> {
  if (!leadsOut(reply, qtype)) return client.judgeReply(reply, qname, qtype);
  // As ANY the chain alone is judged.
  return client.judgeReply(reply, qname, RRType.ANY);
}

test("right answers of random zones are secure, and of the right kind [4035-4-a] [5155-a]", async () => {
  let asked = 0;
  await forRandomQuestions(async ({ client, plain, qname, qtype, reply, denial }) => {
    asked++;
    const judged = await judgeAll(client, reply, qname, qtype);
    const isOptOut = denial !== "nsec" && denial.isOptOut === true;
    if (isOptOut && judged.verdict.status === "insecure") return;
    if (isOptOut && isHidden(plain, qname)) return;
    assert.equal(told(judged), "secure");
    const truth = truthOf(plain, qname, qtype);
    const expected = truth === "elsewhere" ? "answer" : truth;
    assert.equal(judged.kind, expected);
  });
  assert.ok(asked > 1000, `${asked} questions`);
});

/** With opt-out, names that hold nothing but unsigned delegations have no record that shows them. */
function isHidden(zone: Zone, qname: Name): boolean {
  const encloser = closestEncloser(zone, qname);
  const holds = [...zone.nodes].filter(({ owner }) => owner.isAtOrBelow(encloser));
  return holds.every(({ owner }) => zone.cutAbove(owner) !== undefined);
}

/** One small change as an attacker on the way could make it. */
function tampered(reply: Message, random: SeededRandom, others: readonly Message[]): Message {
  const section = reply.answers.length > 0 && random.chance(0.5) ? "answers" : "authorities";
  const records = [...reply[section]];
  const at = random.below(Math.max(1, records.length));
  const record = records[at];
  const other = others[random.below(others.length)];
  const otherRecords = [...(other?.answers ?? []), ...(other?.authorities ?? [])];
  const stranger = otherRecords[random.below(Math.max(1, otherRecords.length))];
  switch (random.below(9)) {
    case 0:
      return { ...reply, [section]: records.toSpliced(at, 1) };
    case 1:
      return record === undefined
        ? reply
        : { ...reply, [section]: records.with(at, flipped(record, random)) };
    case 2:
      return record === undefined
        ? reply
        : { ...reply, [section]: records.with(at, { ...record, ttl: random.below(2 ** 31) }) };
    case 3:
      return record === undefined
        ? reply
        : { ...reply, [section]: records.with(at, { ...record, owner: toyName(random) }) };
    case 4:
      return stranger === undefined ? reply : { ...reply, [section]: [...records, stranger] };
    case 5:
      return { ...reply, rcode: reply.rcode === Rcode.NXDomain ? Rcode.NoError : Rcode.NXDomain };
    case 6:
      return {
        ...reply,
        answers: [],
        authorities: [...(other?.authorities ?? [])],
        rcode: other?.rcode ?? 0,
      };
    case 7:
      return {
        ...reply,
        answers: renamed(other?.answers ?? [], reply),
        authorities: [...(other?.authorities ?? [])],
      };
    default:
      return { ...reply, answers: [], authorities: [...reply.authorities, ...(other?.authorities ?? [])] };
  }
}

function flipped(record: ResourceRecord, random: SeededRandom): ResourceRecord {
  const { rdata } = record;
  if (rdata.length === 0) return record;
  const at = random.below(rdata.length);
  return { ...record, rdata: rdata.with(at, (rdata[at] ?? 0) ^ (1 << random.below(8))) };
}

function renamed(records: readonly ResourceRecord[], reply: Message): ResourceRecord[] {
  const owner = reply.questions[0]?.name ?? parseName(".");
  return records.map((record) => ({ ...record, owner }));
}

/** Names in rdata may not be names any more; such a reply would never have been decoded. */
function isWellFormed(reply: Message): boolean {
  return [...reply.answers, ...reply.authorities].every(
    ({ type, rdata }) => rdataProblem(type, rdata) === undefined,
  );
}

/** True when what is said to be secure is what the zone really has. */
function assertTrue({ plain, qname, qtype, reply }: Asked, judged: Judged, about: string): void {
  const truth = truthOf(plain, qname, qtype);
  if (judged.kind !== "answer") {
    assert.equal(truth, judged.kind, about);
    return;
  }
  for (const { owner, type, rdatas } of answersOf(reply)) {
    if (owner.isAtOrBelow(APEX) && type !== RRType.RRSIG && !SIGNERS_OWN.has(type)) {
      const source = plain.exists(owner) ? owner : parseName("*", closestEncloser(plain, owner));
      const real = plain.rrset(source, type).map(({ rdata }) => Buffer.from(rdata).toString("hex"));
      const given = new Set(rdatas.map((rdata) => Buffer.from(rdata).toString("hex")));
      assert.deepEqual([...given].sort(), [...new Set(real)].sort(), `${about}: ${owner} ${type}`);
    }
  }
}

/** Types that the signer adds. */
const SIGNERS_OWN: ReadonlySet<RRType> = new Set([
  RRType.DNSKEY,
  RRType.NSEC,
  RRType.NSEC3,
  RRType.NSEC3PARAM,
  RRType.SOA,
  RRType.NS,
]);

test("what was tampered with is never secure, unless it is still true [4035-4-a] [5155-a]", async () => {
  const statuses = new Map<string, number>();
  let zone: Zone | undefined;
  /** Of the same zone: all zones here have the same keys, so that those of another one would be right. */
  let seen: Message[] = [];
  await forRandomQuestions(async (asked) => {
    const { client, qname, qtype, random, denial } = asked;
    if (asked.plain !== zone) seen = [];
    zone = asked.plain;
    seen.push(asked.reply);
    if (seen.length > 40) seen.shift();
    for (let i = 0; i < 3; i++) {
      const reply = tampered(asked.reply, random, seen);
      if (!isWellFormed(reply)) continue;
      const judged = await judgeAll(client, reply, qname, qtype);
      const { status } = judged.verdict;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const isOptOut = denial !== "nsec" && denial.isOptOut === true;
      const text = [...reply.answers, ...reply.authorities]
        .filter((r) => r.type !== 46)
        .map(recordToText)
        .join("\n");
      if (status === "secure") assertTrue({ ...asked, reply }, judged, `rcode ${reply.rcode}, ${text}`);
      else if (status === "insecure") assert.ok(isOptOut, "insecure in a signed zone");
      else assert.equal(status, "bogus");
      if (judged.verdict.status === "secure")
        assert.ok(judged.verdict.ttlSecondsMax <= 300, `${judged.verdict.ttlSecondsMax} s`);
    }
  });
  assert.ok((statuses.get("bogus") ?? 0) > 500 && (statuses.get("secure") ?? 0) > 200, `${[...statuses]}`);
});
