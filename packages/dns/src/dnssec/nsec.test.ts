import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName, RRType } from "@sotto/dns/wire";
import type { DenialClaim } from "./denial.ts";
import { commonAncestor } from "./denial.ts";
import { judgeNsec, judgeNsecNoDs, Nsec, wildcardAt } from "./nsec.ts";
import { signedSets } from "./rfc-zones.test-support.ts";
import { APEX } from "./test-signer.test-support.ts";

const { A, AAAA, ANY, CNAME, DS, MX, NS, NSEC, TXT } = RRType;

/** Lines like `a.example. NSEC c.example. A RRSIG NSEC`. */
function nsecs(...lines: string[]): Nsec[] {
  return lines.flatMap((line) => signedSets(line).map((set) => new Nsec(set)));
}

function judge(kind: "nodata" | "nxdomain", qname: string, qtype: RRType, proofs: readonly Nsec[]): string {
  return judgeNsec({ kind }, parseName(qname), qtype, APEX, proofs).kind;
}

test("a record covers what lies between its owner and the next name, both excluded (RFC 4034 §4.1.1)", () => {
  const [nsec] = nsecs("b.example. NSEC d.example. A RRSIG NSEC");
  assert.ok(nsec !== undefined);
  const cases: Record<string, boolean> = {
    "a.example.": false,
    "b.example.": false,
    "B.Example.": false,
    "\\000.b.example.": true,
    "z.b.example.": true,
    "c.example.": true,
    "C.EXAMPLE.": true,
    "z.c.example.": true,
    "d.example.": false,
    "a.d.example.": false,
    "e.example.": false,
    "example.": false,
    "c.test.": false,
  };
  for (const [name, expected] of Object.entries(cases))
    assert.equal(nsec.covers(parseName(name), APEX), expected, name);
});

test("the last record of a zone covers all that sorts behind it, in the zone only", () => {
  const [last, only] = nsecs(
    "x.example. NSEC example. A RRSIG NSEC",
    "example. NSEC example. SOA RRSIG NSEC",
  );
  assert.ok(last !== undefined && only !== undefined);
  assert.ok(last.covers(parseName("y.example."), APEX));
  assert.ok(last.covers(parseName("a.x.example."), APEX));
  assert.equal(last.covers(parseName("w.example."), APEX), false);
  assert.equal(last.covers(parseName("a.examplf."), APEX), false);
  assert.ok(only.covers(parseName("anything.example."), APEX));
  assert.equal(only.covers(APEX, APEX), false);
});

test("a next name outside the zone, or before the owner, covers nothing", () => {
  for (const next of [".", "test.", "zz.", "a.example.", "b.example."]) {
    const [nsec] = nsecs(`b.example. NSEC ${next} A RRSIG NSEC`);
    for (const name of ["c.example.", "a.example.", "a.b.example."])
      assert.equal(nsec?.covers(parseName(name), APEX), false, `${next} ${name}`);
  }
});

test("a name error needs both the name and the wildcard at its closest encloser to be covered (RFC 4035 §5.4)", () => {
  const [name, wildcard, deepWildcard] = nsecs(
    "b.example. NSEC d.example. A RRSIG NSEC",
    "example. NSEC b.example. SOA NS RRSIG NSEC",
    "a.c.example. NSEC d.example. A RRSIG NSEC",
  );
  assert.ok(name !== undefined && wildcard !== undefined && deepWildcard !== undefined);
  assert.equal(judge("nxdomain", "c.example.", A, [name, wildcard]), "proved");
  assert.equal(judge("nxdomain", "c.example.", A, [name]), "not proved");
  assert.equal(judge("nxdomain", "c.example.", A, [wildcard]), "not proved");
  assert.equal(judge("nxdomain", "c.example.", A, []), "not proved");
  assert.equal(judge("nxdomain", "z.b.example.", A, [name]), "proved", "*.b.example. is covered by the same");
  // The encloser is c.example., so that the wildcard at the apex does not matter.
  assert.equal(judge("nxdomain", "b.c.example.", A, [deepWildcard, wildcard]), "not proved");
});

test("a name that exists only because of deeper ones is no name error, but has no types (RFC 4592 §2.2.2)", () => {
  const proofs = nsecs(
    "a.example. NSEC x.y.c.example. A RRSIG NSEC",
    "example. NSEC a.example. SOA NS RRSIG NSEC",
  );
  for (const empty of ["c.example.", "y.c.example."]) {
    assert.equal(judge("nxdomain", empty, A, proofs), "not proved", empty);
    for (const qtype of [A, ANY, DS, TXT])
      assert.equal(judge("nodata", empty, qtype, proofs), "proved", empty);
  }
  assert.equal(judge("nxdomain", "b.example.", A, proofs), "proved");
  assert.equal(judge("nodata", "b.example.", A, proofs), "not proved");
  assert.equal(judge("nodata", "x.y.c.example.", A, proofs), "not proved");
});

test("a wildcard that exists only because of deeper names makes its names empty and not absent", () => {
  const proofs = nsecs(
    "example. NSEC x.*.example. SOA NS RRSIG NSEC",
    "x.*.example. NSEC example. A RRSIG NSEC",
  );
  assert.equal(judge("nxdomain", "c.example.", A, proofs), "not proved");
  assert.equal(judge("nodata", "c.example.", A, proofs), "proved");
});

test("a missing type is shown by the record at the name, unless that has an alias (RFC 6840 §4.3) [6840-4.3-a]", () => {
  const [plain, alias, dname] = nsecs(
    "www.example. NSEC x.example. A TXT RRSIG NSEC",
    "www.example. NSEC x.example. CNAME RRSIG NSEC",
    "www.example. NSEC x.example. A DNAME RRSIG NSEC",
  );
  assert.ok(plain !== undefined && alias !== undefined && dname !== undefined);
  for (const [qtype, expected] of [
    [AAAA, "proved"],
    [DS, "proved"],
    [CNAME, "proved"],
    [A, "not proved"],
    [TXT, "not proved"],
    [NSEC, "not proved"],
    [ANY, "not proved"],
  ] as const)
    assert.equal(judge("nodata", "www.example.", qtype, [plain]), expected, `${qtype}`);
  for (const qtype of [A, AAAA, CNAME, DS, ANY])
    assert.equal(judge("nodata", "www.example.", qtype, [alias]), "not proved");
  assert.equal(judge("nodata", "www.example.", AAAA, [dname]), "proved", "DNAME is no alias of its own name");
  assert.equal(judge("nodata", "other.example.", AAAA, [plain]), "not proved");
});

test("records from above a cut, and at a DNAME, say nothing of what is below (RFC 6840 §4.1) [6840-4.1-a]", () => {
  const apex = "example. NSEC sub.example. SOA NS RRSIG NSEC";
  for (const line of [
    "sub.example. NSEC z.example. NS DS RRSIG NSEC",
    "sub.example. NSEC z.example. NS RRSIG NSEC",
    "sub.example. NSEC z.example. DNAME RRSIG NSEC",
    "sub.example. NSEC z.example. A DNAME RRSIG NSEC",
  ]) {
    const proofs = nsecs(apex, line);
    for (const qname of ["www.sub.example.", "a.b.sub.example.", "*.sub.example."]) {
      assert.equal(judge("nxdomain", qname, A, proofs), "not proved", `${qname}: ${line}`);
      assert.equal(judge("nodata", qname, A, proofs), "not proved", `${qname}: ${line}`);
      assert.equal(judge("nodata", qname, DS, proofs), "not proved", `${qname}: ${line}`);
      assert.equal(judgeNsecNoDs(parseName(qname), APEX, proofs).kind, "not proved", `${qname}: ${line}`);
      const claim: DenialClaim = { kind: "wildcard", encloserLabels: 1 };
      assert.equal(judgeNsec(claim, parseName(qname), A, APEX, proofs).kind, "not proved");
    }
    // Beside it the record counts as any other.
    assert.equal(judge("nxdomain", "t.example.", A, proofs), "proved", line);
  }
});

test("of a cut's own name the zone above denies DS and nothing else (RFC 6840 §4.1) [6840-4.1-a]", () => {
  const cut = nsecs("sub.example. NSEC z.example. NS RRSIG NSEC");
  const signed = nsecs("sub.example. NSEC z.example. NS DS RRSIG NSEC");
  assert.equal(judge("nodata", "sub.example.", DS, cut), "proved");
  assert.equal(judge("nodata", "sub.example.", DS, signed), "not proved");
  for (const qtype of [A, MX, TXT, ANY]) {
    assert.equal(judge("nodata", "sub.example.", qtype, cut), "not proved");
    assert.equal(judge("nodata", "sub.example.", qtype, signed), "not proved");
  }
});

test("the child's record at its apex denies no DS, but at the root it does (RFC 6840 §4.4) [6840-4.4-a]", () => {
  const apex = nsecs("example. NSEC a.example. NS SOA RRSIG NSEC");
  assert.equal(judge("nodata", "example.", DS, apex), "not proved");
  assert.equal(judge("nodata", "example.", MX, apex), "proved");
  assert.equal(judgeNsecNoDs(APEX, APEX, apex).kind, "not proved");
  const root = nsecs(". NSEC aaa. NS SOA RRSIG NSEC DNSKEY");
  const dot = parseName(".");
  assert.equal(judgeNsec({ kind: "nodata" }, dot, DS, dot, root).kind, "proved");
});

test("an unsigned delegation is one with NS and without DS and SOA (RFC 6840 §4.4) [6840-4.4-a]", () => {
  const cases: Record<string, string> = {
    "NS RRSIG NSEC": "insecure delegation",
    "NS DS RRSIG NSEC": "not proved",
    "NS SOA RRSIG NSEC": "not proved",
    "NS SOA DS RRSIG NSEC": "not proved",
    "DS RRSIG NSEC": "not proved",
    "A RRSIG NSEC": "no cut",
    "CNAME RRSIG NSEC": "no cut",
    "RRSIG NSEC": "no cut",
  };
  for (const [types, expected] of Object.entries(cases))
    assert.equal(
      judgeNsecNoDs(parseName("sub.example."), APEX, nsecs(`sub.example. NSEC z.example. ${types}`)).kind,
      expected,
      types,
    );
  const around = nsecs("a.example. NSEC z.example. A RRSIG NSEC");
  assert.equal(judgeNsecNoDs(parseName("sub.example."), APEX, around).kind, "no cut");
  assert.equal(judgeNsecNoDs(parseName("zz.example."), APEX, around).kind, "not proved");
  assert.equal(judgeNsecNoDs(parseName("sub.example."), APEX, []).kind, "not proved");
});

test("a wildcard counts only at the encloser that the record shows (RFC 4035 §5.3.4)", () => {
  const proofs = nsecs("b.w.example. NSEC z.example. A RRSIG NSEC");
  const cases: [string, number, string][] = [
    ["c.w.example.", 2, "proved"],
    ["c.w.example.", 1, "not proved"],
    ["a.c.w.example.", 2, "proved"],
    ["a.c.w.example.", 3, "not proved"],
    ["x.example.", 1, "proved"],
    ["x.example.", 0, "not proved"],
    ["b.w.example.", 2, "not proved"],
    ["w.example.", 1, "not proved"],
    ["z.example.", 1, "not proved"],
  ];
  for (const [qname, encloserLabels, expected] of cases) {
    const claim: DenialClaim = { kind: "wildcard", encloserLabels };
    assert.equal(
      judgeNsec(claim, parseName(qname), A, APEX, proofs).kind,
      expected,
      `${qname} ${encloserLabels}`,
    );
  }
  // The name exists, if only because of deeper ones.
  const deeper = nsecs("a.example. NSEC x.b.example. A RRSIG NSEC");
  const claim: DenialClaim = { kind: "wildcard", encloserLabels: 1 };
  assert.equal(judgeNsec(claim, parseName("b.example."), A, APEX, deeper).kind, "not proved");
});

test("a type is missing at a wildcard when neither the name nor anything closer exists (RFC 4035 §3.1.3.4)", () => {
  const [cover, wildcard, alias, other] = nsecs(
    "b.w.example. NSEC z.example. A RRSIG NSEC",
    "*.w.example. NSEC b.w.example. A RRSIG NSEC",
    "*.w.example. NSEC b.w.example. CNAME RRSIG NSEC",
    "*.example. NSEC b.w.example. TXT RRSIG NSEC",
  );
  assert.ok(cover !== undefined && wildcard !== undefined && alias !== undefined && other !== undefined);
  assert.equal(judge("nodata", "c.w.example.", MX, [cover, wildcard]), "proved");
  assert.equal(judge("nodata", "c.w.example.", A, [cover, wildcard]), "not proved");
  assert.equal(judge("nodata", "c.w.example.", ANY, [cover, wildcard]), "not proved");
  assert.equal(judge("nodata", "c.w.example.", MX, [cover, alias]), "not proved");
  assert.equal(judge("nodata", "c.w.example.", MX, [cover, other]), "not proved");
  assert.equal(judge("nodata", "c.w.example.", MX, [wildcard]), "not proved");
  assert.equal(judge("nodata", "c.w.example.", MX, [cover]), "not proved");
});

test("a record of the name's own denies it although it exists, as online signers do (RFC 4470, RFC 9824)", () => {
  const minimal = nsecs(
    "wwv\\255.example. NSEC www\\000.example. RRSIG NSEC",
    "\\)\\255.example. NSEC +.example. RRSIG NSEC",
  );
  assert.equal(judge("nxdomain", "www.example.", A, minimal), "proved");
  const compact = nsecs("www.example. NSEC \\000.www.example. RRSIG NSEC NXNAME");
  for (const qtype of [A, DS, NS, ANY])
    assert.equal(judge("nodata", "www.example.", qtype, compact), "proved");
});

test("a wildcard's name may be too long to exist, and then nothing has to deny it", () => {
  const label = "a".repeat(63);
  const long = parseName(`${label}.${label}.${label}.${"a".repeat(61)}.`);
  assert.equal(long.wire.length, 255);
  assert.equal(wildcardAt(long), undefined);
  assert.equal(wildcardAt(parseName("."))?.toString(), "*.");
  assert.equal(wildcardAt(parseName("*."))?.toString(), "*.*.");
});

test("the common ancestor of two names is the longest that both have, without case", () => {
  const cases: [string, string, string][] = [
    ["a.example.", "b.example.", "example."],
    ["A.EXAMPLE.", "x.a.example.", "a.example."],
    ["a.", "b.", "."],
    [".", "a.b.", "."],
    ["a.example.", "a.example.", "a.example."],
  ];
  for (const [a, b, expected] of cases)
    assert.ok(commonAncestor(parseName(a), parseName(b)).equals(parseName(expected)), `${a} ${b}`);
});
