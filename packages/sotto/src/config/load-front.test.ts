import assert from "node:assert/strict";
import { test } from "node:test";
import { Rcode } from "@sotto/dns/wire";
import { loadFront } from "./load-front.ts";

// NSD, Knot and BIND refuse `. NS`: all of them were down after ten seconds, without transfers, and with old answers in place of new ones.
test("what an authoritative server says of the root does not take it down", () => {
  const loaded = loadFront(
    'pools: [{ name: a, backends: [{ address: "tcp://192.0.2.1" }] }]',
    "/etc/front.yaml",
  );
  assert.ok(loaded.ok);
  assert.deepEqual(loaded.config.pools[0]?.health.rcodes, [Rcode.NoError, Rcode.NXDomain, Rcode.Refused]);
});

// Each query went round until all places were taken.
test("a backend that is a listener of its own is a mistake, and one that could be is worth a word", () => {
  const load = (listener: string, backend: string) =>
    loadFront(
      `listen: [{ transport: udp, address: "${listener}", port: 5353, name: plain }]
pools: [{ name: a, backends: [{ address: "${backend}" }] }]
`,
      "/etc/front.yaml",
    );
  const mistaken = load("127.0.0.1", "udp://127.0.0.1:5353");
  assert.ok(!mistaken.ok);
  assert.match(JSON.stringify(mistaken.problems), /"line":2.*listener plain/);
  const doubtful = load("0.0.0.0", "udp://127.0.0.1:5353");
  assert.ok(doubtful.ok);
  assert.match(JSON.stringify(doubtful.warnings), /listener plain/);
  for (const other of ["tcp://127.0.0.1:5353", "udp://127.0.0.2:5353", "udp://127.0.0.1:5300"]) {
    const loaded = load("127.0.0.1", other);
    assert.ok(loaded.ok && loaded.warnings.length === 0, other);
  }
});

test("a backend is asked from an address of its own family, or of nobody's choice", () => {
  const load = (source: string) =>
    loadFront(`pools: [{ name: a, backends: [{ address: "tcp://192.0.2.1"${source} }] }]`, "/etc/front.yaml");
  const chosen = load(", source: 192.0.2.9");
  assert.ok(chosen.ok);
  assert.equal(chosen.config.pools[0]?.backends[0]?.localAddress, "192.0.2.9");
  const free = load("");
  assert.ok(free.ok && free.config.pools[0]?.backends[0]?.localAddress === undefined);
  for (const wrong of ["2001:db8::9", "here"]) assert.ok(!load(`, source: "${wrong}"`).ok, wrong);
});
