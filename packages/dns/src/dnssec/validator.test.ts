import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName, RRType } from "@sotto/dns/wire";
import {
  SIGNING_FLAWS,
  type SigningFlaw,
  type SigningFlawName,
} from "../testing/fake-internet/signing-flaws.ts";
import {
  type ClientOptions,
  told,
  WorldClient,
  type ZonePlan,
  ZoneWorld,
} from "./zone-world.test-support.ts";

const { A, AAAA, DNSKEY, DS, MX, NS, SOA, TXT } = RRType;

const ADDRESSES = "www A 192.0.2.1\n*.wild A 192.0.2.2\nalias CNAME www\nempty.deep TXT x\n";

/** A root, `example.` below it, and `sub.example.` with what the test is about. */
function family(sub: Partial<ZonePlan> = {}, example: Partial<ZonePlan> = {}): ZoneWorld {
  return new ZoneWorld([
    { origin: "." },
    { origin: "example.", text: ADDRESSES, ...example },
    { origin: "sub.example.", text: ADDRESSES, ...sub },
  ]);
}

function clientOf(sub: Partial<ZonePlan> = {}, options: ClientOptions = {}): WorldClient {
  return new WorldClient(family(sub), options);
}

const NSEC3S = [{}, { iterations: 12, salt: "aabbccdd" }] as const;

for (const denial of ["nsec", ...NSEC3S] as const) {
  const name = denial === "nsec" ? "NSEC" : `NSEC3 ${JSON.stringify(denial)}`;
  test(`answers and denials of a signed zone are secure: ${name} [4035-4-a]`, async () => {
    const client = clientOf({ denial });
    const cases: [string, RRType, "answer" | "nxdomain" | "nodata"][] = [
      ["www.sub.example.", A, "answer"],
      ["WWW.Sub.Example.", A, "answer"],
      ["x.wild.sub.example.", A, "answer"],
      ["a.b.wild.sub.example.", A, "answer"],
      ["*.wild.sub.example.", A, "answer"],
      ["alias.sub.example.", A, "answer"],
      ["sub.example.", SOA, "answer"],
      ["sub.example.", NS, "answer"],
      ["sub.example.", DNSKEY, "answer"],
      ["sub.example.", DS, "answer"],
      ["alias.sub.example.", AAAA, "nodata"],
      ["www.sub.example.", AAAA, "nodata"],
      ["www.sub.example.", DS, "nodata"],
      ["x.wild.sub.example.", AAAA, "nodata"],
      ["wild.sub.example.", A, "nodata"],
      ["deep.sub.example.", A, "nodata"],
      ["sub.example.", MX, "nodata"],
      ["nothing.sub.example.", A, "nxdomain"],
      ["a.b.nothing.sub.example.", A, "nxdomain"],
      ["x.www.sub.example.", A, "nxdomain"],
      ["x.deep.sub.example.", TXT, "nxdomain"],
      ["nothing.sub.example.", DS, "nxdomain"],
    ];
    for (const [qname, qtype, kind] of cases) {
      const judged = await client.judge(qname, qtype);
      assert.equal(told(judged), "secure", `${qname} ${qtype}`);
      assert.equal(judged.kind, kind, `${qname} ${qtype}`);
    }
  });
}

test("keys and DS are asked for once per zone, from the signer up to the anchor", async () => {
  const client = clientOf();
  await client.judge("www.sub.example.");
  assert.deepEqual(client.asked, [
    "sub.example. DS",
    "example. DS",
    ". DNSKEY",
    "example. DNSKEY",
    "sub.example. DNSKEY",
  ]);
  await client.judge("x.wild.sub.example.");
  await client.judge("www.example.", AAAA);
  assert.equal(client.asked.length, 5);
  assert.equal(client.validator.zoneCount, 3);
});

test("what was found out is forgotten below a flushed name, and when its TTL is over", async () => {
  const client = clientOf();
  await client.judge("www.sub.example.");
  client.validator.flush(parseName("sub.example."));
  assert.equal(client.validator.zoneCount, 2);
  await client.judge("www.sub.example.");
  assert.deepEqual(client.asked.slice(5), ["sub.example. DS", "sub.example. DNSKEY"]);
  client.uptimeSeconds += 299;
  await client.judge("www.sub.example.");
  assert.equal(client.asked.length, 7);
  client.uptimeSeconds += 1;
  await client.judge("www.sub.example.");
  assert.equal(client.asked.length, 12);
});

const FLAWS: Record<SigningFlawName, string> = {
  expired: "bogus 7",
  "not yet valid": "bogus 8",
  "ends before it begins": "bogus 25",
  "keys expired": "bogus 7",
  "one of two expired": "secure",
  "wrong key": "bogus 6",
  "no signatures": "bogus 10",
  "addresses unsigned": "bogus 10",
  "denials unsigned": "secure",
  "SOA unsigned": "secure",
  "keys unsigned": "bogus 10",
  "addresses corrupt": "bogus 6",
  "denials corrupt": "secure",
  "too many labels": "bogus 6",
  "too few labels": "bogus 12",
  // Who signs for the zone above could sign another DS, too, and a signature does not tell where zones end.
  "signed by the zone above": "secure",
  "signer below": "bogus 10",
  "TTL raised": "secure",
  "crowd of keys": "bogus 6",
  "crowd of signatures": "bogus 6",
  "denials do not cover": "secure",
  "denials of other names": "secure",
};

test("each way to sign an address wrongly has its verdict and its code [4035-4-a]", async () => {
  for (const [name, expected] of Object.entries(FLAWS)) {
    const flaw = SIGNING_FLAWS[name as SigningFlawName]; // The keys of FLAWS are the names of flaws.
    assert.equal(told(await clientOf({ flaw }).judge("www.sub.example.")), expected, name);
  }
});

test("that nobody else can be asked for keys or DS does not hide what was wrong with them", async () => {
  const cases: readonly [flaw: SigningFlaw, type: number, expected: string, takesStripped?: boolean][] = [
    [SIGNING_FLAWS.expired, DNSKEY, "bogus 7"],
    [SIGNING_FLAWS["keys unsigned"], DNSKEY, "bogus 10"],
    // Taking stripped zones for unsigned must not make bogus ones insecure.
    [SIGNING_FLAWS.expired, DNSKEY, "bogus 7", true],
  ];
  for (const [flaw, type, expected, takesStripped = false] of cases) {
    let asked = 0;
    const client = clientOf(
      { flaw },
      {
        takesStripped,
        tamper: (reply) => {
          const [question] = reply.questions;
          const isIt = question?.type === type && question.name.toString() === "sub.example.";
          return isIt && ++asked > 1 ? { ...reply, rcode: 2, answers: [], authorities: [] } : reply;
        },
      },
    );
    assert.equal(told(await client.judge("www.sub.example.")), expected);
    assert.ok(asked > 1, "asked again");
  }
});
