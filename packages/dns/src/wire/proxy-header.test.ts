import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  makeLocalProxyHeader,
  makeProxyHeader,
  PROXY_HEADER_OCTETS_MAX,
  readProxyHeader,
} from "./proxy-header.ts";

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

function version2(command: number, family: number, body: readonly number[]): Uint8Array {
  return Uint8Array.of(...SIGNATURE, command, family, body.length >>> 8, body.length & 0xff, ...body);
}

const IPV4 = version2(0x21, 0x11, [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0x03, 0x55]);

test("both versions tell source and destination, and where the client's octets begin", () => {
  const expected = {
    kind: "proxied",
    source: { address: "192.0.2.7", port: 12345 },
    destination: { address: "198.51.100.1", port: 853 },
  };
  const text = ascii("PROXY TCP4 192.0.2.7 198.51.100.1 12345 853\r\n");
  for (const octets of [IPV4, text]) {
    const read = readProxyHeader(Uint8Array.of(...octets, 1, 2, 3));
    assert.deepEqual(read, { kind: "header", header: expected, octets: octets.length });
  }
  const ipv6 = readProxyHeader(ascii("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"));
  assert.equal(
    ipv6.kind === "header" && ipv6.header.kind === "proxied" && ipv6.header.source.address,
    "2001:db8::1",
  );
  const body = [
    ...new Array<number>(15).fill(0),
    1,
    ...new Array<number>(15).fill(0),
    2,
    0,
    5,
    0,
    6,
    0x04,
    0,
    1,
    9,
  ];
  const withTlv = readProxyHeader(version2(0x21, 0x21, body));
  assert.equal(withTlv.kind === "header" && withTlv.octets, 16 + body.length, "TLVs are skipped");
});

test("LOCAL, UNKNOWN and other families speak for themselves", () => {
  for (const octets of [
    version2(0x20, 0x00, []),
    version2(0x20, 0x11, [1, 2, 3]),
    version2(0x21, 0x31, new Array<number>(216).fill(0)),
    ascii("PROXY UNKNOWN\r\n"),
    ascii("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"),
  ])
    assert.deepEqual(readProxyHeader(octets), {
      kind: "header",
      header: { kind: "local" },
      octets: octets.length,
    });
});

test("every beginning of a header is incomplete", () => {
  for (const octets of [IPV4, ascii("PROXY TCP4 192.0.2.7 198.51.100.1 12345 853\r\n")])
    for (let end = 0; end < octets.length; end++)
      assert.equal(readProxyHeader(octets.subarray(0, end)).kind, "incomplete", `${end} octets`);
});

test("what is no header is told", () => {
  for (const octets of [
    ascii("GET / HTTP/1.1\r\n"),
    Uint8Array.of(0x16, 0x03, 0x01),
    ascii("PROXY TCP4 192.0.2.7 198.51.100.1 12345\r\n"),
    ascii("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"),
    ascii("PROXY TCP4 192.0.2.7 198.51.100.1 70000 1\r\n"),
    ascii("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n"),
    ascii(`PROXY ${"x".repeat(200)}`),
    version2(0x11, 0x11, [...IPV4.subarray(16)]),
    version2(0x22, 0x11, [...IPV4.subarray(16)]),
    version2(0x21, 0x11, [1, 2, 3]),
    version2(0x21, 0x11, new Array<number>(PROXY_HEADER_OCTETS_MAX).fill(0)),
  ])
    assert.equal(
      readProxyHeader(octets).kind,
      "malformed",
      Buffer.from(octets).toString("latin1").slice(0, 60),
    );
});

test("any octets are a value", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (octets, signed) => {
      const read = readProxyHeader(signed ? Uint8Array.of(...SIGNATURE, ...octets) : octets);
      if (read.kind === "header") assert.ok(read.octets <= octets.length + SIGNATURE.length);
    }),
  );
});

test("a header that is written is read back, whatever the families", () => {
  const four = { address: "192.0.2.7", port: 12345 };
  const six = { address: "2001:db8::7", port: 1 };
  assert.deepEqual(makeProxyHeader(four, { address: "198.51.100.1", port: 853 }, "stream"), IPV4);
  const cases = [
    { source: four, destination: four, expected: [four, four], octets: 28 },
    { source: six, destination: six, expected: [six, six], octets: 52 },
    {
      source: { address: "fe80::1%eth0", port: 2 },
      destination: six,
      expected: [{ address: "fe80::1", port: 2 }, six],
      octets: 52,
    },
    {
      source: four,
      destination: six,
      expected: [{ address: "::ffff:192.0.2.7", port: 12345 }, six],
      octets: 52,
    },
  ];
  for (const { source, destination, expected, octets } of cases) {
    const written = makeProxyHeader(source, destination, "datagram");
    const [readSource, readDestination] = expected;
    assert.deepEqual(readProxyHeader(written), {
      kind: "header",
      header: { kind: "proxied", source: readSource, destination: readDestination },
      octets,
    });
    assert.equal((written[13] ?? 0) & 0xf, 2);
  }
  assert.deepEqual(readProxyHeader(makeLocalProxyHeader()), {
    kind: "header",
    header: { kind: "local" },
    octets: 16,
  });
  assert.throws(() => makeProxyHeader({ address: "dns.example", port: 1 }, four, "stream"), RangeError);
});
