import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { octetsToHex } from "@sotto/dns/wire";
import { anchorAt, tryReadAnchorsXml } from "./anchors-xml.ts";
import { CeremonyKey } from "./key-ceremony.test-support.ts";
import { rootAnchors } from "./trust-anchors.ts";

/** The form that IANA publishes, with the digests of the root's first keys. */
const SAMPLE = `<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment -->
<TrustAnchor id="0C05FDD6-422C-4910-8ED6-430ED15E11C2" source="http://data.iana.org/root-anchors/root-anchors.xml">
  <Zone>.</Zone>
  <KeyDigest id="Kjqmt7v" validFrom="2010-07-15T00:00:00+00:00" validUntil="2019-01-11T00:00:00+00:00">
    <KeyTag>19036</KeyTag>
    <Algorithm>8</Algorithm>
    <DigestType>2</DigestType>
    <Digest>49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5</Digest>
  </KeyDigest>
  <KeyDigest id="Klajeyz" validFrom="2017-02-02T00:00:00+00:00">
    <KeyTag>20326</KeyTag>
    <Algorithm>8</Algorithm>
    <DigestType>2</DigestType>
    <Digest>E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D</Digest>
  </KeyDigest>
  <KeyDigest validFrom='2024-07-18T00:00:00Z' id='Kmyv6jo'>
    <KeyTag>38696</KeyTag>
    <Algorithm>8</Algorithm>
    <DigestType>2</DigestType>
    <Digest>683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16</Digest>
  </KeyDigest>
</TrustAnchor>
`;

function secondsOf(text: string): number {
  return Date.parse(text) / 1000;
}

function tagsAt(text: string, moment: string): number[] {
  const read = tryReadAnchorsXml(text);
  assert.ok(read.ok, JSON.stringify(read));
  return anchorAt(read.value, secondsOf(moment)).ds.map(({ keyTag }) => keyTag);
}

test("only the digests that are valid at the time are trusted [9718-2.2]", () => {
  assert.deepEqual(tagsAt(SAMPLE, "2010-07-14T23:59:59Z"), []);
  assert.deepEqual(tagsAt(SAMPLE, "2010-07-15T00:00:00Z"), [19036]);
  assert.deepEqual(tagsAt(SAMPLE, "2019-01-10T23:59:59Z"), [19036, 20326]);
  assert.deepEqual(tagsAt(SAMPLE, "2019-01-11T00:00:00Z"), [20326]);
  assert.deepEqual(tagsAt(SAMPLE, "2026-01-01T00:00:00Z"), [20326, 38696]);
});

test("the built-in anchors are those of the file", () => {
  const read = tryReadAnchorsXml(SAMPLE);
  assert.ok(read.ok);
  const published = anchorAt(read.value, secondsOf("2026-01-01T00:00:00Z"));
  assert.deepEqual(
    published.ds,
    rootAnchors().flatMap(({ ds }) => ds),
  );
});

test("moments have zones [9718-2.2]", () => {
  const text = SAMPLE.replace("2017-02-02T00:00:00+00:00", "2017-02-02T00:00:00-05:00");
  assert.deepEqual(tagsAt(text, "2017-02-02T04:59:59Z"), [19036]);
  assert.deepEqual(tagsAt(text, "2017-02-02T05:00:00Z"), [19036, 20326]);
});

test("a key that stands beside its digest must be the one", () => {
  const { dnskey } = new CeremonyKey("published");
  const digest = octetsToHex(createHash("sha256").update(Uint8Array.of(0)).update(dnskey.rdata).digest());
  const publicKey = Buffer.from(dnskey.rdata.subarray(4)).toString("base64");
  const file = (digestText: string, parts: string): string =>
    `<TrustAnchor id="a" source="b"><Zone>.</Zone><KeyDigest id="c" validFrom="2024-07-18T00:00:00Z"><KeyTag>${dnskey.tag}</KeyTag><Algorithm>15</Algorithm><DigestType>2</DigestType><Digest>${digestText}</Digest>${parts}</KeyDigest></TrustAnchor>`;
  const whole = `<PublicKey>${publicKey.slice(0, 20)}\n ${publicKey.slice(20)}</PublicKey><Flags>257</Flags>`;
  assert.deepEqual(tagsAt(file(digest, whole), "2026-01-01T00:00:00Z"), [dnskey.tag]);
  const cases: [string, string, RegExp][] = [
    ["00".repeat(32), whole, /Digest is not that of PublicKey/],
    [digest, whole.replace("257", "256"), /Digest is not that of PublicKey/],
    [digest, "<Flags>257</Flags>", /there is only one/],
    [digest, whole.replace("257", "ksk"), /malformed/],
  ];
  for (const [digestText, parts, expected] of cases) {
    const read = tryReadAnchorsXml(file(digestText, parts));
    assert.match(read.ok ? "read" : read.problem, expected);
  }
});

test("whatever the form does not define is a problem", () => {
  const cases: [string, string, RegExp][] = [
    ["<TrustAnchor ", '<!DOCTYPE a [<!ENTITY b "c">]><TrustAnchor ', /markup that is not read/],
    ["<Zone>.<", "<Zone>&dot;<", /entities are not read/],
    ["<Zone>.<", "<Zone><![CDATA[.]]><", /markup that is not read/],
    ["<Zone>.<", "<?php?><Zone>.<", /markup that is not read/],
    ["<Zone>.</Zone>", "", /not exactly one Zone/],
    ["<Zone>.</Zone>", "<Zone>.</Zone><Zone>example.</Zone>", /not exactly one Zone/],
    ["<Zone>", '<Zone lang="en">', /Zone has attributes/],
    ["<Zone>.", "text<Zone>.", /TrustAnchor has text beside/],
    ["<KeyTag>19036</KeyTag>", "", /missing or malformed/],
    ["<KeyTag>19036", "<KeyTag>99999", /./],
    ["<KeyTag>19036", "<KeyTag>19036 8", /missing or malformed/],
    ["<KeyTag>19036</KeyTag>", "<KeyTag>19036</KeyTag><KeyTag>1</KeyTag>", /stands there twice/],
    ["<KeyTag>19036</KeyTag>", "<KeyTag>19036</KeyTag><Colour>red</Colour>", /has an element Colour/],
    ["<KeyTag>19036</KeyTag>", "<KeyTag><b>19036</b></KeyTag>", /nested too deep/],
    ["49AAC1", "49AAC", /KeyDigest Kjqmt7v/],
    ['validFrom="2010-07-15T00:00:00+00:00"', "", /validFrom/],
    ["2010-07-15T00:00:00+00:00", "2010-07-15T00:00:00", /validFrom "2010-07-15T00:00:00" is not a moment/],
    ["2010-07-15T00:00:00+00:00", "2010-13-15T00:00:00Z", /is not a moment/],
    ['validFrom="2010', 'validFrom="x" validFrom="2010', /malformed attributes/],
    ["validUntil", "validTill", /has an attribute validTill/],
    ["</TrustAnchor>", "", /TrustAnchor does not end/],
    ["</TrustAnchor>", "</TrustAnchor><TrustAnchor/>", /follows the outermost/],
    ["</TrustAnchor>", "</KeyDigest>", /ends where it did not begin/],
    ["</Zone>", "</Zone", /./],
    ["a comment --", "a comment", /comment does not end/],
    ["</TrustAnchor>", `${"<Zone/>".repeat(1001)}</TrustAnchor>`, /more than 1000 elements/],
    ["</TrustAnchor>", `${" ".repeat(200_000)}</TrustAnchor>`, /longer than/],
  ];
  for (const [from, to, expected] of cases) {
    assert.ok(SAMPLE.includes(from), from);
    const read = tryReadAnchorsXml(SAMPLE.replace(from, to));
    assert.match(read.ok ? "read" : read.problem, expected, to.slice(0, 60));
  }
  for (const text of ["", "no markup", "<", "<a", "<!--", "<TrustAnchor/>"])
    assert.equal(tryReadAnchorsXml(text).ok, false, text);
});

test("every file that is cut short is a problem", () => {
  const { length } = SAMPLE.trimEnd();
  for (let end = 0; end < length; end++) assert.equal(tryReadAnchorsXml(SAMPLE.slice(0, end)).ok, false);
});
