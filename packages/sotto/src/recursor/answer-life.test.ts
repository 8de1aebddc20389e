/** How long the parts of an answer may live, told by the seeds of test/simulation/recursor-seeds.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tryParseAnchor } from "@sotto/dns/dnssec";
import { FakeInternet, type SimClock, simRuntime, type Tamper } from "@sotto/dns/testing";
import { Exchanger, type Reply } from "@sotto/dns/transport";
import {
  EdeCode,
  encodeMessage,
  parseName,
  Rcode,
  RRType,
  recordToText,
  tryDecodeMessage,
} from "@sotto/dns/wire";
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

interface ValidatingOptions {
  /** One way. Default 5. */
  readonly latencyMs?: number;
  readonly deadlineMs?: number;
  /** Default: servers do as they are. */
  readonly tamper?: Tamper;
}

interface ValidatingBench {
  readonly clock: SimClock;
  ask(name: string): Promise<Reply>;
  /** From now on nothing gets through to anybody. */
  silence(): void;
}

/** A validating recursor on the fake internet. */
async function withFakeInternet(
  run: (bench: ValidatingBench) => Promise<void>,
  { latencyMs = 5, deadlineMs = 8000, tamper }: ValidatingOptions = {},
): Promise<void> {
  const world = simRuntime(1, { latencyMs });
  const { clock, network } = world;
  const internet = FakeInternet.build({ wallMs: clock.wallMs() });
  await internet.start((addresses) => network.host(addresses), clock, world.random, tamper);
  const anchors = internet.trustAnchors.map((record) => {
    const anchor = tryParseAnchor(recordToText(record));
    if (!anchor.ok) throw new Error(anchor.problem);
    return anchor.value;
  });
  const runtime = world.runtimeOf(["192.0.2.253"]);
  const exchanger = new Exchanger({}, runtime);
  const { rootHints } = internet;
  const options = { rootHints, stale: STALE, validation: { anchors }, deadlineMs };
  const recursor = new Recursor(options, exchanger, runtime);
  await run({
    clock,
    ask: (name) => {
      const context = { signal: new AbortController().signal, deadlineMs: clock.nowMs() + deadlineMs };
      return clock.runUntil(recursor.respond(queryOf(name, RRType.A, { dnssecOk: true }), context));
    },
    silence: () => {
      for (const { addresses } of internet.servers)
        for (const address of addresses) network.setReachability(address, "silent");
    },
  });
  await clock.runUntil(recursor.close());
  await clock.runUntil(exchanger.close());
  await internet.close();
}

test("a signed set has no more than its signed TTL, also at the end of an insecure chain", () =>
  withFakeInternet(async ({ ask }) => {
    const { message, security } = await ask("raised.plain.dnssec.");
    assert.equal(security, "insecure");
    assert.deepEqual(
      message.answers.filter(({ type }) => type === RRType.A).map(({ ttl }) => ttl),
      [300],
    );
  }));

test("a stale answer is not secure any more when its signatures have ended", () =>
  withFakeInternet(async ({ ask, silence, clock }) => {
    // Signatures are valid for thirty days, and a day of grace.
    await clock.advance(31 * 86_400_000 - 600_000);
    assert.equal((await ask("www.alg13.dnssec.")).security, "secure");
    silence();
    await clock.advance(400_000);
    const early = await ask("www.alg13.dnssec.");
    assert.deepEqual([early.message.answers[0]?.ttl, early.security], [30, "secure"]);
    await clock.advance(600_000);
    const late = await ask("www.alg13.dnssec.");
    assert.deepEqual([late.message.answers[0]?.ttl, late.security], [30, "indeterminate"]);
    assert.deepEqual(late.extendedErrors, [{ code: EdeCode.StaleAnswer, text: "" }]);
  }));

test("a client whose time is up says nothing about the keys of the zones above its name", () =>
  withFakeInternet(
    async ({ ask, clock }) => {
      // Its walk ends while the keys of dnssec. are on their way.
      const failed = await ask("x.y.wild.far.away.parent.dnssec.");
      assert.equal(failed.message.rcode, Rcode.ServFail);
      await clock.advance(100);
      assert.equal((await ask("www.alg13.dnssec.")).security, "secure");
    },
    { latencyMs: 71, deadlineMs: 1522 },
  ));

/** Denials lose their SOA, and keys come late. */
const slowKeysAndNoSoa: Tamper = (_server, _heard, action) => {
  const [reply] = action.replies;
  const read = reply && tryDecodeMessage(reply);
  if (read?.ok !== true) return action;
  const { value: message } = read;
  if (message.questions[0]?.type === RRType.DNSKEY) return { ...action, delayMs: 1400 };
  if (message.rcode !== Rcode.NXDomain) return action;
  const authorities = message.authorities.filter(({ owner }) => owner.toString() !== "rounds2500.dnssec.");
  return { ...action, replies: [encodeMessage({ ...message, authorities })] };
};

test("a denial without a SOA grows old while keys are looked for (seed 2621 with servers over TLS)", () =>
  withFakeInternet(
    async ({ ask }) => {
      const { message } = await ask("nothing.rounds2500.dnssec.");
      assert.equal(message.rcode, Rcode.NXDomain);
      const proofs = message.authorities.filter(({ type }) => type === RRType.NSEC3);
      assert.ok(proofs.length > 0);
      // Two sets of keys, one after the other.
      for (const { ttl } of proofs) assert.ok(ttl <= 298, `${ttl} s`);
    },
    { tamper: slowKeysAndNoSoa },
  ));
