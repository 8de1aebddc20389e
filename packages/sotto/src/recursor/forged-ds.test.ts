/** Parents that lie about DS: an alias may not take its place, whatever the child below is worth. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RRsetCache } from "@sotto/dns/cache";
import { tryParseAnchor } from "@sotto/dns/dnssec";
import { FakeInternet, simRuntime, type Tamper } from "@sotto/dns/testing";
import { Exchanger } from "@sotto/dns/transport";
import {
  encodeMessage,
  parseName,
  parseRecord,
  Rcode,
  RRType,
  recordToText,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { queryOf, rr } from "./authorities.test-support.ts";
import { findInCache } from "./cache-lookup.ts";
import { Recursor } from "./recursor.ts";

/** Servers of dnssec. say that every zone beneath is an alias when they are asked for its DS. */
const lie: Tamper = (server, _heard, action) => {
  const said = tryDecodeMessage(action.replies[0] ?? new Uint8Array());
  const [question] = said.ok ? said.value.questions : [];
  if (!said.ok || question?.type !== RRType.DS || server.name !== "ns1.nic.dnssec.") return action;
  const { name } = question;
  if (name.equals(parseName("dnssec."))) return action;
  const answers = [parseRecord(`${name} 300 IN CNAME www.${name}`)];
  return { ...action, replies: [encodeMessage({ ...said.value, answers, authorities: [] })] };
};

test("an alias in place of a DS is not believed, although the zone below is unsigned [4035-4-a]", async () => {
  const world = simRuntime(1);
  const { clock } = world;
  const internet = FakeInternet.build({ wallMs: clock.wallMs() });
  await internet.start((addresses) => world.network.host(addresses), clock, world.random, lie);
  const anchors = internet.trustAnchors.flatMap((record) => {
    const anchor = tryParseAnchor(recordToText(record));
    return anchor.ok ? [anchor.value] : [];
  });
  const runtime = world.runtimeOf(["192.0.2.253"]);
  const exchanger = new Exchanger({}, runtime);
  const options = { rootHints: internet.rootHints, validation: { anchors } };
  const recursor = new Recursor(options, exchanger, runtime);
  const rcodes: number[] = [];
  for (const name of ["plain.dnssec.", "alg12.dnssec.", "alg13.dnssec."]) {
    const context = { signal: new AbortController().signal, deadlineMs: clock.nowMs() + 8000 };
    const reply = await clock.runUntil(recursor.respond(queryOf(name, RRType.DS), context));
    rcodes.push(reply.message.rcode);
  }
  assert.deepEqual(rcodes, [Rcode.ServFail, Rcode.ServFail, Rcode.ServFail]);
  await clock.runUntil(recursor.close());
  await clock.runUntil(exchanger.close());
  await internet.close();
});

test("that a zone denies its own name says nothing about the DS, which is its parent's", () => {
  const name = parseName("zone.example.");
  const deniedBy = (fromZone: string): RRsetCache => {
    const cache = new RRsetCache({}, simRuntime(1).clock);
    const { rdata } = rr("zone.example. 300 SOA 60");
    const plain = { signatures: [], proofs: [], synthesizedFrom: undefined };
    const soa = { ...plain, owner: name, type: RRType.SOA, ttlSeconds: 60, rdatas: [rdata] };
    cache.storeNegative(name, RRType.A, {
      kind: "nxdomain",
      soa,
      proofs: [],
      fromZone: parseName(fromZone),
    });
    return cache;
  };
  assert.equal(findInCache(deniedBy("zone.example."), name, RRType.A, false)?.kind, "negative");
  assert.equal(findInCache(deniedBy("zone.example."), name, RRType.DS, false), undefined);
  assert.equal(findInCache(deniedBy("example."), name, RRType.DS, false)?.kind, "negative");
});
