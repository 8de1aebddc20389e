/** The fuzzer for what is read from text: zone files and JSON. Seeded like `codec.test.ts`, with fewer, slower mutants. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  messageToJson,
  octetsEqual,
  parseName,
  type ResourceRecord,
  RRType,
  rdataToText,
  tryMessageFromJson,
  tryParseZone,
  zoneToText,
} from "@sotto/dns/wire";
import { Dice, mutate } from "./mutate.ts";
import { seedMessages } from "./seeds.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 20_261_123);
const MUTANTS = process.env["CI"] === "true" ? 100_000 : 20_000;
const ORIGIN = parseName("example.");

const zoneText = readFileSync(new URL("../interop/data/every-type.zone", import.meta.url), "utf8");
/** Entries of the zone, with some text that is meant to confuse. */
const texts: readonly string[] = [
  ...zoneText.split(/\n(?=\S)/),
  "$TTL 1h30m\na A 192.0.2.1 ; comment",
  "$ORIGIN sub\n@ 1 NS ns ( ; open\n)",
  '$INCLUDE "file" x\n',
  "$GENERATE 1-3 a$ A 192.0.2.$",
];
const textSeeds = texts.map((text) => new TextEncoder().encode(`$TTL 1\n${text}\n`));

/** What is wrong with how a zone is read, undefined when nothing is. */
function faultOfZone(text: string): string | undefined {
  const zone = tryParseZone(text, {
    origin: ORIGIN,
    include: () => ({ ok: true, value: "i 1 A 192.0.2.1\n" }),
  });
  if (!zone.ok)
    return /^(?:zone|[^:\n]*):[0-9]+: ./s.test(zone.problem)
      ? undefined
      : `a problem without a place: ${zone.problem}`;
  const again = tryParseZone(zoneToText(zone.value));
  if (!again.ok) return `its own text is refused: ${again.problem}`;
  return isSame(zone.value, again.value) ? undefined : "its own text gives other records";
}

function isSame(a: readonly ResourceRecord[], b: readonly ResourceRecord[]): boolean {
  return (
    a.length === b.length &&
    a.every((record, i) => {
      const other = b[i];
      return (
        other !== undefined &&
        octetsEqual(record.owner.wire, other.owner.wire) &&
        record.type === other.type &&
        record.class === other.class &&
        record.ttl === other.ttl &&
        octetsEqual(record.rdata, other.rdata)
      );
    })
  );
}

test(`${MUTANTS} mutants of zone files are read or refused, and what is read is printed and read again (seed ${SEED})`, () => {
  const dice = new Dice(SEED);
  const decoder = new TextDecoder("latin1");
  for (let i = 0; i < MUTANTS; i++) {
    const text = decoder.decode(mutate(textSeeds, dice));
    assert.equal(faultOfZone(text), undefined, `mutant ${i}: ${JSON.stringify(text)}`);
  }
});

test("rdata of every type in any octets has a text that is read back the same", () => {
  const zone = tryParseZone(zoneText, { origin: ORIGIN });
  assert.ok(zone.ok);
  const dice = new Dice(SEED + 2);
  for (const record of zone.value) {
    for (let i = 0; i < MUTANTS / 100; i++) {
      const rdata = mutate([record.rdata], dice);
      const text = `a 1 TYPE${record.type} ${rdataToText(record.type, rdata)}\n`;
      const read = tryParseZone(text, { origin: ORIGIN });
      // Rdata that does not fit its type is printed in generic form, which is refused for the same reason.
      if (read.ok && SAME_TEXT_TYPES.has(record.type))
        assert.equal(
          rdataToText(record.type, read.value[0]?.rdata ?? rdata),
          rdataToText(record.type, rdata),
        );
      else if (read.ok) assert.deepEqual(read.value[0]?.rdata, rdata, text);
      else assert.match(text, / \\# [0-9]+/);
    }
  }
});

test("mutants of JSON messages are read or refused, and what is read comes back", () => {
  const dice = new Dice(SEED + 3);
  const seeds = seedMessages.map((message) =>
    new TextEncoder().encode(JSON.stringify(messageToJson(message))),
  );
  const decoder = new TextDecoder("latin1");
  let readable = 0;
  for (let i = 0; i < MUTANTS; i++) {
    const value = parseOrNothing(decoder.decode(mutate(seeds, dice)));
    const read = tryMessageFromJson(value);
    if (!read.ok) continue;
    readable++;
    const again = tryMessageFromJson(JSON.parse(JSON.stringify(messageToJson(read.value))));
    assert.deepEqual(again, read);
  }
  assert.ok(readable > MUTANTS / 100, `${readable} mutants could be read`);
});

/**
 * Types in which several octets mean the same: the bitmap of WKS may end in zeros (RFC 1035 §3.4.2), and a size in LOC
 * may be zero times any power of ten (RFC 1876 §2).
 */
const SAME_TEXT_TYPES: ReadonlySet<number> = new Set([RRType.WKS, RRType.LOC]);

/** Undefined for what is not JSON. */
function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
