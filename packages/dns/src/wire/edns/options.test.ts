import assert from "node:assert/strict";
import { test } from "node:test";
import { tryHexToOctets } from "../hex.ts";
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { tryParseAddress } from "../ip-address.ts";
import { parseName } from "../name.ts";
import type { Parsed } from "../parsed.ts";
import { makeAlgorithmList, tryReadAlgorithmList } from "./algorithm-list.ts";
import { makeChain, tryReadChain } from "./chain.ts";
import { makeClientSubnet, tryReadClientSubnet } from "./client-subnet.ts";
import { makeCookie, tryReadCookie } from "./cookie.ts";
import type { EdnsOption } from "./edns.ts";
import { makeExpire, tryReadExpire } from "./expire.ts";
import { makeExtendedError, tryReadExtendedError } from "./extended-error.ts";
import { makeKeepalive, tryReadKeepalive } from "./keepalive.ts";
import { makeKeyTag, tryReadKeyTag } from "./key-tag.ts";
import { makeNsid, tryReadNsid } from "./nsid.ts";
import { ednsOptionToText } from "./option-text.ts";
import { makePadding, tryReadPadding } from "./padding.ts";
import { makeReportChannel, tryReadReportChannel } from "./report-channel.ts";
import { makeZoneVersion, tryReadZoneVersion, zoneVersionSerial } from "./zone-version.ts";

function octets(hex: string): Uint8Array {
  const read = tryHexToOctets(hex);
  assert.ok(read.ok);
  return read.value;
}

function address(text: string): Uint8Array {
  const read = tryParseAddress(text);
  assert.ok(read.ok);
  return read.value;
}

/** Name of the case, the option, its code and data in hex, how it is read, what is read. */
type Row = readonly [string, EdnsOption, number, string, (data: Uint8Array) => Parsed<unknown>, unknown];

const rows: readonly Row[] = [
  ["NSID request", makeNsid(), 3, "", tryReadNsid, octets("")],
  ["NSID", makeNsid(octets("00ff")), 3, "00ff", tryReadNsid, octets("00ff")],
  ["DAU", makeAlgorithmList(EdnsOptionCode.Dau, [8, 255]), 5, "08ff", tryReadAlgorithmList, [8, 255]],
  ["DHU, empty", makeAlgorithmList(EdnsOptionCode.Dhu, []), 6, "", tryReadAlgorithmList, []],
  ["N3U", makeAlgorithmList(EdnsOptionCode.N3u, [1]), 7, "01", tryReadAlgorithmList, [1]],
  ["EXPIRE request", makeExpire(undefined), 9, "", tryReadExpire, undefined],
  ["EXPIRE 0", makeExpire(0), 9, "00000000", tryReadExpire, 0],
  ["EXPIRE, largest", makeExpire(0xffff_ffff), 9, "ffffffff", tryReadExpire, 0xffff_ffff],
  [
    "COOKIE of a client",
    makeCookie({ client: octets("0102030405060708"), server: octets("") }),
    10,
    "0102030405060708",
    tryReadCookie,
    { client: octets("0102030405060708"), server: octets("") },
  ],
  [
    "COOKIE with a server's half",
    makeCookie({ client: octets("0102030405060708"), server: octets("a1a2a3a4a5a6a7a8") }),
    10,
    "0102030405060708a1a2a3a4a5a6a7a8",
    tryReadCookie,
    { client: octets("0102030405060708"), server: octets("a1a2a3a4a5a6a7a8") },
  ],
  ["PADDING, empty", makePadding(0), 12, "", tryReadPadding, 0],
  ["CHAIN", makeChain(parseName("example.")), 13, "076578616d706c6500", tryReadChain, parseName("example.")],
  ["KEY-TAG", makeKeyTag([0x1234, 0xffff]), 14, "1234ffff", tryReadKeyTag, [0x1234, 0xffff]],
  [
    "Report-Channel",
    makeReportChannel(parseName("a.test.")),
    18,
    "0161047465737400",
    tryReadReportChannel,
    parseName("a.test."),
  ],
  ["ZONEVERSION request", makeZoneVersion(undefined), 19, "", tryReadZoneVersion, undefined],
  [
    "ZONEVERSION",
    makeZoneVersion({ labelCount: 2, type: 0, version: octets("78a1b2c3") }),
    19,
    "020078a1b2c3",
    tryReadZoneVersion,
    { labelCount: 2, type: 0, version: octets("78a1b2c3") },
  ],
];

test("every option is written as its RFC says and read back", async (context) => {
  for (const [title, option, code, hex, tryRead, value] of rows) {
    await context.test(title, () => {
      assert.deepEqual(option, { code, data: octets(hex) });
      const read = tryRead(option.data);
      assert.ok(read.ok);
      assert.deepEqual(read.value, value);
    });
  }
});

test("an absent, an empty and timeouts of 0, 1 and 65535 are five different keepalives [7828-3.1-a]", () => {
  const expected: readonly (readonly [number | undefined, string])[] = [
    [undefined, ""],
    [0, "0000"],
    [1, "0001"],
    [0xffff, "ffff"],
  ];
  for (const [units, hex] of expected) {
    const option = makeKeepalive(units);
    assert.deepEqual(option, { code: 11, data: octets(hex) });
    assert.deepEqual(tryReadKeepalive(option.data), { ok: true, value: units });
  }
});

test("a keepalive of 1, 3 or 4 octets is malformed [7828-3.1-a]", () => {
  for (const hex of ["00", "000000", "00000000"]) assert.equal(tryReadKeepalive(octets(hex)).ok, false, hex);
});

test("a client sends the keepalive without a timeout [7828-3.2.1-c]", () => {
  assert.equal(makeKeepalive(undefined).data.length, 0);
});

test("padding is written as zeros [7830-3-b]", () => {
  assert.deepEqual(makePadding(5).data, new Uint8Array(5));
});

test("padding may hold any octets [7830-3-c]", () => {
  assert.deepEqual(tryReadPadding(octets("00ff41")), { ok: true, value: 3 });
});

test("an extended error takes its text length from the option, with or without a final zero [8914-2-a]", () => {
  const option = makeExtendedError({ code: 22, text: "stopped é" });
  assert.deepEqual(tryReadExtendedError(option.data), { ok: true, value: { code: 22, text: "stopped é" } });
  assert.deepEqual(tryReadExtendedError(octets("0016686900")), { ok: true, value: { code: 22, text: "hi" } });
  assert.deepEqual(tryReadExtendedError(octets("0000")), { ok: true, value: { code: 0, text: "" } });
  assert.deepEqual(tryReadExtendedError(octets("0000ff")), { ok: true, value: { code: 0, text: "\ufffd" } });
  for (const hex of ["", "00"]) assert.equal(tryReadExtendedError(octets(hex)).ok, false);
});

test("a client subnet is cut after its prefix and comes back with all its octets", () => {
  const cases = [
    ["192.0.2.0", 24, "00011800c00002"],
    ["192.0.2.128", 25, "00011900c0000280"],
    ["0.0.0.0", 0, "00010000"],
    ["192.0.2.1", 32, "00012000c0000201"],
    ["2001:db8:1200::", 40, "0002280020010db812"],
    ["2001:db8::1", 128, "0002800020010db8000000000000000000000001"],
  ] as const;
  for (const [text, bits, hex] of cases) {
    const subnet = { address: address(text), sourcePrefixBits: bits, scopePrefixBits: 0 };
    const option = makeClientSubnet(subnet);
    assert.deepEqual(option.data, octets(hex), text);
    assert.deepEqual(tryReadClientSubnet(option.data), { ok: true, value: subnet });
  }
});

test("a client subnet never passes on bits behind its prefix", () => {
  const option = makeClientSubnet({
    address: address("192.0.2.255"),
    sourcePrefixBits: 25,
    scopePrefixBits: 0,
  });
  assert.deepEqual(option.data, octets("00011900c0000280"));
});

test("impossible options are not written", () => {
  assert.throws(() => makeCookie({ client: octets("01"), server: octets("") }), RangeError);
  assert.throws(() => makeCookie({ client: new Uint8Array(8), server: new Uint8Array(7) }), RangeError);
  assert.throws(() => makeCookie({ client: new Uint8Array(8), server: new Uint8Array(33) }), RangeError);
  assert.throws(() => makeKeyTag([]), RangeError);
  assert.throws(() => makeAlgorithmList(EdnsOptionCode.Dau, [256]), RangeError);
  const address5 = new Uint8Array(5);
  assert.throws(
    () => makeClientSubnet({ address: address5, sourcePrefixBits: 0, scopePrefixBits: 0 }),
    RangeError,
  );
  const address4 = new Uint8Array(4);
  assert.throws(
    () => makeClientSubnet({ address: address4, sourcePrefixBits: 33, scopePrefixBits: 0 }),
    RangeError,
  );
});

test("malformed options are problems", async (context) => {
  const malformed: readonly (readonly [string, string, (data: Uint8Array) => Parsed<unknown>])[] = [
    ["client subnet of 3 octets", "000118", tryReadClientSubnet],
    ["client subnet of family 3", "00030000", tryReadClientSubnet],
    ["client subnet of family 0 with a prefix", "0000080001", tryReadClientSubnet],
    ["client subnet of 33 bits", "00012100c000020100", tryReadClientSubnet],
    ["client subnet with a scope of 33 bits", "00011821c00002", tryReadClientSubnet],
    ["client subnet that is too short", "00011800c000", tryReadClientSubnet],
    ["client subnet that is too long", "00011800c0000200", tryReadClientSubnet],
    ["client subnet with bits behind its prefix", "00011900c0000281", tryReadClientSubnet],
    ["EXPIRE of 3 octets", "000000", tryReadExpire],
    ["EXPIRE of 5 octets", "0000000000", tryReadExpire],
    ["COOKIE of 7 octets", "01020304050607", tryReadCookie],
    ["COOKIE of 9 octets", "010203040506070809", tryReadCookie],
    ["COOKIE of 15 octets", "00".repeat(15), tryReadCookie],
    ["COOKIE of 41 octets", "00".repeat(41), tryReadCookie],
    ["CHAIN without a name", "", tryReadChain],
    ["CHAIN with a pointer", "c000", tryReadChain],
    ["CHAIN with something after the name", "0000", tryReadChain],
    ["Report-Channel that ends within a label", "0361", tryReadReportChannel],
    ["KEY-TAG without tags", "", tryReadKeyTag],
    ["KEY-TAG of 3 octets", "123456", tryReadKeyTag],
    ["ZONEVERSION of 1 octet", "02", tryReadZoneVersion],
    ["ZONEVERSION with a serial of 3 octets", "0200010203", tryReadZoneVersion],
  ];
  for (const [title, hex, tryRead] of malformed) {
    await context.test(title, () => assert.equal(tryRead(octets(hex)).ok, false));
  }
});

test("only versions of type 0 are SOA serials", () => {
  assert.equal(zoneVersionSerial({ labelCount: 1, type: 0, version: octets("00000007") }), 7);
  assert.equal(zoneVersionSerial({ labelCount: 1, type: 1, version: octets("00000007") }), undefined);
});

test("options are printed as dig 9.18 prints them", async (context) => {
  const printed: readonly (readonly [number, string, string])[] = [
    [3, "68656c6c6f00ff", 'NSID: 68 65 6c 6c 6f 00 ff ("hello..")'],
    [3, "", "NSID:"],
    [8, "00011800c00002", "CLIENT-SUBNET: 192.0.2.0/24/0"],
    [8, "0002382020010db8000000", "CLIENT-SUBNET: 2001:db8::/56/32"],
    [8, "00010000", "CLIENT-SUBNET: 0.0.0.0/0/0"],
    [8, "00000000", "CLIENT-SUBNET: 0/0/0"],
    [9, "00093a80", "EXPIRE: 604800 (1 week)"],
    [9, "000151e5", "EXPIRE: 86501 (1 day 1 minute 41 seconds)"],
    [9, "", "EXPIRE:"],
    [10, "0102030405060708", "COOKIE: 0102030405060708"],
    [11, "", "TCP KEEPALIVE:"],
    [11, "0000", "TCP KEEPALIVE: 0.0 secs"],
    [11, "ffff", "TCP KEEPALIVE: 6553.5 secs"],
    [11, "00", 'TCP KEEPALIVE: 00 (".")'],
    [12, "0000000000", "PAD: (5 bytes)"],
    [12, "", "PAD:"],
    [14, "1234abcd", "KEY-TAG: 4660, 43981"],
    [15, "0012", "EDE: 18 (Prohibited)"],
    [15, "001673746f707065641b", "EDE: 22 (No Reachable Authority): (stopped.)"],
    [15, "271061", "EDE: 10000: (a)"],
    [65001, "616263", 'OPT=65001: 61 62 63 ("abc")'],
    [65001, "", "OPT=65001:"],
  ];
  for (const [code, hex, text] of printed) {
    await context.test(text, () => assert.equal(ednsOptionToText({ code, data: octets(hex) }), text));
  }
});

test("options that dig 9.18 has no words for have ours", () => {
  assert.equal(ednsOptionToText(makeAlgorithmList(EdnsOptionCode.Dau, [8, 13])), "DAU: 8, 13");
  assert.equal(ednsOptionToText(makeChain(parseName("example."))), "CHAIN: example.");
  assert.equal(ednsOptionToText(makeReportChannel(parseName("a.test."))), "REPORT-CHANNEL: a.test.");
  assert.equal(
    ednsOptionToText({ code: 19, data: octets("010078a1b2c3") }),
    "ZONEVERSION: SOA-SERIAL 2023862979 (zone with 1 labels)",
  );
});
