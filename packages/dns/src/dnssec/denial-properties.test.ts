import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { type Name, RRType } from "@sotto/dns/wire";
import { type Nsec3Plan, nsec3Hash, nsec3Owner } from "../testing/fake-internet/denial-chain.ts";
import type { Zone } from "../testing/fake-internet/zone.ts";
import { ValidationBudget } from "./budget.ts";
import type { DenialClaim, DenialVerdict, NoDsVerdict } from "./denial.ts";
import { judgeNsec, judgeNsecNoDs, Nsec } from "./nsec.ts";
import { Nsec3Proofs } from "./nsec3.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import { APEX } from "./test-signer.test-support.ts";
import {
  chainOf,
  closestEncloser,
  isCut,
  TOY_TYPES,
  toyName,
  toyZone,
  truthOf,
} from "./toy-zone.test-support.ts";

const SEEDS = 400;
const NAMES_PER_ZONE = 25;

type Judge = {
  judge(claim: DenialClaim, qname: Name, qtype: RRType): DenialVerdict["kind"];
  judgeNoDs(name: Name): NoDsVerdict["kind"];
};

function judgeOf(denial: "nsec" | Nsec3Plan, sets: readonly SignedRRset[]): Judge {
  if (denial === "nsec") {
    const nsecs = sets.map((set) => new Nsec(set));
    return {
      judge: (claim, qname, qtype) => judgeNsec(claim, qname, qtype, APEX, nsecs).kind,
      judgeNoDs: (name) => judgeNsecNoDs(name, APEX, nsecs).kind,
    };
  }
  const proofs = (): Nsec3Proofs => new Nsec3Proofs(sets, APEX, 100, new ValidationBudget());
  return {
    judge: (claim, qname, qtype) => proofs().judge(claim, qname, qtype).kind,
    judgeNoDs: (name) => proofs().judgeNoDs(name).kind,
  };
}

/** Calls back with random zones, their whole chain, and names to ask for. */
function forRandomZones(
  denial: "nsec" | Nsec3Plan,
  check: (zone: Zone, sets: readonly SignedRRset[], names: readonly Name[], random: SeededRandom) => void,
): void {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededRandom(seed);
    const zone = toyZone(random);
    const sets = chainOf(zone, denial);
    const names = Array.from({ length: NAMES_PER_ZONE }, () => toyName(random));
    const owners = [...zone.nodes].map(({ owner }) => owner).filter(({ labelCount }) => labelCount < 6);
    try {
      check(zone, sets, [...names, ...owners], random);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
}

const isNsec3Owner = (zone: Zone, name: Name): boolean => zone.rrset(name, RRType.NSEC3).length > 0;
const PLANS: readonly ["nsec" | Nsec3Plan, string][] = [
  ["nsec", "NSEC"],
  [{}, "NSEC3"],
  [{ iterations: 3, salt: "ab" }, "NSEC3 with salt"],
];

for (const [denial, name] of PLANS) {
  test(`the whole chain proves what is true, and only that: ${name} [4035-4-a] [5155-a] [6840-4.1-a] [6840-4.2-a] [6840-4.3-a]`, () => {
    forRandomZones(denial, (zone, sets, names) => {
      const { judge } = judgeOf(denial, sets);
      for (const qname of names)
        for (const qtype of TOY_TYPES) {
          if (isNsec3Owner(zone, qname) || (qname.equals(APEX) && qtype === RRType.DS)) continue;
          const truth = truthOf(zone, qname, qtype);
          for (const kind of ["nodata", "nxdomain"] as const) {
            const expected = truth === kind ? "proved" : "not proved";
            assert.equal(judge({ kind }, qname, qtype), expected, `${kind} of ${qname} ${qtype} is ${truth}`);
          }
        }
    });
  });

  test(`parts of the chain prove nothing that is not true: ${name} [4035-4-a] [5155-a]`, () => {
    forRandomZones(denial, (zone, sets, names, random) => {
      for (const qname of names) {
        if (isNsec3Owner(zone, qname)) continue;
        const qtype = TOY_TYPES[random.below(TOY_TYPES.length)] ?? RRType.A;
        const { judge } = judgeOf(
          denial,
          sets.filter(() => random.chance(0.5)),
        );
        const truth = truthOf(zone, qname, qtype);
        for (const kind of ["nodata", "nxdomain"] as const)
          if (judge({ kind }, qname, qtype) === "proved")
            assert.equal(truth, kind, `${kind} of ${qname} ${qtype} is ${truth}`);
      }
    });
  });

  test(`a wildcard was right to use exactly where nothing is closer: ${name} [4035-4-a] [5155-a]`, () => {
    forRandomZones(denial, (zone, sets, names) => {
      const { judge } = judgeOf(denial, sets);
      for (const qname of names) {
        // What is below a cut or a DNAME has no signatures of this zone.
        if (isNsec3Owner(zone, qname) || truthOf(zone, qname, RRType.DS) === "elsewhere") continue;
        const encloser = closestEncloser(zone, qname).labelCount;
        for (let encloserLabels = 1; encloserLabels < qname.labelCount; encloserLabels++) {
          const claim = { kind: "wildcard", encloserLabels } as const;
          const isRight = !zone.exists(qname) && encloserLabels === encloser;
          // A deeper wildcard than the encloser does not exist, so that nobody has its signature.
          if (denial !== "nsec" && encloserLabels > encloser) continue;
          const expected = isRight ? "proved" : "not proved";
          assert.equal(judge(claim, qname, RRType.A), expected, `${qname} from ${encloserLabels} labels`);
        }
      }
    });
  });

  test(`an unsigned delegation is one, and no cut is none: ${name} [6840-4.4-a]`, () => {
    forRandomZones(denial, (zone, sets, names) => {
      const { judgeNoDs } = judgeOf(denial, sets);
      for (const qname of names) {
        if (isNsec3Owner(zone, qname) || qname.equals(APEX)) continue;
        const isElsewhere = truthOf(zone, qname, RRType.DS) === "elsewhere";
        const isUnsigned = isCut(zone, qname) && zone.rrset(qname, RRType.DS).length === 0;
        const expected = isElsewhere ? "not proved" : isUnsigned ? "insecure delegation" : "no cut";
        const isSecure = isCut(zone, qname) && !isUnsigned;
        assert.equal(judgeNoDs(qname), isSecure ? "not proved" : expected, `${qname}`);
      }
    });
  });
}

test("with opt-out nothing false is proved, and what is true is proved or may be (RFC 5155 §9.2) [5155-a]", () => {
  const denial = { isOptOut: true };
  forRandomZones(denial, (zone, sets, names) => {
    const { judge, judgeNoDs } = judgeOf(denial, sets);
    for (const qname of names) {
      if (isNsec3Owner(zone, qname) || qname.equals(APEX)) continue;
      for (const qtype of TOY_TYPES) {
        const truth = truthOf(zone, qname, qtype);
        for (const kind of ["nodata", "nxdomain"] as const) {
          const verdict = judge({ kind }, qname, qtype);
          const about = `${kind} of ${qname} ${qtype} is ${truth}`;
          if (verdict === "proved") assert.equal(truth, kind, about);
          // Names that hold nothing but unsigned delegations have no record of their own.
          const shown = hashedOwner(zone, closestEncloser(zone, qname));
          const isHidden = !isCut(zone, qname) && !sets.some(({ owner }) => owner.equals(shown));
          if (truth === kind && !isHidden) assert.notEqual(verdict, "not proved", about);
        }
      }
      const noDs = judgeNoDs(qname);
      const isSecure = isCut(zone, qname) && zone.rrset(qname, RRType.DS).length > 0;
      if (isSecure) assert.equal(noDs, "not proved", `${qname}`);
      if (noDs === "no cut")
        assert.ok(!isCut(zone, qname) && truthOf(zone, qname, RRType.DS) !== "elsewhere");
      if (noDs === "insecure delegation") {
        const cut = zone.cutAbove(qname);
        const isSigned =
          cut === undefined ? zone.node(qname) !== undefined : zone.rrset(cut, RRType.DS).length > 0;
        assert.equal(isSigned, false, `${qname}`);
      }
    }
  });
});

/** The owner of the NSEC3 record of a name without salt. */
function hashedOwner(zone: Zone, name: Name): Name {
  return nsec3Owner(nsec3Hash(name, {}), zone.origin);
}
