import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { SeededRandom, simRuntime } from "@sotto/dns/testing";
import { parseName, Rcode, type ResourceRecord, RRType } from "@sotto/dns/wire";
import {
  answer,
  authoritative,
  FakeAuthorities,
  queryOf,
  type Reaction,
  referral,
  rr,
  type Server,
  show,
} from "./authorities.test-support.ts";
import type { Exchange } from "./inquiry.ts";
import { UPSTREAM_QUERIES_MAX } from "./quota.ts";
import { Recursor } from "./recursor.ts";

const ROOT = "198.51.100.1";
const LIAR = "198.51.100.66";
const BANK = "198.51.100.3";
/** What a liar would have the bank's address be. */
const POISON = "192.0.2.66";

/** Refers `example.` to the liar and `test.` to an honest server. */
const root: Server = (question) => {
  if (question === ". NS") return answer(". 518400 NS a.root.test.");
  if (question.includes("test.")) return referral(["test. 3600 NS ns.test."], [`ns.test. 3600 A ${BANK}`]);
  return referral(["example. 3600 NS ns.example."], [`ns.example. 3600 A ${LIAR}`]);
};

const bank: Server = (question) => {
  if (question === "www.bank.test. A") return answer("www.bank.test. 300 A 192.0.2.1");
  const rcode = question.startsWith("www.bank.test.") ? Rcode.NoError : Rcode.NXDomain;
  return authoritative({ rcode, authorities: [rr("test. 300 SOA 60")] });
};

/** Names and targets from which lies are made: the question's own zone, the bank's, the root. */
const NAMES = [
  "www.example.",
  "a.example.",
  "b.a.example.",
  "example.",
  ".",
  "test.",
  "bank.test.",
  "www.bank.test.",
  "ns.test.",
  "ns.example.",
];

function lieOf(random: SeededRandom): Reaction | "silence" {
  if (random.chance(0.05)) return "silence";
  if (random.chance(0.05)) return { fails: new DnsError("ERR_CONNECT_REFUSED", "port closed") };
  const records = (): ResourceRecord[] =>
    Array.from({ length: random.below(4) }, () => rr(randomRecord(random)));
  const rcodes = [Rcode.NoError, Rcode.NoError, Rcode.NoError, Rcode.NXDomain, Rcode.ServFail, Rcode.FormErr];
  return {
    isAuthoritative: random.chance(0.6),
    recursionAvailable: random.chance(0.2),
    isTruncated: random.chance(0.1),
    rcode: rcodes[random.below(rcodes.length)] ?? 0,
    answers: records(),
    authorities: records(),
    additionals: records(),
    afterMs: random.below(600),
  };
}

function randomRecord(random: SeededRandom): string {
  const name = (): string => NAMES[random.below(NAMES.length)] ?? ".";
  const rdatas = [`A ${POISON}`, `NS ${name()}`, `CNAME ${name()}`, `DNAME ${name()}`, "SOA 60", `A ${LIAR}`];
  return `${name()} ${random.below(3) * 1000} ${rdatas[random.below(rdatas.length)]}`;
}

test("whatever a zone's servers lie, others' names keep their answers, in time and within the quota", async () => {
  for (let seed = 1; seed <= 400; seed++) {
    const world = simRuntime(seed);
    const lies = new SeededRandom(seed + 1_000_000);
    const servers = new FakeAuthorities(
      { [ROOT]: root, [BANK]: bank, [LIAR]: () => lieOf(lies) },
      world.clock,
    );
    const rootHints = [{ name: parseName("a.root.test."), address: ROOT }];
    const recursor = new Recursor({ rootHints }, servers, world.runtimeOf(["192.0.2.253"]));
    const ask = async (name: string, type: number): Promise<string[]> => {
      const context = { signal: new AbortController().signal, deadlineMs: world.clock.nowMs() + 8000 };
      servers.log.length = 0;
      const reply = await world.clock.runUntil(recursor.respond(queryOf(name, type), context), 8000);
      assert.ok(
        servers.log.length <= UPSTREAM_QUERIES_MAX * 2,
        `seed ${seed}: ${servers.log.length} queries`,
      );
      return show(reply.message.answers);
    };
    for (const name of ["www.example.", "b.a.example.", "a.example.", "example."]) {
      for (const type of [RRType.A, RRType.NS]) await ask(name, type);
    }
    const answers = await ask("www.bank.test.", RRType.A);
    assert.equal(answers.length, 1, `seed ${seed}`);
    assert.match(answers[0] ?? "", /^www\.bank\.test\. [0-9]+ A 192\.0\.2\.1$/, `seed ${seed}`);
    await world.clock.runUntil(recursor.close());
    assert.deepEqual(world.clock.pendingTimers, [], `seed ${seed}`);
  }
});

test("replies that come in one turn, while servers are looked up that do not exist, do not end the process", async () => {
  // Nobody listened to the second look-up: a reply was there already. Node ends a process for a failure that is nobody's.
  const world = simRuntime(1);
  const { clock } = world;
  const held: (() => void)[] = [];
  const cut = ["example. 3600 NS ns.test.", "example. 3600 NS ns2.test.", "example. 3600 NS ns3.test."];
  const servers = new FakeAuthorities(
    {
      [ROOT]: (question) =>
        question.includes("example.")
          ? referral(
              [...cut, "example. 3600 NS ns4.test."],
              [`ns.test. 60 A ${LIAR}`, `ns2.test. 60 A ${BANK}`],
            )
          : { ...authoritative({ rcode: Rcode.NXDomain, authorities: [rr(". 300 SOA 60")] }), afterMs: 300 },
      [LIAR]: () => ({ rcode: Rcode.ServFail, afterMs: 0 }),
      [BANK]: () => ({ rcode: Rcode.ServFail, afterMs: 0 }),
    },
    clock,
  );
  const exchange: Exchange = {
    exchange: (request) =>
      request.server.address === ROOT
        ? servers.exchange(request)
        : new Promise((resolve, reject) => {
            const reply = servers.exchange(request);
            held.push(() => void reply.then(resolve, reject));
          }),
  };
  const rootHints = [{ name: parseName("a.root."), address: ROOT }];
  const recursor = new Recursor({ rootHints, families: ["ipv4"] }, exchange, world.runtimeOf(["192.0.2.1"]));
  const context = { signal: new AbortController().signal, deadlineMs: 8000 };
  const running = recursor.respond(queryOf("www.example.", RRType.A), context);
  while (held.length < 2) await clock.advance(10);
  // Both have been asked in vain, and the first of the others is looked up.
  const asked = servers.log.length;
  while (servers.log.length === asked) await clock.advance(10);
  for (const release of held) release();
  assert.equal((await clock.runUntil(running, 8000)).message.rcode, Rcode.ServFail);
  await clock.runUntil(recursor.close());
});
