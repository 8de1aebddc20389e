import assert from "node:assert/strict";
import { test } from "node:test";
import { EdeCode, type Message, type Name, parseName, RRType } from "@sotto/dns/wire";
import { signedSetsOf } from "./rfc-zones.test-support.ts";
import { APEX, KEY_PLAN, signatureOver, testKey } from "./test-signer.test-support.ts";
import type { TrustAnchor } from "./trust-anchors.ts";
import { type ClientOptions, told, WorldClient, ZoneWorld } from "./zone-world.test-support.ts";

const { A, AAAA, CNAME, DNSKEY, DS, RRSIG } = RRType;
const TEXT = "www A 192.0.2.1\n";

/** Root and `example.` are signed; `island.` is not, but `deep.island.` below it is. */
const ISLANDS = new ZoneWorld([
  { origin: "." },
  { origin: "example.", text: TEXT },
  { origin: "sub.example.", text: TEXT },
  { origin: "island.", text: TEXT, keys: [] },
  { origin: "deep.island.", text: TEXT },
]);

function clientOf(anchors: readonly string[], options: ClientOptions = {}, world = ISLANDS): WorldClient {
  return new WorldClient(world, { anchors: anchors.map((zone) => world.anchor(zone)), ...options });
}

/** Puts a signature in front that nobody can check, which claims to be made by `signer`. */
function claimedBy(signer: string): (reply: Message) => Message {
  return (reply) => {
    const claims = [...reply.answers, ...reply.authorities]
      .filter(({ type }) => type !== RRSIG && type !== CNAME)
      .map((record) => {
        const [set] = signedSetsOf([record]);
        assert.ok(set !== undefined);
        const rdata = signatureOver(set, testKey(), { signerName: parseName(signer) });
        return { ...record, type: RRSIG, rdata };
      });
    const isSigned = (name: Name): boolean => claims.some(({ owner }) => owner.equals(name));
    const without = (records: Message["answers"]): Message["answers"] =>
      records.filter(({ type, owner }) => type !== RRSIG || !isSigned(owner));
    const sets = reply.answers.length > 0 ? "answers" : "authorities";
    return {
      ...reply,
      answers: without(reply.answers),
      authorities: without(reply.authorities),
      [sets]: [...claims, ...without(reply[sets])],
    };
  };
}

test("without an anchor above it a name is indeterminate, and nothing is asked (RFC 4033 §5)", async () => {
  const client = clientOf(["example."]);
  assert.equal(told(await client.judge("www.island.")), "indeterminate");
  assert.equal(told(await client.judge("nothing.island.")), "indeterminate");
  assert.equal(told(await client.judge("www.deep.island.")), "indeterminate");
  assert.deepEqual(client.asked, []);
});

test("an island below an unsigned zone is secure by its own anchor [6840-5.10-a]", async () => {
  const client = clientOf([".", "deep.island."]);
  assert.equal(told(await client.judge("www.deep.island.")), "secure");
  assert.equal(told(await client.judge("nothing.deep.island.")), "secure");
  assert.equal(told(await client.judge("www.island.")), "insecure");
  assert.equal(told(await clientOf(["."]).judge("www.deep.island.")), "insecure");
});

/**
 * Whoever answers could write a signature that names a zone above the anchor, which is unsigned or has no anchor, and
 * what the anchor stands for was taken as insecure or indeterminate.
 */
test("a signature that names a zone above the anchor excuses nothing [6840-5.10-a]", async () => {
  const anchorsOf: Record<string, readonly string[]> = {
    "island.": [".", "deep.island."],
    ".": ["deep.island."],
  };
  for (const [signer, anchors] of Object.entries(anchorsOf))
    for (const qname of ["www.deep.island.", "deep.island.", "nothing.deep.island."])
      for (const qtype of [A, AAAA, DNSKEY]) {
        const judged = await clientOf(anchors).judge(qname, qtype, claimedBy(signer));
        assert.equal(judged.verdict.status, "bogus", `${qname} ${qtype} by ${signer}`);
      }
});

test("a DS that a zone above the anchor signs excuses nothing below the anchor [6840-5.10-a]", async () => {
  const world = new ZoneWorld([
    { origin: "." },
    { origin: "island.", text: TEXT, keys: [] },
    { origin: "deep.island.", text: TEXT },
    { origin: "sub.deep.island.", text: TEXT },
  ]);
  for (const [signer, anchors] of [
    ["island.", [".", "deep.island."]],
    [".", ["deep.island."]],
  ] as const) {
    const tamper = (reply: Message): Message =>
      reply.questions[0]?.type === DS ? claimedBy(signer)(reply) : reply;
    const client = clientOf(anchors, { tamper }, world);
    assert.equal((await client.judge("www.sub.deep.island.")).verdict.status, "bogus", signer);
    const unsigned = (reply: Message): Message => ({
      ...reply,
      answers: reply.answers.filter(({ type }) => type !== RRSIG),
    });
    const other = clientOf(anchors, { tamper }, world);
    assert.equal((await other.judge("www.sub.deep.island.", A, unsigned)).verdict.status, "bogus", signer);
  }
});

test("the closest anchor decides, not the DS that the zone above has [6840-5.10-a]", async () => {
  const other: TrustAnchor = {
    zone: parseName("sub.example."),
    ds: [],
    keys: [testKey({ seed: "another" }).dnskey],
  };
  const client = new WorldClient(ISLANDS, { anchors: [ISLANDS.anchor("."), other] });
  assert.equal(told(await client.judge("www.example.")), "secure");
  assert.equal(told(await client.judge("www.sub.example.")), "bogus 9");
  assert.deepEqual(
    client.asked.filter((what) => what === "sub.example. DS"),
    [],
  );
});

test("what an anchor's zone has is not vouched for by the zone above [6840-5.10-a]", async () => {
  const client = clientOf([".", "example."]);
  const bySigner =
    (signer: Name, plan = KEY_PLAN) =>
    (reply: Message): Message => ({
      ...reply,
      answers: signedSetsOf(reply.answers).flatMap((set) => {
        const rdata = signatureOver(set, testKey(plan), { signerName: signer });
        const records = set.rdatas.map((one) => ({
          owner: set.owner,
          type: set.type,
          class: 1,
          ttl: set.ttlSeconds,
          rdata: one,
        }));
        return [...records, { owner: set.owner, type: RRSIG, class: 1, ttl: set.ttlSeconds, rdata }];
      }),
    });
  assert.equal(told(await client.judge("www.example.", A, bySigner(APEX))), "secure");
  assert.equal((await client.judge("www.example.", A, bySigner(parseName(".")))).verdict.status, "bogus");
});

test("the DS of an anchor's zone is the zone above's to sign [6840-5.10-a]", async () => {
  const client = clientOf([".", "example.", "sub.example."]);
  assert.equal(told(await client.judge("sub.example.", DS)), "secure");
  assert.equal(told(await client.judge("example.", DS)), "secure");
  const alone = clientOf(["sub.example."]);
  assert.equal(told(await alone.judge("sub.example.", DS)), "indeterminate");
});

test("an exception makes all below it indeterminate, except below a closer anchor (RFC 7646 §2)", async () => {
  const client = clientOf([".", "sub.example."], { exceptions: ["example."] });
  assert.equal(told(await client.judge("www.example.")), "indeterminate");
  assert.equal(told(await client.judge("nothing.example.")), "indeterminate");
  assert.equal(told(await client.judge("example.", DNSKEY)), "indeterminate");
  assert.equal(told(await client.judge("www.sub.example.")), "secure");
  assert.equal(told(await client.judge("example.", DS)), "secure");
  assert.equal(told(await client.judge("nothing.")), "secure");
  const below = clientOf(["."], { exceptions: ["sub.example."] });
  assert.equal(told(await below.judge("www.sub.example.")), "indeterminate");
  assert.equal(told(await below.judge("www.example.")), "secure");
});

/** The name of an exception need not be a zone: operators write what failed. */
test("an exception for a name inside a zone counts although the zone signs it (RFC 7646 §2)", async () => {
  const client = clientOf(["."], { exceptions: ["www.example."] });
  const broken = (reply: Message): Message => ({
    ...reply,
    answers: reply.answers.map((record) =>
      record.type === RRSIG
        ? { ...record, rdata: record.rdata.with(40, (record.rdata[40] ?? 0) ^ 1) }
        : record,
    ),
  });
  assert.equal(told(await client.judge("www.example.", A, broken)), "indeterminate");
  assert.equal(told(await client.judge("www.example.", AAAA)), "indeterminate");
  assert.equal(told(await client.judge("x.www.example.", AAAA)), "indeterminate");
  assert.equal((await client.judge("sub.example.", DS, broken)).verdict.status, "bogus");
});

test("an anchor of unknown algorithms or digests leaves its zone insecure, with the reason", async () => {
  const world = new ZoneWorld([{ origin: "example.", text: TEXT }]);
  const [right] = world.anchor("example.").ds;
  assert.ok(right !== undefined);
  const cases: [string, Partial<typeof right>, string][] = [
    ["algorithm", { algorithm: 253 }, "insecure 1"],
    ["algorithm and digest", { algorithm: 253, digestType: 250 }, "insecure 1"],
    ["digest", { digestType: 250 }, "insecure 2"],
  ];
  for (const [name, parts, expected] of cases) {
    const anchor: TrustAnchor = { zone: APEX, ds: [{ ...right, ...parts }], keys: [] };
    assert.equal(
      told(await new WorldClient(world, { anchors: [anchor] }).judge("www.example.")),
      expected,
      name,
    );
    const both: TrustAnchor = { ...anchor, ds: [...anchor.ds, right] };
    assert.equal(
      told(await new WorldClient(world, { anchors: [both] }).judge("www.example.")),
      "secure",
      name,
    );
  }
});

test("an anchor without keys and digests makes its zone bogus (RFC 5011 §5)", async () => {
  const client = clientOf([], { anchors: [{ zone: APEX, ds: [], keys: [] }] });
  assert.equal(told(await client.judge("www.example.")), "bogus 9");
});

test("anchors by key, by digest, and several of them are all good", async () => {
  const world = new ZoneWorld([{ origin: "example.", text: TEXT }]);
  const stranger = testKey({ seed: "stranger" }).dnskey;
  const known = testKey().dnskey;
  const byDigest = world.anchor("example.");
  const anchors: TrustAnchor[][] = [
    [byDigest],
    [{ zone: APEX, ds: [], keys: [known] }],
    [{ zone: APEX, ds: [], keys: [stranger, known] }],
    [{ zone: APEX, ds: [], keys: [stranger] }, byDigest],
    [byDigest, { zone: APEX, ds: [], keys: [stranger] }],
    [world.anchor("example.", [{ digestType: 1 }])],
    [world.anchor("example.", [{ digestType: 4 }])],
  ];
  for (const one of anchors)
    assert.equal(told(await new WorldClient(world, { anchors: one }).judge("www.example.")), "secure");
  const wrong = [{ zone: APEX, ds: [], keys: [stranger] }];
  assert.equal(told(await new WorldClient(world, { anchors: wrong }).judge("www.example.")), "bogus 9");
});

test("an anchor of which the zone says that it is revoked does not count (RFC 5011 §2.1)", async () => {
  const revoked = { ...KEY_PLAN, flags: 257 | 0x80 };
  const world = new ZoneWorld([{ origin: "example.", text: TEXT, keys: [revoked] }]);
  assert.equal(told(await new WorldClient(world).judge("www.example.")), "bogus 9");
});

test("an anchor that is replaced counts from then on, for what is not known yet", async () => {
  const client = clientOf(["example."]);
  assert.equal(told(await client.judge("www.example.")), "secure");
  client.validator.anchors.replace(APEX, { zone: APEX, ds: [], keys: [] });
  client.validator.flush(APEX);
  const judged = await client.judge("www.example.");
  assert.deepEqual(
    judged.verdict.status === "bogus" && judged.verdict.errors[0]?.code,
    EdeCode.DnskeyMissing,
  );
  client.validator.anchors.replace(APEX, undefined);
  client.validator.flush(APEX);
  assert.equal(told(await client.judge("www.example.")), "indeterminate");
});

test("a zone is expected to be signed when an anchor or a usable DS says so", () => {
  const { validator } = clientOf([".", "deep.island."], { exceptions: ["sub.example."] });
  const ds = (origin: string): ReturnType<typeof signedSetsOf>[number] | undefined =>
    signedSetsOf(ISLANDS.reply(parseName(origin), DS).answers)[0];
  assert.equal(validator.expectsSignatures(parseName("."), undefined), true);
  assert.equal(validator.expectsSignatures(parseName("example."), ds("example.")), true);
  assert.equal(validator.expectsSignatures(parseName("example."), undefined), false);
  assert.equal(validator.expectsSignatures(parseName("island."), ds("island.")), false);
  assert.equal(validator.expectsSignatures(parseName("deep.island."), undefined), true);
  assert.equal(validator.expectsSignatures(parseName("sub.example."), ds("sub.example.")), false);
});
