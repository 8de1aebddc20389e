import assert from "node:assert/strict";
import { test } from "node:test";
import { Name, parseName, RRClass, RRType, tryReadKeyTag } from "@sotto/dns/wire";
import { keyTagOption, keyTagQuestion, keyTagsOf, SignalSchedule } from "./anchor-signals.ts";
import { CeremonyKey, DAY, dsAnchor, keyAnchor, START_SECONDS, ZONE } from "./key-ceremony.test-support.ts";
import { rootAnchors, type TrustAnchor, TrustAnchors } from "./trust-anchors.ts";

function rootAnchor(): TrustAnchor {
  return { zone: Name.root, ds: rootAnchors().flatMap(({ ds }) => ds), keys: [] };
}

/** An anchor with these tags. */
function anchorOfTags(tags: readonly number[], zone = Name.root): TrustAnchor {
  return {
    zone,
    ds: tags.map((keyTag) => ({ keyTag, algorithm: 8, digestType: 2, digest: new Uint8Array(32) })),
    keys: [],
  };
}

test("key tags are told in order, each once, of digests and of keys", () => {
  const [one, two] = [new CeremonyKey("one"), new CeremonyKey("two")];
  const anchor = { zone: ZONE, ds: dsAnchor([one, two]).ds, keys: keyAnchor([two]).keys };
  assert.deepEqual(
    keyTagsOf(anchor),
    [one.tag, two.tag].sort((a, b) => a - b),
  );
});

test("a DNSKEY query for the zone of an anchor has the option, all others have not [8145-4.2]", () => {
  const anchors = new TrustAnchors([rootAnchor()], []);
  const option = keyTagOption({ name: Name.root, type: RRType.DNSKEY }, anchors);
  assert.deepEqual(tryReadKeyTag(option?.data ?? new Uint8Array(0)), { ok: true, value: [20326, 38696] });
  assert.equal(keyTagOption({ name: Name.root, type: RRType.NS }, anchors), undefined);
  assert.equal(keyTagOption({ name: parseName("example."), type: RRType.DNSKEY }, anchors), undefined);
});

test("the query's name is the tags in hexadecimal, ascending, four digits each [8145-5]", () => {
  const cases: [TrustAnchor, string][] = [
    [rootAnchor(), "_ta-4f66-9728."],
    [anchorOfTags([0x4f66, 0x4a5c]), "_ta-4a5c-4f66."],
    [anchorOfTags([7], parseName("Example.")), "_ta-0007.Example."],
    [
      anchorOfTags(Array.from({ length: 13 }, (_, i) => i)),
      "_ta-0000-0001-0002-0003-0004-0005-0006-0007-0008-0009-000a-000b.",
    ],
  ];
  for (const [anchor, name] of cases) {
    const question = keyTagQuestion(anchor);
    assert.equal(question?.name.toString(), name);
    assert.deepEqual([question?.type, question?.class], [RRType.NULL, RRClass.IN]);
  }
  assert.equal(keyTagQuestion(anchorOfTags([])), undefined);
  const long = parseName(`${"a".repeat(60)}.`.repeat(4));
  assert.equal(keyTagQuestion(anchorOfTags([1, 2], long)), undefined, "no room for the label");
});

test("tags are told once a day and when they change, for each zone by itself [8145-5]", () => {
  const schedule = new SignalSchedule();
  const take = (tags: readonly number[], seconds: number, zone = Name.root): string | undefined =>
    schedule.take(anchorOfTags(tags, zone), START_SECONDS + seconds)?.name.toString();
  assert.equal(take([1], 0), "_ta-0001.");
  assert.equal(take([1], 0, ZONE), "_ta-0001.example.");
  assert.equal(take([1], DAY - 1), undefined);
  assert.equal(take([1, 2], DAY - 1), "_ta-0001-0002.");
  assert.equal(take([2, 1], DAY), undefined);
  assert.equal(take([1, 2], 2 * DAY), "_ta-0001-0002.");
  assert.equal(take([1, 2], -100 * DAY), "_ta-0001-0002.", "the clock was set back");
});
