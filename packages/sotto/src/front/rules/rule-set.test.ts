import assert from "node:assert/strict";
import { test } from "node:test";
import { EdeCode, Rcode, RRType, recordToText } from "@sotto/dns/wire";
import { ClientGuard } from "./client-guard.ts";
import type { Action } from "./rule.ts";
import {
  always,
  dropWhen,
  namesOf,
  ruleSetOf,
  runtimeOf,
  type SubjectParts,
  subjectOf,
} from "./rules.test-support.ts";
import type { Verdict } from "./verdict.ts";

const MASKS = { ipv4Bits: 32, ipv6Bits: 56, exceptions: [] };

function verdictOf(action: Action, parts: SubjectParts = {}): Verdict {
  return ruleSetOf([always(action)]).judge(subjectOf(parts));
}

test("without a rule that matches a query passes", () => {
  const verdict = ruleSetOf([]).judge(subjectOf());
  assert.deepEqual(
    [verdict.end, verdict.rule, verdict.pool, verdict.delayMs],
    ["pass", undefined, undefined, 0],
  );
});

test("the first rule that ends the walk decides", () => {
  const rules = ruleSetOf([
    { name: "type", when: [{ kind: "qtype", types: [RRType.A] }], actions: [{ kind: "allow" }] },
    always({ kind: "drop" }),
  ]);
  const first = rules.judge(subjectOf());
  assert.deepEqual([first.end, first.rule], ["allow", "type"]);
  const second = rules.judge(subjectOf({ type: RRType.TXT }));
  assert.deepEqual([second.end, second.rule], ["drop", "always"]);
  assert.deepEqual(rules.counters.rules, [
    { name: "type", matches: 1, ended: 1 },
    { name: "always", matches: 1, ended: 1 },
  ]);
});

test("action refuse: with its code and reason (RFC 8914 §2)", () => {
  const error = { code: EdeCode.Blocked, text: "not here" };
  const verdict = verdictOf({ kind: "refuse", rcode: Rcode.ServFail, error });
  assert.deepEqual([verdict.end, verdict.rcode, verdict.errors], ["refuse", Rcode.ServFail, [error]]);
});

test("action truncate: over UDP; over streams the walk goes on", () => {
  assert.equal(verdictOf({ kind: "truncate" }).end, "truncate");
  for (const transport of ["tcp", "tls", "https"])
    assert.equal(verdictOf({ kind: "truncate" }, { transport }).end, "pass", transport);
});

test("action delay: delays add up to a maximum", () => {
  const rules = ruleSetOf([always({ kind: "delay", delayMs: 100 }, { kind: "delay", delayMs: 150 })]);
  assert.equal(rules.judge(subjectOf()).delayMs, 250);
  assert.equal(verdictOf({ kind: "delay", delayMs: 1e9 }).delayMs, 5000);
});

test("action answer: records under the name that was asked for, of the type that was asked for", () => {
  const answer = {
    kind: "answer",
    rcode: Rcode.NoError,
    records: ["@ A 192.0.2.1", "@ 30 A 192.0.2.2", '@ TXT "hello"'],
    ttl: 300,
  } as const;
  const verdict = verdictOf(answer, { name: "Any.Example." });
  assert.equal(verdict.end, "answer");
  assert.deepEqual(verdict.answer?.answers.map(recordToText), [
    "Any.Example.\t300\tIN\tA\t192.0.2.1",
    "Any.Example.\t30\tIN\tA\t192.0.2.2",
  ]);
  assert.equal(verdict.answer?.ttl, 30);
  assert.equal(verdictOf(answer, { type: RRType.ANY }).answer?.answers.length, 3);
});

test("action answer: what is not there is NODATA or NXDOMAIN with a SOA (RFC 2308 §3)", () => {
  const noData = verdictOf(
    { kind: "answer", rcode: Rcode.NoError, records: ["@ A 192.0.2.1"], ttl: 60 },
    { type: RRType.MX },
  );
  assert.deepEqual([noData.rcode, noData.answer?.answers.length], [Rcode.NoError, 0]);
  assert.match(
    recordToText(noData.answer?.authorities[0] ?? assert.fail()),
    /^www\.example\.\t60\tIN\tSOA\t.* 60$/,
  );
  const none = verdictOf({ kind: "answer", rcode: Rcode.NXDomain, records: [], ttl: 7 });
  assert.deepEqual([none.rcode, none.answer?.ttl, none.answer?.authorities.length], [Rcode.NXDomain, 7, 1]);
});

test("action answer: an alias answers all types", () => {
  const verdict = verdictOf(
    { kind: "answer", rcode: Rcode.NoError, records: ["@ CNAME garden.example."], ttl: 60 },
    { type: RRType.AAAA },
  );
  assert.deepEqual(verdict.answer?.answers.map(recordToText), [
    "www.example.\t60\tIN\tCNAME\tgarden.example.",
  ]);
  assert.equal(verdict.answer?.target?.toString(), "garden.example.");
});

test("action policy: does what the list says that the name was found in", () => {
  const list = namesOf(
    "$TTL 60\n@ SOA a. b. 1 2 3 4 5\na.example CNAME .\nb.example CNAME rpz-drop.\nc.example CNAME rpz-tcp-only.\nd.example CNAME rpz-passthru.\ne.example A 192.0.2.9\n",
    "rpz",
  );
  const rules = ruleSetOf(
    [
      {
        name: "rpz",
        when: [{ kind: "names", sets: ["rpz"], exact: [], suffixes: ["f.example."] }],
        actions: [{ kind: "policy" }],
      },
      always({ kind: "refuse", rcode: Rcode.Refused }),
    ],
    { sets: { rpz: list } },
  );
  const ends = ["a", "b", "c", "d", "e", "f", "g"].map((label) => {
    const { end, rcode } = rules.judge(subjectOf({ name: `${label}.example.` }));
    return `${end} ${rcode}`;
  });
  assert.deepEqual(ends, [
    `answer ${Rcode.NXDomain}`,
    "drop 0",
    "truncate 0",
    "allow 0",
    "answer 0",
    `answer ${Rcode.NXDomain}`,
    `refuse ${Rcode.Refused}`,
  ]);
});

test("action route: to a pool, and no further rule is asked", () => {
  const rules = ruleSetOf([
    always({ kind: "route", pool: "far" }),
    { ...always({ kind: "drop" }), name: "last" },
  ]);
  const verdict = rules.judge(subjectOf());
  assert.deepEqual([verdict.end, verdict.pool, verdict.rule], ["allow", "far", "always"]);
});

test("actions on EDNS options: set, strip, client subnet (RFC 7871 §6)", () => {
  const rules = ruleSetOf([
    always(
      { kind: "strip-option", codes: [10, 65_001] },
      { kind: "set-option", code: 65_002, data: Uint8Array.of(1, 2) },
      { kind: "client-subnet", ipv4Bits: 24, ipv6Bits: 56 },
    ),
  ]);
  assert.deepEqual(rules.judge(subjectOf({ address: "192.0.2.77" })).edits, [
    { kind: "strip", code: 10 },
    { kind: "strip", code: 65_001 },
    { kind: "set", code: 65_002, data: Uint8Array.of(1, 2) },
    { kind: "set", code: 8, data: Uint8Array.of(0, 1, 24, 0, 192, 0, 2) },
  ]);
  assert.deepEqual(verdictOf({ kind: "set-subnet", prefix: "0.0.0.0/0" }).edits, [
    { kind: "set", code: 8, data: Uint8Array.of(0, 1, 0, 0) },
  ]);
});

test("action rate-limit: what is more is refused, dropped or truncated; over streams truncation does nothing", () => {
  for (const [overLimit, transport, expected] of [
    ["refuse", "udp", "refuse"],
    ["drop", "tls", "drop"],
    ["truncate", "udp", "truncate"],
    ["truncate", "tcp", "pass"],
  ] as const) {
    const rules = ruleSetOf([
      always({ kind: "rate-limit", perSecond: 1, burst: 2, masks: MASKS, overLimit }),
    ]);
    const ends = [1, 2, 3].map(() => rules.judge(subjectOf({ transport })).end);
    assert.deepEqual(ends, ["pass", "pass", expected], `${overLimit} ${transport}`);
  }
});

test("a network with a factor may ask so many times as much", () => {
  const masks = { ...MASKS, exceptions: [{ prefix: "203.0.113.0/24", factor: 3 }] };
  const rules = ruleSetOf([always({ kind: "rate-limit", perSecond: 1, burst: 1, masks, overLimit: "drop" })]);
  const count = (address: string): number => {
    let passed = 0;
    for (let i = 0; i < 10; i++) if (rules.judge(subjectOf({ address })).end === "pass") passed++;
    return passed;
  };
  assert.deepEqual([count("192.0.2.1"), count("203.0.113.1")], [1, 3]);
});

test("actions that do not end: log, tee; all rules that match add to them", () => {
  const rules = ruleSetOf([
    always({ kind: "log" }, { kind: "tee", pool: "shadow" }),
    { ...always({ kind: "tee", pool: "shadow" }, { kind: "tee", pool: "other" }), name: "second" },
  ]);
  const verdict = rules.judge(subjectOf());
  assert.deepEqual([verdict.end, verdict.loggedBy, verdict.tees], ["pass", ["always"], ["shadow", "other"]]);
});

test("action ban: the client gets nothing for a while, whatever it asks", () => {
  const guard = new ClientGuard(
    {
      masks: MASKS,
      queriesPerSecond: Number.POSITIVE_INFINITY,
      burst: 1,
      overLimit: "refuse",
      banAfter: Number.POSITIVE_INFINITY,
      ban: { forMs: 1, maxMs: 1 },
      banned: "drop",
    },
    runtimeOf(),
  );
  const terms = { forMs: 1000, maxMs: 8000 };
  const rules = ruleSetOf(
    [
      {
        name: "probes",
        when: [{ kind: "qtype", types: [RRType.ANY] }],
        actions: [
          { kind: "refuse", rcode: Rcode.Refused },
          { kind: "ban", terms, masks: { ...MASKS, ipv4Bits: 24 } },
        ],
      },
    ],
    { guard },
  );
  assert.equal(rules.judge(subjectOf({ type: RRType.ANY })).end, "refuse");
  const banned = rules.judge(subjectOf({ address: "192.0.2.99", nowMs: 999 }));
  assert.deepEqual([banned.end, banned.rule], ["drop", "clients.ban"]);
  assert.equal(rules.judge(subjectOf({ address: "192.0.3.99", nowMs: 999 })).end, "pass");
  assert.equal(rules.judge(subjectOf({ nowMs: 1000 })).end, "pass");
  assert.deepEqual(
    guard.bans.status(0).map(({ client }) => client),
    ["192.0.2.0/24"],
  );
});

test("limits of clients stand before all rules", () => {
  const guard = new ClientGuard(
    {
      masks: MASKS,
      queriesPerSecond: 1,
      burst: 1,
      overLimit: "refuse",
      banAfter: 1,
      ban: { forMs: 500, maxMs: 500 },
      banned: "refuse",
    },
    runtimeOf(),
  );
  const rules = ruleSetOf([always({ kind: "allow" })], { guard });
  const told = [1, 2, 3, 4].map(() => {
    const { end, rule } = rules.judge(subjectOf());
    return `${end} ${rule}`;
  });
  assert.deepEqual(told, [
    "allow always",
    "refuse clients.rate",
    "refuse clients.rate",
    "refuse clients.ban",
  ]);
  assert.equal(rules.explain(subjectOf())[0]?.rule, "clients.ban");
  assert.equal(rules.explain(subjectOf())[1]?.result, "not reached");
});

// The page of the front end began anew for rules at each reload, and went on for everything else.
test("rules of the same names go on counting after a reload", () => {
  const before = ruleSetOf([always({ kind: "log" })]);
  before.judge(subjectOf());
  const other = { ...always({ kind: "log" }), name: "other" };
  const rules = ruleSetOf([always({ kind: "drop" }), other], { counted: before.counters });
  rules.judge(subjectOf());
  assert.deepEqual(rules.counters.rules, [
    { name: "always", matches: 2, ended: 1 },
    { name: "other", matches: 0, ended: 0 },
  ]);
});

test("a set is replaced while rules stay, and only by one of its kind", () => {
  const rules = ruleSetOf([dropWhen({ kind: "names", sets: ["ads"], exact: [], suffixes: [] })], {
    sets: { ads: namesOf("a.example\n") },
  });
  assert.equal(rules.judge(subjectOf({ name: "b.example." })).end, "pass");
  rules.replaceSet("ads", namesOf("b.example\nc.example\n"));
  assert.equal(rules.judge(subjectOf({ name: "b.example." })).end, "drop");
  assert.deepEqual(rules.counters.sets, [{ name: "ads", entries: 2, bad: 0, unsupported: 0 }]);
  assert.throws(() => rules.replaceSet("other", namesOf("")), /no set of names called "other"/);
});

test("explain tells of every rule whether it matched and why, in words", () => {
  const rules = ruleSetOf(
    [
      {
        name: "marks",
        when: [{ kind: "transport", transports: ["udp"] }],
        actions: [{ kind: "tag", tags: ["clear"] }],
      },
      dropWhen({ kind: "qtype", types: [RRType.TXT] }, { kind: "tag", tags: ["clear"] }),
      {
        name: "ads",
        when: [{ kind: "names", sets: ["ads"], exact: [], suffixes: [] }],
        actions: [
          { kind: "refuse", rcode: Rcode.NXDomain, error: { code: EdeCode.Blocked, text: "advertising" } },
        ],
      },
      { ...always({ kind: "route", pool: "far" }), name: "rest" },
    ],
    { sets: { ads: namesOf("ads.example\n") } },
  );
  assert.deepEqual(rules.explain(subjectOf({ name: "x.ads.example." })), [
    { rule: "marks", result: "goes on", reasons: ["transport is udp", "tagged clear"] },
    { rule: "drops", result: "no match", reasons: ["type is A, not TXT"] },
    {
      rule: "ads",
      result: "ends",
      reasons: [
        "name x.ads.example. is in ads",
        "refused: NXDOMAIN, extended error 15 (Blocked: advertising)",
      ],
    },
    { rule: "rest", result: "not reached", reasons: [] },
  ]);
});

test("explain counts nothing and bans nobody", () => {
  const terms = { forMs: 1000, maxMs: 1000 };
  const rules = ruleSetOf([
    always(
      { kind: "ban", terms, masks: MASKS },
      { kind: "rate-limit", perSecond: 1, burst: 1, masks: MASKS, overLimit: "drop" },
    ),
  ]);
  for (let i = 0; i < 5; i++) assert.equal(rules.explain(subjectOf())[0]?.result, "goes on");
  assert.deepEqual(rules.counters.rules[0], { name: "always", matches: 0, ended: 0 });
  assert.deepEqual(rules.guard.bans.status(0), []);
  assert.equal(rules.judge(subjectOf()).end, "pass");
});
