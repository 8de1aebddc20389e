import assert from "node:assert/strict";
import { test } from "node:test";
import { EdeCode, type Message, parseName, Rcode, type ResourceRecord, RRType } from "@sotto/dns/wire";
import type { AnswerFlaw } from "../testing/fake-internet/zone.ts";
import { signedSetsOf } from "./rfc-zones.test-support.ts";
import { told, WorldClient, type ZonePlan, ZoneWorld } from "./zone-world.test-support.ts";

const { A, AAAA, ANY, CNAME, DNAME, DS, MX, NSEC, NSEC3, RRSIG, SOA, TXT } = RRType;

const TEXT = `www A 192.0.2.1
*.wild A 192.0.2.2
x.*.under A 192.0.2.3
empty.deep TXT x
alias CNAME www
broken CNAME nothing
moved DNAME deep
`;

function clientOf(plan: Partial<ZonePlan> = {}): WorldClient {
  return new WorldClient(
    new ZoneWorld([
      { origin: "example.", text: TEXT, ...plan },
      { origin: "sub.example.", text: TEXT, ...plan, denial: "nsec" },
    ]),
  );
}

const isDenial = ({ type }: ResourceRecord): boolean => type === NSEC || type === NSEC3;
const without =
  (isLeftOut: (record: ResourceRecord) => boolean) =>
  (reply: Message): Message => ({
    ...reply,
    authorities: reply.authorities.filter((record) => !isLeftOut(record)),
  });

const CHAINS = [
  ["NSEC", "nsec"],
  ["NSEC3", {}],
] as const;

for (const [chain, denial] of CHAINS) {
  const plan = { denial } as const;

  test(`names that are empty are no name errors, whatever the server says: ${chain} [4035-4-a]`, async () => {
    const asNxdomain = (reply: Message): Message => ({ ...reply, rcode: Rcode.NXDomain });
    for (const qname of [
      "deep.example.",
      "wild.example.",
      "under.example.",
      "*.under.example.",
      "z.under.example.",
    ]) {
      const honest = await clientOf(plan).judge(qname);
      assert.deepEqual([told(honest), honest.kind], ["secure", "nodata"], qname);
      const wrong = await clientOf(plan).judge(qname, A, asNxdomain);
      assert.deepEqual([told(wrong), wrong.kind], ["secure", "nodata"], qname);
    }
  });

  test(`a name error is no missing type: ${chain}`, async () => {
    const judged = await clientOf(plan).judge("nothing.example.", A, (reply) => ({
      ...reply,
      rcode: Rcode.NoError,
    }));
    assert.equal(told(judged), "bogus 12");
  });

  test(`without its denials an answer lacks NSEC, without signatures RRSIG (RFC 8914 §4.11, §4.13): ${chain}`, async () => {
    const questions = [
      ["nothing.example.", A],
      ["www.example.", AAAA],
      ["x.wild.example.", AAAA],
      ["deep.example.", A],
    ] as const;
    for (const [qname, qtype] of questions) {
      const client = clientOf(plan);
      const covers = (record: ResourceRecord, type: RRType): boolean =>
        record.type === RRSIG && ((record.rdata[0] ?? 0) << 8) + (record.rdata[1] ?? 0) === type;
      const cases: [string, (record: ResourceRecord) => boolean, string][] = [
        [
          "no denials",
          (record) => isDenial(record) || covers(record, NSEC) || covers(record, NSEC3),
          "bogus 12",
        ],
        ["nothing", () => true, "bogus 12"],
        ["no signatures", ({ type }) => type === RRSIG, "bogus 10"],
        ["no signatures over denials", (record) => covers(record, NSEC) || covers(record, NSEC3), "bogus 12"],
        ["no SOA", (record) => record.type === SOA || covers(record, SOA), "secure"],
        ["SOA without signatures", (record) => covers(record, SOA), "bogus 10"],
      ];
      for (const [name, isLeftOut, expected] of cases)
        assert.equal(
          told(await client.judge(qname, qtype, without(isLeftOut))),
          expected,
          `${qname}: ${name}`,
        );
    }
  });

  test(`wrongly signed denials have the code of what is wrong with them (RFC 8914 §4): ${chain}`, async () => {
    const flaws: [ZonePlan["flaw"] & object, string][] = [
      [{ validity: () => [{ fromDays: -30, toDays: -10 }] }, "bogus 7"],
      [{ validity: (type) => (isDenialType(type) ? [{ fromDays: -30, toDays: -10 }] : [VALID]) }, "bogus 7"],
      [{ validity: (type) => (isDenialType(type) ? [{ fromDays: 10, toDays: 30 }] : [VALID]) }, "bogus 8"],
      [{ validity: (type) => (isDenialType(type) ? [{ fromDays: 2, toDays: -2 }] : [VALID]) }, "bogus 25"],
      [{ isCorrupt: isDenialType }, "bogus 6"],
      [{ isSigned: (type) => !isDenialType(type) }, "bogus 12"],
      [{ isSigned: (type) => type !== SOA }, "bogus 10"],
      [{ isCorrupt: (type) => type === SOA }, "bogus 6"],
      [{ chain: "not covering" }, "bogus 12"],
    ];
    for (const [flaw, expected] of flaws) {
      assert.equal(
        told(await clientOf({ ...plan, flaw }).judge("nothing.example.")),
        expected,
        JSON.stringify(flaw),
      );
    }
  });

  const FLAWS: readonly [AnswerFlaw, string, RRType, string][] = [
    ["no proofs", "nothing.example.", A, "bogus 12"],
    ["no proofs", "www.example.", AAAA, "bogus 12"],
    ["no proofs", "x.wild.example.", A, "bogus 12"],
    ["no wildcard proof", "nothing.example.", A, "bogus 12"],
    ["no name proof", "nothing.example.", A, "bogus 12"],
    ["no name proof", "x.wild.example.", A, "bogus 12"],
    ["no encloser proof", "nothing.example.", A, chain === "NSEC" ? "secure" : "bogus 12"],
    ["proofs of the apex", "www.example.", AAAA, "bogus 12"],
    ["proofs of the apex", "nothing.example.", A, "bogus 12"],
    ["denies below DNAME", "x.moved.example.", A, "bogus 12"],
    ["denies aliases", "alias.example.", A, "bogus 12"],
    ["wildcard over names", "x.wild.example.", A, "secure"],
  ];
  test(`servers that prove wrongly are found out: ${chain} [4035-4-a] [6840-4.1-a] [6840-4.3-a]`, async () => {
    for (const [answerFlaw, qname, qtype, expected] of FLAWS)
      assert.equal(
        told(await clientOf({ ...plan, answerFlaw }).judge(qname, qtype)),
        expected,
        `${answerFlaw} ${qname}`,
      );
  });

  test(`aliases and what they lead to are judged together: ${chain}`, async () => {
    const client = clientOf(plan);
    const cases: [string, RRType, string, string][] = [
      ["alias.example.", A, "secure", "answer"],
      ["alias.example.", AAAA, "secure", "nodata"],
      ["alias.example.", CNAME, "secure", "answer"],
      ["broken.example.", A, "secure", "nxdomain"],
      ["empty.moved.example.", TXT, "secure", "answer"],
      ["moved.example.", DNAME, "secure", "answer"],
      ["moved.example.", A, "secure", "nodata"],
      ["nothing.moved.example.", A, "secure", "nxdomain"],
    ];
    for (const [qname, qtype, expected, kind] of cases) {
      const judged = await client.judge(qname, qtype);
      assert.deepEqual([told(judged), judged.kind], [expected, kind], qname);
    }
  });

  test(`each set of an answer to ANY is judged, and an empty answer is proved like others: ${chain} [6840-4.2-a]`, async () => {
    const client = clientOf(plan);
    assert.equal(told(await client.judge("www.example.", ANY)), "secure");
    assert.equal(told(await client.judge("example.", ANY)), "secure");
    assert.equal(told(await client.judge("deep.example.", ANY)), "secure");
    const oneUnsigned = (reply: Message): Message => ({
      ...reply,
      answers: reply.answers.filter(
        ({ type, rdata }) => type !== RRSIG || ((rdata[0] ?? 0) << 8) + (rdata[1] ?? 0) !== SOA,
      ),
    });
    assert.equal(told(await client.judge("example.", ANY, oneUnsigned)), "bogus 10");
    // The denial of another type, given as an empty answer to ANY.
    const forged = client.world.reply(parseName("www.example."), AAAA);
    assert.equal(told(await client.judgeReply(forged, parseName("www.example."), ANY)), "bogus 12");
  });
}

function isDenialType(type: RRType): boolean {
  return type === NSEC || type === NSEC3;
}

const VALID = { fromDays: -1, toDays: 30 } as const;

/** A signature over a wildcard is right at every name that it could have made; a denial must not travel so. */
test("a denial that a wildcard made denies nothing (RFC 4035 §5.3.4) [4035-4-a]", async () => {
  const client = clientOf();
  const qname = parseName("x.wild.example.");
  const honest = client.world.reply(parseName("*.wild.example."), MX);
  const moved = honest.authorities.map((record) => ({
    ...record,
    owner: record.owner.equals(parseName("*.wild.example.")) ? qname : record.owner,
  }));
  assert.ok(moved.some(({ owner, type }) => type === NSEC && owner.equals(qname)));
  const judged = await client.judgeReply({ ...honest, authorities: moved }, qname, MX);
  assert.equal(told(judged), "bogus 12");
});

test("what a wildcard has is not taken for names that exist, or for names with a closer one [4035-4-a]", async () => {
  for (const [, denial] of CHAINS) {
    const client = clientOf({ denial, text: `${TEXT}real.wild TXT x\n*.deeper.wild TXT x\n` });
    const made = client.world.reply(parseName("x.wild.example."), A);
    for (const victim of ["real.wild.example.", "deeper.wild.example.", "x.deeper.wild.example."]) {
      const qname = parseName(victim);
      const answers = made.answers.map((record) => ({ ...record, owner: qname }));
      const { authorities } = client.world.reply(qname, A);
      for (const proofs of [made.authorities, authorities, [...made.authorities, ...authorities]])
        assert.equal(
          told(await client.judgeReply({ ...made, answers, authorities: proofs }, qname, A)),
          "bogus 12",
          victim,
        );
    }
  }
});

test("denials of the zone above say nothing of the child, and the child's nothing of its DS [6840-4.1-a] [6840-4.4-a]", async () => {
  const client = clientOf();
  const { world } = client;
  const above = world.reply(parseName("nothing.example."), A);
  const atCut = signedSetsOf(world.reply(parseName("unknown.example."), DS).authorities);
  assert.ok(atCut.length > 0);
  for (const qname of ["www.sub.example.", "nothing.sub.example.", "sub.example."])
    for (const rcode of [Rcode.NoError, Rcode.NXDomain])
      assert.equal(
        (await client.judgeReply({ ...above, rcode }, parseName(qname), TXT)).verdict.status,
        "bogus",
        `${qname} ${rcode}`,
      );
  const child = world.reply(parseName("sub.example."), MX);
  assert.equal(told(await client.judgeReply(child, parseName("sub.example."), DS)), "bogus 12");
  assert.equal(told(await client.judgeReply(child, parseName("sub.example."), MX)), "secure");
});

test("a signature by a name that is no zone is bogus, also when the name is not there", async () => {
  const client = clientOf();
  const reply = client.world.reply(parseName("www.example."), A);
  const renamed = (signer: string): Message => ({
    ...reply,
    answers: reply.answers.map((record) => {
      if (record.type !== RRSIG) return record;
      const rdata = Buffer.concat([
        record.rdata.subarray(0, 18),
        parseName(signer).wire,
        record.rdata.subarray(27),
      ]);
      return { ...record, rdata: new Uint8Array(rdata) };
    }),
  });
  assert.equal(told(await client.judgeReply(renamed("example."), parseName("www.example."), A)), "secure");
  assert.equal(
    told(await client.judgeReply(renamed("www.example."), parseName("www.example."), A)),
    "bogus 6",
  );
});

test("what was proved is told with the verdict, and how long it is good", async () => {
  const client = clientOf();
  const { verdict } = await client.judge("nothing.example.");
  assert.ok(verdict.status === "secure");
  assert.equal(verdict.ttlSecondsMax, 300);
  const reply = client.world.reply(parseName("nothing.example."), A);
  const count = new Set(reply.authorities.filter(isDenial).map(({ owner }) => owner.key)).size;
  assert.equal(verdict.provedBy?.length, count);
  const positive = await client.judge("www.example.");
  assert.deepEqual(positive.verdict, { status: "secure", ttlSecondsMax: 300, provedBy: undefined });
});

test("a purse that is used up makes bogus, and nothing of that is remembered", async () => {
  const { world } = clientOf();
  const client = new WorldClient(world);
  const qname = parseName("www.sub.example.");
  const [rrset] = signedSetsOf(world.reply(qname, A).answers);
  assert.ok(rrset !== undefined);
  while (client.budget.takeSignature());
  const verdict = await client.validator.judgeRRset(rrset, [], parseName("sub.example."), client);
  assert.ok(verdict.status === "bogus");
  assert.equal(verdict.errors[0]?.code, EdeCode.DnssecBogus);
  assert.match(verdict.errors[0]?.text ?? "", /more work/);
  assert.equal(client.validator.zoneCount, 0);
  assert.equal(told(await client.judge(qname)), "secure");
});
