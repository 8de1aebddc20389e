/** Wireshark's dissector as an oracle: it must read our messages to their end and see what we meant. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  concatOctets,
  EdnsOptionCode,
  encodeMessage,
  type Message,
  makeAlgorithmList,
  makeChain,
  makeClientSubnet,
  makeCookie,
  makeEdns,
  makeExpire,
  makeExtendedError,
  makeKeepalive,
  makeKeyTag,
  makeMessage,
  makeNsid,
  makePadding,
  makeReportChannel,
  makeZoneVersion,
  OctetWriter,
  parseName,
  RRClass,
  RRType,
  rrTypeToText,
  tryParseZone,
} from "@sotto/dns/wire";
import { findProgram, peerTest, runCommand, temporaryFolder } from "./peers.ts";

const question = { name: parseName("www.example."), type: RRType.A, class: RRClass.IN };

function ednsMessages(): Message[] {
  const client = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const options = [
    makeNsid(Uint8Array.of(0x6e, 0x73)),
    makeAlgorithmList(EdnsOptionCode.Dau, [8, 13]),
    makeAlgorithmList(EdnsOptionCode.Dhu, [2]),
    makeAlgorithmList(EdnsOptionCode.N3u, [1]),
    makeClientSubnet({ address: Uint8Array.of(192, 0, 2, 0), sourcePrefixBits: 24, scopePrefixBits: 0 }),
    makeExpire(3600),
    makeCookie({ client, server: client }),
    makeKeepalive(undefined),
    makeKeepalive(65_535),
    makeChain(parseName("example.")),
    makeKeyTag([20_326]),
    makeExtendedError({ code: 22, text: "no reachable authority" }),
    makeReportChannel(parseName("agent.test.")),
    makeZoneVersion({ labelCount: 1, type: 0, version: Uint8Array.of(0, 0, 0, 1) }),
    makePadding(20),
  ];
  const queries = options.map((option) =>
    makeMessage({ questions: [question], edns: makeEdns({ options: [option] }) }),
  );
  return [
    makeMessage({ recursionDesired: true, questions: [question] }),
    ...queries,
    makeMessage({ questions: [question], edns: makeEdns({ dnssecOk: true, options }) }),
    makeMessage({ isResponse: true, rcode: 23, questions: [question], edns: makeEdns({ version: 0 }) }),
  ];
}

function recordMessages(): Message[] {
  const text = readFileSync(new URL("data/every-type.zone", import.meta.url), "utf8");
  const zone = tryParseZone(text, { origin: parseName("example.") });
  assert.ok(zone.ok, zone.ok ? "" : zone.problem);
  return zone.value.map((record) =>
    makeMessage({
      isResponse: true,
      questions: [{ name: record.owner, type: record.type, class: record.class }],
      answers: [record, record],
    }),
  );
}

/** A capture file of IPv4 UDP datagrams to port 53 (pcap 2.4, link type 101: raw IP). */
function captureOf(messages: readonly Uint8Array[]): Uint8Array {
  const head = new OctetWriter();
  for (const [value, octets] of [
    [0xa1b2c3d4, 4],
    [2, 2],
    [4, 2],
    [0, 4],
    [0, 4],
    [0x40000, 4],
    [101, 4],
  ] as const) {
    if (octets === 4) head.uint32(value);
    else head.uint16(value);
  }
  return concatOctets([head.finish(), ...messages.map((message) => frameOf(message))]);
}

function frameOf(message: Uint8Array): Uint8Array {
  const writer = new OctetWriter();
  const ipOctets = 20 + 8 + message.length;
  writer.uint32(0);
  writer.uint32(0);
  writer.uint32(ipOctets);
  writer.uint32(ipOctets);
  // Version and header length, service, length, id, fragment, TTL and UDP, no checksum.
  writer.uint16(0x4500);
  writer.uint16(ipOctets);
  writer.uint32(0);
  writer.uint32(0x40110000);
  writer.octets(Uint8Array.of(192, 0, 2, 1, 192, 0, 2, 2));
  writer.uint16(53);
  writer.uint16(53);
  writer.uint16(8 + message.length);
  writer.uint16(0);
  writer.octets(message);
  return writer.finish();
}

peerTest(
  "tshark reads our messages of every type and option without a malformed mark",
  ["tshark"],
  async (context) => {
    const messages = [...ednsMessages(), ...recordMessages()].map((message, id) => ({ ...message, id }));
    const octets = messages.map((message) => encodeMessage(message));
    // The last one is cut within its record, so that we know how a malformed mark looks.
    const cut = encodeMessage(messages.at(-1) ?? makeMessage()).subarray(0, -10);
    const file = join(temporaryFolder(context), "messages.pcap");
    writeFileSync(file, captureOf([...octets, cut]));
    const fields = ["dns.id", "dns.count.answers", "dns.resp.type", "_ws.malformed", "_ws.expert.message"];
    const result = await runCommand(findProgram("tshark") ?? "tshark", [
      ..."-n -T fields -E separator=| -r".split(" "),
      file,
      ...fields.flatMap((field) => ["-e", field]),
    ]);
    assert.equal(result.code, 0, result.stderr);
    const lines = result.stdout.trimEnd().split("\n");
    assert.equal(lines.length, messages.length + 1);
    assert.ok(isMalformed(lines.at(-1) ?? ""), "the message that was cut is marked");
    for (const [i, message] of messages.entries()) {
      const line = lines[i] ?? "";
      const [id, answers, types = ""] = line.split("|");
      const what = `message ${i}, ${message.answers.map((record) => rrTypeToText(record.type)).join(" ")}`;
      assert.equal(Number(id), i, what);
      assert.equal(Number(answers), message.answers.length, what);
      // The field also lists the types within bitmaps, behind their record.
      const firstType = message.answers[0]?.type ?? (message.edns === undefined ? "" : RRType.OPT);
      assert.equal(types.split(",")[0], String(firstType), what);
      assert.ok(!isMalformed(line), `${what}: ${line}`);
    }
  },
);

/** Both fields at the end of a line speak of malformed packets; other remarks are allowed. */
function isMalformed(line: string): boolean {
  const [, , , malformed = "", remark = ""] = line.split("|");
  return malformed !== "" || /malformed/i.test(remark);
}
