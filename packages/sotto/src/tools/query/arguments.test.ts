import assert from "node:assert/strict";
import { test } from "node:test";
import { RRClass, RRType } from "@sotto/dns/wire";
import { parseArguments, type QuerySpec, reverseName } from "./arguments.ts";
import { applyFlag, defaultOptions, FLAGS, findFlag } from "./flags.ts";
import { helpText } from "./help.ts";

function queriesOf(line: string): readonly QuerySpec[] {
  const parsed = parseArguments(line.split(" ").filter((word) => word !== ""));
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.problem);
  assert.ok(parsed.value.kind === "queries");
  return parsed.value.queries;
}

function problemOf(line: string): string {
  const parsed = parseArguments(line.split(" "));
  assert.ok(!parsed.ok);
  return parsed.problem;
}

test("nothing at all asks for the root's name servers, as dig does", () => {
  const [query] = queriesOf("");
  assert.equal(query?.name.toString(), ".");
  assert.equal(query?.type, RRType.NS);
});

test("server, name, type and class come in any order", () => {
  for (const line of [
    "@192.0.2.1 example. MX CH",
    "example. MX CH @192.0.2.1",
    "MX example. CH @192.0.2.1",
    "example. CH MX @192.0.2.1",
  ]) {
    const [query, ...others] = queriesOf(line);
    assert.equal(others.length, 0, line);
    assert.equal(query?.name.toString(), "example.", line);
    assert.equal(query?.type, RRType.MX, line);
    assert.equal(query?.class, RRClass.CH, line);
    assert.equal(query?.server, "192.0.2.1", line);
  }
});

test("several queries share what stood before the first name and keep what stood behind their own", () => {
  const [first, second] = queriesOf("+tls @192.0.2.1 a.example. MX +short b.example. @192.0.2.2 +nodnssec");
  assert.equal(first?.options.transport, "tls");
  assert.equal(first?.options.isShort, true);
  assert.equal(first?.server, "192.0.2.1");
  assert.equal(second?.type, RRType.A);
  assert.equal(second?.options.transport, "tls");
  assert.equal(second?.options.isShort, false);
  assert.equal(second?.server, "192.0.2.2");
});

test("-x asks for PTR at the reverse name, of both families", () => {
  const [query] = queriesOf("-x 192.0.2.1");
  assert.equal(query?.name.toString(), "1.2.0.192.in-addr.arpa.");
  assert.equal(query?.type, RRType.PTR);
  const v6 = reverseName("2001:db8::1");
  assert.ok(v6.ok);
  assert.equal(
    v6.value.toString(),
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
  );
});

test("names in other scripts become A-labels", () => {
  assert.equal(queriesOf("bücher.example.")[0]?.name.toString(), "xn--bcher-kva.example.");
});

test("wrong arguments get a sentence that says what is wrong", () => {
  assert.match(problemOf("-p 99999 example."), /-p wants a port/);
  assert.match(problemOf("-b nowhere example."), /-b wants an IP address/);
  assert.match(problemOf("-z example."), /-z is not an option/);
  assert.match(problemOf("+nonsense example."), /is not a flag/);
  assert.match(problemOf("example. +bufsize"), /wants a value/);
  assert.match(problemOf("example. +short=1"), /takes no value/);
  assert.match(problemOf("example. +tls-pin=abc"), /44 characters/);
  assert.match(problemOf("a..b"), /empty label/);
});

test("a unique beginning of a flag is enough, an ambiguous one is told", () => {
  const options = defaultOptions();
  assert.equal(applyFlag(options, "+dnss"), undefined);
  assert.equal(options.dnssecOk, true);
  assert.match(String(findFlag("a")), /could be .*\+adflag/);
});

test("+no switches off what is on", () => {
  const options = defaultOptions();
  for (const flag of ["+norecurse", "+noedns", "+noall", "+answer"])
    assert.equal(applyFlag(options, flag), undefined);
  assert.equal(options.recursionDesired, false);
  assert.equal(options.ednsVersion, undefined);
  assert.equal(options.showQuestion, false);
  assert.equal(options.showAnswer, true);
});

test("a name or a certificate file for TLS means that the server must be authenticated [8310-6.6-b]", () => {
  for (const flag of ["+tls-ca", "+tls-ca=ca.pem", "+tls-hostname=dns.example"]) {
    const options = defaultOptions();
    assert.equal(applyFlag(options, flag), undefined);
    assert.equal(options.tlsAuthenticate, true, flag);
    assert.equal(options.transport, "tls", flag);
  }
});

test("each flag has one meaning per name and the help fits a screen", () => {
  const names = FLAGS.flatMap((flag) => flag.names);
  assert.equal(new Set(names).size, names.length);
  const lines = helpText().split("\n");
  assert.ok(lines.length <= 40, `${lines.length} lines`);
  assert.ok(lines.every((line) => line.length <= 100));
});
