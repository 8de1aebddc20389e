import assert from "node:assert/strict";
import { test } from "node:test";
import { EdeCode, type Name, parseName, RRType } from "@sotto/dns/wire";
import { ValidationBudget } from "./budget.ts";
import { Dnskey, keyTagOf } from "./key.ts";
import { base32hex, nsec3HashOf } from "./nsec3.ts";
import {
  RFC_4035_SECONDS,
  RFC_4035_ZONE,
  RFC_5155_SECONDS,
  RFC_5155_ZONE,
  setAt,
} from "./rfc-zones.test-support.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import { TrustAnchors } from "./trust-anchors.ts";
import {
  type Denial,
  type DenialJudgement,
  type Evidence,
  type ValidationSession,
  Validator,
} from "./validator.ts";
import type { Verdict } from "./verdict.ts";

const EXAMPLE = parseName("example.");
const { A, AAAA, DNSKEY, DS, MX, NSEC, NSEC3, SOA } = RRType;

/** One zone of an RFC with its keys as anchors. */
class RfcZone implements ValidationSession {
  readonly budget = new ValidationBudget();
  readonly sets: readonly SignedRRset[];
  readonly #validator: Validator;
  /** What is said about DS, by name. */
  readonly #noDs: Readonly<Record<string, readonly SignedRRset[]>>;

  constructor(
    sets: readonly SignedRRset[],
    nowSeconds: number,
    noDs: Readonly<Record<string, readonly SignedRRset[]>> = {},
  ) {
    this.sets = sets;
    this.#noDs = noDs;
    const keys = setAt(sets, EXAMPLE, DNSKEY).rdatas.map((rdata) => new Dnskey(rdata));
    const anchor = { zone: EXAMPLE, ds: [], keys: keys.filter((key) => key.isSecureEntryPoint) };
    // Without an anchor above it the zone's own DS would be indeterminate.
    const root = { zone: parseName("."), ds: [], keys };
    this.#validator = new Validator({
      anchors: new TrustAnchors([anchor, root], []),
      nowSeconds: () => nowSeconds,
      uptimeSeconds: () => 0,
    });
  }

  ask(name: Name, type: RRType): Promise<Evidence> {
    const rrset = this.sets.find((set) => set.owner.equals(name) && set.type === type);
    if (rrset !== undefined) return Promise.resolve({ kind: "rrset", rrset });
    const proofs = this.#noDs[name.toString()] ?? [];
    return Promise.resolve({ kind: "negative", proofs, ttlSeconds: 3600 });
  }

  proofs(...owners: string[]): SignedRRset[] {
    return owners.map((owner) => {
      const name = parseName(owner, EXAMPLE);
      return setAt(
        this.sets,
        name,
        this.sets.some((set) => set.owner.equals(name) && set.type === NSEC) ? NSEC : NSEC3,
      );
    });
  }

  deny(
    qname: string,
    qtype: RRType,
    kind: Denial["kind"],
    proofs: readonly SignedRRset[],
  ): Promise<DenialJudgement> {
    const denial = { qname: parseName(qname), qtype, kind, soa: setAt(this.sets, EXAMPLE, SOA), proofs };
    return this.#validator.judgeDenial(denial, EXAMPLE, this);
  }

  judge(rrset: SignedRRset, proofs: readonly SignedRRset[] = []): Promise<Verdict> {
    return this.#validator.judgeRRset(rrset, proofs, EXAMPLE, this);
  }
}

const nsecZone = (): RfcZone => new RfcZone(RFC_4035_ZONE, RFC_4035_SECONDS);
const nsec3Zone = (noDs: Readonly<Record<string, readonly SignedRRset[]>> = {}): RfcZone =>
  new RfcZone(RFC_5155_ZONE, RFC_5155_SECONDS, noDs);

/** Each proof is needed: without it the answer is bogus, and the reason is that NSEC or NSEC3 is missing. */
async function assertEachIsNeeded(
  proofs: readonly SignedRRset[],
  judge: (rest: readonly SignedRRset[]) => Promise<Verdict>,
): Promise<void> {
  for (const left of proofs) {
    const verdict = await judge(proofs.filter((proof) => proof !== left));
    assert.equal(verdict.status, "bogus", `without ${left.owner}`);
    const [error] = verdict.status === "bogus" ? verdict.errors : [];
    assert.ok(error?.code === EdeCode.NsecMissing || error?.code === EdeCode.RrsigsMissing, `${error?.text}`);
  }
}

test("every signature of RFC 4035 Appendix A is right [4035-4-a]", async () => {
  const zone = nsecZone();
  assert.deepEqual(setAt(RFC_4035_ZONE, EXAMPLE, DNSKEY).rdatas.map(keyTagOf), [38519, 9465]);
  for (const rrset of RFC_4035_ZONE.filter(({ owner }) => owner.toString() !== "a.z.w.example.")) {
    assert.equal(rrset.signatures.length, rrset.type === DNSKEY ? 2 : 1);
    const verdict = await zone.judge(rrset);
    assert.deepEqual(verdict, { status: "secure", ttlSecondsMax: 3600 }, `${rrset.owner} ${rrset.type}`);
  }
});

test("every signature of RFC 5155 Appendix A is right [5155-a]", async () => {
  const zone = nsec3Zone();
  assert.deepEqual(setAt(RFC_5155_ZONE, EXAMPLE, DNSKEY).rdatas.map(keyTagOf), [40430, 12708]);
  for (const rrset of RFC_5155_ZONE.filter(({ owner }) => owner.toString() !== "a.z.w.example.")) {
    const verdict = await zone.judge(rrset);
    assert.deepEqual(verdict, { status: "secure", ttlSecondsMax: 3600 }, `${rrset.owner} ${rrset.type}`);
  }
});

test("a name error needs the NSEC of the name and that of the wildcard (RFC 4035 §B.2) [4035-4-a]", async () => {
  const zone = nsecZone();
  const proofs = zone.proofs("b", "@");
  const judge = (rest: readonly SignedRRset[]): Promise<DenialJudgement> =>
    zone.deny("ml.example.", A, "nxdomain", rest);
  const verdict = await judge(proofs);
  assert.equal(verdict.status, "secure");
  assert.equal(verdict.kind, "nxdomain");
  await assertEachIsNeeded(proofs, judge);
});

test("a missing type needs the NSEC of the name (RFC 4035 §B.3) [4035-4-a]", async () => {
  const zone = nsecZone();
  const judge = (rest: readonly SignedRRset[]): Promise<DenialJudgement> =>
    zone.deny("ns1.example.", MX, "nodata", rest);
  const proofs = zone.proofs("ns1");
  assert.equal((await judge(proofs)).status, "secure");
  await assertEachIsNeeded(proofs, judge);
  assert.equal((await zone.deny("ns1.example.", A, "nodata", proofs)).status, "bogus");
  assert.equal((await zone.deny("ns2.example.", MX, "nodata", proofs)).status, "bogus");
});

test("what is below an unsigned delegation is insecure, and so is the delegation (RFC 4035 §B.5) [4035-4-a]", async () => {
  const nsec = nsecZone().proofs("b");
  const zone = new RfcZone(RFC_4035_ZONE, RFC_4035_SECONDS, { "b.example.": nsec });
  const unsigned: SignedRRset = {
    owner: parseName("mc.b.example."),
    type: MX,
    ttlSeconds: 3600,
    rdatas: [Uint8Array.of(0, 1, 0)],
    signatures: [],
  };
  assert.deepEqual(await zone.judge(unsigned), { status: "insecure", errors: [] });
  assert.deepEqual(await zone.judge({ ...unsigned, owner: parseName("b.example.") }), {
    status: "insecure",
    errors: [],
  });
});

test("an answer from a wildcard needs the NSEC of the name (RFC 4035 §B.6) [4035-4-a]", async () => {
  const zone = nsecZone();
  const rrset = setAt(zone.sets, "a.z.w.example.", MX);
  const proofs = zone.proofs("x.y.w");
  assert.equal((await zone.judge(rrset, proofs)).status, "secure");
  await assertEachIsNeeded(proofs, (rest) => zone.judge(rrset, rest));
  assert.equal((await zone.judge(rrset, zone.proofs("b", "@", "*.w"))).status, "bogus");
});

test("a missing type at a wildcard needs the NSEC of both (RFC 4035 §B.7) [4035-4-a]", async () => {
  const zone = nsecZone();
  const proofs = zone.proofs("x.y.w", "*.w");
  const judge = (rest: readonly SignedRRset[]): Promise<DenialJudgement> =>
    zone.deny("a.z.w.example.", AAAA, "nodata", rest);
  assert.equal((await judge(proofs)).status, "secure");
  await assertEachIsNeeded(proofs, judge);
  assert.equal((await zone.deny("a.z.w.example.", MX, "nodata", proofs)).status, "bogus");
});

test("a child's NSEC says nothing about its DS (RFC 4035 §B.8) [4035-4-a] [6840-4.4-a]", async () => {
  // The RFC asks a server of the child on purpose; a validator must not take the answer (RFC 6840 §4.4).
  const zone = nsecZone();
  assert.equal((await zone.deny("example.", DS, "nodata", zone.proofs("@"))).status, "bogus");
});

test("names are hashed as in RFC 5155 Appendix A [5155-a]", () => {
  const hashes: Record<string, string> = {
    "example.": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
    "a.example.": "35mthgpgcu1qg68fab165klnsnk3dpvl",
    "ai.example.": "gjeqe526plbf1g8mklp59enfd789njgi",
    "ns1.example.": "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
    "ns2.example.": "q04jkcevqvmu85r014c7dkba38o0ji5r",
    "w.example.": "k8udemvp1j2f7eg6jebps17vp3n8i58h",
    "*.w.example.": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
    "x.w.example.": "b4um86eghhds6nea196smvmlo4ors995",
    "y.w.example.": "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
    "x.y.w.example.": "2vptu5timamqttgl4luu9kg21e0aor3s",
    "xx.example.": "t644ebqk9bibcna874givr6joj62mlhv",
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.": "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
    "X.Y.W.Example.": "2vptu5timamqttgl4luu9kg21e0aor3s",
  };
  const salt = Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd);
  for (const [name, hash] of Object.entries(hashes))
    assert.equal(base32hex(nsec3HashOf(parseName(name), salt, 12)), hash, name);
});

/** H(example), which covers c.x.w.example and c.example. */
const APEX = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom";
const HASH_NS1 = "2t7b4g4vsa5smi47k61mv5bv1a22bojr";
const HASH_A = "35mthgpgcu1qg68fab165klnsnk3dpvl";
const HASH_X_W = "b4um86eghhds6nea196smvmlo4ors995";
const HASH_W = "k8udemvp1j2f7eg6jebps17vp3n8i58h";
const HASH_Y_W = "ji6neoaepv8b5o6k4ev33abha8ht9fgc";
const HASH_NS2 = "q04jkcevqvmu85r014c7dkba38o0ji5r";
const HASH_WILDCARD = "r53bq7cc2uvmubfu5ocmm6pers9tk9en";

test("a name error needs encloser, next closer name and wildcard, and opt-out makes it insecure (RFC 5155 §B.1, §9.2) [5155-a]", async () => {
  const zone = nsec3Zone();
  const proofs = zone.proofs(APEX, HASH_X_W, HASH_A);
  const judge = (rest: readonly SignedRRset[]): Promise<DenialJudgement> =>
    zone.deny("a.c.x.w.example.", A, "nxdomain", rest);
  assert.deepEqual(await judge(proofs), { status: "insecure", errors: [], kind: "nxdomain" });
  await assertEachIsNeeded(proofs, judge);
});

test("a missing type needs the NSEC3 of the name (RFC 5155 §B.2) [5155-a]", async () => {
  const zone = nsec3Zone();
  const proofs = zone.proofs(HASH_NS1);
  assert.equal((await zone.deny("ns1.example.", MX, "nodata", proofs)).status, "secure");
  assert.equal((await zone.deny("ns1.example.", A, "nodata", proofs)).status, "bogus");
  assert.equal((await zone.deny("ns1.example.", MX, "nodata", zone.proofs(HASH_NS2))).status, "bogus");
  assert.equal((await zone.deny("ns1.example.", MX, "nxdomain", proofs)).kind, "nodata");
});

test("an empty non-terminal has an NSEC3 without types (RFC 5155 §B.2.1) [5155-a]", async () => {
  const zone = nsec3Zone();
  assert.equal((await zone.deny("y.w.example.", A, "nodata", zone.proofs(HASH_Y_W))).status, "secure");
  assert.equal((await zone.deny("y.w.example.", A, "nodata", zone.proofs(HASH_W))).status, "bogus");
});

test("a delegation in an opt-out span is insecure (RFC 5155 §B.3) [5155-a]", async () => {
  const proofs = nsec3Zone().proofs(HASH_A, APEX);
  const unsigned: SignedRRset = {
    owner: parseName("mc.c.example."),
    type: MX,
    ttlSeconds: 3600,
    rdatas: [Uint8Array.of(0, 50, 0)],
    signatures: [],
  };
  // RFC 5155 §B.3 shows 35mt… as the record that covers c.example.
  const zone = nsec3Zone({ "c.example.": proofs });
  assert.deepEqual(await zone.judge(unsigned), { status: "insecure", errors: [] });
  await assertEachIsNeeded(proofs, (rest) => nsec3Zone({ "c.example.": rest }).judge(unsigned));
});

test("an answer from a wildcard needs the NSEC3 of the next closer name (RFC 5155 §B.4, §9.2) [5155-a]", async () => {
  const zone = nsec3Zone();
  const rrset = setAt(zone.sets, "a.z.w.example.", MX);
  const proofs = zone.proofs(HASH_NS2);
  assert.deepEqual(await zone.judge(rrset, proofs), { status: "insecure", errors: [] });
  await assertEachIsNeeded(proofs, (rest) => zone.judge(rrset, rest));
  assert.equal((await zone.judge(rrset, zone.proofs(APEX, HASH_W, HASH_WILDCARD))).status, "bogus");
});

test("a missing type at a wildcard needs encloser, next closer name and wildcard (RFC 5155 §B.5) [5155-a]", async () => {
  const zone = nsec3Zone();
  const proofs = zone.proofs(HASH_W, HASH_NS2, HASH_WILDCARD);
  const judge = (rest: readonly SignedRRset[]): Promise<DenialJudgement> =>
    zone.deny("a.z.w.example.", AAAA, "nodata", rest);
  assert.equal((await judge(proofs)).status, "insecure");
  for (const left of [0, 1]) assert.equal((await judge(proofs.toSpliced(left, 1))).status, "bogus");
  // Without the wildcard's record the opt-out span still may hide an unsigned delegation (RFC 5155 §9.2).
  assert.equal((await judge(proofs.slice(0, 2))).status, "insecure");
  assert.equal((await zone.deny("a.z.w.example.", MX, "nodata", proofs)).status, "bogus");
});

test("a child's NSEC3 says nothing about its DS (RFC 5155 §B.6) [5155-a] [6840-4.4-a]", async () => {
  const zone = nsec3Zone();
  assert.equal((await zone.deny("example.", DS, "nodata", zone.proofs(APEX))).status, "bogus");
});

test("the zones of the RFCs are bogus after their time and before [4035-4-a]", async () => {
  const cases: [number, number][] = [
    [Date.UTC(2004, 3, 1) / 1000, EdeCode.SignatureNotYetValid],
    [Date.UTC(2004, 5, 1) / 1000, EdeCode.SignatureExpired],
  ];
  for (const [nowSeconds, code] of cases) {
    const zone = new RfcZone(RFC_4035_ZONE, nowSeconds);
    const verdict = await zone.judge(setAt(zone.sets, "ai.example.", A));
    assert.equal(verdict.status, "bogus");
    assert.equal(verdict.status === "bogus" ? verdict.errors[0]?.code : undefined, code);
  }
});
