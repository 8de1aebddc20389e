import assert from "node:assert/strict";
import { test } from "node:test";
import { type Name, parseName, parseRecord } from "@sotto/dns/wire";
import { Dnskey } from "./key.ts";
import { testKey } from "./test-signer.test-support.ts";
import {
  isAnchored,
  ROOT_ANCHORS,
  rootAnchors,
  type TrustAnchor,
  TrustAnchors,
  tryParseAnchor,
} from "./trust-anchors.ts";

const [ROOT, EXAMPLE, SUB] = [parseName("."), parseName("example."), parseName("sub.example.")];
const anchorAt = (zone: Name): TrustAnchor => ({ zone, ds: [], keys: [testKey().dnskey] });
const closest = (anchors: TrustAnchors, name: string): string | undefined =>
  anchors.closest(parseName(name))?.zone.toString();

test("the closest anchor counts, whatever the case [6840-5.10-a]", () => {
  const anchors = new TrustAnchors([anchorAt(ROOT), anchorAt(SUB)], []);
  assert.equal(closest(anchors, "."), ".");
  assert.equal(closest(anchors, "example."), ".");
  assert.equal(closest(anchors, "SUB.Example."), "sub.example.");
  assert.equal(closest(anchors, "a.b.sub.example."), "sub.example.");
  assert.equal(closest(anchors, "bsub.example."), ".");
  assert.equal(closest(new TrustAnchors([anchorAt(EXAMPLE)], []), "test."), undefined);
  assert.equal(closest(new TrustAnchors([], []), "example."), undefined);
});

test("an exception hides the anchors above it, and one at the same name, but none below (RFC 7646 §2)", () => {
  const anchors = new TrustAnchors([anchorAt(ROOT), anchorAt(EXAMPLE), anchorAt(SUB)], [EXAMPLE]);
  assert.equal(closest(anchors, "test."), ".");
  assert.equal(closest(anchors, "example."), undefined);
  assert.equal(closest(anchors, "x.example."), undefined);
  assert.equal(closest(anchors, "x.sub.example."), "sub.example.");
  assert.equal(closest(new TrustAnchors([anchorAt(ROOT)], [ROOT]), "example."), undefined);
});

test("anchors of one zone are put together", () => {
  const other = { zone: EXAMPLE, ds: [], keys: [testKey({ seed: "other" }).dnskey] };
  const anchors = new TrustAnchors([anchorAt(EXAMPLE), other, anchorAt(SUB)], []);
  assert.equal(anchors.at(EXAMPLE)?.keys.length, 2);
  assert.deepEqual(anchors.zones.map(String), ["example.", "sub.example."]);
  anchors.replace(EXAMPLE, other);
  assert.equal(anchors.at(EXAMPLE)?.keys.length, 1);
  anchors.replace(EXAMPLE, undefined);
  assert.equal(anchors.at(EXAMPLE), undefined);
  anchors.replace(parseName("new."), anchorAt(parseName("new.")));
  assert.equal(closest(anchors, "x.new."), "new.");
});

test("an anchor is read from a DS or a DNSKEY record, and from nothing else", () => {
  const ds = tryParseAnchor("example. IN DS 12345 13 2 00");
  assert.ok(ds.ok);
  assert.deepEqual([ds.value.ds[0]?.keyTag, ds.value.keys.length], [12345, 0]);
  const key = tryParseAnchor("example. 3600 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=");
  assert.ok(key.ok);
  assert.deepEqual([key.value.keys[0]?.tag, key.value.ds.length], [3613, 0]);
  for (const text of [
    "example. A 192.0.2.1",
    "example. IN DS",
    "",
    "example. IN CDS 1 13 2 00",
    "not a record",
  ])
    assert.equal(tryParseAnchor(text).ok, false, text);
});

test("the root's keys are the two of IANA, and a digest stands for a key as it is", () => {
  const anchors = rootAnchors();
  assert.equal(ROOT_ANCHORS.length, 2);
  assert.deepEqual(
    anchors.map(({ zone, ds }) => `${zone} ${ds[0]?.keyTag} ${ds[0]?.algorithm} ${ds[0]?.digestType}`),
    [". 20326 8 2", ". 38696 8 2"],
  );
  // The root's key-signing key of 2017, as the root published it.
  const { rdata } = parseRecord(
    ". 172800 IN DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU=",
  );
  const key = new Dnskey(rdata);
  assert.equal(key.tag, 20326);
  assert.deepEqual(
    anchors.map((anchor) => isAnchored(anchor, key)),
    [true, false],
  );
  const changed = rdata.slice();
  changed[100] = (changed[100] ?? 0) ^ 1;
  assert.equal(
    anchors.some((anchor) => isAnchored(anchor, new Dnskey(changed))),
    false,
  );
});
