import assert from "node:assert/strict";
import { test } from "node:test";
import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { ClientGuard, type ClientGuardOptions, type Rule, RuleSet } from "../front/rules/index.ts";
import { addressesOf, namesOf, runtimeOf, subjectOf } from "../front/rules/rules.test-support.ts";
import { frontRuleSections } from "./front-rules.ts";
import type { FrontRulesConfig } from "./front-rules-config.ts";
import { toFrontRules } from "./front-rules-load.ts";

const schema = z.strictObject(frontRuleSections);

interface Loaded {
  readonly config: FrontRulesConfig | undefined;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Problems as `LINE: PATH: MESSAGE`, as the loader of the whole file places them. */
function load(text: string): Loaded {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const placed = (path: readonly PropertyKey[], message: string): string => {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true) as { range?: [number] } | undefined;
      if (node?.range) return `${lines.linePos(node.range[0]).line}: ${path.join(".")}: ${message}`;
    }
    return `?: ${path.join(".")}: ${message}`;
  };
  const checked = schema.safeParse(document.toJS() ?? {});
  if (!checked.success) {
    const problems = checked.error.issues.map((issue) => placed(issue.path, issue.message));
    return { config: undefined, problems, warnings: [] };
  }
  const problems: string[] = [];
  const warnings: string[] = [];
  const config = toFrontRules(
    checked.data,
    "/etc/sotto",
    { pools: ["near", "far"], listeners: ["main"] },
    {
      report: (path, message) => void problems.push(placed(path, message)),
      warn: (path, message) => void warnings.push(placed(path, message)),
    },
  );
  return { config, problems, warnings };
}

const EVERYTHING = `
sets:
  - { name: office, kind: addresses, entries: [192.0.2.0/24] }
  - { name: ads, kind: names, file: ads.txt }
  - { name: rpz, kind: names, file: rpz.zone, format: rpz }
clients:
  queries-per-second: 100
  masks: { exceptions: [{ prefix: 100.64.0.0/10, bits: 24 }, { prefix: 203.0.113.0/24, factor: 50 }] }
  ban-after: 1000
rules:
  - name: inside
    when:
      client: { prefixes: [198.51.100.0/24], sets: [office] }
      listener: [main]
      transport: [tls, https]
      tls-version: [TLSv1.3]
      alpn: [dot, h2]
      certificate: { names: [client.example], verdict: allowed }
    then: { tag: [inside], log: true }
  - name: kinds
    when:
      name: { sets: [ads], suffixes: [test.], exact: [a.example.] }
      type: [AAAA, TYPE65280]
      class: [IN]
      opcode: [QUERY]
      flags: { rd: true, do: false }
      edns: { present: true, options: [cookie, 65001], payload-min: 1232 }
      client-rate: { per-second: 5 }
      name-rate: { per-second: 0.5, labels: 2 }
      pool: { name: near, state: down }
      time: { days: [mon, sun], from: "22:00", to: "06:00", utc-offset: "+05:30", after: "20261123120000" }
      tag: [inside]
      name-length: { min: 5 }
      labels: { max: 9 }
      chance: 0.5
      not: { type: [A] }
      any: [{ type: [MX] }, { type: [AAAA] }]
    then: { delay: 50ms, strip-options: [nsid], set-options: [{ option: 65001, data: 00ff }], tee: [far], route: near }
  - { name: subnet, then: { client-subnet: { set: client }, ban: { for: 10s, masks: { ipv4: 24 } } } }
  - { name: walled, when: { name: { sets: [rpz] } }, then: { policy: { ede: 15 } } }
  - { name: no, when: { type: [ANY] }, then: { refuse: { rcode: NOTIMP, ede: 21, text: not here } } }
  - { name: own, when: { name: { exact: [own.test.] } }, then: { answer: { records: ["@ A 192.0.2.1"] } } }
  - { name: slow, then: { rate-limit: { per-second: 20, action: truncate } } }
  - { name: last, then: { drop: true } }
`;

test("all selectors and actions load, and the front's rules take them as they are", () => {
  const { config, problems, warnings } = load(EVERYTHING);
  assert.deepEqual(problems, []);
  assert.deepEqual(warnings, []);
  assert.ok(config !== undefined);
  // The types must fit without the rooms knowing each other.
  const rules: readonly Rule[] = config.rules;
  const limits: ClientGuardOptions = config.clients;
  const runtime = runtimeOf();
  const set = new RuleSet(
    {
      rules,
      sets: new Map([
        ["office", addressesOf("192.0.2.0/24")],
        ["ads", namesOf("")],
        ["rpz", namesOf("", "rpz")],
      ]),
      pools: { isDown: () => false, isSaturated: () => false },
      guard: new ClientGuard(limits, runtime),
    },
    runtime,
  );
  const verdict = set.judge(subjectOf({ name: "own.test." }));
  assert.deepEqual([verdict.end, verdict.rule, verdict.edits.length], ["answer", "own", 1]);
  assert.equal(config.sets[1]?.file, "/etc/sotto/ads.txt");
  assert.deepEqual(config.rules[1]?.when.map(({ kind }) => kind).sort(), [
    "any",
    "chance",
    "client-rate",
    "edns",
    "flags",
    "name-labels",
    "name-octets",
    "name-rate",
    "names",
    "not",
    "opcode",
    "pool",
    "qclass",
    "qtype",
    "tag",
    "time",
  ]);
});

test("without sections there are no rules and no limits", () => {
  const { config, problems } = load("");
  assert.deepEqual(problems, []);
  assert.deepEqual(config?.rules, []);
  assert.equal(config?.clients.queriesPerSecond, Number.POSITIVE_INFINITY);
});

const SETS =
  "sets: [{ name: ads, kind: names, file: ads.txt }, { name: net, kind: addresses, file: net.txt }]\n";

function rule(when: string, then: string): string {
  return `${SETS}rules:\n- name: r\n  when: ${when}\n  then: ${then}\n`;
}

/** What is wrong, and what is said about it. */
const MISTAKES: readonly (readonly [string, RegExp])[] = [
  [
    rule("{ name: { sets: [asd] } }", "{ drop: true }"),
    /^4: rules\.0\.when\.name\.sets\.0: there is no set of names called "asd", did you mean "ads"\?$/,
  ],
  [rule("{ client: { sets: [ads] } }", "{ drop: true }"), /^4: .*the set "ads" is not one of addresses$/],
  [
    rule("{ client: { prefixes: [192.0.2.1/24] } }", "{ drop: true }"),
    /^4: .*bits set behind its prefix length/,
  ],
  [rule("{ listener: [mian] }", "{ drop: true }"), /^4: .*no listener "mian", did you mean "main"\?/],
  [rule("{ type: [AAAAA] }", "{ drop: true }"), /^4: .*"AAAAA" is no type such as AAAA or TYPE65280/],
  [
    rule("{ tag: [x] }", "{ drop: true }"),
    /^4: .*there is no earlier rule that sets the tag "x", there is none at all/,
  ],
  [
    rule("{ pool: { name: neer, state: down } }", "{ drop: true }"),
    /^4: .*no pool "neer", did you mean "near"\?/,
  ],
  [rule("{ transport: [udp], tls-version: [TLSv1.3] }", "{ drop: true }"), /^4: .*never holds over udp/],
  [
    rule("{ edns: { present: false, options: [cookie] } }", "{ drop: true }"),
    /^4: .*without EDNS there are no options/,
  ],
  [
    rule("{ edns: { payload-min: 2000, payload-max: 1000 } }", "{ drop: true }"),
    /^4: .*is more than payload-max/,
  ],
  [
    rule("{ name-length: { min: 9, max: 3 } }", "{ drop: true }"),
    /^4: .*is more than max, so that it never holds/,
  ],
  [rule("{ name: {} }", "{ drop: true }"), /^4: .*has neither sets nor names/],
  [rule("{ not: {} }", "{ drop: true }"), /^4: .*nothing that must not hold/],
  [rule('{ time: { from: "25:00" } }', "{ drop: true }"), /^4: .*"25:00" is not a time of day such as 08:30/],
  [
    rule('{ time: { after: "20270101000000", before: "20260101000000" } }', "{ drop: true }"),
    /^4: .*not later than after/,
  ],
  [
    rule("{}", "{ drop: true, route: near }"),
    /^5: rules\.0\.then: contradicts itself: at most one of these can be done: drop, route/,
  ],
  [rule("{}", "{}"), /^5: rules\.0\.then: says nothing that is to be done/],
  [rule("{}", "{ route: nearr }"), /^5: .*no pool "nearr", did you mean "near"\?/],
  [rule("{}", "{ policy: {} }"), /^5: .*does what a set says, and the rule has no name\.sets/],
  [rule("{}", "{ delay: 10s }"), /^5: .*delay: is outside 1ms to 5000ms/],
  [rule("{}", '{ answer: { records: ["@ A 192.0.2.999"] } }'), /^5: .*records\.0: .*192\.0\.2\.999/],
  [rule("{}", '{ answer: { records: ["www A 192.0.2.9"] } }'), /^5: .*has an owner, write @/],
  [
    rule("{}", '{ answer: { records: ["@ A 192.0.2.9"], rcode: NXDOMAIN } }'),
    /^5: .*an answer with records is NOERROR/,
  ],
  [rule("{}", '{ answer: { records: ["@ CNAME a.", "@ A 192.0.2.9"] } }'), /^5: .*a CNAME stands alone/],
  [rule("{}", "{ refuse: { rcode: NOPE } }"), /^5: .*"NOPE" is no response code/],
  [rule("{}", "{ refuse: { text: why } }"), /^5: .*belongs to an extended error/],
  [rule("{}", "{ set-options: [{ option: padding }] }"), /^5: .*padding belongs to one connection/],
  [rule("{}", "{ ban: { for: 2h, max: 1h } }"), /^5: .*max: is shorter than for/],
  [rule("{}", "{ drop: false }"), /^5: rules\.0\.then\.drop: /],
  [
    "rules:\n- { name: a, then: { drop: true } }\n- { name: a, then: { drop: true } }\n",
    /^3: rules\.1\.name: "a" is there twice/,
  ],
  ["sets:\n- { name: a, kind: names }\n", /^2: sets\.0: the set "a" needs a file or entries/],
  ["sets:\n- { name: a, kind: names, file: x, entries: [a.test] }\n", /^2: .*give one of both/],
  ["sets:\n- { name: a, kind: addresses, format: hosts, file: x }\n", /^2: .*is for sets of names only/],
  [
    "sets:\n- name: a\n  kind: addresses\n  entries:\n  - 192.0.2.0/24\n  - nowhere\n",
    /^6: sets\.0\.entries\.1: "nowhere" is not an address prefix/,
  ],
  [
    "sets:\n- name: a\n  kind: names\n  entries: [b..test]\n",
    /^4: sets\.0\.entries\.0: .*has an empty label/,
  ],
  ["sets:\n- { name: a.b, kind: names, file: x }\n", /^2: sets\.0\.name: "a\.b" is no word of letters/],
  ["clients:\n  ban-after: 10\n", /^2: clients\.ban-after: .*give queries-per-second/],
  [
    "clients:\n  masks: { exceptions: [{ prefix: 192.0.2.0/24, bits: 56 }] }\n",
    /^2: .*bits: is more than an address such as/,
  ],
];

test("mistakes are told with line, value and hint", () => {
  for (const [text, expected] of MISTAKES) {
    const { problems } = load(text);
    assert.ok(
      problems.some((problem) => expected.test(problem)),
      `${text}\n${problems.join("\n")}\n${expected}`,
    );
  }
});

test("what works and helps nobody is a warning: rules that are never reached, sets that nobody asks for", () => {
  const { problems, warnings } = load(
    `sets:
  - { name: ads, kind: names, file: ads.txt }
rules:
  - { name: all, then: { allow: true } }
  - { name: late, when: { transport: [tcp], opcode: [NOTIFY] }, then: { truncate: true } }
`,
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(warnings, [
    "5: rules.1.when.opcode: opcodes other than QUERY are answered NOTIMP before any rule is asked",
    "5: rules.1.then.truncate: does nothing over streams, and the rule is for streams only",
    '5: rules.1: is never reached: rule "all" ends the walk for all queries',
    '2: sets.0.name: no rule asks for the set "ads"',
  ]);
});

test("rules that end the walk for some only hide nobody", () => {
  const { warnings } = load(
    "rules:\n- { name: a, then: { truncate: true } }\n- { name: b, then: { rate-limit: { per-second: 1 } } }\n- { name: c, then: { drop: true } }\n",
  );
  assert.deepEqual(warnings, []);
});
