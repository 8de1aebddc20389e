import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "@sotto/dns/runtime";
import { parseName } from "@sotto/dns/wire";
import { InfraCache, type InfraCacheOptions, RTT_UNKNOWN_MS } from "./infra-cache.ts";

const SERVER = "192.0.2.1";

function build(options: InfraCacheOptions = {}): { time: { ms: number }; infra: InfraCache } {
  const time = { ms: 1000 };
  const clock: Clock = {
    nowMs: () => time.ms,
    wallMs: () => 0,
    startTimer: () => {
      throw new Error("the cache needs no timers");
    },
  };
  return { time, infra: new InfraCache(options, clock) };
}

test("the expected time follows the measured ones", () => {
  const { infra } = build();
  assert.equal(infra.expectedMs(SERVER), RTT_UNKNOWN_MS);
  infra.noteReply(SERVER, 20);
  assert.equal(infra.expectedMs(SERVER), 20);
  for (let i = 0; i < 50; i++) infra.noteReply(SERVER, 100);
  assert.ok(Math.abs(infra.expectedMs(SERVER) - 100) < 2);
});

test("each silence doubles the expected time, time and replies take it back", () => {
  const { time, infra } = build();
  infra.noteReply(SERVER, 20);
  infra.noteSilence(SERVER);
  infra.noteSilence(SERVER);
  assert.equal(infra.expectedMs(SERVER), 80);
  time.ms += 60_000;
  assert.equal(infra.expectedMs(SERVER), 40);
  infra.noteReply(SERVER, 20);
  assert.equal(infra.expectedMs(SERVER), 20);
});

test("patience has a floor and a ceiling", () => {
  const { infra } = build();
  infra.noteReply(SERVER, 1);
  assert.equal(infra.patienceMs(SERVER), 200);
  for (let i = 0; i < 20; i++) infra.noteSilence(SERVER);
  assert.ok(infra.patienceMs(SERVER) <= 1500);
  assert.ok(infra.expectedMs(SERVER) <= 120_000);
});

test("EDNS support is remembered for a while", () => {
  const { time, infra } = build();
  assert.equal(infra.edns(SERVER), "unknown");
  infra.noteEdns(SERVER, "none");
  assert.equal(infra.edns(SERVER), "none");
  infra.noteEdns(SERVER, "none", 1000);
  time.ms += 1000;
  assert.equal(infra.edns(SERVER), "unknown");
});

test("lameness is for one server and one zone, for five minutes [9520-3-a]", () => {
  const { time, infra } = build();
  infra.noteLame(SERVER, parseName("example."), "not authoritative");
  assert.equal(infra.lameness(SERVER, parseName("EXAMPLE.")), "not authoritative");
  assert.equal(infra.lameness(SERVER, parseName("test.")), undefined);
  assert.equal(infra.lameness("192.0.2.2", parseName("example.")), undefined);
  time.ms += 300_000;
  assert.equal(infra.lameness(SERVER, parseName("example.")), undefined);
});

test("what was not used for a quarter of an hour is forgotten", () => {
  const { time, infra } = build();
  infra.noteReply(SERVER, 20);
  time.ms += 900_000;
  assert.equal(infra.isKnown(SERVER), false);
});

test("the number of servers is bounded and the oldest leaves", () => {
  const { infra } = build({ serversMax: 3 });
  for (let i = 1; i <= 4; i++) infra.noteReply(`192.0.2.${i}`, 20);
  assert.equal(infra.serverCount, 3);
  assert.equal(infra.isKnown("192.0.2.1"), false);
  assert.equal(infra.isKnown("192.0.2.4"), true);
});
