import assert from "node:assert/strict";
import { test } from "node:test";
import { MESSAGE_CACHE_BYTES_MIN, MessageCache, shareMessageCache } from "@sotto/dns/cache";
import { DnsError } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import type { Query, QueryChannel, QueryContext, Reply, Transport } from "@sotto/dns/transport";
import {
  EdeCode,
  EdnsOptionCode,
  type Message,
  octetsEqual,
  parseRecord,
  Rcode,
  RRType,
  tryReadExtendedError,
  uint16At,
} from "@sotto/dns/wire";
import type { QueryOutcome } from "./outcome-counters.ts";
import { channelOf, decode, FakeResponder, optionOf, queryOctets, replyOf } from "./queries.test-support.ts";
import { QueryService, type QueryServiceOptions } from "./query-service.ts";

interface Served {
  readonly world: SimWorld;
  readonly responder: FakeResponder;
  readonly cache: MessageCache;
  readonly service: QueryService;
  /** The answer, at once or later. */
  ask(octets: Uint8Array, channel?: QueryChannel): Promise<Uint8Array | undefined>;
  /** Outcomes that were counted, over all transports. */
  outcomes(): Partial<Record<QueryOutcome, number>>;
}

function serve(
  answer: (query: Query, context: QueryContext) => Reply | Promise<Reply>,
  options: Partial<QueryServiceOptions> = {},
): Served {
  const world = simRuntime(1);
  const responder = new FakeResponder(answer);
  const cache = new MessageCache({ bytesMax: MESSAGE_CACHE_BYTES_MIN }, world.random);
  const service = new QueryService({ responder, cache, ...options }, world.runtimeOf(["127.0.0.1"]));
  return {
    world,
    responder,
    cache,
    service,
    ask: async (octets, channel = channelOf("udp")) => {
      const found = service.answer(octets, channel);
      // The listener copies what it gets in the call.
      return found instanceof Uint8Array ? found.slice() : found;
    },
    outcomes: () => {
      const sum: Partial<Record<QueryOutcome, number>> = {};
      for (const counters of Object.values(service.outcomes)) {
        for (const [outcome, count] of Object.entries(counters)) {
          // The keys of these counters are the outcomes.
          const key = outcome as QueryOutcome;
          if (count > 0) sum[key] = (sum[key] ?? 0) + count;
        }
      }
      return sum;
    },
  };
}

const address = (query: Query): Reply =>
  replyOf(query, [`${query.view.qname.toString()} 300 IN A 192.0.2.1`]);

function edeOf(message: Message): number | undefined {
  const data = optionOf(message, EdnsOptionCode.ExtendedError);
  const read = data === undefined ? undefined : tryReadExtendedError(data);
  return read?.ok ? read.value.code : undefined;
}

const question = queryOctets("www.example.", { edns: true });

test("the first query goes through the pipeline, the second is answered from the cache in the call", async () => {
  const served = serve(address);
  const first = decode(await served.ask(question));
  const second = served.service.answer(question, channelOf("udp"));
  assert.ok(second instanceof Uint8Array);
  assert.deepEqual(decode(second), first);
  assert.equal(served.responder.queries.length, 1);
  assert.deepEqual(served.outcomes(), { answered: 1, "answered from cache": 1 });
  assert.equal(served.service.outcomes.udp["answered from cache"], 1);
});

test("questions that bypass the cache for a while neither get what is in it nor change it", async () => {
  let bypasses = false;
  const { responder, ask } = serve((query) => address(query), { bypassesCache: () => bypasses });
  await ask(question);
  bypasses = true;
  await ask(question);
  await ask(question);
  assert.equal(responder.queries.length, 3);
  await ask(queryOctets("other.example."));
  bypasses = false;
  await ask(question);
  assert.equal(responder.queries.length, 4, "as it was kept before");
  await ask(queryOctets("other.example."));
  assert.equal(responder.queries.length, 5);
});

test("a cached answer grows old and is asked for again", async () => {
  const served = serve(address);
  await served.ask(question);
  await served.world.clock.advance(100_000);
  assert.equal(decode(await served.ask(question)).answers[0]?.ttl, 200);
  await served.world.clock.advance(200_000);
  await served.ask(question);
  assert.equal(served.responder.queries.length, 2);
});

/** Caches that share one memory, as those of workers do. */
function shareCache(count: number): readonly MessageCache[] {
  const { random } = simRuntime(2);
  const bytesMax = 4 * MESSAGE_CACHE_BYTES_MIN;
  const shared = shareMessageCache(bytesMax, random);
  return Array.from(
    { length: count },
    (_, workerId) => new MessageCache({ bytesMax, shared, workerId }, random),
  );
}

/** Replies of many shapes, told apart by the first label. */
function shapedReply(query: Query): Reply {
  const name = query.view.qname.toString();
  const records: string[] = [];
  const shape = Number(/[0-9]+/.exec(name)?.[0] ?? "0");
  if (shape % 3 === 1) records.push(`${name} 60 IN CNAME target.${name}`, `target.${name} 30 IN A 192.0.2.7`);
  else for (let i = 0; i <= (shape * shape) % 90; i++) records.push(`${name} 300 IN A 192.0.2.${i}`);
  const reply = replyOf(query, records, {
    rcode: shape % 5 === 4 ? Rcode.NXDomain : Rcode.NoError,
    isAuthoritative: shape % 2 === 0,
    authenticData: shape % 4 < 2,
    authorityTexts: ["example. 900 IN SOA ns.example. a.example. 1 2 3 4 600"],
  });
  return shape % 7 < 4 ? reply : { ...reply, protection: "authenticated" };
}

test("the cache and the pipeline give the same octets to the same query at the same time, whoever asked first", async () => {
  const cached = serve(shapedReply);
  const uncached = serve(shapedReply, { cache: undefined });
  const sharing = shareCache(2).map((cache) => serve(shapedReply, { cache }));
  const { random } = simRuntime(77);
  const transports: readonly Transport[] = ["udp", "tcp", "tls"];
  for (let i = 0; i < 4000; i++) {
    const text = `n${random.below(40)}.example.`;
    const name = random.chance(0.5) ? text : text.toUpperCase();
    const options = random.chance(0.5) ? [{ code: 12, data: new Uint8Array(random.below(40)) }] : [];
    const udpPayloadOctets = [0, 512, 1232, 4096][random.below(4)] ?? 512;
    const edns = { dnssecOk: random.chance(0.5), udpPayloadOctets, options };
    const octets = queryOctets(name, {
      id: random.uint16(),
      authenticData: random.chance(0.5),
      checkingDisabled: random.chance(0.3),
      ...(random.chance(0.7) ? { edns } : {}),
    });
    const channel = channelOf(transports[random.below(3)] ?? "udp", { units: random.below(65536) });
    const a = await cached.ask(octets, channel);
    const b = await uncached.ask(octets, channel);
    assert.ok(a !== undefined && b !== undefined && octetsEqual(a, b), `${i}: ${name}`);
    const c = await sharing[i % 2]?.ask(octets, channel);
    assert.ok(c !== undefined && octetsEqual(c, b), `${i}: ${name}, from a shared cache`);
  }
  for (const each of sharing) {
    assert.ok((each.outcomes()["answered from cache"] ?? 0) > 1500);
    assert.ok(each.responder.queries.length < cached.responder.queries.length);
  }
  assert.ok((cached.outcomes()["answered from cache"] ?? 0) > 3000);
  assert.equal(uncached.outcomes()["answered from cache"], undefined);
});

test("a query without RD never learns what is cached", async () => {
  const served = serve((query) =>
    query.view.recursionDesired ? address(query) : replyOf(query, [], { rcode: Rcode.Refused }),
  );
  await served.ask(question);
  const reply = decode(await served.ask(queryOctets("www.example.", { recursionDesired: false })));
  assert.equal(reply.rcode, Rcode.Refused);
  assert.equal(served.responder.queries.length, 2);
  assert.deepEqual(served.outcomes(), { answered: 1, refused: 1 });
});

test("what is local, failed, explained or has no life is asked for again each time", async () => {
  const soa = "example. 300 IN SOA a.example. b.example. 1 2 3 4 0";
  const rows: readonly (readonly [string, (query: Query) => Reply])[] = [
    ["local", (query) => ({ ...address(query), protection: "local" })],
    [
      "explained",
      (query) => ({ ...address(query), extendedErrors: [{ code: EdeCode.StaleAnswer, text: "" }] }),
    ],
    ["TTL 0", (query) => replyOf(query, ["www.example. 0 IN A 192.0.2.1"])],
    ["NODATA without SOA", (query) => replyOf(query, [])],
    ["a referral", (query) => replyOf(query, [], { authorityTexts: ["example. 300 IN NS ns.example."] })],
    ["NXDOMAIN with MINIMUM 0", (query) => replyOf(query, [], { rcode: 3, authorityTexts: [soa] })],
    ["an alias to nothing known", (query) => replyOf(query, ["www.example. 300 IN CNAME x.example."])],
    ["refused", (query) => replyOf(query, [], { rcode: Rcode.Refused })],
  ];
  for (const [name, answer] of rows) {
    const served = serve(answer);
    await served.ask(question);
    await served.ask(question);
    assert.equal(served.responder.queries.length, 2, name);
    assert.equal(served.cache.count, 0, name);
  }
});

test("negative answers live for the smaller of TTL and MINIMUM, and tell so [2308-5-a]", async () => {
  const soa = "example. 900 IN SOA a.example. b.example. 1 2 3 4 60";
  for (const answers of [[], ["www.example. 300 IN CNAME x.example."]]) {
    const served = serve((query) => replyOf(query, answers, { authorityTexts: [soa] }), { prefetch: false });
    assert.equal(decode(await served.ask(question)).authorities[0]?.ttl, 60);
    await served.world.clock.advance(59_000);
    assert.equal(decode(await served.ask(question)).authorities[0]?.ttl, 1);
    assert.equal(served.responder.queries.length, 1);
    await served.world.clock.advance(1000);
    await served.ask(question);
    assert.equal(served.responder.queries.length, 2);
  }
});

test("a failure that an upstream told is remembered for a second [9520-3-a]", async () => {
  const served = serve((query) => replyOf(query, [], { rcode: Rcode.ServFail }));
  await served.ask(question);
  await served.world.clock.advance(999);
  assert.equal(decode(await served.ask(question)).rcode, Rcode.ServFail);
  assert.equal(served.responder.queries.length, 1);
  await served.world.clock.advance(2000);
  await served.ask(question);
  assert.equal(served.responder.queries.length, 2);
});

test("another's AD counts when it is authenticated, its AA never", async () => {
  const flags = { authenticData: true, isAuthoritative: true };
  const asking = queryOctets("www.example.", { authenticData: true });
  const rows: readonly (readonly [Partial<Reply>, boolean, boolean])[] = [
    [{ protection: "clear" }, false, false],
    [{ protection: "encrypted" }, false, false],
    [{ protection: "authenticated" }, true, false],
    [{ protection: "clear", security: "secure" }, true, false],
    [{ protection: "local" }, false, true],
  ];
  for (const [parts, ad, aa] of rows) {
    const served = serve((query) => ({ ...replyOf(query, [], flags), ...parts }));
    const message = decode(await served.ask(asking));
    assert.equal(message.authenticData, ad, JSON.stringify(parts));
    assert.equal(message.isAuthoritative, aa, JSON.stringify(parts));
  }
});

test("extended response codes of upstreams do not reach clients", async () => {
  for (const rcode of [Rcode.BadVers, Rcode.BadCookie, 4095]) {
    const served = serve((query) => replyOf(query, [], { rcode }));
    assert.equal(decode(await served.ask(question)).rcode, Rcode.ServFail);
    assert.equal(served.cache.count, 0);
  }
});

test("strangers are refused with a reason or get nothing, before anything else is looked at", async () => {
  const stranger = channelOf("udp", { address: "192.0.2.1" });
  const refusing = serve(address);
  await refusing.ask(question);
  const refused = decode(await refusing.ask(question, stranger));
  assert.equal(refused.rcode, Rcode.Refused);
  assert.equal(edeOf(refused), EdeCode.Prohibited);
  assert.equal(decode(await refusing.ask(queryOctets("x.", { opcode: 5 }), stranger)).rcode, Rcode.Refused);
  assert.deepEqual(refusing.outcomes(), { answered: 1, refused: 2 });
  const dropping = serve(address, { access: { allow: [], deny: [], action: "drop" } });
  assert.equal(await dropping.ask(question), undefined);
  assert.deepEqual(dropping.outcomes(), { dropped: 1 });
  assert.equal(decode(await dropping.ask(question, channelOf("internal"))).rcode, Rcode.NoError);
});

test("what is not accepted is answered in the call and counted as what it was", async () => {
  const served = serve(address);
  const rows: readonly (readonly [Uint8Array, number | undefined, QueryOutcome])[] = [
    [question.subarray(0, 5), undefined, "dropped"],
    [queryOctets("x.", { isResponse: true }), undefined, "dropped"],
    [queryOctets("x.", { opcode: 6 }), Rcode.NotImp, "not implemented"],
    [queryOctets("x.", { questions: [] }), Rcode.FormErr, "malformed"],
    [question.subarray(0, 20), Rcode.FormErr, "malformed"],
    [queryOctets("x.", { edns: { version: 9 } }), Rcode.BadVers, "malformed"],
    [queryOctets("x.", { type: RRType.AXFR }), Rcode.Refused, "refused"],
  ];
  for (const [octets, rcode, outcome] of rows) {
    const before = served.service.outcomes.udp[outcome];
    const answer = served.service.answer(octets, channelOf("udp"));
    assert.ok(!(answer instanceof Promise));
    assert.equal(answer === undefined ? undefined : decode(answer).rcode, rcode);
    if (answer !== undefined) assert.equal(uint16At(answer, 0), 0x1234);
    assert.equal(served.service.outcomes.udp[outcome], before + 1);
  }
  assert.equal(served.responder.queries.length, 0);
});

test("what the world did to us is SERVFAIL with a reason and no event", async () => {
  for (const [code, ede] of [
    ["ERR_TIMEOUT", EdeCode.NetworkError],
    ["ERR_NO_REACHABLE_AUTHORITY", EdeCode.NoReachableAuthority],
  ] as const) {
    const served = serve(() => Promise.reject(new DnsError(code, "gone", { stage: "connect" })));
    const message = decode(await served.ask(question));
    assert.equal(message.rcode, Rcode.ServFail);
    assert.equal(edeOf(message), ede);
    assert.deepEqual(served.outcomes(), { failed: 1 });
    assert.deepEqual(served.world.events.named("server.bug"), []);
  }
});

test("a bug anywhere is SERVFAIL and an event, and the next query is answered", async () => {
  let isBroken = true;
  const served = serve((query) => {
    if (isBroken) throw new TypeError("x is not a function");
    return address(query);
  });
  assert.equal(decode(await served.ask(question)).rcode, Rcode.ServFail);
  isBroken = false;
  const broken: QueryChannel = {
    ...channelOf("tcp"),
    keepaliveUnits: () => {
      throw new TypeError("no");
    },
  };
  await served.ask(question);
  assert.equal(await served.ask(question, broken), undefined, "an answer from the cache that fails twice");
  assert.equal(decode(await served.ask(question)).rcode, Rcode.NoError);
  assert.equal(served.world.events.named("server.bug").length, 2);
  assert.deepEqual(served.outcomes(), { bug: 2, answered: 1, "answered from cache": 1 });
});

test("a pipeline that never answers is answered for, and told that nobody waits", async () => {
  const served = serve(() => new Promise<Reply>(() => undefined), { deadlineMs: 3000 });
  const pending = served.ask(question);
  const idle = served.service.idle();
  assert.equal(served.responder.contexts[0]?.deadlineMs, served.world.clock.nowMs() + 3000);
  const signal = served.responder.contexts[0]?.signal;
  await served.world.clock.advance(3499);
  assert.equal(signal?.aborted, false);
  await served.world.clock.advance(1);
  assert.equal(signal?.aborted, true);
  const message = decode(await pending);
  assert.equal(message.rcode, Rcode.ServFail);
  assert.equal(edeOf(message), EdeCode.NoReachableAuthority);
  await idle;
  assert.deepEqual(served.world.clock.pendingTimers, []);
  assert.deepEqual(served.outcomes(), { failed: 1 });
});

test("a reply that comes too late changes nothing, and neither does a late failure", async () => {
  for (const isFailure of [false, true]) {
    const late = Promise.withResolvers<Reply>();
    const served = serve(() => late.promise, { deadlineMs: 1000 });
    const pending = served.ask(question);
    await served.world.clock.advance(2000);
    assert.equal(decode(await pending).rcode, Rcode.ServFail);
    const query = served.responder.queries[0];
    assert.ok(query);
    if (isFailure) late.reject(new Error("late"));
    else late.resolve(address(query));
    await served.world.clock.advance(1);
    assert.deepEqual(served.outcomes(), { failed: 1 });
    assert.equal(served.responder.contexts[0]?.signal.aborted, true, "also when first looked at afterwards");
  }
});

test("a full pipeline answers SERVFAIL at once, and takes queries again when one has left", async () => {
  const waiting: PromiseWithResolvers<Reply>[] = [];
  const served = serve(
    () => {
      const one = Promise.withResolvers<Reply>();
      waiting.push(one);
      return one.promise;
    },
    { pendingMax: 2 },
  );
  const first = served.ask(question);
  const second = served.ask(queryOctets("b.example."));
  const third = decode(await served.ask(question));
  assert.equal(third.rcode, Rcode.ServFail);
  assert.equal(edeOf(third), EdeCode.NotReady);
  const query = served.responder.queries[0];
  assert.ok(query);
  waiting[0]?.resolve(address(query));
  assert.equal(decode(await first).rcode, Rcode.NoError);
  const fourth = served.ask(queryOctets("d.example."));
  assert.equal(served.responder.queries.length, 3);
  await served.world.clock.advance(20_000);
  assert.equal(decode(await second).rcode, Rcode.ServFail);
  assert.equal(decode(await fourth).rcode, Rcode.ServFail);
});

test("queries of one connection are under way together, and the octets of each are kept [7766-6.2.1.1-d]", async () => {
  const waiting = new Map<string, () => void>();
  const served = serve(
    (query) =>
      new Promise((resolve) => waiting.set(query.view.qname.toString(), () => resolve(address(query)))),
  );
  const names = ["a.example.", "b.example.", "c.example."];
  const channel = channelOf("tcp");
  const buffer = new Uint8Array(512);
  const answers = names.map((name, i) => {
    const octets = queryOctets(name, { id: i });
    buffer.set(octets);
    const answer = served.ask(buffer.subarray(0, octets.length), channel);
    buffer.fill(0);
    return answer;
  });
  assert.equal(waiting.size, 3);
  for (const name of names.toReversed()) waiting.get(name)?.();
  for (const [i, answer] of answers.entries()) {
    const message = decode(await answer);
    assert.equal(message.id, i);
    assert.deepEqual(message.answers[0], parseRecord(`${names[i]} 300 IN A 192.0.2.1`));
  }
});

test("a reply too large for any message is cut on UDP and a failure on TCP, and is not cached", async () => {
  const rdata = new Uint8Array(1000);
  const served = serve((query) => {
    const record = { ...parseRecord("www.example. 300 IN A 192.0.2.1"), type: RRType.A, rdata };
    return replyOf(query, [], { answers: Array.from({ length: 70 }, () => record) });
  });
  const cut = decode(await served.ask(question));
  assert.ok(cut.isTruncated);
  assert.equal(cut.rcode, Rcode.NoError);
  const failed = decode(await served.ask(question, channelOf("tcp")));
  assert.equal(failed.rcode, Rcode.ServFail);
  assert.equal(failed.isTruncated, false);
  assert.equal(served.responder.queries.length, 2);
});

test("a bug at the beginning of a renewal takes no answer away, and leaves nothing to wait for", async () => {
  const world = simRuntime(1);
  let asked = 0;
  const responder = {
    respond: (query: Query): Promise<Reply> => {
      if (++asked > 1) throw new Error("bug");
      return Promise.resolve(address(query));
    },
  };
  const cache = new MessageCache({ bytesMax: MESSAGE_CACHE_BYTES_MIN }, world.random);
  const service = new QueryService({ responder, cache }, world.runtimeOf(["127.0.0.1"]));
  await service.answer(question, channelOf("udp"));
  await world.clock.advance(295_000);
  const answer = service.answer(question, channelOf("udp"));
  assert.ok(answer instanceof Uint8Array);
  assert.equal(decode(answer).answers.length, 1);
  await world.clock.runUntil(service.idle(), 0);
  assert.equal(asked, 2);
  assert.deepEqual(
    world.events.named("server.bug").map(({ where }) => where),
    ["prefetch"],
  );
});
