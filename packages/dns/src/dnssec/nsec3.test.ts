import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeRdataOf, type Name, parseName, RRType } from "@sotto/dns/wire";
import { ValidationBudget } from "./budget.ts";
import type { DenialClaim } from "./denial.ts";
import { base32hex, Nsec3Proofs, nsec3HashOf } from "./nsec3.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import { APEX } from "./test-signer.test-support.ts";

const { A, ANY, CNAME, DNAME, DS, MX, NS, RRSIG, SOA, TXT } = RRType;
const NO_SALT = new Uint8Array(0);

interface Parts {
  readonly types?: readonly RRType[];
  readonly flags?: number;
  readonly iterations?: number;
  readonly salt?: Uint8Array;
  readonly hashAlgorithm?: number;
  readonly zone?: Name;
}

/** The record whose span goes from one hash to another. */
function recordOf(hash: Uint8Array, nextHash: Uint8Array, parts: Parts = {}): SignedRRset {
  const { types = [], flags = 0, iterations = 0, salt = NO_SALT, hashAlgorithm = 1, zone = APEX } = parts;
  const sorted = types.toSorted((a, b) => a - b);
  const rdata = encodeRdataOf("NSEC3", { hashAlgorithm, flags, iterations, salt, nextHash, types: sorted });
  assert.ok(rdata.ok);
  const owner = parseName(base32hex(hash), zone);
  return { owner, type: RRType.NSEC3, ttlSeconds: 300, rdatas: [rdata.value], signatures: [] };
}

function hashOf(name: string, { iterations = 0, salt = NO_SALT }: Parts = {}): Uint8Array {
  return nsec3HashOf(parseName(name), salt, iterations);
}

function shifted(hash: Uint8Array, by: 1 | -1): Uint8Array {
  const result = hash.slice();
  for (let at = result.length - 1; at >= 0; at--) {
    const sum = (result[at] ?? 0) + by;
    result[at] = sum & 0xff;
    if (sum >= 0 && sum <= 0xff) break;
  }
  return result;
}

/** A record at the name, with nothing behind it. */
function at(name: string, types: readonly RRType[], parts: Parts = {}): SignedRRset {
  const hash = hashOf(name, parts);
  return recordOf(hash, shifted(hash, 1), { ...parts, types });
}

/** A record around the name only. */
function around(name: string, parts: Parts = {}): SignedRRset {
  const hash = hashOf(name, parts);
  return recordOf(shifted(hash, -1), shifted(hash, 1), { types: [A, RRSIG], ...parts });
}

const OPT_OUT: Parts = { flags: 1 };

function proofsOf(
  sets: readonly SignedRRset[],
  iterationsMax = 150,
  budget = new ValidationBudget(),
): Nsec3Proofs {
  return new Nsec3Proofs(sets, APEX, iterationsMax, budget);
}

function judge(
  claim: DenialClaim | "nodata" | "nxdomain",
  qname: string,
  qtype: RRType,
  ...sets: SignedRRset[]
): string {
  const whole: DenialClaim = typeof claim === "string" ? { kind: claim } : claim;
  return proofsOf(sets).judge(whole, parseName(qname), qtype).kind;
}

function judgeNoDs(name: string, ...sets: SignedRRset[]): string {
  return proofsOf(sets).judgeNoDs(parseName(name)).kind;
}

test("base32hex is that of RFC 4648 §10, in lower case and without padding", () => {
  const cases: Record<string, string> = {
    "": "",
    f: "co",
    fo: "cpng",
    foo: "cpnmu",
    foob: "cpnmuog",
    fooba: "cpnmuoj1",
    foobar: "cpnmuoj1e8",
  };
  for (const [text, expected] of Object.entries(cases))
    assert.equal(base32hex(new TextEncoder().encode(text)), expected, text);
});

test("a name error needs encloser, next closer name and wildcard (RFC 5155 §8.4) [5155-a]", () => {
  const proofs = [at("example.", [SOA, NS]), around("c.example."), around("*.example.")];
  assert.equal(judge("nxdomain", "c.example.", A, ...proofs), "proved");
  assert.equal(judge("nxdomain", "a.b.c.example.", A, ...proofs), "proved");
  for (const [i, what] of ["encloser", "next closer", "wildcard"].entries())
    assert.equal(
      judge("nxdomain", "c.example.", A, ...proofs.toSpliced(i, 1)),
      "not proved",
      `without ${what}`,
    );
  assert.equal(judge("nxdomain", "d.example.", A, ...proofs), "not proved");
  assert.equal(judge("nxdomain", "C.Example.", A, ...proofs), "proved", "case");
  assert.equal(judge("nodata", "c.example.", A, ...proofs), "not proved");
});

test("the encloser that is shown decides which wildcard must not be there", () => {
  const name = "x.b.example.";
  const deep = [at("b.example.", [A]), around(name), around("*.b.example.")];
  assert.equal(judge("nxdomain", name, A, ...deep), "proved");
  assert.equal(judge("nxdomain", name, A, ...deep.slice(0, 2), around("*.example.")), "not proved");
  // With b.example. shown, a record around it cannot be believed to make the apex the encloser.
  const mixed = [
    at("example.", [SOA, NS]),
    at("b.example.", [A]),
    around("*.example."),
    around("*.b.example."),
  ];
  assert.equal(judge("nxdomain", name, A, ...mixed), "not proved");
});

test("below a cut or a DNAME the zone's records prove nothing (RFC 5155 §8.3, RFC 6840 §4.1) [6840-4.1-a]", () => {
  for (const types of [[NS], [NS, DS], [DNAME], [A, DNAME]]) {
    const proofs = [at("sub.example.", types), around("x.sub.example."), around("*.sub.example.")];
    for (const kind of ["nxdomain", "nodata"] as const)
      assert.equal(judge(kind, "x.sub.example.", A, ...proofs), "not proved", `${types}`);
    assert.equal(judgeNoDs("x.sub.example.", ...proofs), "not proved", `${types}`);
  }
  const apex = [at("sub.example.", [NS, SOA]), around("x.sub.example."), around("*.sub.example.")];
  assert.equal(judge("nxdomain", "x.sub.example.", A, ...apex), "proved");
});

test("a missing type is shown by the record at the name, unless that has an alias (RFC 5155 §8.5, RFC 6840 §4.3) [5155-a] [6840-4.3-a]", () => {
  const cases: [readonly RRType[], RRType, string][] = [
    [[A], MX, "proved"],
    [[A], A, "not proved"],
    [[A], DS, "proved"],
    [[A], ANY, "not proved"],
    [[], ANY, "proved"],
    [[], A, "proved"],
    [[CNAME], A, "not proved"],
    [[CNAME], CNAME, "not proved"],
    [[CNAME], DS, "not proved"],
    [[NS], A, "not proved"],
    [[NS], DS, "proved"],
    [[NS, DS], DS, "not proved"],
    [[NS, SOA], MX, "proved"],
    [[NS, SOA], DS, "not proved"],
  ];
  for (const [types, qtype, expected] of cases)
    assert.equal(
      judge("nodata", "www.example.", qtype, at("www.example.", types)),
      expected,
      `${types}: ${qtype}`,
    );
});

test("a type is missing at a wildcard by encloser, next closer name and wildcard (RFC 5155 §8.7) [5155-a]", () => {
  const wildcard = (types: readonly RRType[]): SignedRRset => at("*.example.", types);
  const proofs = [at("example.", [SOA, NS]), around("c.example.")];
  assert.equal(judge("nodata", "c.example.", MX, ...proofs, wildcard([A])), "proved");
  assert.equal(judge("nodata", "a.c.example.", MX, ...proofs, wildcard([A])), "proved");
  assert.equal(judge("nodata", "c.example.", A, ...proofs, wildcard([A])), "not proved");
  assert.equal(judge("nodata", "c.example.", MX, ...proofs, wildcard([CNAME])), "not proved");
  assert.equal(judge("nodata", "c.example.", MX, ...proofs), "not proved");
  assert.equal(judge("nodata", "c.example.", MX, ...proofs.slice(1), wildcard([A])), "not proved");
  assert.equal(judge("nodata", "c.example.", MX, ...proofs.slice(0, 1), wildcard([A])), "not proved");
});

test("a wildcard was right to use when the next closer name is not there (RFC 5155 §8.8) [5155-a]", () => {
  const claim: DenialClaim = { kind: "wildcard", encloserLabels: 1 };
  assert.equal(judge(claim, "a.b.c.example.", A, around("c.example.")), "proved");
  assert.equal(judge(claim, "a.b.c.example.", A, around("b.c.example.")), "not proved");
  assert.equal(judge(claim, "a.b.c.example.", A, around("c.example.", OPT_OUT)), "opt-out");
  assert.equal(
    judge({ ...claim, encloserLabels: 2 }, "a.b.c.example.", A, around("c.example.")),
    "not proved",
  );
  assert.equal(judge(claim, "c.example.", A, at("c.example.", [A])), "not proved");
});

test("opt-out makes insecure what it covers, and only that (RFC 5155 §6, §9.2) [5155-a]", () => {
  const [apex, wildcard] = [at("example.", [SOA, NS]), around("*.example.")];
  const hidden = around("c.example.", OPT_OUT);
  assert.equal(judge("nxdomain", "c.example.", A, apex, hidden, wildcard), "opt-out");
  assert.equal(judge("nodata", "c.example.", A, apex, hidden), "opt-out");
  assert.equal(judge("nodata", "c.example.", DS, apex, hidden), "opt-out");
  assert.equal(judge("nodata", "c.example.", DS, apex, hidden, at("*.example.", [CNAME])), "opt-out");
  assert.equal(judge("nodata", "c.example.", MX, apex, hidden, at("*.example.", [A])), "opt-out");
  assert.equal(judge("nodata", "c.example.", A, apex, hidden, at("*.example.", [A])), "not proved");
  // The flag on other records than that of the next closer name does not matter.
  const optedApex = at("example.", [SOA, NS], OPT_OUT);
  const shown = [optedApex, around("c.example."), around("*.example.", OPT_OUT)];
  assert.equal(judge("nxdomain", "c.example.", A, ...shown), "proved");
  assert.equal(judge("nodata", "www.example.", MX, at("www.example.", [A], OPT_OUT)), "proved");
});

test("an unsigned delegation is one with NS, or in an opt-out span (RFC 5155 §8.6, §8.9) [5155-a] [6840-4.4-a]", () => {
  const cases: [readonly RRType[], string][] = [
    [[NS], "insecure delegation"],
    [[NS, DS], "not proved"],
    [[NS, SOA], "not proved"],
    [[DS], "not proved"],
    [[A], "no cut"],
    [[CNAME], "no cut"],
    [[], "no cut"],
  ];
  for (const [types, expected] of cases)
    assert.equal(judgeNoDs("sub.example.", at("sub.example.", types)), expected, `${types}`);
  const apex = at("example.", [SOA, NS]);
  assert.equal(judgeNoDs("sub.example.", apex, around("sub.example.", OPT_OUT)), "insecure delegation");
  assert.equal(judgeNoDs("sub.example.", apex, around("sub.example.")), "no cut");
  assert.equal(judgeNoDs("a.b.example.", apex, around("b.example.", OPT_OUT)), "insecure delegation");
  assert.equal(judgeNoDs("sub.example.", around("sub.example.", OPT_OUT)), "not proved");
  assert.equal(judgeNoDs("sub.example.", apex), "not proved");
  assert.equal(judgeNoDs("sub.example."), "not proved");
});

test("the last record covers both ends of the hashes, a single one all but its own (RFC 5155 §7.2.1)", () => {
  const [low, high] = [new Uint8Array(20).fill(0x11), new Uint8Array(20).fill(0xee)];
  const apex = at("example.", [SOA, NS]);
  const names = Array.from({ length: 60 }, (_, i) => `n${i}.example.`);
  for (const name of names) {
    const hash = hashOf(name);
    const isInside = Buffer.compare(low, hash) < 0 && Buffer.compare(hash, high) < 0;
    const claim: DenialClaim = { kind: "wildcard", encloserLabels: 1 };
    assert.equal(judge(claim, name, A, apex, recordOf(low, high)), isInside ? "proved" : "not proved");
    assert.equal(judge(claim, name, A, apex, recordOf(high, low)), isInside ? "not proved" : "proved");
    assert.equal(judge(claim, name, A, recordOf(low, low)), "proved");
    assert.equal(judge(claim, name, A, recordOf(hash, hash)), "not proved");
  }
});

test("records of unknown hashes and flags are as if they were not there (RFC 5155 §8.1, §8.2) [5155-a]", () => {
  for (const parts of [
    { hashAlgorithm: 0 },
    { hashAlgorithm: 2 },
    { flags: 2 },
    { flags: 0x80 },
    { flags: 0xff },
  ]) {
    const record = at("www.example.", [A], parts);
    assert.equal(judge("nodata", "www.example.", MX, record), "not proved", JSON.stringify(parts));
    assert.equal(proofsOf([record]).isEmpty, true);
    assert.equal(judge("nodata", "www.example.", MX, record, at("www.example.", [A])), "proved");
  }
});

test("records that do not stand right below the apex count for nothing", () => {
  for (const zone of ["sub.example.", ".", "test."]) {
    const record = at("www.example.", [A], { zone: parseName(zone) });
    assert.equal(judge("nodata", "www.example.", MX, record), "not proved", zone);
  }
});

test("records with other parameters than the first do not count (RFC 5155 §8.2) [5155-a]", () => {
  const salted: Parts = { salt: Uint8Array.of(1, 2), iterations: 1 };
  const chains = [undefined, salted, { ...salted, iterations: 2 }, { ...salted, salt: Uint8Array.of(1) }];
  for (const [i, first] of chains.entries())
    for (const [j, second] of chains.entries()) {
      const proofs = [
        at("example.", [SOA, NS], first),
        around("c.example.", second),
        around("*.example.", first),
      ];
      assert.equal(
        judge("nxdomain", "c.example.", A, ...proofs),
        i === j ? "proved" : "not proved",
        `${i} ${j}`,
      );
    }
});

test("more iterations than allowed are not computed and make insecure (RFC 9276 §3.2) [9276-a]", () => {
  for (const iterationsMax of [0, 1, 100, 150]) {
    for (const [iterations, expected] of [
      [iterationsMax, "proved"],
      [iterationsMax + 1, "too many iterations"],
      [65_535, "too many iterations"],
    ] as const) {
      const record = recordOf(hashOf("www.example.", { iterations }), new Uint8Array(20), {
        types: [A],
        iterations,
      });
      const budget = new ValidationBudget();
      const proofs = proofsOf([record], iterationsMax, budget);
      assert.equal(
        proofs.judge({ kind: "nodata" }, parseName("www.example."), TXT).kind,
        expected,
        `${iterations}`,
      );
      if (expected !== "too many iterations") continue;
      for (const claim of [{ kind: "nxdomain" }, { kind: "wildcard", encloserLabels: 1 }] as const)
        assert.equal(proofs.judge(claim, parseName("www.example."), TXT).kind, expected);
      assert.equal(proofs.judgeNoDs(parseName("www.example.")).kind, expected);
      assert.equal(budget.takeHash(11_000), true, "nothing was spent");
    }
  }
});

test("each name is hashed once, and an empty purse proves nothing (CVE-2023-50868) [9276-a]", () => {
  const salt = new Uint8Array(255);
  const parts: Parts = { iterations: 150, salt };
  const labels = "a.".repeat(120);
  const budget = new ValidationBudget();
  // An encloser that is never found makes the validator hash every ancestor.
  const proofs = proofsOf([around("c.example.", parts)], 150, budget);
  const first = proofs.judge({ kind: "nxdomain" }, parseName(`${labels}example.`), A);
  assert.equal(first.kind, "not proved");
  assert.equal(budget.isSpent, true);
  const www = at("www.example.", [A], parts);
  assert.equal(
    proofsOf([www], 150, budget).judge({ kind: "nodata" }, parseName("www.example."), MX).kind,
    "not proved",
  );
  const fresh = new ValidationBudget();
  const again = proofsOf([www], 150, fresh);
  for (let i = 0; i < 1000; i++)
    assert.equal(again.judge({ kind: "nodata" }, parseName("www.example."), MX).kind, "proved");
  assert.equal(fresh.isSpent, false);
});
