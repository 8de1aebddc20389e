import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import type { FakeIdentity } from "@sotto/dns/testing";
import { fakeCertificatePem } from "@sotto/dns/testing";
import { encodeMessage, type Message, makeMessage, parseName, parseRecord, RRType } from "@sotto/dns/wire";
import { FakeStreamServer, FakeUdpServer, replyTo } from "../transport/client-fakes.test-support.ts";
import { designationsIn, isPublicAddress } from "./designation.ts";
import { NameWorld } from "./name-world.test-support.ts";
import type { StubResolver } from "./stub-resolver.ts";
import { ADDRESS } from "./stub-world.test-support.ts";

const ELSEWHERE = "198.51.100.99";
const TTL_MS = 600_000;
/** A certificate for the resolver that designates, as RFC 9462 §4.2 wants it. */
const DESIGNATED: FakeIdentity = { subjectAltNames: ["DNS:dot.example", `IP:${ADDRESS}`] };
const OPPORTUNISTIC = { upstreams: [ADDRESS], profile: "opportunistic", discovery: "verified" } as const;

class DesignationWorld extends NameWorld {
  /** Of `_dns.resolver.arpa`. */
  records: string[] = [`SVCB 1 dot.example. alpn=dot port=8853 ipv4hint=${ELSEWHERE}`];
  additionals: string[] = [];
  discoveries = 0;

  constructor() {
    super();
    this.answer = (query) => {
      const [question] = query.questions;
      if (question?.type !== RRType.SVCB) return this.otherAnswer(query);
      assert.equal(question.name.toString(), "_dns.resolver.arpa.");
      this.discoveries++;
      return designationReply(query, this.records, this.additionals);
    };
  }

  otherAnswer: (query: Message) => Uint8Array = replyTo;

  async designated(
    identity: FakeIdentity = DESIGNATED,
    address = ELSEWHERE,
    port = 8853,
  ): Promise<FakeStreamServer> {
    return await FakeStreamServer.open(
      this.world.network.host([address]),
      (query, stream) => stream.reply(replyTo(query)),
      { certificatePem: fakeCertificatePem(identity) },
      { address, port },
    );
  }
}

function designationReply(
  query: Message,
  records: readonly string[],
  additionals: readonly string[],
): Uint8Array {
  return encodeMessage(
    makeMessage({
      id: query.id,
      isResponse: true,
      questions: query.questions,
      answers: records.map((text) => parseRecord(`_dns.resolver.arpa. ${TTL_MS / 1000} IN ${text}`)),
      additionals: additionals.map((text) => parseRecord(text)),
    }),
  );
}

async function worldFor(context: TestContext): Promise<DesignationWorld> {
  const world = new DesignationWorld();
  context.after(() => world.close());
  await world.serve({ hasTls: false });
  return world;
}

const statesOf = (stub: StubResolver): string[] => stub.upstreams.map(({ state }) => state);

test("a resolver in clear is asked for its designated resolver first, which is used when it is certified for it [9462-4-a] [9462-4.2-a]", async (context) => {
  const world = await worldFor(context);
  const dot = await world.designated();
  const stub = world.stub(OPPORTUNISTIC);
  const answer = await world.settled(stub.query("www.example", "A"));
  assert.deepEqual([answer.protection, answer.authenticatedBy], ["authenticated", `name ${ADDRESS}`]);
  assert.deepEqual(answer.exchange?.upstream, { address: ELSEWHERE, port: 8853 });
  await world.told(stub, "other.example");
  assert.equal(world.clearQueries, 1, "the discovery and nothing else");
  assert.equal(world.clear?.queries[0]?.questions[0]?.type, RRType.SVCB);
  assert.equal(dot.streams[0]?.queries.length, 2);
  assert.deepEqual(statesOf(stub), ["authenticated", "untried", "untried"]);
  assert.deepEqual(stub.upstreams[0]?.upstream.lookup?.addresses, [ELSEWHERE]);
});

const UNVERIFIED: Record<string, FakeIdentity> = {
  "for its name only": { subjectAltNames: ["DNS:dot.example"] },
  "for another address": { subjectAltNames: ["DNS:dot.example", "IP:192.0.2.9"] },
  "of an unknown authority": { ...DESIGNATED, issuer: "somebody" },
  "that has expired": { ...DESIGNATED, notAfterMs: 1 },
};

for (const [what, identity] of Object.entries(UNVERIFIED))
  test(`a designated resolver with a certificate ${what} gets no query, and is not looked for again before the TTL ends [9462-4.2-a] [9462-4.2-b]`, async (context) => {
    const world = await worldFor(context);
    const dot = await world.designated(identity);
    const stub = world.stub(OPPORTUNISTIC);
    for (let i = 0; i < 5; i++) {
      assert.equal(await world.told(stub), `clear at ${ADDRESS}`);
      await world.world.clock.advance(TTL_MS / 6);
    }
    assert.equal(world.world.network.streamsOpened, 1, "one handshake was enough");
    assert.equal(world.discoveries, 1);
    assert.deepEqual(
      dot.streams.flatMap(({ queries }) => queries),
      [],
    );
    assert.equal(stub.upstreams[0]?.lastFailure?.code, "ERR_TLS_NOT_AUTHENTICATED");
    await world.world.clock.advance(TTL_MS / 6);
    assert.equal(await world.told(stub), `clear at ${ADDRESS}`);
    assert.equal(world.discoveries, 2);
  });

test("a resolver without designated ones is asked itself, and that is no failure", async (context) => {
  const world = await worldFor(context);
  world.records = [];
  const stub = world.stub(OPPORTUNISTIC);
  for (let i = 0; i < 5; i++) assert.equal(await world.told(stub), `clear at ${ADDRESS}`);
  assert.equal(world.discoveries, 1);
  assert.deepEqual(statesOf(stub), ["untried", "failing", "clear"]);
  assert.match(
    stub.upstreams[0]?.upstream.lookup?.lastFailure?.problem ?? "",
    /no designated resolver of .* is known/,
  );
  world.records = [`SVCB 1 dot.example. alpn=dot port=8853 ipv4hint=${ELSEWHERE}`];
  await world.designated();
  await world.world.clock.advance(3_600_000);
  await world.told(stub);
  await world.world.clock.advance(1000);
  assert.equal(await world.told(stub), `authenticated at ${ELSEWHERE}`);
});

test("a resolver that swallows the question costs two seconds once", async (context) => {
  const world = await worldFor(context);
  const silent = "198.51.100.77";
  const server = await FakeUdpServer.open(
    world.world.network.host([silent]),
    (query) => (query.questions[0]?.type === RRType.SVCB ? [] : [replyTo(query)]),
    { address: silent, port: 53 },
  );
  const stub = world.stub({ ...OPPORTUNISTIC, upstreams: [silent] });
  const timed = async (): Promise<number> => {
    const startMs = world.world.clock.nowMs();
    assert.equal(await world.told(stub), `clear at ${silent}`);
    return world.world.clock.nowMs() - startMs;
  };
  assert.ok((await timed()) < 2100);
  for (let i = 0; i < 5; i++) assert.ok((await timed()) < 100);
  assert.ok(
    server.queries.filter(({ questions }) => questions[0]?.type === RRType.SVCB).length <= 4,
    "sendings of one",
  );
});

test("another network has its own designated resolvers [9462-4-a]", async (context) => {
  const world = await worldFor(context);
  await world.designated();
  const stub = world.stub(OPPORTUNISTIC);
  await world.told(stub);
  world.records = [];
  stub.networkChanged();
  assert.equal(await world.told(stub), `clear at ${ADDRESS}`);
  assert.equal(world.discoveries, 2);
});

test("records are renewed by their TTL, and used on when the resolver does not answer then", async (context) => {
  const world = await worldFor(context);
  await world.designated();
  const stub = world.stub(OPPORTUNISTIC);
  await world.told(stub);
  world.world.network.setReachability(ADDRESS, "silent");
  await world.world.clock.advance(TTL_MS);
  assert.equal(await world.told(stub), `authenticated at ${ELSEWHERE}`);
  await world.world.clock.advance(TTL_MS);
  assert.equal(await world.told(stub), `authenticated at ${ELSEWHERE}`);
});

test("an address that did not come along is looked up at the resolver, and has to be verified like any other", async (context) => {
  const world = await worldFor(context);
  world.records = ["SVCB 1 dot.example. alpn=dot port=8853"];
  world.otherAnswer = (query) => {
    const [question] = query.questions;
    if (question?.name.toString() !== "dot.example.") return replyTo(query);
    const answers = question.type === RRType.A ? [parseRecord(`dot.example. 300 IN A ${ELSEWHERE}`)] : [];
    return encodeMessage(
      makeMessage({ id: query.id, isResponse: true, questions: query.questions, answers }),
    );
  };
  await world.designated();
  const stub = world.stub(OPPORTUNISTIC);
  assert.equal(await world.told(stub), `authenticated at ${ELSEWHERE}`);
});

test("each resolver designates for itself only", async (context) => {
  const world = await worldFor(context);
  const other = "198.51.100.55";
  await FakeUdpServer.open(world.world.network.host([other]), (query) => [world.answer(query)], {
    address: other,
    port: 53,
  });
  await world.designated();
  const stub = world.stub({ ...OPPORTUNISTIC, upstreams: [other, ADDRESS] });
  assert.equal(await world.told(stub), `authenticated at ${ELSEWHERE}`);
  assert.equal(
    stub.upstreams[0]?.lastFailure?.code,
    "ERR_TLS_NOT_AUTHENTICATED",
    "it has no certificate for the other",
  );
});

test("a private resolver may be encrypted without a certificate, at its own address only [9462-4.3-a]", async (context) => {
  const world = await worldFor(context);
  const router = "192.168.1.1";
  const network = world.world.network.host([router]);
  await FakeUdpServer.open(network, (query) => [world.answer(query)], { address: router, port: 53 });
  const own = await world.designated({ subjectAltNames: ["DNS:router.example"], issuer: "itself" }, router);
  const elsewhere = await world.designated({ subjectAltNames: ["DNS:router.example"], issuer: "itself" });
  world.records = [`SVCB 1 router.example. alpn=dot port=8853 ipv4hint=${router},${ELSEWHERE}`];
  const stub = world.stub({ ...OPPORTUNISTIC, upstreams: [router] });
  assert.equal(await world.told(stub), `encrypted at ${router}`);
  assert.equal(own.streams.flatMap(({ queries }) => queries).length, 1);
  assert.deepEqual(
    elsewhere.streams.flatMap(({ queries }) => queries),
    [],
  );
});

test("at a public address nobody is asked on another port without a certificate [9462-4.3-a]", async (context) => {
  const world = await worldFor(context);
  const own = await world.designated({ subjectAltNames: ["DNS:dns.example"], issuer: "itself" }, ADDRESS);
  world.records = [`SVCB 1 dns.example. alpn=dot port=8853 ipv4hint=${ADDRESS}`];
  const stub = world.stub(OPPORTUNISTIC);
  assert.equal(await world.told(stub), `clear at ${ADDRESS}`);
  assert.deepEqual(
    own.streams.flatMap(({ queries }) => queries),
    [],
  );
});

test("who speaks TLS is asked for designated resolvers over it", async (context) => {
  const world = new DesignationWorld();
  context.after(() => world.close());
  await world.serve({ identity: { subjectAltNames: [], issuer: "itself" } });
  await world.designated();
  const stub = world.stub(OPPORTUNISTIC);
  assert.equal(await world.told(stub), `authenticated at ${ELSEWHERE}`);
  assert.deepEqual([world.clearQueries, world.tlsQueries], [0, 1]);
});

test("off, given otherwise or with a name, nobody is looked for", async (context) => {
  const world = await worldFor(context);
  for (const options of [
    { ...OPPORTUNISTIC, discovery: "off" as const },
    { ...OPPORTUNISTIC, upstreams: [`udp://${ADDRESS}`] },
    { ...OPPORTUNISTIC, upstreams: [`${ADDRESS}@853#dns.example`] },
  ])
    assert.equal(await world.told(world.stub(options)), `clear at ${ADDRESS}`);
  assert.equal(world.discoveries, 0);
});

test("the strict profile cannot rest on what a resolver says of itself in clear [8310-7.3-a]", () => {
  const world = new NameWorld();
  const strict = { upstreams: [ADDRESS], profile: "strict", discovery: "verified" } as const;
  assert.throws(
    () => world.stub(strict),
    (error) =>
      DnsError.is(error, "ERR_CONFIG") && /asked in clear for its designated.*@853#/.test(error.message),
  );
});

const RECORDS = {
  "SVCB 1 dot.example. alpn=dot": "dot.example. 853 ",
  "SVCB 1 dot.example. alpn=h2,dot port=8530 ipv6hint=2001:db8::1 ipv4hint=192.0.2.1":
    "dot.example. 8530 2001:db8::1 192.0.2.1",
  "SVCB 1 dot.example. mandatory=alpn,port alpn=dot port=8530": "dot.example. 8530 ",
  "SVCB 1 dot.example. alpn=h2 dohpath=/q{?dns}": undefined,
  "SVCB 1 dot.example. port=853": undefined,
  "SVCB 1 . alpn=dot": undefined,
  "SVCB 0 dot.example.": undefined,
  "SVCB 1 dot.example. mandatory=key667 alpn=dot key667=x": undefined,
  "SVCB 1 dot.example. mandatory=ech alpn=dot ech=AAAA": undefined,
  "SVCB 1 dot.example. alpn=dot port=53": undefined,
  "SVCB 1 dot.example. alpn=dot port=0": undefined,
} as const;

for (const [record, expected] of Object.entries(RECORDS))
  test(`${record} is ${expected === undefined ? "nothing for us" : "a designated resolver"} (RFC 9461, RFC 9462 §4)`, () => {
    const [found] = designationsIn(messageWith([record]));
    assert.equal(found && `${found.target} ${found.port} ${found.addresses.join(" ")}`, expected);
  });

test("designated resolvers come by priority, with addresses of the additional section, and not in any number", () => {
  const message = messageWith(
    [
      "SVCB 2 b.example. alpn=dot",
      "SVCB 1 a.example. alpn=dot",
      ...Array.from({ length: 20 }, (_, i) => `SVCB 9 x${i}.example. alpn=dot`),
    ],
    ["a.example. 60 IN A 192.0.2.1", "a.example. 60 IN AAAA 2001:db8::1", "c.example. 60 IN A 192.0.2.3"],
  );
  const found = designationsIn(message);
  assert.deepEqual(
    found.slice(0, 2).map(({ target, addresses }) => `${target} ${addresses.join(" ")}`),
    ["a.example. 192.0.2.1 2001:db8::1", "b.example. "],
  );
  assert.equal(found.length, 4);
});

function messageWith(records: readonly string[], additionals: readonly string[] = []): Message {
  return makeMessage({
    questions: [{ name: parseName("_dns.resolver.arpa."), type: RRType.SVCB, class: 1 }],
    answers: records.map((text) => parseRecord(`_dns.resolver.arpa. 600 IN ${text}`)),
    additionals: additionals.map((text) => parseRecord(text)),
  });
}

test("private and local addresses are told from public ones", () => {
  const local = [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.9.9",
    "192.168.0.1",
    "127.0.0.53",
    "169.254.1.1",
    "100.64.0.1",
    "::1",
    "fd00::1",
    "fe80::1",
  ];
  assert.deepEqual(local.filter(isPublicAddress), []);
  const open = ["192.0.2.1", "172.32.0.1", "100.128.0.1", "2001:db8::1"];
  assert.deepEqual(open.filter(isPublicAddress), open);
});
