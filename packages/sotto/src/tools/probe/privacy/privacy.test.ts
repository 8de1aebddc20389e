import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig, loadFront } from "../../../config/index.ts";
import { requirementWords } from "../report/index.ts";
import { type ClauseVerdict, type Operated, privacyChecklist } from "./checklist.ts";
import { checklistJson, checklistText } from "./checklist-text.ts";
import { privacyStatement } from "./statement.ts";

function resolver(yaml: string): Operated {
  const loaded = loadConfig(yaml, "sotto.yaml");
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return { kind: "resolver", config: loaded.config };
}

function front(yaml: string): Operated {
  const loaded = loadFront(yaml, "front.yaml");
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return { kind: "front", config: loaded.config };
}

const PUBLIC = `
listen:
  - { transport: udp, address: 192.0.2.53 }
  - { transport: tcp, address: 192.0.2.53 }
  - { transport: tls, address: 192.0.2.53, certificate: chain.pem, key: key.pem }
  - { transport: tls, address: 192.0.2.53, port: 443, certificate: chain.pem, key: key.pem }
`;

function verdicts(operated: Operated): Readonly<Record<string, ClauseVerdict>> {
  return Object.fromEntries(privacyChecklist(operated).map(({ id, verdict }) => [id, verdict]));
}

test("a public resolver passes what a configuration can show, and is asked the rest", () => {
  assert.deepEqual(verdicts(resolver(PUBLIC)), {
    "8932-5.1.1": "pass",
    "8932-5.1.2": "pass",
    "8932-5.1.2.1": "ask",
    "8932-5.1.3.1-a": "pass",
    "8932-5.1.3.1-b": "pass",
    "8932-5.1.3.1-c": "pass",
    "8932-5.1.3.1-d": "pass",
    "8932-5.1.4": "pass",
    "8932-5.1.5": "ask",
    "8932-5.1.6": "pass",
    "8932-5.1.8": "pass",
    "8932-5.2": "ask",
    "8932-5.3.1": "pass",
    "8932-5.3.1-opt": "pass",
    "8932-6": "ask",
  });
});

/** Each change to the public resolver, and the one clause that it turns. */
const CHANGES: readonly (readonly [yaml: string, id: string, verdict: ClauseVerdict])[] = [
  [`${PUBLIC}  - { transport: udp, address: 192.0.2.54 }`, "8932-5.1.5", "fail"],
  [`${PUBLIC}cookies: { policy: require-over-udp }`, "8932-5.1.3.1-b", "fail"],
  [`${PUBLIC}dnssec: { negative-trust-anchors: [example.] }`, "8932-5.1.4", "ask"],
  [`${PUBLIC}log: { level: debug }`, "8932-5.2", "fail"],
  [`${PUBLIC}resolver: { qname-minimisation: "off" }`, "8932-5.3.1", "fail"],
  [`${PUBLIC}cache: { nxdomain-cut: false }`, "8932-5.3.1-opt", "fail"],
  [`${PUBLIC}forward-zones: [{ name: ., upstreams: [192.0.2.1] }]`, "8932-5.3.1", "fail"],
  [
    `${PUBLIC}forward-zones: [{ name: ., upstreams: [192.0.2.1], hide-client-subnet: true }]`,
    "8932-5.3.1",
    "ask",
  ],
  [PUBLIC.replace("port: 443", "port: 8443"), "8932-5.1.3.1-c", "ask"],
  [PUBLIC.replace(", port: 443, certificate: chain.pem, key: key.pem", ", port: 443"), "8932-5.1.2", "fail"],
];

for (const [yaml, id, verdict] of CHANGES)
  test(`${yaml.replace(PUBLIC, "").trim() || id} makes ${id} ${verdict}, and nothing else`, () => {
    assert.deepEqual(verdicts(resolver(yaml)), { ...verdicts(resolver(PUBLIC)), [id]: verdict });
  });

test("without encryption all clauses about it fail", () => {
  const found = verdicts(resolver("listen: [{ transport: udp, address: 192.0.2.53 }]"));
  for (const id of [
    "8932-5.1.1",
    "8932-5.1.2",
    "8932-5.1.3.1-a",
    "8932-5.1.3.1-c",
    "8932-5.1.3.1-d",
    "8932-5.1.5",
  ])
    assert.equal(found[id], "fail", id);
});

test("a front end is asked what its backends do", () => {
  const found = verdicts(
    front(`${PUBLIC}pools: [{ name: all, backends: [{ name: one, address: udp://192.0.2.1 }] }]`),
  );
  for (const id of ["8932-5.1.4", "8932-5.1.6", "8932-5.3.1", "8932-5.3.1-opt"])
    assert.equal(found[id], "ask", id);
  assert.equal(found["8932-5.1.1"], "pass");
});

test("a front end whose rules log queries or send copies does not say that it logs none", () => {
  // Both texts said so of every front end, one of them in a statement to be published.
  const pools =
    "pools: [{ name: all, backends: [{ name: one, address: udp://192.0.2.1 }] }, { name: lab, backends: [{ name: two, address: udp://192.0.2.2 }] }]";
  const told = (rules: string): readonly string[] => {
    const operated = front(`${PUBLIC}${pools}\nrules: [${rules}]`);
    const clause = privacyChecklist(operated).find(({ id }) => id === "8932-5.2");
    assert.equal(clause?.verdict, "ask");
    return [clause.reason, privacyStatement(operated)];
  };
  for (const text of told("{ name: quiet, then: { tag: [seen] } }"))
    assert.match(text, /queries are not logged/i);
  for (const text of told("{ name: noisy, then: { log: true } }, { name: copies, then: { tee: [lab] } }")) {
    assert.doesNotMatch(text, /queries are not logged/i);
    assert.match(text, /rules log queries: noisy/i);
    assert.match(text, /rules send copies of queries: copies to lab/i);
  }
});

test("every clause is a requirement of our tables, and has words for people and for programs", () => {
  const clauses = privacyChecklist(resolver(PUBLIC));
  for (const { id } of clauses) assert.ok(requirementWords(id), id);
  const text = checklistText(clauses, 60);
  for (const line of text.split("\n")) assert.ok(line.length <= 60, line);
  assert.match(text, /11 passed, 0 failed, 4 for the operator to answer\n$/);
  assert.equal(JSON.parse(checklistJson(clauses)).length, clauses.length);
});

test("the statement tells what the configuration tells, and leaves brackets for the rest", () => {
  const text = privacyStatement(
    resolver(
      `${PUBLIC}local-zones: { zones: [{ name: ads.example., type: nxdomain }] }\nlog: { level: warn }`,
    ),
  );
  for (const part of [
    "DNS over TLS: 192.0.2.53 port 853; 192.0.2.53 port 443",
    "its own log has the level warn",
    "1 zones and 0 records are answered locally. [which, and why]",
    "QNAME minimisation (RFC 9156): relaxed.",
    "Answers are validated with DNSSEC.",
  ])
    assert.ok(text.includes(part), part);
  assert.equal(text.match(/^\d\. \*\*/gm)?.length, 6 + 5, "the items of RFC 8932 §6.1");
});
