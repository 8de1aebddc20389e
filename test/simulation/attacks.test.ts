/** What attacks may cost one client query: few questions to servers, within the time that a client waits, and no answer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tryParseAnchor } from "@sotto/dns/dnssec";
import { FakeInternet, simRuntime, type Tamper } from "@sotto/dns/testing";
import { Exchanger, type Query } from "@sotto/dns/transport";
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  rcodeToText,
  recordToText,
  tryViewMessage,
} from "@sotto/dns/wire";
import { Recursor } from "../../packages/sotto/src/recursor/index.ts";

/** A client query's deadline, and what finishing takes. */
const LONGEST_MS = 8_500;

interface Victim {
  /** What the client gets, and how long it waits. */
  ask(name: string): Promise<{ rcode: string; isSecure: boolean; reasons: number; tookMs: number }>;
  /** Messages that servers got so far. */
  queries(): number;
}

function queryFor(name: string): Query {
  const octets = encodeMessage(
    makeMessage({
      id: 1,
      recursionDesired: true,
      questions: [{ name: parseName(name), type: RRType.A, class: RRClass.IN }],
      edns: makeEdns({ dnssecOk: true }),
    }),
  );
  const view = tryViewMessage(octets);
  if (!view.ok) throw new Error(view.problem);
  const origin = { transport: "internal", remote: undefined, local: undefined, security: undefined } as const;
  return { octets, view: view.value, origin };
}

async function withVictim(run: (victim: Victim) => Promise<void>): Promise<void> {
  const world = simRuntime(1);
  const internet = FakeInternet.build({ wallMs: world.clock.wallMs() });
  let queries = 0;
  const count: Tamper = (_server, _heard, action) => {
    queries++;
    return action;
  };
  await internet.start((list) => world.runtimeOf(list).network, world.clock, world.random, count);
  const runtime = world.runtimeOf(["192.0.2.253", "2001:db8:53::253"]);
  const exchanger = new Exchanger({}, runtime);
  const anchors = internet.trustAnchors.map((record) => {
    const anchor = tryParseAnchor(recordToText(record));
    if (!anchor.ok) throw new Error(anchor.problem);
    return anchor.value;
  });
  const options = { rootHints: internet.rootHints, validation: { anchors } };
  const recursor = new Recursor(options, exchanger, runtime);
  await run({
    queries: () => queries,
    ask: async (name) => {
      const startMs = world.clock.nowMs();
      const context = { signal: new AbortController().signal, deadlineMs: startMs + LONGEST_MS };
      const reply = await world.clock.runUntil(recursor.respond(queryFor(name), context), LONGEST_MS);
      return {
        rcode: rcodeToText(reply.message.rcode),
        isSecure: reply.security === "secure",
        reasons: reply.extendedErrors.length,
        tookMs: world.clock.nowMs() - startMs,
      };
    },
  });
  await world.clock.runUntil(recursor.close(), 60_000);
  await world.clock.runUntil(exchanger.close(), 60_000);
  await internet.close();
}

/** Messages to servers for one client query; the quota for all is 100 (`recursor/quota.ts`). */
const ATTACKS: readonly (readonly [attack: string, name: string, queriesMax: number])[] = [
  ["KeyTrap (CVE-2023-50387)", "a.x.keytrap.dnssec.", 20],
  ["500 signatures", "a.x.sigs500.dnssec.", 20],
  ["NXNSAttack (CVE-2020-8616)", "www.d7.nxns.dnssec.", 40],
  ["TsuNAME", "www.a3.tsuname.dnssec.", 40],
  ["a chain of 1000 delegations", "www.d0.chainns.dnssec.", 40],
  ["a chain of 1000 aliases (CAMP)", "c0.aliases.dnssec.", 40],
  ["referrals without end", "www.endless.lab.", 110],
];

for (const [attack, name, queriesMax] of ATTACKS) {
  test(`${attack}: no answer, in time, for at most ${queriesMax} messages [9520-3-a]`, async () => {
    await withVictim(async ({ ask, queries }) => {
      const { rcode, reasons, tookMs } = await ask(name);
      assert.equal(rcode, "SERVFAIL");
      assert.ok(reasons > 0, "nothing says why");
      assert.ok(tookMs <= LONGEST_MS, `${tookMs} ms`);
      assert.ok(queries() <= queriesMax, `${queries()} messages`);
      // RFC 9520 §3.2: what failed is not tried again at once.
      const before = queries();
      await ask(name);
      assert.equal(queries(), before);
    });
  });
}

test("deep names below a zone with 150 rounds are denied within the budget (CVE-2023-50868)", async () => {
  await withVictim(async ({ ask, queries }) => {
    for (let i = 0; i < 3; i++) {
      const labels = Array.from({ length: 40 }, (_, n) => `l${i}x${n % 10}`).join(".");
      const { rcode, isSecure } = await ask(`${labels}.encloser.dnssec.`);
      assert.equal(`${rcode} ${isSecure}`, "NXDOMAIN true");
    }
    assert.ok(queries() <= 40, `${queries()} messages`);
  });
});
