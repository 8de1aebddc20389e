import assert from "node:assert/strict";
import { test } from "node:test";
import { Opcode, RRClass, RRType } from "@sotto/dns/wire";
import type { Selector } from "./rule.ts";
import {
  addressesOf,
  certificateOf,
  dropWhen,
  namesOf,
  type RuleSetParts,
  ruleSetOf,
  type SubjectParts,
  subjectOf,
} from "./rules.test-support.ts";

const MASKS = { ipv4Bits: 32, ipv6Bits: 56, exceptions: [] };
const NAMES = { kind: "names", sets: [], exact: [], suffixes: [] } as const;
const EDNS = { kind: "edns", options: [], payloadAtLeast: 0, payloadAtMost: 0xffff } as const;
const TIME = { kind: "time", days: [], fromMinute: 0, toMinute: 0, utcOffsetMinutes: 0 } as const;
/** Wednesday, 2026-11-25 12:30 UTC. */
const WEDNESDAY_MS = Date.UTC(2026, 10, 25, 12, 30);

interface Row {
  readonly title: string;
  readonly selector: Selector;
  readonly holds: readonly SubjectParts[];
  readonly fails: readonly SubjectParts[];
  readonly parts?: RuleSetParts;
}

const ROWS: readonly Row[] = [
  {
    title: "client, by prefix",
    selector: { kind: "client", prefixes: ["192.0.2.0/24", "2001:db8::/32"], sets: [] },
    holds: [{ address: "192.0.2.200" }, { address: "::ffff:192.0.2.1" }, { address: "2001:db8::5" }],
    fails: [{ address: "192.0.3.1" }, { address: "2001:db9::" }],
  },
  {
    title: "client, by set",
    selector: { kind: "client", prefixes: [], sets: ["office"] },
    holds: [{ address: "198.51.100.1" }],
    fails: [{ address: "192.0.2.1" }],
    parts: { sets: { office: addressesOf("198.51.100.0/24") } },
  },
  {
    title: "certificate, by name",
    selector: { kind: "certificate", names: ["client.example"], pins: [] },
    holds: [{ security: { peerChain: [certificateOf()] } }],
    fails: [
      {},
      { security: {} },
      { security: { peerChain: [certificateOf({ subjectAltNames: ["DNS:other.example"] })] } },
      { security: { peerChain: [certificateOf()], chainProblem: "self-signed" } },
    ],
  },
  {
    title: "certificate, by pin, whoever signed it",
    selector: { kind: "certificate", names: [], pins: [certificateOf().spkiSha256] },
    holds: [{ security: { peerChain: [certificateOf()], chainProblem: "self-signed" } }],
    fails: [{ security: { peerChain: [certificateOf({ spkiSha256: "B".repeat(44) })] } }],
  },
  {
    title: "certificate, by verdict",
    selector: { kind: "certificate", names: [], pins: [], verdict: "allowed" },
    holds: [{ security: {}, verdict: "allowed" }],
    fails: [{ security: {}, verdict: "denied" }, {}],
  },
  {
    title: "certificate, any",
    selector: { kind: "certificate", names: [], pins: [] },
    holds: [{ security: { peerChain: [certificateOf()] } }],
    fails: [{ security: {} }],
  },
  {
    title: "listener",
    selector: { kind: "listener", names: ["public", "inside"] },
    holds: [{ listener: "inside" }],
    fails: [{ listener: "main" }],
  },
  {
    title: "transport",
    selector: { kind: "transport", transports: ["tls", "https"] },
    holds: [{ transport: "https" }, { transport: "tls" }],
    fails: [{ transport: "udp" }],
  },
  {
    title: "TLS version",
    selector: { kind: "tls-version", versions: ["TLSv1.2"] },
    holds: [{ security: { protocol: "TLSv1.2" } }],
    fails: [{ security: { protocol: "TLSv1.3" } }, {}],
  },
  {
    title: "ALPN",
    selector: { kind: "alpn", protocols: ["dot"] },
    holds: [{ security: { alpn: "dot" } }],
    fails: [{ security: { alpn: undefined } }, { security: { alpn: "h2" } }, {}],
  },
  {
    title: "names, by the rule itself",
    selector: { ...NAMES, exact: ["one.example."], suffixes: ["two.example."] },
    holds: [{ name: "ONE.example." }, { name: "two.example." }, { name: "a.b.two.example." }],
    fails: [{ name: "a.one.example." }, { name: "example." }, { name: "xtwo.example." }],
  },
  {
    title: "names, by set; exceptions are not in it",
    selector: { ...NAMES, sets: ["ads"] },
    holds: [{ name: "ads.example." }, { name: "a.ads.example." }],
    fails: [{ name: "ok.ads.example." }, { name: "example." }],
    parts: { sets: { ads: namesOf("ads.example\n@@||ok.ads.example^\n") } },
  },
  {
    title: "type",
    selector: { kind: "qtype", types: [RRType.TXT, 65_280] },
    holds: [{ type: RRType.TXT }, { type: 65_280 }],
    fails: [{ type: RRType.A }],
  },
  {
    title: "class",
    selector: { kind: "qclass", classes: [RRClass.CH] },
    holds: [{ class: RRClass.CH }],
    fails: [{}],
  },
  {
    title: "opcode",
    selector: { kind: "opcode", opcodes: [Opcode.Notify] },
    holds: [{ message: { opcode: Opcode.Notify } }],
    fails: [{}],
  },
  {
    title: "flags",
    selector: { kind: "flags", recursionDesired: false, dnssecOk: true },
    holds: [{ message: { recursionDesired: false }, edns: { dnssecOk: true } }],
    fails: [{ message: { recursionDesired: false } }, { edns: { dnssecOk: true } }],
  },
  {
    title: "flags CD and AD",
    selector: { kind: "flags", checkingDisabled: true, authenticData: true },
    holds: [{ message: { checkingDisabled: true, authenticData: true } }],
    fails: [{ message: { checkingDisabled: true } }, {}],
  },
  {
    title: "no EDNS",
    selector: { ...EDNS, isPresent: false },
    holds: [{}],
    fails: [{ edns: {} }],
  },
  {
    title: "an EDNS option",
    selector: { ...EDNS, options: [8, 65_001] },
    holds: [{ edns: { options: [{ code: 65_001, data: new Uint8Array(3) }] } }],
    fails: [{ edns: { options: [{ code: 12, data: new Uint8Array(3) }] } }, {}],
  },
  {
    title: "payload size",
    selector: { ...EDNS, payloadAtLeast: 1400 },
    holds: [{ edns: { udpPayloadOctets: 4096 } }],
    fails: [{ edns: { udpPayloadOctets: 1399 } }, {}],
  },
  {
    title: "a pool that is down",
    selector: { kind: "pool", pool: "near", state: "down" },
    holds: [{}],
    fails: [],
    parts: { pools: { isDown: (pool) => pool === "near" } },
  },
  {
    title: "a pool that is saturated",
    selector: { kind: "pool", pool: "near", state: "saturated" },
    holds: [],
    fails: [{}],
    parts: { pools: { isDown: () => true } },
  },
  {
    title: "days and times of day",
    selector: { ...TIME, days: [3], fromMinute: 12 * 60, toMinute: 13 * 60 },
    holds: [{ wallMs: WEDNESDAY_MS }, { wallMs: WEDNESDAY_MS - 30 * 60_000 }],
    fails: [
      { wallMs: WEDNESDAY_MS + 30 * 60_000 },
      { wallMs: WEDNESDAY_MS - 31 * 60_000 },
      { wallMs: WEDNESDAY_MS + 86_400_000 },
    ],
  },
  {
    title: "times over midnight",
    selector: { ...TIME, fromMinute: 22 * 60, toMinute: 6 * 60 },
    holds: [{ wallMs: 23 * 3_600_000 }, { wallMs: 5 * 3_600_000 }],
    fails: [{ wallMs: 6 * 3_600_000 }, { wallMs: 12 * 3_600_000 }],
  },
  {
    // The night from Wednesday to Thursday was the first six hours of Wednesday and its last two.
    title: "nights of a day end on the next",
    selector: { ...TIME, days: [3], fromMinute: 22 * 60, toMinute: 6 * 60 },
    holds: [{ wallMs: WEDNESDAY_MS + 10 * 3_600_000 }, { wallMs: WEDNESDAY_MS + 16 * 3_600_000 }],
    fails: [
      { wallMs: WEDNESDAY_MS - 8 * 3_600_000 },
      { wallMs: WEDNESDAY_MS },
      { wallMs: WEDNESDAY_MS + 18 * 3_600_000 },
      { wallMs: WEDNESDAY_MS + 34 * 3_600_000 },
    ],
  },
  {
    title: "times at a distance from UTC",
    selector: { ...TIME, days: [4], fromMinute: 0, toMinute: 60, utcOffsetMinutes: 330 },
    holds: [{ wallMs: WEDNESDAY_MS + 6 * 3_600_000 }],
    fails: [{ wallMs: WEDNESDAY_MS }],
  },
  {
    title: "between two instants",
    selector: { ...TIME, afterMs: 1000, beforeMs: 2000 },
    holds: [{ wallMs: 1000 }, { wallMs: 1999 }],
    fails: [{ wallMs: 999 }, { wallMs: 2000 }],
  },
  {
    title: "length of the name",
    selector: { kind: "name-octets", atLeast: 9, atMost: 10 },
    holds: [{ name: "a.example." }],
    fails: [{ name: "ab.example." }, { name: "example." }],
  },
  {
    title: "number of labels",
    selector: { kind: "name-labels", atLeast: 3, atMost: 127 },
    holds: [{ name: "a.b.c." }],
    fails: [{ name: "b.c." }, { name: "." }],
  },
  {
    title: "not",
    selector: {
      kind: "not",
      selectors: [
        { kind: "transport", transports: ["udp"] },
        { kind: "qtype", types: [RRType.A] },
      ],
    },
    holds: [{ transport: "tcp" }, { type: RRType.TXT }],
    fails: [{}],
  },
  {
    title: "any",
    selector: {
      kind: "any",
      choices: [
        [{ kind: "transport", transports: ["tcp"] }],
        [
          { kind: "transport", transports: ["udp"] },
          { kind: "qtype", types: [RRType.TXT] },
        ],
      ],
    },
    holds: [{ transport: "tcp" }, { type: RRType.TXT }],
    fails: [{}, { transport: "tls" }],
  },
  {
    title: "chance of one and of none",
    selector: {
      kind: "any",
      choices: [[{ kind: "chance", probability: 1 }], [{ kind: "chance", probability: 0 }]],
    },
    holds: [{}],
    fails: [],
  },
];

for (const { title, selector, holds, fails, parts } of ROWS) {
  test(`selector: ${title}`, () => {
    const rules = ruleSetOf([dropWhen(selector)], parts);
    for (const [expected, subjects] of [
      ["drop", holds],
      ["pass", fails],
    ] as const)
      for (const subject of subjects) {
        const about = JSON.stringify(subject);
        assert.equal(rules.judge(subjectOf(subject)).end, expected, about);
        const [step] = rules.explain(subjectOf(subject));
        assert.equal(step?.result, expected === "drop" ? "ends" : "no match", about);
        assert.notEqual(step?.reasons[0], "");
      }
  });
}

test("rate of a client: holds for what is more, by prefix and in time", () => {
  const rules = ruleSetOf([dropWhen({ kind: "client-rate", perSecond: 10, burst: 2, masks: MASKS })]);
  const ends = (address: string, nowMs: number): string => rules.judge(subjectOf({ address, nowMs })).end;
  assert.deepEqual(
    [
      ends("192.0.2.1", 0),
      ends("192.0.2.1", 0),
      ends("192.0.2.1", 0),
      ends("192.0.2.2", 0),
      ends("192.0.2.1", 100),
    ],
    ["pass", "pass", "drop", "pass", "pass"],
  );
});

test("rates count only what the other selectors let through, whatever their order", () => {
  const rules = ruleSetOf([
    dropWhen(
      { kind: "client-rate", perSecond: 1, burst: 1, masks: MASKS },
      { kind: "qtype", types: [RRType.ANY] },
    ),
  ]);
  for (let i = 0; i < 10; i++) assert.equal(rules.judge(subjectOf()).end, "pass");
  assert.equal(rules.judge(subjectOf({ type: RRType.ANY })).end, "pass");
  assert.equal(rules.judge(subjectOf({ type: RRType.ANY })).end, "drop");
});

test("rate of a name: all names below the last labels are counted together", () => {
  const rules = ruleSetOf([dropWhen({ kind: "name-rate", perSecond: 1, burst: 2, labels: 2 })]);
  const ends = ["a.x.example.", "b.X.example.", "c.y.example.", "d.x.example.", "example."].map(
    (name, i) => rules.judge(subjectOf({ name, address: `192.0.2.${i}` })).end,
  );
  assert.deepEqual(ends, ["pass", "pass", "pass", "drop", "pass"]);
});

test("rate of a whole name", () => {
  const rules = ruleSetOf([dropWhen({ kind: "name-rate", perSecond: 1, burst: 1, labels: 0 })]);
  const ends = ["a.example.", "b.example.", "A.example."].map((name) => rules.judge(subjectOf({ name })).end);
  assert.deepEqual(ends, ["pass", "pass", "drop"]);
});

test("chance takes its part of queries", () => {
  const rules = ruleSetOf([dropWhen({ kind: "chance", probability: 0.25 })]);
  let taken = 0;
  for (let i = 0; i < 4000; i++) if (rules.judge(subjectOf()).end === "drop") taken++;
  assert.ok(taken > 850 && taken < 1150, `${taken} of 4000`);
});

test("a tag of an earlier rule is seen by later ones, in the same query only", () => {
  const rules = ruleSetOf([
    {
      name: "marks",
      when: [{ kind: "qtype", types: [RRType.ANY] }],
      actions: [{ kind: "tag", tags: ["odd", "seen"] }],
    },
    dropWhen({ kind: "tag", tags: ["odd"] }),
  ]);
  const verdict = rules.judge(subjectOf({ type: RRType.ANY }));
  assert.deepEqual([verdict.end, verdict.tags], ["drop", ["odd", "seen"]]);
  const next = rules.judge(subjectOf());
  assert.deepEqual([next.end, next.tags], ["pass", []]);
});
