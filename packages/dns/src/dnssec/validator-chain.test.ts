import assert from "node:assert/strict";
import { test } from "node:test";
import { EdeCode, type Message, parseName, RRType } from "@sotto/dns/wire";
import type { Nsec3Plan } from "../testing/fake-internet/denial-chain.ts";
import type { KeyPlan } from "../testing/fake-internet/zone-key.ts";
import { BOGUS_TTL_SECONDS, type Evidence } from "./validator.ts";
import {
  type ClientOptions,
  told,
  WorldClient,
  type ZonePlan,
  ZoneWorld,
} from "./zone-world.test-support.ts";

const { A, AAAA, DNSKEY, DS, NSEC, NSEC3, RRSIG } = RRType;
const TEXT = "www A 192.0.2.1\n";

function familyOf(sub: Partial<ZonePlan>, example: Partial<ZonePlan> = {}): ZoneWorld {
  return new ZoneWorld([
    { origin: "." },
    { origin: "example.", text: TEXT, ...example },
    { origin: "sub.example.", text: TEXT, ...sub },
  ]);
}

/** What an address in `sub.example.` is told to be. */
async function verdictIn(
  sub: Partial<ZonePlan>,
  example: Partial<ZonePlan> = {},
  options: ClientOptions = {},
): Promise<string> {
  return told(await new WorldClient(familyOf(sub, example), options).judge("www.sub.example."));
}

const csk = (algorithm: number, parts: Partial<KeyPlan> = {}): KeyPlan => ({
  algorithm,
  role: "csk",
  ...parts,
});

test("zones of every algorithm are secure, and those of unknown ones insecure with the reason [6840-a] [4035-4-a]", async () => {
  for (const algorithm of [5, 7, 8, 10, 13, 14, 15, 16])
    assert.equal(await verdictIn({ keys: [csk(algorithm)] }), "secure", `${algorithm}`);
  for (const algorithm of [1, 3, 6, 12, 17, 23, 200, 253, 254])
    assert.equal(await verdictIn({ keys: [csk(algorithm)] }), "insecure 1", `${algorithm}`);
  assert.equal(await verdictIn({ keys: [csk(5)] }, {}, { policy: { sha1: false } }), "insecure 1");
  assert.equal(await verdictIn({ keys: [csk(8)] }, {}, { policy: { sha1: false } }), "secure");
});

test("digests of types 1, 2 and 4 are checked, and with others only a zone is insecure [6840-5.2-a]", async () => {
  for (const digestType of [1, 2, 4]) {
    assert.equal(await verdictIn({ ds: [{ digestType }] }), "secure", `${digestType}`);
    assert.equal(await verdictIn({ ds: [{ digestType, isWrong: true }] }), "bogus 6", `${digestType}`);
  }
  for (const digestType of [0, 3, 5, 6, 255])
    assert.equal(await verdictIn({ ds: [{ digestType }] }), "insecure 2", `${digestType}`);
  assert.equal(await verdictIn({ ds: [{ digestType: 3 }, { digestType: 2 }] }), "secure");
  assert.equal(await verdictIn({ ds: [{ digestType: 3 }, { digestType: 2, isWrong: true }] }), "bogus 6");
});

test("a right SHA-1 digest does not help beside a wrong better one (RFC 4509 §3)", async () => {
  for (const digestType of [2, 4]) {
    assert.equal(await verdictIn({ ds: [{ digestType: 1 }, { digestType, isWrong: true }] }), "bogus 6");
    assert.equal(await verdictIn({ ds: [{ digestType: 1, isWrong: true }, { digestType }] }), "secure");
  }
  // The better ones are as good as each other.
  assert.equal(await verdictIn({ ds: [{ digestType: 2 }, { digestType: 4, isWrong: true }] }), "secure");
});

test("a zone needs not be signed with every algorithm of its DS and keys (RFC 6840 §5.11) [6840-5.11-a]", async () => {
  const idle = (algorithm: number): KeyPlan => ({ algorithm, role: "idle", hasDs: true });
  assert.equal(await verdictIn({ keys: [csk(15), idle(13)] }), "secure");
  assert.equal(await verdictIn({ keys: [csk(15), csk(253)] }), "secure");
  assert.equal(await verdictIn({ keys: [csk(15, { hasDs: false }), idle(253)] }), "insecure 1");
  assert.equal(await verdictIn({ keys: [csk(15, { hasDs: false }), idle(13)] }), "bogus 9");
});

test("one algorithm may sign the keys and another one the data", async () => {
  const keys: KeyPlan[] = [
    { algorithm: 13, role: "ksk" },
    { algorithm: 15, role: "zsk" },
  ];
  assert.equal(await verdictIn({ keys }), "secure");
  const unknown: KeyPlan[] = [
    { algorithm: 13, role: "ksk" },
    { algorithm: 253, role: "zsk" },
  ];
  assert.equal(await verdictIn({ keys: unknown }), "bogus 10");
});

test("roles of keys are hints: DS may stand for any zone key that signs the keys (RFC 4034 §2.1.1)", async () => {
  assert.equal(await verdictIn({ keys: [csk(15, { flags: 256 })] }), "secure");
  assert.equal(await verdictIn({ keys: [csk(15), csk(15, { seed: "second", hasDs: false })] }), "secure");
  assert.equal(await verdictIn({ keys: [{ algorithm: 15, role: "zsk", hasDs: true }] }), "bogus 10");
});

test("keys without the zone flag, with another protocol, or revoked, have their codes (RFC 8914 §4)", async () => {
  assert.equal(await verdictIn({ keys: [csk(15, { flags: 1 })] }), "bogus 11");
  assert.equal(await verdictIn({ keys: [csk(15, { protocol: 2 })] }), "bogus 11");
  assert.equal(await verdictIn({ keys: [csk(15, { flags: 257 | 0x80 })] }), "bogus 9");
  const zsk = (flags: number): KeyPlan[] => [
    { algorithm: 15, role: "ksk" },
    { algorithm: 15, role: "zsk", flags },
  ];
  assert.equal(await verdictIn({ keys: zsk(0) }), "bogus 11");
  assert.equal(await verdictIn({ keys: zsk(256 | 0x80) }), "bogus 6");
});

test("a DS for a key that is not there, or that does not sign, makes bogus (RFC 8914 §4.10)", async () => {
  const other = csk(15, { seed: "other" });
  assert.equal(await verdictIn({ ds: [{ key: other }] }), "bogus 9");
  assert.equal(await verdictIn({ ds: [{ key: other }, {}] }), "secure");
  assert.equal(await verdictIn({ keys: [csk(15), csk(13, { isPublished: false })] }), "secure");
  assert.equal(await verdictIn({ keys: [csk(15, { isPublished: false })] }), "bogus 9");
  const published: KeyPlan[] = [
    { algorithm: 15, role: "ksk" },
    { algorithm: 15, role: "zsk", isPublished: false },
  ];
  assert.equal(await verdictIn({ keys: published }), "bogus 9");
});

const DENIALS: readonly ("nsec" | Nsec3Plan)[] = [
  "nsec",
  {},
  { iterations: 5, salt: "ab" },
  { isOptOut: true },
];

test("an unsigned zone is insecure by a proof of the zone above, and so is what is below it [4035-4-a] [6840-4.4-a]", async () => {
  for (const denial of DENIALS) {
    const world = new ZoneWorld([
      { origin: "." },
      { origin: "example.", text: TEXT, denial },
      { origin: "sub.example.", text: TEXT, keys: [] },
      { origin: "x.sub.example.", text: TEXT },
    ]);
    const client = new WorldClient(world);
    for (const [name, type] of [
      ["www.sub.example.", A],
      ["www.sub.example.", AAAA],
      ["nothing.sub.example.", A],
      ["www.x.sub.example.", A],
      ["nothing.x.sub.example.", A],
      ["x.sub.example.", DS],
      ["x.sub.example.", DNSKEY],
    ] as const)
      assert.equal(
        told(await client.judge(name, type)),
        "insecure",
        `${JSON.stringify(denial)} ${name} ${type}`,
      );
    const own = denial !== "nsec" && denial.isOptOut === true ? "insecure" : "secure";
    assert.equal(told(await client.judge("sub.example.", DS)), own, JSON.stringify(denial));
    assert.equal(told(await client.judge("www.example.")), "secure");
    assert.ok(
      client.proved.some(({ zone, proofs }) => zone.equals(parseName("example.")) && proofs.length > 0),
    );
  }
});

test("without that proof, or with a wrong one, an unsigned zone is bogus [4035-4-a] [6840-4.4-a]", async () => {
  const isDenial = (type: number): boolean => type === NSEC || type === NSEC3;
  const expected: Record<string, string> = {
    "no proofs": "bogus 10",
    "no signatures": "bogus 10",
    "corrupt signatures": "bogus 6",
    "signed DS": "bogus 9",
  };
  const tampers: Record<string, (reply: Message) => Message> = {
    "no proofs": (reply) => ({ ...reply, authorities: [] }),
    "no signatures": (reply) => ({
      ...reply,
      authorities: reply.authorities.filter(({ type }) => type !== RRSIG),
    }),
    "corrupt signatures": (reply) => ({
      ...reply,
      authorities: reply.authorities.map((record) =>
        record.type === RRSIG
          ? { ...record, rdata: record.rdata.with(60, (record.rdata[60] ?? 0) ^ 1) }
          : record,
      ),
    }),
  };
  for (const denial of DENIALS)
    for (const [name, tamper] of Object.entries(tampers)) {
      const options: ClientOptions = {
        tamper: (reply) =>
          reply.questions[0]?.type === DS && reply.authorities.some(({ type }) => isDenial(type))
            ? tamper(reply)
            : reply,
      };
      assert.equal(await verdictIn({ keys: [] }, { denial }, options), expected[name], name);
    }
});

test("a signed zone cannot be made insecure by denials of another name's DS", async () => {
  for (const denial of DENIALS) {
    const world = new ZoneWorld([
      { origin: "." },
      { origin: "example.", text: TEXT, denial },
      { origin: "sub.example.", text: TEXT },
      { origin: "unsigned.example.", text: TEXT, keys: [] },
    ]);
    for (const other of ["unsigned.example.", "nothing.example.", "www.example."]) {
      const forged = world.reply(parseName(other), DS);
      const tamper = (reply: Message): Message =>
        reply.questions[0]?.type === DS && reply.questions[0].name.equals(parseName("sub.example."))
          ? { ...forged, questions: reply.questions }
          : reply;
      const unsigned = (reply: Message): Message => ({
        ...reply,
        answers: reply.answers.filter(({ type }) => type !== RRSIG),
      });
      const { verdict } = await new WorldClient(world, { tamper }).judge("www.sub.example.", A, unsigned);
      assert.equal(verdict.status, "bogus", `${JSON.stringify(denial)} ${other}`);
    }
  }
});

test("more iterations than allowed make what they should prove insecure, with code 27 [9276-a]", async () => {
  const at = async (iterations: number, options: ClientOptions = {}): Promise<string[]> => {
    const world = new ZoneWorld([
      { origin: "." },
      { origin: "example.", text: `${TEXT}*.wild A 192.0.2.1`, denial: { iterations } },
      { origin: "sub.example.", text: TEXT, keys: [] },
    ]);
    const client = new WorldClient(world, options);
    const told_: string[] = [];
    for (const [name, type] of [
      ["www.example.", A],
      ["www.example.", AAAA],
      ["nothing.example.", A],
      ["x.wild.example.", A],
      ["www.sub.example.", A],
    ] as const)
      told_.push(told(await client.judge(name, type)));
    return told_;
  };
  const few = ["secure", "secure", "secure", "secure", "insecure"];
  const many = ["secure", "insecure 27", "insecure 27", "insecure 27", "insecure 27"];
  assert.deepEqual(await at(150), few);
  assert.deepEqual(await at(151), many);
  assert.deepEqual(await at(0, { nsec3IterationsMax: 0 }), few);
  assert.deepEqual(await at(1, { nsec3IterationsMax: 0 }), many);
});

test("what cannot be had is bogus, with the reasons of whoever asked (RFC 8914 §4.7, §4.10)", async () => {
  class Failing extends WorldClient {
    readonly #what: string;
    constructor(world: ZoneWorld, what: string) {
      super(world);
      this.#what = what;
    }
    override async ask(name: Parameters<WorldClient["ask"]>[0], type: RRType): Promise<Evidence> {
      const evidence = await super.ask(name, type);
      const isThis = this.asked.at(-1) === this.#what;
      return isThis ? { kind: "failed", errors: [{ code: EdeCode.NetworkError, text: "x" }] } : evidence;
    }
  }
  const world = familyOf({});
  for (const [what, expected] of [
    ["sub.example. DS", "bogus 6 23"],
    ["sub.example. DNSKEY", "bogus 9 23"],
    [". DNSKEY", "bogus 9 23"],
  ] as const) {
    const client = new Failing(world, what);
    assert.equal(told(await client.judge("www.sub.example.")), expected, what);
    assert.equal(client.asked.filter((one) => one === what).length, 3, "asked three times");
  }
});

/** Counts replies to one question and tampers with the first of them. */
function wrongAtFirst(question: string, count: number): ClientOptions {
  let seen = 0;
  return {
    tamper: (reply) => {
      const [asked] = reply.questions;
      if (`${asked?.name} ${asked?.type === DS ? "DS" : "DNSKEY"}` !== question || seen++ >= count)
        return reply;
      return { ...reply, answers: reply.answers.filter(({ type }) => type !== RRSIG) };
    },
  };
}

test("bogus keys and DS are asked for again before the answer is bogus", async () => {
  for (const question of ["sub.example. DS", "sub.example. DNSKEY", "example. DS", ". DNSKEY"])
    for (const [count, expected] of [
      [1, "secure"],
      [2, "secure"],
      [3, "bogus 10"],
    ] as const)
      assert.equal(await verdictIn({}, {}, wrongAtFirst(question, count)), expected, `${question} ${count}`);
});

test("bogus zones are remembered for a minute only (RFC 4035 §4.7) [4035-4-a]", async () => {
  const client = new WorldClient(familyOf({}), wrongAtFirst("sub.example. DNSKEY", 3));
  assert.equal(told(await client.judge("www.sub.example.")), "bogus 10");
  const { length } = client.asked;
  assert.equal(told(await client.judge("www.sub.example.")), "bogus 10");
  client.uptimeSeconds = BOGUS_TTL_SECONDS - 1;
  assert.equal(told(await client.judge("www.sub.example.")), "bogus 10");
  assert.equal(client.asked.length, length);
  client.uptimeSeconds = BOGUS_TTL_SECONDS;
  assert.equal(told(await client.judge("www.sub.example.")), "secure");
});

test("thirty zones one below the other are validated with the purse of one query", async () => {
  const origins = Array.from({ length: 31 }, (_, depth) => (depth === 0 ? "." : "z.".repeat(depth)));
  const world = new ZoneWorld(origins.map((origin) => ({ origin, text: TEXT })));
  const client = new WorldClient(world);
  assert.equal(told(await client.judge(`www.${origins[30]}`)), "secure");
  assert.equal(client.budget.isSpent, false);
  assert.equal(client.asked.length, 61);
});

test("a signature's end bounds how long an answer and its zone are good (RFC 4035 §5.3.3)", async () => {
  const world = familyOf({
    flaw: { validity: (type) => [{ fromDays: -1, toDays: type === DNSKEY ? 100 / 86_400 : 30 }] },
  });
  const client = new WorldClient(world);
  await client.judge("www.sub.example.");
  const { length } = client.asked;
  client.uptimeSeconds = 99;
  await client.judge("www.sub.example.");
  assert.equal(client.asked.length, length);
  client.uptimeSeconds = 100;
  await client.judge("www.sub.example.");
  assert.ok(client.asked.length > length);
});
