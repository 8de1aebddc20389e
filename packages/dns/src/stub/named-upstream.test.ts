import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type TestContext, test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { fakeCertificatePem } from "@sotto/dns/testing";
import { encodeMessage, type Message, makeMessage, Rcode, RRType } from "@sotto/dns/wire";
import { NOW_SECONDS } from "../dnssec/test-signer.test-support.ts";
import { ZoneWorld } from "../dnssec/zone-world.test-support.ts";
import { IDENTITY, replyTo } from "../transport/client-fakes.test-support.ts";
import { BOOTSTRAP, BY_BOOTSTRAP, NAME, NameWorld, TTL_MS } from "./name-world.test-support.ts";
import { ADDRESS } from "./stub-world.test-support.ts";

const OTHER_SITE = "198.51.100.54";
const V6_SITE = "2001:db8:53::1";
const EVIL = "203.0.113.66";

async function worldFor(context: TestContext, addresses = [`A ${ADDRESS}`]): Promise<NameWorld> {
  const world = new NameWorld();
  context.after(() => world.close());
  await world.serve();
  await world.serveBootstrap();
  world.addresses = addresses;
  return world;
}

test("a name is enough: its address is asked for in clear, and nothing else ever is [8310-7.2-a]", async (context) => {
  const world = await worldFor(context);
  const stub = world.stub(BY_BOOTSTRAP);
  assert.equal(stub.profile, "strict");
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
  assert.equal(await world.told(stub, "other.example"), `authenticated at ${ADDRESS}`);
  assert.deepEqual(world.bootstrapQuestions.sort(), ["dns.example. A", "dns.example. AAAA"]);
  assert.equal(world.clearQueries, 0);
  assert.deepEqual(stub.upstreams[0]?.upstream.lookup, {
    name: "dns.example",
    port: 853,
    addresses: [ADDRESS],
    from: "bootstrap",
    lastFailure: undefined,
  });
});

test("a forged address denies service and does no more: nobody else gets a query [8310-7.2-a] [8310-6.6-d]", async (context) => {
  const world = await worldFor(context, [`A ${EVIL}`]);
  const evil = await world.serveAt(EVIL, { subjectAltNames: ["DNS:evil.example"] });
  const stub = world.stub(BY_BOOTSTRAP);
  assert.match(await world.told(stub), /^ERR_TLS_NOT_AUTHENTICATED authenticate: .*203\.0\.113\.66/);
  assert.equal(evil.streams.flatMap(({ queries }) => queries).length, 0);
  assert.deepEqual([world.clearQueries, world.tlsQueries], [0, 0]);
});

test("not even that while the address is remembered where the right one was found", async (context) => {
  const world = await worldFor(context);
  await world.serveAt(EVIL, { subjectAltNames: ["DNS:evil.example"] });
  const stub = world.stub(BY_BOOTSTRAP);
  await world.told(stub);
  world.addresses = [`A ${EVIL}`];
  world.answer = (query) => replyTo(query, { rcode: Rcode.ServFail, answers: [] });
  await world.world.clock.advance(TTL_MS);
  await world.told(stub);
  await world.world.clock.advance(5000);
  assert.deepEqual(
    stub.upstreams[0]?.upstream.lookup?.addresses,
    [ADDRESS, EVIL],
    "it was told the forged one",
  );
  world.answer = replyTo;
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
});

test("upstreams that prove who they are are asked before bootstrap servers [8310-7.2-a]", async (context) => {
  const world = await worldFor(context, []);
  world.answer = (query) => addressAnswer(query, OTHER_SITE);
  await world.serveAt(OTHER_SITE);
  const stub = world.stub({ ...BY_BOOTSTRAP, upstreams: [NAME, `${ADDRESS}@853#dns.example`] });
  assert.equal(await world.told(stub), `authenticated at ${OTHER_SITE}`);
  assert.equal(stub.upstreams[0]?.upstream.lookup?.from, "upstreams");
  assert.deepEqual(world.bootstrapQuestions, []);
});

test("once found, it tells itself where it is, and the bootstrap server is left alone", async (context) => {
  const world = await worldFor(context);
  await world.serveAt(OTHER_SITE);
  const stub = world.stub(BY_BOOTSTRAP);
  await world.told(stub);
  world.answer = (query) => addressAnswer(query, OTHER_SITE);
  await world.world.clock.advance(TTL_MS);
  await world.told(stub);
  await world.world.clock.advance(1000);
  assert.deepEqual(stub.upstreams[0]?.upstream.lookup?.addresses, [ADDRESS, OTHER_SITE]);
  assert.equal(world.bootstrapQuestions.length, 2);
});

function addressAnswer(query: Message, address: string): Uint8Array {
  const [question] = query.questions;
  if (question?.name.toString() !== "dns.example.") return replyTo(query);
  const isA = question.type === RRType.A;
  const answers = isA
    ? [
        {
          owner: question.name,
          type: RRType.A,
          class: 1,
          ttl: 300,
          rdata: Uint8Array.from(address.split("."), Number),
        },
      ]
    : [];
  return encodeMessage(makeMessage({ id: query.id, isResponse: true, questions: query.questions, answers }));
}

test("addresses that cannot be renewed go on being used, and that is told", async (context) => {
  const world = await worldFor(context);
  const stub = world.stub(BY_BOOTSTRAP);
  await world.told(stub);
  world.tellsAddresses = false;
  world.answer = (query) =>
    query.questions[0]?.name.toString() === "dns.example."
      ? replyTo(query, { rcode: Rcode.ServFail, answers: [] })
      : replyTo(query);
  await world.world.clock.advance(10 * TTL_MS);
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
  await world.world.clock.advance(5000);
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
  const failure = stub.upstreams[0]?.upstream.lookup?.lastFailure;
  assert.equal(failure?.stage, "resolve");
  assert.match(
    failure.problem,
    /^no address of dns\.example is to be had: upstreams: .*; bootstrap: .*203\.0\.113\.53/,
  );
  assert.equal(world.world.events.named("stub.addresses-failed").length, 1);
});

test("an address that was good is used at the next start, although nobody tells it any more [8310-7.2-a]", async (context) => {
  const world = await worldFor(context);
  let stored: string | undefined;
  const addressStore = {
    load: () => stored,
    store: (text: string) => {
      stored = text;
    },
  };
  await world.told(world.stub({ ...BY_BOOTSTRAP, addressStore }));
  assert.match(stored ?? "", /198\.51\.100\.53/);
  world.tellsAddresses = false;
  const stub = world.stub({ ...BY_BOOTSTRAP, addressStore });
  assert.equal(stub.upstreams[0]?.upstream.lookup?.from, "last good");
  const startMs = world.world.clock.nowMs();
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
  assert.ok(world.world.clock.nowMs() - startMs < 100, "at once");
});

test("where nobody has to prove anything, an address of old is not used while others may be told", async (context) => {
  const world = await worldFor(context, [`A ${OTHER_SITE}`]);
  const nobody = await world.serveAt(EVIL, { subjectAltNames: [], issuer: "itself" });
  await world.serveAt(OTHER_SITE, { subjectAltNames: [], issuer: "itself" });
  const text = `{"version":1,"upstreams":{"dns.example":["${EVIL}"]}}`;
  const stub = world.stub({
    ...BY_BOOTSTRAP,
    profile: "opportunistic",
    addressStore: { load: () => text, store: () => undefined },
  });
  assert.equal(await world.told(stub), `encrypted at ${OTHER_SITE}`);
  assert.equal(nobody.streams.flatMap(({ queries }) => queries).length, 0);
});

const BROKEN_STORES = {
  "is no JSON": { load: () => "{", store: () => undefined },
  "holds something else": {
    load: () => '{"version":1,"upstreams":{"dns.example":["nonsense"]}}',
    store: () => undefined,
  },
  "cannot be read or written": {
    load: () => {
      throw new Error("EACCES");
    },
    store: () => Promise.reject(new Error("EROFS")),
  },
};

for (const [what, addressStore] of Object.entries(BROKEN_STORES))
  test(`a memory that ${what} is told and does no harm`, async (context) => {
    const world = await worldFor(context);
    assert.equal(
      await world.told(world.stub({ ...BY_BOOTSTRAP, addressStore })),
      `authenticated at ${ADDRESS}`,
    );
    assert.notEqual(world.world.events.named("stub.address-memory-refused").length, 0);
  });

test("an address without anybody costs a moment once, and is not the whole upstream", async (context) => {
  const world = await worldFor(context, [`AAAA ${V6_SITE}`, `A ${ADDRESS}`]);
  world.world.network.host([V6_SITE]);
  world.world.network.setReachability(V6_SITE, "silent");
  const stub = world.stub(BY_BOOTSTRAP);
  const timed = async (): Promise<number> => {
    const startMs = world.world.clock.nowMs();
    assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
    return world.world.clock.nowMs() - startMs;
  };
  const firstMs = await timed();
  assert.ok(firstMs < 400, `${firstMs}`);
  assert.ok((await timed()) < 50);
  assert.equal(stub.upstreams[0]?.failures, 0);
});

test("when the address in use dies, the query goes on at the next one", async (context) => {
  const world = await worldFor(context, [`A ${OTHER_SITE}`, `A ${ADDRESS}`]);
  const other = await world.serveAt(OTHER_SITE);
  const stub = world.stub({ ...BY_BOOTSTRAP, tryTimeoutMs: 2000 });
  assert.equal(await world.told(stub), `authenticated at ${OTHER_SITE}`);
  world.world.network.setReachability(OTHER_SITE, "unreachable");
  for (const { stream } of other.streams) stream.end();
  await world.world.clock.advance(1000);
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
  assert.equal(stub.upstreams[0]?.failures, 0);
});

for (const gone of ["unreachable", "silent"] as const)
  test(`a server that has moved and is ${gone} is looked up anew, and the query that noticed is answered`, async (context) => {
    const world = await worldFor(context);
    const stub = world.stub(BY_BOOTSTRAP);
    await world.told(stub);
    await world.world.clock.advance(20_000);
    await world.serveAt(OTHER_SITE);
    for (const { stream } of world.tls?.streams ?? []) stream.end();
    await world.world.clock.advance(1000);
    world.world.network.setReachability(ADDRESS, gone);
    world.addresses = [`A ${OTHER_SITE}`];
    assert.equal(await world.told(stub), `authenticated at ${OTHER_SITE}`);
  });

test("many who wait for an address cost one lookup, a failed one is remembered, and not for long", async (context) => {
  const world = await worldFor(context);
  world.tellsAddresses = false;
  const stub = world.stub({ ...BY_BOOTSTRAP, cacheBytesMax: 0, outagePatienceMs: 0 });
  const waiting = Array.from({ length: 20 }, (_, i) => stub.query(`w${i}.example`, "A"));
  const outcomes = await world.settled(Promise.allSettled(waiting));
  assert.ok(outcomes.every(({ status }) => status === "rejected"));
  const asked = new Set(world.bootstrapQuestions);
  assert.deepEqual([...asked].sort(), ["dns.example. A", "dns.example. AAAA"]);
  const before = world.bootstrapQuestions.length;
  assert.match(await world.told(stub), /resolve: no address of dns\.example is to be had/);
  assert.equal(world.bootstrapQuestions.length, before, "the failure is remembered");
  world.tellsAddresses = true;
  await world.world.clock.advance(2000);
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
});

test("a bootstrap server that is silent about one family does not hold up the other", async (context) => {
  const world = await worldFor(context);
  world.addresses = [`A ${ADDRESS}`];
  world.silentType = RRType.AAAA;
  const stub = world.stub(BY_BOOTSTRAP);
  const startMs = world.world.clock.nowMs();
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
  assert.ok(world.world.clock.nowMs() - startMs < 500);
});

test("what a client asks must not wait for itself: a loop is found and named", async (context) => {
  const world = await worldFor(context);
  world.tellsAddresses = false;
  const stub = world.stub(BY_BOOTSTRAP);
  const waiting = world.told(stub);
  await world.world.clock.advance(10);
  // The bootstrap server forwards to the resolver whose program this is.
  await assert.rejects(world.settled(stub.query("dns.example", "A")), (error) =>
    DnsError.is(error, "ERR_UNREACHABLE"),
  );
  assert.match(await waiting, /ERR_TIMEOUT/);
  await world.world.clock.advance(1000);
  assert.match(
    stub.upstreams[0]?.upstream.lookup?.lastFailure?.problem ?? "",
    /a bootstrap server probably forwards to this resolver/,
  );
});

test("a resolver that validates does not take an address that is bogus [8310-7.2-b]", async (context) => {
  const world = await worldFor(context);
  const zones = new ZoneWorld([
    { origin: ".", text: "" },
    { origin: "example.", text: `dns A ${ADDRESS}\nwww A 192.0.2.1\n` },
  ]);
  world.world.clock.jumpWall(NOW_SECONDS * 1000 - world.world.clock.wallMs());
  let forges = true;
  world.bootstrapAnswer = (query) => {
    const [question] = query.questions;
    assert.ok(question !== undefined);
    const reply = zones.reply(question.name, question.type);
    const answers = reply.answers.map((record) =>
      forges && record.type === RRType.A ? { ...record, rdata: Uint8Array.of(203, 0, 113, 66) } : record,
    );
    return encodeMessage({ ...reply, id: query.id, answers });
  };
  world.answer = (query) => {
    const [question] = query.questions;
    assert.ok(question !== undefined);
    return encodeMessage({ ...zones.reply(question.name, question.type), id: query.id });
  };
  const validate = [zones.anchor(".")];
  const stub = world.stub({ ...BY_BOOTSTRAP, validate });
  assert.match(await world.told(stub), /resolve: .*bootstrap: the addresses of dns\.example are bogus/);
  assert.equal(stub.upstreams[0]?.upstream.lookup?.addresses.length, 0);
  forges = false;
  await world.world.clock.advance(2000);
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
});

test("an upstream by name only may be known by its TLSA record only", async (context) => {
  const world = await worldFor(context);
  const digest = createHash("sha256").update(fakeCertificatePem(IDENTITY)).digest("hex");
  const zones = new ZoneWorld([
    { origin: ".", text: "" },
    { origin: "example.", text: `_853._tcp.dns TLSA 3 0 1 ${digest}\n` },
  ]);
  world.world.clock.jumpWall(NOW_SECONDS * 1000 - world.world.clock.wallMs());
  world.answer = (query) => {
    const [question] = query.questions;
    assert.ok(question !== undefined);
    if (question.name.toString() === "www.example.") return replyTo(query);
    return encodeMessage({ ...zones.reply(question.name, question.type), id: query.id });
  };
  const trustAnchors = [zones.anchor(".")];
  const stub = world.stub({ ...BY_BOOTSTRAP, upstreams: [`${NAME}?dane=only`], trustAnchors });
  const answer = await world.settled(stub.query("www.example", "A"));
  assert.equal(answer.authenticatedBy, "DANE-EE 3 0 1");
  assert.deepEqual(stub.upstreams[0]?.upstream.lookup?.addresses, [ADDRESS]);
  assert.equal(world.clearQueries, 0);
});

test("opportunistic upstreams with addresses may be asked, and a clear one may be all there is", async (context) => {
  const world = await worldFor(context, []);
  world.answer = (query) => addressAnswer(query, ADDRESS);
  const stub = world.stub({ upstreams: [NAME, ADDRESS], bootstrap: [], profile: "opportunistic" });
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
});

test("a name that nobody can be asked about is an error of configuration", () => {
  const world = new NameWorld();
  const refuses = (options: Parameters<NameWorld["stub"]>[0], text: RegExp): void =>
    assert.throws(
      () => world.stub(options),
      (error) => DnsError.is(error, "ERR_CONFIG") && text.test(error.message),
    );
  refuses({ upstreams: [NAME] }, /nobody can be asked for it: .*\?ip=ADDRESS.*bootstrap/);
  refuses({ upstreams: [NAME, "tls://other.example"] }, /nobody can be asked/);
  refuses({ upstreams: [NAME], bootstrap: ["tls://other.example"] }, /bootstrap server .* has no address/);
  refuses(
    { upstreams: [NAME], bootstrap: [`tls://boot.example?ip=${BOOTSTRAP}&dane=only`] },
    /cannot be known by DANE/,
  );
  refuses({ upstreams: [{ name: "192.0.2.1" }], bootstrap: [BOOTSTRAP] }, /an address or a domain name/);
  refuses({ upstreams: [{}] }, /an address or a domain name/);
  refuses({ upstreams: ["udp://dns.example"] }, /only tls can check/);
});

test("bootstrap servers that are written as TLS are not asked in clear by the strict profile", async (context) => {
  const world = await worldFor(context);
  const bootstrap = [`tls://${BOOTSTRAP}`];
  const stub = world.stub({ upstreams: [NAME], bootstrap });
  assert.match(await world.told(stub), /^ERR_CONNECT_REFUSED resolve: /);
  assert.deepEqual(world.bootstrapQuestions, []);
  const told = await world.serveAt(BOOTSTRAP, { ...IDENTITY, issuer: "nobody" });
  world.answer = (query) => addressAnswer(query, ADDRESS);
  await world.world.clock.advance(10_000);
  assert.equal(await world.told(stub), `authenticated at ${ADDRESS}`);
  assert.ok(told.streams.some(({ queries }) => queries.length === 2));
  assert.deepEqual(world.bootstrapQuestions, []);
});
