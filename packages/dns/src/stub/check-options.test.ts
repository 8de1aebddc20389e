import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { StubResolver, type StubResolverOptions } from "./stub-resolver.ts";
import { ADDRESS, StubWorld } from "./stub-world.test-support.ts";

const NAMED = `${ADDRESS}@853#dns.example`;

/** What programs without types may give. */
const WRONG_OPTIONS: Readonly<Record<string, readonly unknown[]>> = {
  upstreams: [NAMED, {}, [null], [5], [""], [{}], 5],
  profile: ["Strict", "STRICT", "", 1],
  choice: ["best", "", 3],
  timeoutMs: [Number.NaN, -1, "5000"],
  tryTimeoutMs: [Number.NaN, -1, "5000"],
  cacheBytesMax: [Number.NaN, -1, Number.POSITIVE_INFINITY, "4M"],
  validate: ["yes", 1, [5]],
  search: ["corp.example", [5], ["a..b"]],
  ndots: [Number.NaN, -1, "1"],
  hosts: [5, "none of it", { text: 5 }],
  padBlockOctets: [Number.NaN, -1, 1e9],
  hideClientSubnet: ["yes"],
  keepalive: [0],
  neverClear: ["yes", 1],
  trustAnchors: ["system"],
  connection: [5, { connectTimeoutMs: Number.NaN }, { connection: { inFlightMax: 70_000 } }],
};

const WRONG_UPSTREAMS: Readonly<Record<string, readonly unknown[]>> = {
  address: [undefined, 5, "", "dns.example", "2001:db8::1%eth0", "192.0.2"],
  port: [0, -1, 65_536, 1.5, Number.NaN, "853", 53],
  clearPort: [0, Number.NaN, "53"],
  transport: ["sctp", "TLS", ""],
  name: [
    "",
    ".",
    "a b.example",
    "dns.example\0.attacker.example",
    "b\u00fccher.example",
    "a..b",
    "*.example",
    "x".repeat(64),
    5,
  ],
  pins: ["abc", [5], ["abc"], ["sha256:abc"]],
  trustAnchorsPem: ["-----BEGIN", [5]],
  dane: ["maybe", "ONLY", true],
};

function isConfigProblem(error: unknown): boolean {
  return DnsError.is(error, "ERR_CONFIG") && error.message.length < 300 && !/[\0\n]/.test(error.message);
}

function make(options: object): StubResolver {
  // As a program without types would.
  return new StubResolver(options as StubResolverOptions);
}

for (const [name, values] of Object.entries(WRONG_OPTIONS))
  test(`option ${name}: what makes no sense is ERR_CONFIG and not a weaker resolver`, () => {
    for (const value of values)
      assert.throws(
        () => make({ upstreams: [NAMED], hosts: "none", [name]: value }),
        isConfigProblem,
        `${JSON.stringify(value)}`,
      );
  });

for (const [name, values] of Object.entries(WRONG_UPSTREAMS))
  test(`${name} of an upstream: what makes no sense is ERR_CONFIG and not a weaker upstream`, () => {
    for (const value of values) {
      const spec = { address: ADDRESS, transport: "tls", name: "dns.example", [name]: value };
      assert.throws(
        () => make({ upstreams: [spec], hosts: "none" }),
        isConfigProblem,
        `${JSON.stringify(value)}`,
      );
    }
  });

test("DANE wants a name that can have records", () => {
  const labels = `${"a".repeat(60)}.`.repeat(4);
  for (const name of [undefined, ADDRESS, `${labels}abcd`])
    assert.throws(() => make({ upstreams: [{ address: ADDRESS, name, dane: "only" }] }), isConfigProblem);
});

test("never in clear, an upstream that is asked in clear is none", () => {
  for (const upstreams of [[`udp://${ADDRESS}`], [NAMED, `tcp://${ADDRESS}`]])
    assert.throws(
      () => make({ upstreams, profile: "opportunistic", neverClear: true, hosts: "none" }),
      isConfigProblem,
    );
});

test("a name with its final dot is the same name", async (context) => {
  const world = new StubWorld();
  context.after(() => world.close());
  await world.serve();
  const stub = world.stub({ upstreams: [{ address: ADDRESS, name: "dns.example." }] });
  const { authenticatedBy } = await world.settled(stub.query("www.example", "A"));
  assert.equal(authenticatedBy, "name dns.example");
  assert.equal(world.tls?.streams[0]?.stream.security?.serverName, "dns.example");
});

test("questions that make no sense are refused before anything is sent", async (context) => {
  const world = new StubWorld();
  context.after(() => world.close());
  await world.serve();
  const stub = world.stub({ upstreams: [NAMED] });
  const questions: readonly [name: unknown, type: unknown, options?: object][] = [
    [null, "A"],
    [5, "A"],
    ["", "A"],
    ["x".repeat(64), "A"],
    ["www.example", "constructor"],
    ["www.example", null],
    ["www.example", 65_536],
    ["www.example", -1],
    ["www.example", Number.NaN],
    ["www.example", 1.5],
    ["www.example", "OPT"],
    ["www.example", "AXFR"],
    ["www.example", "A", { timeoutMs: Number.NaN }],
    ["www.example", "A", { timeoutMs: -1 }],
    ["www.example", "A", { timeoutMs: "1" }],
    ["www.example", "A", { signal: {} }],
  ];
  for (const [name, type, options] of questions)
    await assert.rejects(
      // As a program without types would.
      world.settled(stub.query(name as string, type as string, options)),
      (error) => DnsError.is(error, "ERR_CONFIG") || DnsError.is(error, "ERR_NAME_MALFORMED"),
      `${name} ${type} ${JSON.stringify(options)}`,
    );
  await assert.rejects(world.settled(stub.query("www.example", "A", { timeoutMs: 0 })), (error) =>
    DnsError.is(error, "ERR_TIMEOUT"),
  );
  assert.deepEqual([world.tlsQueries, world.clearQueries], [0, 0]);
});
