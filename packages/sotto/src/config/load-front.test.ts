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
