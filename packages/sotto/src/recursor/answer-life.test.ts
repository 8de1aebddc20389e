/** How long the parts of an answer may live, told by the seeds of test/simulation/recursor-seeds.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type SimClock, simRuntime } from "@sotto/dns/testing";
import type { Reply } from "@sotto/dns/transport";
import { EdeCode, parseName, RRType } from "@sotto/dns/wire";
import {
  answer,
  authoritative,
  FakeAuthorities,
  queryOf,
  referral,
  rr,
  type Server,
  show,
} from "./authorities.test-support.ts";
import { Recursor, type RecursorOptions } from "./recursor.ts";

const ROOT = "198.51.100.1";
const AUTH = "198.51.100.2";

interface Bench {
  readonly clock: SimClock;
  readonly servers: FakeAuthorities;
  ask(name: string, type?: number): Promise<Reply>;
}

/** A recursor with a root that refers everything to one server. */
function bench(zone: Server, options: RecursorOptions = {}): Bench {
  const world = simRuntime(1);
  const { clock } = world;
  const root: Server = (question) =>
    question === ". NS"
      ? answer(". 518400 NS a.root.example.")
      : referral(["example. 172800 NS ns.example."], [`ns.example. 172800 A ${AUTH}`]);
  const servers = new FakeAuthorities({ [ROOT]: root, [AUTH]: zone }, clock);
  const recursor = new Recursor(
    {
      rootHints: [{ name: parseName("a.root.example."), address: ROOT }],
      qnameMinimisation: "off",
      ...options,
    },
    servers,
    world.runtimeOf(["192.0.2.253"]),
  );
  return {
    clock,
    servers,
    ask: (name, type = RRType.A) => {
      const context = { signal: new AbortController().signal, deadlineMs: clock.nowMs() + 10_000 };
      return clock.runUntil(recursor.respond(queryOf(name, type, { dnssecOk: true }), context));
    },
  };
}

test("an alias grows old while its target is looked for", async () => {
  const b = bench((question) =>
    question.startsWith("www.")
      ? answer("www.example. 300 CNAME slow.example.")
      : { ...answer("slow.example. 300 A 192.0.2.1"), afterMs: 3500 },
  );
  const { message } = await b.ask("www.example.");
  assert.deepEqual(show(message.answers), [
    "www.example. 297 CNAME slow.example.",
    "slow.example. 300 A 192.0.2.1",
  ]);
});

test("a DNAME and what was made of it grow old alike", async () => {
  const b = bench((question) =>
    question.startsWith("www.old.")
      ? answer("old.example. 300 DNAME new.example.", "www.old.example. 300 CNAME www.new.example.")
      : { ...answer("www.new.example. 300 A 192.0.2.1"), afterMs: 3500 },
  );
  const { message } = await b.ask("www.old.example.");
  assert.deepEqual(
    message.answers.map(({ ttl }) => ttl),
    [297, 297, 300],
  );
});

const STALE = { ttlSecondsMax: 86_400, replyTtlSeconds: 30, clientTimeoutMs: 1800 };

test("an answer that was not to be kept is not given stale", async () => {
  let isDead = false;
  const b = bench(() => (isDead ? "silence" : answer("www.example. 0 A 192.0.2.1")), { stale: STALE });
  await b.ask("www.example.");
  isDead = true;
  await b.clock.advance(1000);
  const { extendedErrors, message } = await b.ask("www.example.");
  assert.deepEqual(message.answers, []);
  assert.equal(
    extendedErrors.some(({ code }) => code === EdeCode.StaleAnswer),
    false,
  );
});

test("proofs in a stale answer have its TTL", async () => {
  let isDead = false;
  const wildcard = authoritative({
    answers: [rr("www.example. 300 A 192.0.2.1"), rr("www.example. 300 RRSIG A 1")],
    authorities: [rr("example. 300 NSEC zzz.example."), rr("example. 300 RRSIG NSEC 1")],
  });
  const b = bench(() => (isDead ? "silence" : wildcard), { stale: STALE });
  await b.ask("www.example.");
  isDead = true;
  await b.clock.advance(301_000);
  const { message } = await b.ask("www.example.");
  const ttls = [...message.answers, ...message.authorities].map(({ ttl }) => ttl);
  assert.deepEqual(ttls, [30, 30, 30, 30]);
});
