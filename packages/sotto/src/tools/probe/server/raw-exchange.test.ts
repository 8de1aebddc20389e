/** Exchanges of octets with a port of TLS that says nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { simRuntime } from "@sotto/dns/testing";
import { PATIENCE_CAREFUL, PROBE_NAMES_DEFAULT } from "./probe-options.ts";
import { Prober } from "./prober.ts";
import { rawExchange } from "./raw-exchange.ts";

const SILENT = { address: "198.51.100.1", port: 853 };

async function exchange(stopAfterMs: number | undefined): Promise<{ tookMs: number; octets: number }> {
  const world = simRuntime(1);
  await world.network
    .host([SILENT.address])
    .listen(
      { local: SILENT, tls: undefined, handshakeTimeoutMs: 1000, reusePort: false },
      { onStream: () => undefined, onFailure: () => undefined },
    );
  const stop = new AbortController();
  if (stopAfterMs !== undefined) world.clock.startTimer("stop", stopAfterMs, () => stop.abort());
  const target = { text: "silent", address: SILENT.address, transports: ["tls"] as const };
  const options = { isThorough: false, names: PROBE_NAMES_DEFAULT, signal: stop.signal };
  const prober = new Prober(target, options, world.runtimeOf(["192.0.2.1"]));
  const said = await world.clock.runUntil(
    rawExchange(prober, Uint8Array.of(22), () => false),
    60_000,
  );
  const tookMs = world.clock.nowMs() - prober.startMs;
  await world.clock.runUntil(prober.close(), 60_000);
  return { tookMs, octets: said.length };
}

test("silence is waited for as long as a reply", async () => {
  const { tookMs, octets } = await exchange(undefined);
  assert.equal(octets, 0);
  assert.ok(tookMs >= PATIENCE_CAREFUL.replyMs, `took ${tookMs} ms`);
});

// It waited its time out although nobody would be told any more: up to 2.5 s after Ctrl-C.
test("a probe that is stopped waits for no silence", async () => {
  const { tookMs } = await exchange(500);
  assert.ok(tookMs < 600, `took ${tookMs} ms`);
});
