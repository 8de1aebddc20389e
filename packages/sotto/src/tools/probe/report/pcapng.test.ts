import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMessage, makeMessage, octetsToHex, parseName, RRClass, RRType } from "@sotto/dns/wire";
import type { EvidenceStep, ProbeReport } from "../model.ts";
import { HOSTILE_REPORT, inventedCell, inventedReport } from "./invented.test-support.ts";
import { hasMessages, pcapngOf } from "./pcapng.ts";

const QUERY = encodeMessage(
  makeMessage({ id: 7, questions: [{ name: parseName("www.example."), type: RRType.A, class: RRClass.IN }] }),
).slice();

function step(atMs: number, parts: Partial<EvidenceStep> = {}): EvidenceStep {
  return { atMs, who: "prober", what: "a query", octets: octetsToHex(QUERY), over: "tcp", ...parts };
}

function captureOf(target: string, ...cells: readonly (readonly EvidenceStep[])[]): Uint8Array {
  const made = cells.map((steps, i) => inventedCell(`row-${i}`, "released", "", "certain", [], steps));
  return pcapngOf([{ title: "a target", report: inventedReport(target, made) }]);
}

interface Seen {
  readonly atMs: number;
  readonly version: number;
  readonly protocol: number;
  readonly from: string;
  readonly to: string;
  readonly fromPort: number;
  readonly toPort: number;
  readonly sequence: number;
  readonly acknowledged: number;
  readonly payload: Uint8Array;
  readonly capturedOctets: number;
  readonly wholeOctets: number;
  readonly comment: string;
  /** Ones complement sums of the IPv4 header and of the segment with its pseudo header. */
  readonly sums: readonly number[];
}

/** Blocks by type; lengths at both ends and padding are checked on the way. */
function blocksOf(file: Uint8Array): { readonly type: number; readonly body: DataView }[] {
  const blocks = [];
  for (let at = 0; at < file.length; ) {
    const view = new DataView(file.buffer, file.byteOffset + at);
    const length = view.getUint32(4);
    assert.equal(length % 4, 0);
    assert.equal(view.getUint32(length - 4), length, "the length stands at both ends");
    blocks.push({
      type: view.getUint32(0),
      body: new DataView(file.buffer, file.byteOffset + at + 8, length - 12),
    });
    at += length;
  }
  return blocks;
}

function packetsOf(file: Uint8Array): Seen[] {
  return blocksOf(file)
    .filter(({ type }) => type === 6)
    .map(({ body }) => packetOf(body));
}

function packetOf(body: DataView): Seen {
  const capturedOctets = body.getUint32(12);
  const packet = new DataView(body.buffer, body.byteOffset + 20, capturedOctets);
  const octets = new Uint8Array(packet.buffer, packet.byteOffset, capturedOctets);
  const version = packet.getUint8(0) >> 4;
  const [ip, size, addressAt] = version === 4 ? ([20, 4, 12] as const) : ([40, 16, 8] as const);
  const protocol = packet.getUint8(version === 4 ? 9 : 6);
  const isTcp = protocol === 6;
  const segment = octets.subarray(ip);
  const addresses = octets.subarray(addressAt, addressAt + 2 * size);
  const optionsAt = 20 + capturedOctets + (-capturedOctets & 3);
  const hasComment = optionsAt < body.byteLength;
  return {
    atMs: (body.getUint32(4) * 2 ** 32 + body.getUint32(8)) / 1000,
    version,
    protocol,
    from: octetsToHex(addresses.subarray(0, size)),
    to: octetsToHex(addresses.subarray(size)),
    fromPort: packet.getUint16(ip),
    toPort: packet.getUint16(ip + 2),
    sequence: isTcp ? packet.getUint32(ip + 4) : 0,
    acknowledged: isTcp ? packet.getUint32(ip + 8) : 0,
    payload: segment.subarray(isTcp ? 20 : 8),
    capturedOctets,
    wholeOctets: body.getUint32(16),
    comment: hasComment ? commentAt(body, optionsAt) : "",
    sums: [
      ...(version === 4 ? [sumOf(octets.subarray(0, 20))] : []),
      sumOf(Uint8Array.of(...addresses, 0, protocol, segment.length >> 8, segment.length & 0xff, ...segment)),
    ],
  };
}

function commentAt(body: DataView, at: number): string {
  assert.equal(body.getUint16(at), 1, "opt_comment");
  return new TextDecoder().decode(
    new Uint8Array(body.buffer, body.byteOffset + at + 4, body.getUint16(at + 2)),
  );
}

/** 0xffff where the checksum within is right (RFC 1071). */
function sumOf(octets: Uint8Array): number {
  let sum = 0;
  for (const [i, octet] of octets.entries()) sum += i % 2 === 0 ? octet * 256 : octet;
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

test("a file begins with a section and an interface of raw IP for each report", () => {
  const report = inventedReport("192.0.2.9", []);
  const blocks = blocksOf(
    pcapngOf([
      { title: "a", report },
      { title: "b", report },
    ]),
  );
  assert.deepEqual(
    blocks.map(({ type }) => type),
    [0x0a0d0d0a, 1, 1],
  );
  assert.equal(blocks[0]?.body.getUint32(0), 0x1a2b3c4d);
  assert.equal(blocks[1]?.body.getUint16(0), 101);
});

test("messages of a row over TCP are one stream: lengths, sequence numbers and checksums fit", () => {
  const steps = [step(0), step(1.5, { who: "target", what: "a reply" }), step(2), step(3, { who: "target" })];
  const packets = packetsOf(captureOf("192.0.2.9", steps));
  const size = QUERY.length + 2;
  assert.deepEqual(
    packets.map(({ from, to, fromPort, toPort, sequence, acknowledged }) => [
      from,
      to,
      fromPort,
      toPort,
      sequence,
      acknowledged,
    ]),
    [
      ["c0000201", "c0000209", 49_152, 53, 1, 1],
      ["c0000209", "c0000201", 53, 49_152, 1, 1 + size],
      ["c0000201", "c0000209", 49_152, 53, 1 + size, 1 + size],
      ["c0000209", "c0000201", 53, 49_152, 1 + size, 1 + 2 * size],
    ],
  );
  for (const { payload, sums, version, protocol } of packets) {
    assert.deepEqual([version, protocol, ...sums], [4, 6, 0xffff, 0xffff]);
    assert.deepEqual([...payload], [0, QUERY.length, ...QUERY]);
  }
  assert.deepEqual(packets.map(({ comment }) => comment).slice(0, 2), ["row-0: a query", "row-0: a reply"]);
  const startMs = Date.parse("2026-11-29T12:00:00.000Z");
  assert.deepEqual(
    packets.map(({ atMs }) => atMs - startMs),
    [0, 1.5, 2, 3],
  );
});

test("datagrams, IPv6 and decrypted TLS are told apart", () => {
  const steps = [step(0, { over: "udp" }), step(1, { over: "tls" })];
  const [datagram, segment] = packetsOf(captureOf("2001:db8::1", steps));
  assert.ok(datagram !== undefined && segment !== undefined);
  assert.deepEqual([datagram.version, datagram.protocol, segment.protocol], [6, 17, 6]);
  assert.deepEqual([datagram.sums, segment.sums], [[0xffff], [0xffff]]);
  assert.deepEqual([...datagram.payload], [...QUERY]);
  assert.equal(
    datagram.from,
    "20010db8000000000000000000000002",
    "the target's address is not the prober's, too",
  );
  assert.notEqual(datagram.fromPort, segment.fromPort);
  assert.match(segment.comment, /sent in TLS, shown decrypted/);
  assert.doesNotMatch(datagram.comment, /TLS/);
});

test("rows stand one behind the other, each with a flow of its own", () => {
  const packets = packetsOf(captureOf("192.0.2.9", [step(0), step(50)], [step(0), step(10), step(5)]));
  const [first] = packets;
  assert.deepEqual(
    packets.map(({ atMs }) => atMs - (first?.atMs ?? 0)),
    [0, 50, 50, 60, 65],
  );
  assert.deepEqual(
    packets.map(({ fromPort, sequence }) => [fromPort - 49_152, sequence > 1]),
    // Time that goes back is another connection.
    [
      [0, false],
      [0, true],
      [1, false],
      [1, true],
      [2, false],
    ],
  );
});

test("a message of which only the beginning was kept is one that was cut by the capture", () => {
  const long = octetsToHex(new Uint8Array(4096));
  const packets = packetsOf(
    captureOf("192.0.2.9", [step(0, { octets: long, wholeOctets: 65_535 }), step(1)]),
  );
  assert.deepEqual(
    packets.map(({ capturedOctets, wholeOctets }) => [capturedOctets, wholeOctets]),
    [
      [40 + 2 + 4096, 40 + 32_768],
      [40, 40 + 32_768],
      [40, 41],
      [40 + 2 + QUERY.length, 40 + 2 + QUERY.length],
    ],
  );
  assert.equal(packets[0]?.payload[0], 0xff, "the length before the message is that of all of it");
  assert.equal(packets[3]?.sequence, 1 + 65_537);
});

test("what is no message, or no datagram could hold, is no packet; the first line tells what is left out", () => {
  const isLong = { octets: octetsToHex(new Uint8Array(65_535)), over: "udp" } as const;
  const file = captureOf("nobody's address", [
    step(0, { over: undefined }),
    step(0, { octets: undefined }),
    step(0, { who: "note" }),
    step(0, { octets: octetsToHex(new Uint8Array(65_536)) }),
    step(0, isLong),
  ]);
  assert.equal(packetsOf(file).length, 0);
  assert.match(new TextDecoder().decode(file), /1 messages are left out/);
});

test("a report tells beforehand whether it has messages", () => {
  const report: ProbeReport = inventedReport("a", [inventedCell("a", "none", "", "certain", [], [step(0)])]);
  assert.ok(hasMessages([{ title: "a", report }]));
  assert.ok(!hasMessages([{ title: "a", report: { ...report, cells: [] } }]));
});

test("reports of anybody make a file, too", () => {
  const { title, report } = HOSTILE_REPORT;
  const evidence = [step(1e300), step(0), step(-5), step(1, { what: "\ud800\u001b[2J".repeat(5000) })];
  const hostile = { title, report: { ...report, cells: [{ ...inventedCell("x", "none", ""), evidence }] } };
  const packets = packetsOf(pcapngOf([hostile]));
  assert.equal(packets.length, 4);
  assert.ok(packets.every(({ comment }) => !comment.includes("\u001b")));
});
