import assert from "node:assert/strict";
import { test } from "node:test";
import { RRType } from "@sotto/dns/wire";
import { tryReadScenario } from "./read-scenario.ts";

const scenario = (zone: string, step = "") => `CONFIG_END
SCENARIO_BEGIN zones
RANGE_BEGIN 0 9
ADDRESS 192.0.2.1
${zone}
RANGE_END
${step}
SCENARIO_END
`;

test("a zone of a scenario is signed at load, with its anchor and the DS records of the zones below", () => {
  const read = tryReadScenario(
    scenario(`ZONE_BEGIN example. key=csk:13 anchor=dnskey
@ NS ns
below NS ns
bare NS ns
island NS ns
ZONE_END
ZONE_BEGIN below.example. key=ksk:15 key=zsk:13 ds=2,4
ZONE_END
ZONE_BEGIN island.example. key=csk:13 ds=none
ZONE_END
ZONE_BEGIN bare.example.
ZONE_END`),
  );
  assert.ok(read.ok, read.ok ? "" : read.problem);
  assert.deepEqual(
    read.value.anchors.map(({ owner, type }) => [owner.toString(), type]),
    [["example.", RRType.DNSKEY]],
  );
  const zone = read.value.ranges[0]?.zones[0]?.zone;
  const signersOf = (label: string): number =>
    [...(zone?.nodes ?? [])]
      .find(({ owner }) => owner.toString() === `${label}.example.`)
      ?.rrsets.get(RRType.DS)?.length ?? 0;
  assert.deepEqual([signersOf("below"), signersOf("island"), signersOf("bare")], [2, 0, 0]);
});

test("SIGNED stands for signatures, those of wildcards too", () => {
  const step = (name: string) => `STEP 1 CHECK_ANSWER
ENTRY_BEGIN
REPLY QR
SECTION ANSWER
${name} SIGNED TXT
ENTRY_END`;
  const zone = `ZONE_BEGIN example. key=csk:13
www TXT "x"
*.wild TXT "y"
ZONE_END`;
  for (const name of ["www.example.", "a.wild.example."]) {
    const read = tryReadScenario(scenario(zone, step(name)));
    assert.ok(read.ok);
    const [record] = read.value.steps[0]?.entry?.answers ?? [];
    assert.deepEqual([record?.owner.toString(), record?.type], [name, RRType.RRSIG]);
  }
  const read = tryReadScenario(scenario(zone, step("none.example.")));
  assert.match(read.ok ? "" : read.problem, /^line \d+: no zone has signatures over none.example. TXT$/);
});

test("what cannot be understood about a zone is a problem", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["ZONE_BEGIN example. key=boss:13\nZONE_END", /unknown role: key=boss:13/],
    ["ZONE_BEGIN example. denial=maybe\nZONE_END", /unknown denial/],
    ["ZONE_BEGIN example. ds=perhaps\nZONE_END", /unknown DS/],
    ["ZONE_BEGIN example. flaw=none-at-all\nZONE_END", /unknown flaw/],
    ["ZONE_BEGIN example. answers=well\nZONE_END", /unknown flaw of answers/],
    ["ZONE_BEGIN example. anchor=iron\nZONE_END", /unknown anchor/],
    ["ZONE_BEGIN example. colour=red\nZONE_END", /unknown word: colour=red/],
    ["ZONE_BEGIN example.\nwww A somewhere\nZONE_END", /somewhere/],
    ["ZONE_BEGIN example.\n", /there is no ZONE_END/],
  ];
  for (const [zone, expected] of cases) {
    const read = tryReadScenario(scenario(zone));
    assert.match(read.ok ? "" : read.problem, expected);
  }
});
