/**
 * Other people's zone readers as oracles: a zone that holds every type, in the spellings of the RFCs and in ours. What a
 * tool cannot read is listed here by type, and is given to it in the generic form of RFC 3597.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  octetsToHex,
  parseName,
  type ResourceRecord,
  RRClass,
  RRType,
  recordToText,
  rrClassToText,
  rrTypeToText,
  tryParseZone,
} from "@sotto/dns/wire";
import { findProgram, peerTest, runCommand, temporaryFolder } from "./peers.ts";

const ORIGIN = parseName("example.");
const ZONE_TEXT = readFileSync(new URL("data/every-type.zone", import.meta.url), "utf8");

/** A tool of Debian 12, how it is called, and what it does not know. */
interface Tool {
  readonly program: string;
  readonly args: (zoneFile: string) => readonly string[];
  /** Types it has no text form for. */
  readonly unknownTypes: readonly string[];
  /** Spellings of the original file that it refuses, as the beginning of the entry and the reason. */
  readonly refusedSpellings: readonly (readonly [start: string, reason: string])[];
  /** It prints the zone it has read. */
  readonly printsZone: boolean;
}

const checkzoneArgs = (zoneFile: string): readonly string[] => [
  // Only the reader is asked, not what is wise to have in a zone.
  ..."-i none -k ignore -n ignore -r ignore -m ignore -M ignore -S ignore".split(" "),
  ..."-F text -s full -o - example".split(" "),
  zoneFile,
];

const tools: readonly Tool[] = [
  {
    program: "named-compilezone",
    args: checkzoneArgs,
    // BIND knows them and refuses them as obsolete, in generic form too: they are left out.
    unknownTypes: ["MD", "MF"],
    refusedSpellings: [],
    printsZone: true,
  },
  {
    program: "ldns-read-zone",
    // It prints the ports of WKS by the names of the local /etc/services.
    args: (zoneFile) => ["-u", "WKS", zoneFile],
    unknownTypes: ["AMTRELAY", "AVC", "NINFO", "RKEY", "DSYNC", "RESINFO", "WALLET"],
    refusedSpellings: [["a           IN   60", "it wants the TTL before the class"]],
    printsZone: true,
  },
  {
    program: "kzonecheck",
    args: (zoneFile) => ["-d", "off", "-o", "example", zoneFile],
    unknownTypes: [
      ..."X25 ISDN PX HIP AMTRELAY AVC NINFO RKEY TALINK DSYNC".split(" "),
      ..."RESINFO WALLET MB MG MR MD MF GPOS WKS DLV".split(" "),
    ],
    refusedSpellings: [["class ", "it knows classes by name only"]],
    printsZone: false,
  },
];

function readZone(text: string, fileName: string): ResourceRecord[] {
  const zone = tryParseZone(text, { origin: ORIGIN, fileName });
  assert.ok(zone.ok, zone.ok ? "" : zone.problem);
  return zone.value;
}

const ours = readZone(ZONE_TEXT, "every-type.zone");

/** Octets of a record that must be the same for everybody: names without regard to case. */
function keyOf(record: ResourceRecord): string {
  return `${record.owner.toLowerCase().toString()} ${record.ttl} ${rrClassToText(record.class)} ${rrTypeToText(record.type)} ${octetsToHex(record.rdata)}`;
}

function genericText(record: ResourceRecord): string {
  const { owner, ttl, type, rdata } = record;
  return `${owner.toString()} ${ttl} IN TYPE${type} \\# ${rdata.length} ${octetsToHex(rdata)}`;
}

/** Entries of the original file with their continuation lines; every entry names its owner. */
function entriesOf(text: string): string[] {
  return text.split(/\n(?=[^\s;])/).filter((entry) => !entry.startsWith(";"));
}

/** The original spelling, with entries of types that the tool cannot read in generic form. */
function originalFor(tool: Tool): { text: string; records: ResourceRecord[] } {
  const [origin = "", ttl = "", ...entries] = entriesOf(ZONE_TEXT);
  const kept: string[] = [];
  for (const entry of entries) {
    if (tool.refusedSpellings.some(([start]) => entry.startsWith(start))) continue;
    const records = readZone(`${origin}\n${ttl}\n${entry}`, "entry");
    kept.push(...records.map((record) => (isKnown(tool, record) ? entry : genericText(record))));
  }
  const text = `${[origin, ttl, ...kept.filter((entry) => !isRefusedByBind(tool, entry))].join("\n")}\n`;
  return { text, records: readZone(text, "original") };
}

/** Our spelling of everything, generic where the tool knows no better. */
function oursFor(tool: Tool): { text: string; records: ResourceRecord[] } {
  const lines = ours.map((record) => (isKnown(tool, record) ? recordToText(record) : genericText(record)));
  const text = `${lines.filter((line) => !isRefusedByBind(tool, line)).join("\n")}\n`;
  return { text, records: readZone(text, "ours") };
}

function isKnown(tool: Tool, record: ResourceRecord): boolean {
  return !tool.unknownTypes.includes(rrTypeToText(record.type));
}

function isRefusedByBind(tool: Tool, line: string): boolean {
  return tool.program === "named-compilezone" && / TYPE(?:3|4) \\#/.test(line);
}

test("the zone holds every type that has a text form", () => {
  const there = new Set(ours.map((record) => record.type));
  const withoutText = new Set("NULL SIG NXT OPT TKEY TSIG IXFR AXFR MAILB MAILA ANY NXNAME".split(" "));
  const generic = new Set(
    "NSAP NSAP-PTR EID NIMLOC ATMA A6 SINK UINFO UID GID UNSPEC DOA TA HHIT BRID CLA IPN".split(" "),
  );
  const missing = Object.entries(RRType).filter(
    ([name, type]) => !there.has(type) && !withoutText.has(name) && !generic.has(name),
  );
  assert.deepEqual(missing, []);
  assert.ok(ours.every((record) => record.class === RRClass.IN));
});

for (const tool of tools) {
  for (const [spelling, zoneFor] of [
    ["the RFCs'", originalFor],
    ["our", oursFor],
  ] as const) {
    peerTest(
      `${tool.program} reads every type in ${spelling} spelling as we do`,
      [tool.program],
      async (context) => {
        context.diagnostic(`${tool.program} has no text form for ${tool.unknownTypes.join(" ")}`);
        for (const [start, reason] of tool.refusedSpellings)
          context.diagnostic(`without "${start.trim()} …": ${reason}`);
        const { text, records } = zoneFor(tool);
        const zoneFile = join(temporaryFolder(context), "example.zone");
        writeFileSync(zoneFile, text);
        const result = await runCommand(findProgram(tool.program) ?? tool.program, tool.args(zoneFile));
        assert.equal(result.code, 0, result.stderr + result.stdout);
        if (!tool.printsZone) return;
        const theirs = readZone(result.stdout.replace(/^(?:OK|zone .*|dump .*)$/gm, ""), tool.program);
        assert.deepEqual(uniqueKeys(theirs), uniqueKeys(records));
      },
    );
  }
}

function uniqueKeys(records: readonly ResourceRecord[]): string[] {
  return [...new Set(records.map(keyOf))].sort();
}
