import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName, Rcode, RRType, recordToText } from "@sotto/dns/wire";
import { answerTo } from "./local-answer.ts";
import type { LoadedNames } from "./name-list.ts";
import { namesOf, subjectOf } from "./rules.test-support.ts";

const HEAD =
  "$TTL 300\n$ORIGIN rpz.test.\n@ IN SOA ns.rpz.test. admin.rpz.test. (\n  1 ; serial\n  3600 600 86400 60 )\n  NS ns.rpz.test.\n";

function said(list: LoadedNames, name: string, type: number = RRType.A): string {
  const policy = list.policies[list.names.find(parseName(name).wire, 0)];
  if (policy?.kind !== "answer") return policy?.kind ?? "";
  const { rcode, answers } = answerTo(policy.answer, subjectOf({ name, type }).view);
  if (rcode === Rcode.NXDomain) return "nxdomain";
  return answers.length === 0
    ? "nodata"
    : answers.map((record) => recordToText(record).replaceAll("\t", " ")).join(" + ");
}

test("triggers by query name do what the zone says", () => {
  const list = namesOf(
    `${HEAD}${[
      "bad.example        CNAME .",
      "*.bad.example      CNAME .",
      "empty.example 60 IN CNAME *.",
      "drop.example       CNAME rpz-drop.",
      "tcp.example        CNAME rpz-tcp-only.",
      "ok.bad.example     CNAME rpz-passthru.",
      "old.example        CNAME old.example.",
      "walled.example     CNAME garden.test.",
      "local.example      A 192.0.2.1",
      "                   A 192.0.2.2",
      '                   TXT "a ; b"',
      "absolute.example.rpz.test. CNAME .",
    ].join("\n")}\n`,
    "rpz",
  );
  assert.deepEqual(list.report.problems, []);
  for (const [name, expected] of [
    ["bad.example.", "nxdomain"],
    ["deep.bad.example.", "nxdomain"],
    ["ok.bad.example.", "pass"],
    ["empty.example.", "nodata"],
    ["www.empty.example.", "none"],
    ["drop.example.", "drop"],
    ["tcp.example.", "truncate"],
    ["old.example.", "pass"],
    ["walled.example.", "walled.example. 300 IN CNAME garden.test."],
    ["local.example.", "local.example. 300 IN A 192.0.2.1 + local.example. 300 IN A 192.0.2.2"],
    ["absolute.example.", "nxdomain"],
    ["rpz.test.", "none"],
  ] as const)
    assert.equal(said(list, name), expected, name);
  assert.equal(said(list, "local.example.", RRType.TXT), 'local.example. 300 IN TXT "a ; b"');
  assert.equal(said(list, "local.example.", RRType.MX), "nodata");
});

test("other triggers are told as unsupported, and the rest is loaded", () => {
  const list = namesOf(
    `${HEAD}24.0.2.0.192.rpz-ip CNAME .\nns.example.rpz-nsdname CNAME .\n8.0.0.0.10.rpz-client-ip CNAME .\nns.example.rpz-nsip CNAME .\nb.example CNAME .\n`,
    "rpz",
  );
  assert.deepEqual([list.report.names, list.report.unsupported, list.report.bad], [1, 4, 0]);
  assert.equal(list.report.problems[0], "list:7: triggers of kind rpz-ip are not done, only query names are");
});

// Policy zones that lead into a walled garden were left out in part.
test("an alias to *.name is one to the name that was asked for below it, and leads there", () => {
  const list = namesOf(`${HEAD}a.example CNAME *.garden.test.\n*.a.example CNAME *.garden.test.\n`, "rpz");
  assert.deepEqual(list.report.problems, []);
  assert.equal(said(list, "a.example."), "a.example. 300 IN CNAME a.example.garden.test.");
  assert.equal(said(list, "X.a.example."), "X.a.example. 300 IN CNAME X.a.example.garden.test.");
  assert.equal(list.policies.length, 4);
  const policy = list.policies[list.names.find(parseName("a.example.").wire, 0)];
  assert.ok(policy?.kind === "answer");
  const answer = (name: string, type: number) => answerTo(policy.answer, subjectOf({ name, type }).view);
  assert.equal(answer("a.example.", RRType.A).target?.toString(), "a.example.garden.test.");
  assert.equal(answer("a.example.", RRType.CNAME).target, undefined);
  const long = `${`${"a".repeat(63)}.`.repeat(3)}${"b".repeat(48)}.example.`;
  assert.equal(answer(long, RRType.A).rcode, Rcode.YXDomain);
});

test("a zone without origin has its names at the root", () => {
  const list = namesOf("@ 60 SOA a. b. 1 2 3 4 5\nbad.example 60 CNAME .\n", "rpz");
  assert.equal(said(list, "bad.example."), "nxdomain");
});

// Lists without $TTL were answered with TTL 0: everybody came again with each query.
test("without $TTL the SOA's minimum counts, as BIND has it, and a minute where there is none", () => {
  const entries =
    "@ SOA a. b. 1 2 3 4 77\nlocal.example A 192.0.2.1\nbad.example CNAME .\nown.example 5 A 192.0.2.1\n";
  const list = namesOf(entries, "rpz");
  assert.equal(said(list, "local.example."), "local.example. 77 IN A 192.0.2.1");
  assert.equal(said(list, "own.example."), "own.example. 5 IN A 192.0.2.1");
  const policy = list.policies[list.names.find(parseName("bad.example.").wire, 0)];
  assert.ok(policy?.kind === "answer");
  assert.equal(answerTo(policy.answer, subjectOf({ name: "bad.example." }).view).ttl, 77);
  const bare = namesOf("local.example A 192.0.2.1\n", "rpz");
  assert.equal(said(bare, "local.example."), "local.example. 60 IN A 192.0.2.1");
  const told = namesOf(`$TTL 9\n${entries}`, "rpz");
  assert.equal(said(told, "local.example."), "local.example. 9 IN A 192.0.2.1");
});

test("bad entries are told and skipped: directives, broken records, names outside, a policy for everything", () => {
  const list = namesOf(
    `${HEAD}$INCLUDE other\nx.example A 999\nother. CNAME .\n* CNAME .\na.example CNAME .\nb.example CNAME .\nc.example CNAME .\nd.example CNAME .\na.example A 192.0.2.1\n`,
    "rpz",
  );
  assert.equal(list.report.names, 4);
  assert.equal(list.report.bad, 4);
  assert.match(list.report.problems[0] ?? "", /^list:7: \$INCLUDE cannot be used here/);
  assert.match(list.report.problems[2] ?? "", /^list:9: other\. is outside of the zone/);
});

test("a zone with more TTLs than are told apart still does what it says", () => {
  // Who came after the thousandth TTL did what the policy said that had been made last, whosever it was.
  const many = Array.from({ length: 1100 }, (_, i) => `n${i}.example ${i + 1} CNAME .\n`).join("");
  const list = namesOf(
    `${HEAD}a.example 7 CNAME *.\n${many}local.example A 192.0.2.1\nb.example 8 CNAME .\nc.example 9999 CNAME .\nd.example 9999 CNAME *.\ne.example CNAME rpz-drop.\nf.example CNAME rpz-drop.\n`,
    "rpz",
  );
  assert.deepEqual(
    ["n1099", "b", "c", "d", "e", "f", "local"].map((name) => said(list, `${name}.example.`)),
    ["nxdomain", "nxdomain", "nxdomain", "nodata", "drop", "drop", "local.example. 300 IN A 192.0.2.1"],
  );
  assert.ok(list.policies.length < 1100);
});

test("a parenthesis that is never closed takes a bounded part of the list with it", () => {
  const list = namesOf(`b.example 60 TXT (\n${"a.example 60 CNAME .\n".repeat(2000)}`, "rpz");
  assert.equal(list.report.bad, 1);
  assert.match(list.report.problems[0] ?? "", /entry is longer than 16384 characters/);
  assert.equal(said(list, "a.example."), "nxdomain");
  assert.match(
    namesOf("a.example 60 CNAME .\nb.example TXT (\n", "rpz").report.problems[0] ?? "",
    /ends inside/,
  );
});
