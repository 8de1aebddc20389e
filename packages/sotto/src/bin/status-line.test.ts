import assert from "node:assert/strict";
import { test } from "node:test";
import type { ForwardZoneStatus, OpenListener, UpstreamStatus } from "../compose/index.ts";
import { statusLine } from "./status-line.ts";

function listener(transport: OpenListener["transport"], port: number): OpenListener {
  return { transport, local: { address: "127.0.0.1", port }, certificates: [], counters: {} };
}

function upstream(address: string, state: UpstreamStatus["state"], port = 853): UpstreamStatus {
  return {
    address,
    port,
    transport: "tls",
    rung: "authenticated",
    state,
    authenticatedBy: undefined,
    replies: 0,
    failures: 0,
    failuresInARow: 0,
    reuseRatio: 0,
    fullHandshakes: 0,
    resumedHandshakes: 0,
    smoothedMs: undefined,
    avoidedForMs: 0,
    lastFailure: undefined,
    lastReplyAgoMs: undefined,
  };
}

test("the status tells where is listened, and of each upstream its best state", () => {
  const zone: ForwardZoneStatus = {
    zone: ".",
    profile: "strict",
    choice: "ordered",
    upstreams: [
      upstream("192.0.2.1", "failing"),
      upstream("192.0.2.1", "encrypted"),
      upstream("192.0.2.2", "authenticated"),
      upstream("192.0.2.3", "untried"),
      upstream("192.0.2.4", "untried"),
    ],
  };
  const listeners = [listener("udp", 53), listener("tcp", 53), listener("tls", 853)];
  assert.equal(
    statusLine({ listeners, upstreams: () => [zone] }),
    "serving on 127.0.0.1 port 53 (udp, tcp), 127.0.0.1 port 853 (tls); upstreams of .: 1 authenticated, 1 encrypted, 2 untried",
  );
  assert.equal(
    statusLine({ listeners: [listener("udp", 53)], upstreams: () => [] }),
    "serving on 127.0.0.1 port 53 (udp)",
  );
});
