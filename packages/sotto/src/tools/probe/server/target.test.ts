import assert from "node:assert/strict";
import { test } from "node:test";
import { PROBE_NAMES_DEFAULT } from "./probe-options.ts";
import { planOf } from "./probe-server.ts";
import { tryParseTarget } from "./target.ts";

const PIN = "A".repeat(43);

test("a target says over what it is to be probed", () => {
  const read = (text: string): object => {
    const target = tryParseTarget(text);
    assert.ok(target.ok, text);
    const { address, port, tlsPort, name, transports } = target.value;
    return { address, port, tlsPort, name, transports };
  };
  const usual = {
    address: "192.0.2.1",
    port: undefined,
    tlsPort: undefined,
    name: undefined,
    transports: ["udp", "tcp", "tls"],
  };
  assert.deepEqual(read("192.0.2.1"), usual);
  assert.deepEqual(read("192.0.2.1#dns.example"), { ...usual, name: "dns.example" });
  assert.deepEqual(read("192.0.2.1@5300"), { ...usual, port: 5300, transports: ["udp", "tcp"] });
  const tls = { ...usual, name: "dns.example", transports: ["tls"] };
  assert.deepEqual(read("192.0.2.1@8853#dns.example"), { ...tls, tlsPort: 8853 });
  assert.deepEqual(read(`tls://dns.example?ip=192.0.2.1&pin=sha256:${PIN}=`), { ...tls, tlsPort: 853 });
  assert.deepEqual(read("tcp://[2001:db8::1]:53"), {
    ...usual,
    address: "2001:db8::1",
    port: 53,
    transports: ["udp", "tcp"],
  });
});

test("a target without an address, or that is none, is a problem with a word what to do", () => {
  const nameOnly = tryParseTarget("tls://dns.example");
  assert.ok(!nameOnly.ok);
  assert.match(nameOnly.problem, /add \?ip=ADDRESS/);
  assert.ok(!tryParseTarget("nonsense").ok);
});

test("the plan names places, limits, names and every row that will be tried", () => {
  const target = tryParseTarget("192.0.2.1@8853#dns.example");
  assert.ok(target.ok);
  const options = { isThorough: false, names: PROBE_NAMES_DEFAULT, signal: undefined };
  const plan = planOf(target.value, options);
  assert.match(plan[0] ?? "", /192\.0\.2\.1: TLS port 8853/);
  assert.match(plan.join("\n"), /at most 350 queries and 90 connections/);
  assert.match(plan.join("\n"), /dnssec-failed\.org/);
  assert.ok(plan.some((line) => line.startsWith("padding: ")));
  assert.ok(
    !plan.some((line) => line.startsWith("udp: ") || line.startsWith("connections: ")),
    "not asked for",
  );
  assert.ok(
    planOf(target.value, { ...options, isThorough: true }).some((line) => line.startsWith("connections: ")),
  );
});
