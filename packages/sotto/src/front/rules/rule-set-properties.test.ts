import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { MessageView, Rcode } from "@sotto/dns/wire";
import type { Action, Rule, Selector } from "./rule.ts";
import { namesOf, ruleSetOf, type SubjectParts, subjectOf } from "./rules.test-support.ts";

const MASKS = { ipv4Bits: 24, ipv6Bits: 56, exceptions: [] };
const LABELS = ["a", "b", "example", "x".repeat(63)] as const;
const TRANSPORTS = ["udp", "tcp", "tls", "https"] as const;

function pick<T>(random: SeededRandom, items: readonly T[]): T {
  const item = items[random.below(items.length)];
  assert.ok(item !== undefined);
  return item;
}

function nameOf(random: SeededRandom): string {
  return `${Array.from({ length: 1 + random.below(3) }, () => pick(random, LABELS)).join(".")}.`;
}

function selectorOf(random: SeededRandom, depth: number): Selector {
  const choices: readonly (() => Selector)[] = [
    () => ({ kind: "transport", transports: [pick(random, TRANSPORTS)] }),
    () => ({ kind: "qtype", types: [1 + random.below(4)] }),
    () => ({
      kind: "names",
      sets: random.chance(0.5) ? ["list"] : [],
      exact: [nameOf(random)],
      suffixes: [],
    }),
    () => ({ kind: "names", sets: [], exact: [], suffixes: [nameOf(random)] }),
    () => ({ kind: "client", prefixes: [`192.0.2.${random.below(4) * 64}/26`], sets: [] }),
    () => ({ kind: "name-labels", atLeast: random.below(3), atMost: 3 }),
    () => ({ kind: "tag", tags: [pick(random, ["red", "blue"])] }),
    () => ({ kind: "client-rate", perSecond: 2, burst: 2, masks: MASKS }),
    () => ({ kind: "name-rate", perSecond: 2, burst: 2, labels: random.below(3) }),
    () => ({ kind: "not", selectors: [selectorOf(random, depth + 1)] }),
    () => ({ kind: "any", choices: [[selectorOf(random, depth + 1)], [selectorOf(random, depth + 1)]] }),
  ];
  return pick(random, depth > 2 ? choices.slice(0, 9) : choices)();
}

function actionsOf(random: SeededRandom): Action[] {
  const ending: readonly Action[] = [
    { kind: "allow" },
    { kind: "drop" },
    { kind: "truncate" },
    { kind: "policy" },
    { kind: "refuse", rcode: Rcode.Refused },
    { kind: "answer", rcode: Rcode.NoError, records: ["@ A 192.0.2.1"], ttl: 60 },
    {
      kind: "rate-limit",
      perSecond: 5,
      burst: 2,
      masks: MASKS,
      overLimit: pick(random, ["drop", "truncate"]),
    },
  ];
  const going: readonly Action[] = [
    { kind: "tag", tags: [pick(random, ["red", "blue"])] },
    { kind: "log" },
    { kind: "delay", delayMs: 10 },
    { kind: "client-subnet", ipv4Bits: 24, ipv6Bits: 56 },
    { kind: "ban", terms: { forMs: 50, maxMs: 100 }, masks: MASKS },
  ];
  return [
    ...(random.chance(0.6) ? [pick(random, going)] : []),
    ...(random.chance(0.6) ? [pick(random, ending)] : []),
  ];
}

function partsOf(random: SeededRandom, nowMs: number): SubjectParts {
  return {
    name: nameOf(random),
    type: 1 + random.below(4),
    transport: pick(random, TRANSPORTS),
    address: random.chance(0.9) ? `192.0.2.${random.below(256)}` : "2001:db8::1",
    nowMs,
  };
}

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`what explain foresees is what judge decides, seed ${seed}`, () => {
    const random = new SeededRandom(seed);
    const rules = Array.from(
      { length: 8 },
      (_, i): Rule => ({
        name: `rule-${i}`,
        when: Array.from({ length: 1 + random.below(2) }, () => selectorOf(random, 0)),
        actions: actionsOf(random),
      }),
    );
    const list = namesOf("a.example\n*.b\n@@||b.a.example^\n");
    const set = ruleSetOf(rules, { sets: { list } });
    let nowMs = 0;
    const ends = new Set<string>();
    for (let i = 0; i < 3000; i++) {
      nowMs += random.below(40);
      const subject = subjectOf(partsOf(random, nowMs));
      const steps = set.explain(subject);
      const foreseen = steps.find(({ result }) => result === "ends")?.rule;
      const verdict = set.judge(subject);
      assert.equal(verdict.rule, foreseen, `query ${i}: ${JSON.stringify(steps)}`);
      ends.add(verdict.rule ?? "none");
      for (const { result, reasons } of steps)
        assert.ok(result === "not reached" || reasons.every((text) => text !== ""));
    }
    assert.ok(ends.size > 1, "all queries ended alike");
  });
}

test("messages of any octets are judged and explained without a throw", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = new SeededRandom(seed);
    const rules = Array.from(
      { length: 6 },
      (_, i): Rule => ({ name: `rule-${i}`, when: [selectorOf(random, 0)], actions: actionsOf(random) }),
    );
    const set = ruleSetOf(rules, { sets: { list: namesOf("a.example\n") } });
    const octets = subjectOf({ name: nameOf(random), edns: {} }).view.octets.slice();
    for (let i = random.below(6); i > 0; i--) octets[random.below(octets.length)] = random.below(256);
    const view = new MessageView();
    if (view.reset(octets) !== undefined) continue;
    const subject = { ...subjectOf(partsOf(random, 0)), view };
    assert.doesNotThrow(() => {
      set.explain(subject);
      set.judge(subject);
    }, `seed ${seed}`);
  }
});
