import assert from "node:assert/strict";
import { test } from "node:test";
import { MESSAGE_CACHE_BYTES_MIN, MessageCache } from "@sotto/dns/cache";
import { DnsError } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import type { LaterAnswer, QueryChannel, Transport } from "@sotto/dns/transport";
import {
  EdeCode,
  EdnsOptionCode,
  type ExtendedError,
  encodeMessage,
  type Message,
  makeClientSubnet,
  makeEdns,
  makeMessage,
  makePadding,
  octetsEqual,
  parseName,
  parseRecord,
  Rcode,
  RRClass,
  RRType,
  rdataToText,
  recordToText,
  tryDecodeMessage,
  tryReadExtendedError,
  tryReadKeepalive,
} from "@sotto/dns/wire";
import type { ForwardQuery } from "./backends/index.ts";
import type { FrontPool } from "./front-pool.ts";
import { FrontService, type FrontServiceOptions } from "./front-service.ts";
import type { Verdict } from "./rules/index.ts";

const PASS: Verdict = {
  end: "pass",
  rule: undefined,
  rcode: Rcode.NoError,
  errors: [],
  answer: undefined,
  pool: undefined,
  delayMs: 0,
  edits: [],
  tags: [],
  loggedBy: [],
  tees: [],
};

class FakePool implements FrontPool {
  readonly name: string;
  readonly asked: ForwardQuery[] = [];
  readonly cache: MessageCache | undefined;
  readonly staleSeconds = 600;
  readonly passesAuthenticData: boolean;
  readonly passedOptions = new Set([EdnsOptionCode.ZoneVersion]);
  isDown = false;

  constructor(name: string, { random }: SimWorld, passesAuthenticData = true) {
    this.name = name;
    this.passesAuthenticData = passesAuthenticData;
    this.cache = new MessageCache({ bytesMax: MESSAGE_CACHE_BYTES_MIN }, random);
  }

  get backends() {
    const { isDown } = this;
    return {
      forward: (query: ForwardQuery) => void this.asked.push(query),
      isDown,
      openTransfer: () => undefined,
    };
  }

  /** Answers the oldest query. */
  reply(parts: Partial<Message> = {}): void {
    const query = this.asked.shift();
    assert.ok(query !== undefined, "nothing was asked");
    const address = parseRecord(`${query.question.name.toString()} 300 IN A 192.0.2.1`);
    const octets = encodeMessage(
      makeMessage({
        id: 9,
        isResponse: true,
        recursionDesired: true,
        recursionAvailable: true,
        questions: [query.question],
        answers: [address],
        edns: makeEdns({
          options: [makePadding(77), { code: EdnsOptionCode.TcpKeepalive, data: Uint8Array.of(0, 9) }],
        }),
        ...parts,
      }),
    );
    const useless = query.refuses?.(octets, "b1");
    if (useless === undefined) query.settle({ kind: "reply", octets, backend: "b1", tookMs: 1, tries: 1 });
    else this.#fail(query, new DnsError("ERR_REPLY_UNUSABLE", `backend b1: ${useless}`));
  }

  fail(): void {
    const problem = new DnsError("ERR_NO_REACHABLE_AUTHORITY", "b1 is down", { stage: "connect" });
    this.#fail(this.asked.shift(), problem);
  }

  #fail(query: ForwardQuery | undefined, problem: DnsError): void {
    query?.settle({ kind: "failed", problem, tries: 3 });
  }
}

function open(
  options: Partial<Omit<FrontServiceOptions, "pools" | "rules">> & { verdict?: Partial<Verdict> } = {},
) {
  const world = simRuntime(1);
  const [first, second] = [new FakePool("first", world), new FakePool("second", world, false)];
  const verdict = { ...PASS, ...options.verdict };
  const service = new FrontService(
    {
      rules: { judge: () => verdict },
      pools: new Map([first, second].map((pool) => [pool.name, pool])),
      deadlineMs: 4000,
      transfers: [],
      ...options,
    },
    world.runtimeOf(["127.0.0.1"]),
  );
  const handler = service.handlerOf("public");
  return {
    world,
    first,
    second,
    service,
    ask: (octets = queryOctets(), channel = channelOf("tls")) => handler.answer(octets, channel),
  };
}

function queryOctets(parts: Partial<Message> & { readonly name?: string } = {}): Uint8Array {
  const { name = "WWW.Example.", ...rest } = parts;
  return encodeMessage(
    makeMessage({
      id: 0x1234,
      recursionDesired: true,
      questions: [{ name: parseName(name), type: RRType.A, class: RRClass.IN }],
      edns: makeEdns(),
      ...rest,
    }),
  );
}

function channelOf(transport: Transport, address = "127.0.0.1"): QueryChannel {
  const remote = { address, port: 4711 };
  return {
    origin: { transport, remote, local: undefined, security: undefined },
    keepaliveUnits: () => (transport === "udp" ? undefined : 123),
  };
}

/** It waits for a backend. */
function isLater(answer: ReturnType<ReturnType<typeof open>["ask"]>): answer is LaterAnswer {
  return answer !== undefined && !(answer instanceof Uint8Array);
}

async function decoded(answer: ReturnType<ReturnType<typeof open>["ask"]>): Promise<Message> {
  const octets = isLater(answer) ? await answer : answer;
  assert.ok(octets !== undefined, "no answer");
  const message = tryDecodeMessage(octets);
  assert.ok(message.ok);
  return message.value;
}

/** Options of a query as a backend gets it. */
function optionsOf(query: ForwardQuery | undefined): number[] | undefined {
  const message = tryDecodeMessage(query?.octets ?? new Uint8Array(0));
  assert.ok(message.ok);
  return message.value.edns?.options.map(({ code }) => code);
}

function errorOf({ edns }: Message): ExtendedError | undefined {
  const option = edns?.options.find(({ code }) => code === EdnsOptionCode.ExtendedError);
  const read = option === undefined ? undefined : tryReadExtendedError(option.data);
  return read?.ok ? read.value : undefined;
}

function edeOf(message: Message): number | undefined {
  return errorOf(message)?.code;
}

test("the client's id, case and connection, whatever the backend says of its own [7828-3.4-a 8467-4.1-b]", async () => {
  const { ask, first } = open();
  const answer = ask(queryOctets({ edns: makeEdns({ options: [makePadding(10)] }) }));
  assert.ok(isLater(answer));
  first.reply();
  const octets = await answer;
  assert.equal((octets?.length ?? 0) % 468, 0);
  const message = await decoded(octets);
  assert.equal(message.id, 0x1234);
  assert.equal(message.questions[0]?.name.toString(), "WWW.Example.");
  const keepalive = message.edns?.options.find(({ code }) => code === EdnsOptionCode.TcpKeepalive);
  const units = keepalive && tryReadKeepalive(keepalive.data);
  assert.ok(units?.ok);
  assert.equal(units.value, 123);
});

test("the second answer comes from the cache in the call, with another id and case, and octet by octet the same otherwise", async () => {
  const { ask, first, world, service } = open();
  const query = queryOctets();
  const answer = ask(query);
  first.reply();
  const fresh = await answer;
  const cached = ask(query);
  assert.ok(cached instanceof Uint8Array && fresh !== undefined);
  assert.ok(octetsEqual(cached, fresh));
  await world.clock.advance(100_000);
  const later = await decoded(ask(queryOctets({ id: 7, name: "www.EXAMPLE." })));
  assert.equal(later.id, 7);
  assert.equal(later.questions[0]?.name.toString(), "www.EXAMPLE.");
  assert.equal(later.answers[0]?.ttl, 200);
  assert.equal(first.asked.length, 0);
  assert.deepEqual([service.outcomes.tls.answered, service.outcomes.tls["answered from cache"]], [1, 2]);
});

// Whoever stood before an authoritative server looked like an open resolver.
test("recursion is offered where the backend offers it, by the cache, too", async () => {
  const { ask, first } = open();
  for (const isThere of [false, true]) {
    const query = queryOctets({ name: `${isThere}.example.` });
    const answer = ask(query);
    first.reply({ recursionAvailable: isThere });
    assert.equal((await decoded(answer)).recursionAvailable, isThere);
    const again = ask(query);
    assert.ok(again instanceof Uint8Array, "it comes from the cache");
    assert.equal((await decoded(again)).recursionAvailable, isThere);
  }
});

test("answers for one client are asked for each time", async () => {
  const { ask, first } = open();
  const subnet = makeClientSubnet({
    address: Uint8Array.of(192, 0, 2, 0),
    sourcePrefixBits: 24,
    scopePrefixBits: 0,
  });
  for (let i = 0; i < 2; i++) {
    const answer = ask(queryOctets({ edns: makeEdns({ options: [subnet] }) }));
    const sent = tryDecodeMessage(first.asked[0]?.octets ?? new Uint8Array(0));
    assert.ok(sent.ok);
    assert.deepEqual(
      sent.value.edns?.options.map(({ code }) => code),
      [EdnsOptionCode.ClientSubnet],
    );
    first.reply();
    assert.equal((await decoded(answer)).answers.length, 1);
  }
  const other = ask();
  assert.ok(isLater(other), "what was for a subnet is not for all");
});

test("a client subnet that cannot be read is FORMERR and reaches no backend, unless the rules take it out", async () => {
  // With an option that a rule sets, one of 64 KiB makes more than a message holds.
  const data = new Uint8Array(65_400);
  const query = queryOctets({ edns: makeEdns({ options: [{ code: EdnsOptionCode.ClientSubnet, data }] }) });
  const set = { kind: "set", code: 65_001, data: new Uint8Array(300) } as const;
  const refusing = open({ verdict: { edits: [set] } });
  const refused = await decoded(refusing.ask(query));
  assert.equal(refused.rcode, Rcode.FormErr);
  assert.equal(refusing.first.asked.length, 0);
  assert.equal(refusing.service.outcomes.tls.malformed, 1);
  const strip = { kind: "strip", code: EdnsOptionCode.ClientSubnet } as const;
  const { ask, first } = open({ verdict: { edits: [strip] } });
  const answer = ask(query);
  assert.deepEqual(optionsOf(first.asked[0]), []);
  first.reply();
  assert.equal((await decoded(answer)).rcode, Rcode.NoError);
});

test("a renewal asks as the rules say: a subnet that is taken out stays out, and its answer is for all", async () => {
  const edits = [{ kind: "strip", code: EdnsOptionCode.ClientSubnet }] as const;
  const { ask, first, second, world } = open({ verdict: { edits } });
  const subnet = makeClientSubnet({
    address: Uint8Array.of(192, 0, 2, 0),
    sourcePrefixBits: 24,
    scopePrefixBits: 0,
  });
  const query = queryOctets({ edns: makeEdns({ options: [subnet] }) });
  const answer = ask(query);
  first.reply();
  await answer;
  await world.clock.advance(290_000);
  assert.ok(ask(query) instanceof Uint8Array, "it still lives, and is renewed");
  assert.deepEqual(optionsOf(first.asked[0]), []);
  assert.equal(second.asked.length, 0);
});

test("a copy for another pool is what the rules made of the query", async () => {
  const edits = [{ kind: "strip", code: EdnsOptionCode.ClientSubnet }] as const;
  const { ask, first, second } = open({ verdict: { edits, tees: ["second"] } });
  const subnet = makeClientSubnet({
    address: Uint8Array.of(192, 0, 2, 0),
    sourcePrefixBits: 24,
    scopePrefixBits: 0,
  });
  const answer = ask(queryOctets({ edns: makeEdns({ options: [subnet] }) }));
  assert.deepEqual(optionsOf(second.asked[0]), []);
  first.reply();
  await answer;
});

test("a renewal that fails leaves the answer that still lives", async () => {
  for (const rcode of [Rcode.ServFail, Rcode.Refused]) {
    const { ask, first, world } = open();
    const answer = ask();
    first.reply();
    await answer;
    await world.clock.advance(290_000);
    assert.equal((await decoded(ask())).answers[0]?.ttl, 10);
    first.reply({ rcode, answers: [] });
    const after = ask();
    assert.ok(after instanceof Uint8Array, `rcode ${rcode}`);
    assert.equal((await decoded(after)).answers[0]?.ttl, 10, `rcode ${rcode}`);
  }
});

test("while all backends are down what has ended is given, for thirty seconds, and says so", async () => {
  const { ask, first, world, service } = open();
  const answer = ask();
  first.reply();
  await answer;
  await world.clock.advance(400_000);
  const failed = ask();
  first.fail();
  assert.equal((await decoded(failed)).rcode, Rcode.ServFail, "one is still up");
  const failing = ask();
  first.isDown = true;
  first.fail();
  assert.equal((await decoded(failing)).answers[0]?.ttl, 30, "it went down meanwhile");
  const stale = ask();
  assert.ok(stale instanceof Uint8Array, "without waiting for anybody");
  const message = await decoded(stale);
  assert.equal(message.answers[0]?.ttl, 30);
  assert.equal(edeOf(message), EdeCode.StaleAnswer);
  assert.equal(service.counters.stale, 2);
  await world.clock.advance(600_000);
  const old = ask();
  first.fail();
  const none = await decoded(old);
  assert.deepEqual([none.rcode, edeOf(none)], [Rcode.ServFail, EdeCode.NoReachableAuthority]);
});

// Names and addresses of backends, and what each of them did, were in the text of the extended error, for whoever asked.
test("clients learn that nobody has answered, and not who", async () => {
  const { ask, first } = open();
  const failed = ask();
  first.fail();
  const useless = ask();
  first.reply({ rcode: Rcode.BadCookie });
  for (const answer of [failed, useless]) {
    const text = errorOf(await decoded(answer))?.text ?? "";
    assert.ok(text.length > 0);
    assert.doesNotMatch(text, /b1/);
  }
});

test("a failure does not take the place of what could still be given", async () => {
  const { ask, first, world } = open();
  const answer = ask();
  first.reply();
  await answer;
  await world.clock.advance(400_000);
  const failing = ask();
  first.reply({ rcode: Rcode.ServFail, answers: [] });
  assert.equal((await decoded(failing)).rcode, Rcode.ServFail);
  first.isDown = true;
  const stale = await decoded(ask());
  assert.deepEqual([stale.answers.length, edeOf(stale)], [1, EdeCode.StaleAnswer]);
});

test("what is fresh is not called stale when the backends went down meanwhile", async () => {
  const { ask, first, service } = open();
  const [one, two] = [ask(), ask()];
  first.reply();
  await one;
  first.isDown = true;
  first.fail();
  const message = await decoded(two);
  assert.deepEqual([message.answers[0]?.ttl, edeOf(message)], [300, undefined]);
  assert.equal(service.counters.stale, 0);
});

test("a pool that breaks costs one query, and nothing waits for it", async () => {
  const { ask, first, service, world } = open({ verdict: { delayMs: 5 } });
  const broken = { forward: () => assert.fail("broken"), isDown: false, openTransfer: () => undefined };
  Object.defineProperty(first, "backends", { get: () => broken });
  const answer = ask();
  await world.clock.advance(5);
  assert.equal((await decoded(answer)).rcode, Rcode.ServFail);
  assert.equal(service.outcomes.tls.bug, 1);
  await service.idle();
});

test("a rule routes to a pool with a cache of its own, and without trust in AD", async () => {
  const { ask, first, second } = open({ verdict: { pool: "second" } });
  const answer = ask(queryOctets({ authenticData: true }));
  assert.equal(first.asked.length, 0);
  second.reply({ authenticData: true });
  assert.equal((await decoded(answer)).authenticData, false);
  assert.ok(ask() instanceof Uint8Array);
  assert.equal(first.cache?.count, 0);
});

test("each way in which a rule ends a query", async () => {
  const errors = [{ code: EdeCode.Blocked, text: "list" }];
  const refused = await decoded(open({ verdict: { end: "refuse", rcode: Rcode.NXDomain, errors } }).ask());
  assert.deepEqual([refused.rcode, edeOf(refused)], [Rcode.NXDomain, EdeCode.Blocked]);
  assert.equal(open({ verdict: { end: "drop" } }).ask(), undefined);
  const truncating = open({ verdict: { end: "truncate" } });
  const truncated = await decoded(truncating.ask(queryOctets(), channelOf("udp")));
  assert.deepEqual([truncated.isTruncated, truncated.answers.length], [true, 0]);
  assert.ok(isLater(truncating.ask(queryOctets(), channelOf("tcp"))), "over streams it goes on");
  const owner = parseName("www.example.");
  const record = { ...parseRecord("x. 60 IN A 198.51.100.7"), owner };
  const answer = { rcode: Rcode.NoError, answers: [record], authorities: [], ttl: 60 };
  const local = await decoded(open({ verdict: { end: "answer", answer } }).ask());
  assert.equal(rdataToText(RRType.A, local.answers[0]?.rdata ?? new Uint8Array(0)), "198.51.100.7");
});

test("a delay is one of the clock's, and nothing is asked before", async () => {
  const { ask, first, world } = open({ verdict: { delayMs: 700 } });
  const answer = ask();
  await world.clock.advance(699);
  assert.equal(first.asked.length, 0);
  await world.clock.advance(1);
  first.reply();
  assert.equal((await decoded(answer)).answers.length, 1);
});

// A penalty for clients that ask too much made their queries dearer: what had been delayed was always asked anew.
test("what is delayed is answered from the cache, too, once its time has come", async () => {
  const { ask, first, world, service } = open({ verdict: { delayMs: 700 } });
  const before = ask();
  await world.clock.advance(700);
  first.reply();
  assert.equal((await decoded(before)).answers.length, 1);
  const answer = ask(queryOctets({ id: 77, name: "www.EXAMPLE." }));
  assert.ok(isLater(answer));
  await world.clock.advance(700);
  const message = await decoded(answer);
  assert.deepEqual([first.asked.length, message.id, message.answers.length], [0, 77, 1]);
  assert.equal(service.outcomes.tls["answered from cache"], 1);
  assert.equal(service.pending, 0);
});

// Logged, copied and delayed was only what went to backends: a rule that logged and refused wrote nothing.
test("what a rule does beside its own answer is done: a line, a copy, a delay", async () => {
  const answer = { rcode: Rcode.NXDomain, answers: [], authorities: [], ttl: 60 };
  for (const end of ["refuse", "answer", "truncate", "drop"] as const) {
    const verdict = { end, answer, delayMs: 700, tees: ["second"], loggedBy: ["seen"], rule: "last" };
    const { ask, first, second, world, service } = open({ verdict });
    const given = ask(queryOctets(), channelOf("udp"));
    assert.equal(second.asked.length, 1, `${end}: a copy`);
    const [line] = world.events.named("front.query");
    assert.deepEqual(
      [line?.["rules"], line?.["endedBy"], line?.["end"], line?.["type"]],
      [["seen"], "last", end, "A"],
    );
    if (end === "drop") assert.equal(given, undefined);
    else {
      assert.ok(isLater(given), `${end}: later`);
      assert.equal(service.pending, 1);
      const message = decoded(given);
      await world.clock.advance(699);
      assert.equal(service.pending, 1);
      await world.clock.advance(1);
      assert.equal((await message).isTruncated, end === "truncate");
    }
    assert.deepEqual([service.pending, first.asked.length], [0, 0]);
  }
});

const ALIAS: Partial<Verdict> = {
  end: "answer",
  errors: [{ code: EdeCode.ForgedAnswer, text: "" }],
  answer: {
    rcode: Rcode.NoError,
    answers: [parseRecord("www.example. 60 IN CNAME garden.test.")],
    authorities: [],
    ttl: 60,
    target: parseName("garden.test."),
  },
};

function recordsOf({ answers }: Message): string[] {
  return answers.map((record) => recordToText(record).replaceAll("\t", " "));
}

// Stubs do not ask for what an alias leads to: whoever was sent to a walled garden, or to a safe search, got no address.
test("an alias from a rule is followed at a backend, and then in the cache", async () => {
  const { ask, first, service } = open({ verdict: ALIAS });
  const answer = ask(queryOctets({ edns: makeEdns({ options: [makePadding(1)] }) }));
  assert.ok(isLater(answer));
  assert.equal(first.asked[0]?.question.name.toString(), "garden.test.");
  first.reply({ edns: makeEdns(), authenticData: true });
  const octets = await answer;
  assert.equal((octets?.length ?? 0) % 468, 0, "as large as for any client");
  const message = await decoded(octets);
  const joined = ["WWW.Example. 60 IN CNAME garden.test.", "garden.test. 300 IN A 192.0.2.1"];
  assert.deepEqual(recordsOf(message), joined);
  assert.deepEqual(
    [message.id, edeOf(message), message.authenticData],
    [0x1234, EdeCode.ForgedAnswer, false],
  );
  assert.equal(message.questions[0]?.name.toString(), "WWW.Example.");
  assert.deepEqual(recordsOf(await decoded(ask())), joined);
  assert.deepEqual([first.asked.length, service.pending], [0, 0]);
});

test("an alias: without its target it says so, and is SERVFAIL when nobody knows; without RD it is the answer", async () => {
  const { ask, first } = open({ verdict: ALIAS });
  const before = ask();
  first.reply({ rcode: Rcode.NXDomain, answers: [] });
  const missing = await decoded(before);
  assert.deepEqual([missing.rcode, missing.answers.length], [Rcode.NXDomain, 1]);
  const failed = ask();
  first.fail();
  assert.equal((await decoded(failed)).rcode, Rcode.ServFail);
  const alone = await decoded(ask(queryOctets({ recursionDesired: false })));
  assert.deepEqual([alone.answers.length, first.asked.length], [1, 0]);
});

// Whoever is slowed down would have taken all places, and everybody else got SERVFAIL.
test("delays take half of the places, and what comes then is not delayed", async () => {
  const verdict = { end: "refuse", rcode: Rcode.Refused, delayMs: 700 } as const;
  const { ask, service, world } = open({ verdict, pendingMax: 4 });
  const later = [ask(), ask()];
  assert.ok(later.every(isLater));
  assert.ok(ask() instanceof Uint8Array);
  await world.clock.advance(700);
  assert.equal(service.pending, 0);
  assert.ok(isLater(ask()), "there is room again");
});

// A copy for a pool on trial took the packet cache away from all whose queries were copied.
test("a query of which a copy is made is answered from the cache all the same", async () => {
  const { ask, first, second } = open({ verdict: { tees: ["second"] } });
  const before = ask();
  first.reply();
  await decoded(before);
  assert.ok(ask() instanceof Uint8Array);
  assert.deepEqual([first.asked.length, second.asked.length], [0, 2]);
});

test("copies go to other pools, and their answers to nobody", async () => {
  const { ask, first, second } = open({ verdict: { tees: ["second"] } });
  const answer = ask();
  assert.equal(second.asked.length, 1);
  second.reply({ rcode: Rcode.Refused, answers: [] });
  first.reply();
  assert.equal((await decoded(answer)).rcode, Rcode.NoError);
});

test("what cannot be passed on is SERVFAIL, and what is too much is, too", async () => {
  const { ask, first, service } = open({ pendingMax: 1 });
  const answer = ask();
  const busy = await decoded(ask(queryOctets({ name: "other.example." })));
  assert.deepEqual([busy.rcode, edeOf(busy)], [Rcode.ServFail, EdeCode.NotReady]);
  first.reply({ rcode: Rcode.BadCookie });
  const bad = await decoded(answer);
  assert.deepEqual([bad.rcode, edeOf(bad)], [Rcode.ServFail, EdeCode.InvalidData]);
  assert.equal(service.counters.unusable, 1);
  await service.idle();
});

test("who may not ask gets no rule and no backend", async () => {
  const { ask, first } = open();
  const message = await decoded(ask(queryOctets(), channelOf("udp", "192.0.2.1")));
  assert.deepEqual([message.rcode, edeOf(message)], [Rcode.Refused, EdeCode.Prohibited]);
  assert.equal(first.asked.length, 0);
});

// The exception went on into the backend's connection, which lost its place in the stream of replies, and with it those of other clients.
test("who fails when told its answer takes no other client's with it", async () => {
  const { ask, first, service, world } = open();
  const broken = ask();
  assert.ok(isLater(broken));
  broken.then(() => {
    throw new Error("a client's connection has a bug");
  });
  const other = ask(queryOctets({ name: "other.example." }));
  first.reply();
  first.reply();
  assert.equal((await decoded(other)).answers.length, 1);
  assert.equal(service.pending, 0);
  assert.equal(world.events.named("server.bug").length, 1);
});
