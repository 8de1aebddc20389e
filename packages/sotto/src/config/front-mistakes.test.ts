/** What somebody who comes from another front end writes at first, and what is said to that: line, value, hint. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { problemToText } from "./explain.ts";
import { loadFront } from "./load-front.ts";

const HEAD = 'pools: [{ name: default, backends: [{ address: "tcp://192.0.2.1" }] }]\n';

function problemsOf(text: string): readonly string[] {
  const loaded = loadFront(HEAD + text, "front.yaml");
  return loaded.ok ? [] : loaded.problems.map(problemToText);
}

function ruleWith(when: string, what = "{ drop: true }"): string {
  return `rules:\n  - name: one\n    when: ${when}\n    then: ${what}\n`;
}

const ROWS: readonly (readonly [text: string, problem: string])[] = [
  [
    ruleWith("{ type: ANY }"),
    'front.yaml:4: rules[0].when.type: "ANY" is here, expected a list: write ["ANY"]',
  ],
  [
    ruleWith("{}", "{ refuse: true }"),
    "front.yaml:5: rules[0].then.refuse: true is here, expected settings with rcode, ede, text; {} is for the defaults",
  ],
  [
    ruleWith("{}", "{ refuse: }"),
    "front.yaml:5: rules[0].then.refuse: nothing is here, expected settings with rcode, ede, text; {} is for the defaults",
  ],
  [
    ruleWith("{ client: 192.0.2.0/24 }"),
    'front.yaml:4: rules[0].when.client: "192.0.2.0/24" is here, expected settings with prefixes, sets; {} is for the defaults',
  ],
  [
    ruleWith("{}", "{ delay: 100 }"),
    'front.yaml:5: rules[0].then.delay: 100 is here, expected string such as "10s"; what looks like a number or a boolean goes in quotes',
  ],
  [ruleWith("{}", "{ delay: 10s }"), "front.yaml:5: rules[0].then.delay: is outside 1ms to 5000ms: 10s"],
  [
    ruleWith("{ transport: [tlss] }"),
    'front.yaml:4: rules[0].when.transport[0]: "tlss" is not one of udp, tcp, tls, https, did you mean "tls"?',
  ],
  [ruleWith("{ chance: 50 }"), "front.yaml:4: rules[0].when.chance: 50 is more than 1"],
  [
    ruleWith("{ flags: { rd: no } }"),
    'front.yaml:4: rules[0].when.flags.rd: "no" is here, expected true or false',
  ],
  [
    ruleWith("{}", "{ drop: false }"),
    "front.yaml:5: rules[0].then.drop: false is here, and only true can be: leave the line out for the contrary",
  ],
  [
    ruleWith("{}", "{ strip-options: [nsidd] }"),
    'front.yaml:5: rules[0].then.strip-options[0]: "nsidd" is here, expected number, and "nsidd" is not one of nsid, client-subnet, expire, cookie, keepalive, padding, chain, extended-error, report-channel, zone-version, did you mean "nsid"?',
  ],
  [
    ruleWith('{ name: { suffixes: ["*.example.com"] } }'),
    'front.yaml:4: rules[0].when.name.suffixes[0]: "*.example.com" has a wildcard: suffixes stand for all below them, so write "example.com"',
  ],
  [
    ruleWith("{ time: { after: 20260231000000 } }"),
    "front.yaml:4: rules[0].when.time.after: there is no moment 20260231000000 in the calendar",
  ],
  [
    ruleWith("{}", "{ refuse: { rcode: BADVERS } }"),
    'front.yaml:5: rules[0].then.refuse.rcode: "BADVERS" needs EDNS, which not all clients have: one of up to 15, such as REFUSED',
  ],
  [
    "rules:\n  - { name: a.b, then: { drop: true } }\n",
    'front.yaml:3: rules[0].name: "a.b" is no word of letters, digits, - and _, at most 63 long',
  ],
  [
    "rules:\n  - { then: { drop: true } }\n",
    'front.yaml:3: rules[0].name: is missing, expected string such as "ads"',
  ],
  [
    "sets:\n  - name: ads\n    kind: names\n    file: there-is-none.txt\n",
    "front.yaml:5: sets[0].file: there-is-none.txt cannot be read: no such file or directory",
  ],
  [
    "sets:\n  - name: ads\n    kind: names\n    file: /\n",
    "front.yaml:5: sets[0].file: / cannot be read: it is no file",
  ],
  [
    "sets:\n  - name: ads\n    kind: names\n    entries: [0.0.0.0 a.example]\n",
    'front.yaml:5: sets[0].entries[0]: "0.0.0.0 a.example" has more than a name, one name an entry, or say format: hosts',
  ],
];

for (const [text, problem] of ROWS)
  test(`a mistake is told with line, value and hint: ${problem.replace(/^front\.yaml:/, "")}`, () => {
    assert.deepEqual(problemsOf(text), [problem]);
  });

test("a moment may stand without quotes, where YAML takes it for a number", () => {
  assert.deepEqual(problemsOf(ruleWith("{ time: { after: 20261123120000 } }")), []);
});
