import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type TestContext, test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { fakeCertificatePem, fakePin } from "@sotto/dns/testing";
import { encodeMessage, type Message, Rcode, RRType } from "@sotto/dns/wire";
import { NOW_SECONDS } from "../dnssec/test-signer.test-support.ts";
import { ZoneWorld } from "../dnssec/zone-world.test-support.ts";
import { FakeStreamServer, replyTo } from "../transport/client-fakes.test-support.ts";
import type { StubResolver, StubResolverOptions } from "./stub-resolver.ts";
import { ADDRESS, StubWorld } from "./stub-world.test-support.ts";
import { readUpstream } from "./upstream-spec.ts";

/** Only its record says who this is. */
const IDENTITY = { subjectAltNames: ["DNS:other.example"], issuer: "nobody", notAfterMs: 1 };
const NAMED = { subjectAltNames: ["DNS:dns.example"] };
const TTL_MS = 300_000;

function digestOf(identity: Parameters<typeof fakeCertificatePem>[0]): string {
  return createHash("sha256").update(fakeCertificatePem(identity)).digest("hex");
}

class DaneWorld extends StubWorld {
  zones: ZoneWorld;
  /** Names and types as they were asked. */
  readonly asked: string[] = [];
  tamper: (reply: Message) => Message = (reply) => reply;

  constructor(tlsa: string, isSigned = true) {
    super();
    this.zones = zonesWith(tlsa, isSigned);
    this.answer = (query) => {
      const [question] = query.questions;
      assert.ok(question !== undefined);
      this.asked.push(`${question.name} ${question.type}`);
      if (question.name.toString() === "www.example.") return replyTo(query);
      const reply = this.tamper(this.zones.reply(question.name, question.type));
      return encodeMessage({ ...reply, id: query.id });
    };
  }

  override stub(options: StubResolverOptions): StubResolver {
    return super.stub({ trustAnchors: [this.zones.anchor(".")], ...options });
  }

  async told(stub: StubResolver): Promise<string> {
    stub.flush();
    try {
      const answer = await this.settled(stub.query("www.example", "A"));
      return `${answer.protection} ${answer.authenticatedBy}`;
    } catch (error) {
      assert.ok(DnsError.is(error));
      return `${error.code} ${error.stage}: ${error.message}`;
    }
  }

  get tlsaFetches(): number {
    return this.asked.filter((text) => text.endsWith(` ${RRType.TLSA}`)).length;
  }

  get wasAsked(): boolean {
    return this.asked.some((text) => text.startsWith("www."));
  }
}

function zonesWith(tlsa: string, isSigned = true): ZoneWorld {
  const plan = { origin: "example.", text: `www A 192.0.2.1\n${tlsa}\n` };
  return new ZoneWorld([{ origin: ".", text: "" }, isSigned ? plan : { ...plan, keys: [] }]);
}

const RIGHT = `_853._tcp.dns TLSA 3 0 1 ${digestOf(IDENTITY)}`;
const WRONG = `_853._tcp.dns TLSA 3 0 1 ${digestOf(NAMED)}`;
const upstream = (dane: string, more = ""): string => `tls://dns.example?ip=${ADDRESS}&dane=${dane}${more}`;

async function worldFor(
  context: TestContext,
  tlsa: string,
  { identity = IDENTITY, isSigned = true }: { identity?: typeof NAMED; isSigned?: boolean } = {},
): Promise<DaneWorld> {
  const world = new DaneWorld(tlsa, isSigned);
  context.after(() => world.close());
  await world.serve({ identity });
  world.world.clock.jumpWall(NOW_SECONDS * 1000 - world.world.clock.wallMs());
  return world;
}

test("an upstream is known by its record alone, fetched from itself and never in clear [8310-8.2-a] [8310-11-a]", async (context) => {
  const world = await worldFor(context, RIGHT);
  const stub = world.stub({ upstreams: [upstream("only")] });
  assert.equal(stub.profile, "strict");
  assert.equal(await world.told(stub), "authenticated DANE-EE 3 0 1");
  assert.equal(world.asked[0], `_853._tcp.dns.example. ${RRType.TLSA}`);
  assert.equal(world.clearQueries, 0);
  assert.equal(await world.told(stub), "authenticated DANE-EE 3 0 1");
  assert.equal(world.tlsaFetches, 1, "kept for its TTL");
});

test("a record for another key, or a pin besides, refuses before anything is asked", async (context) => {
  const world = await worldFor(context, WRONG);
  const stub = world.stub({ upstreams: [upstream("prefer")] });
  assert.match(await world.told(stub), /^ERR_TLS_NOT_AUTHENTICATED authenticate: .*no TLSA record matches/);
  world.zones = zonesWith(RIGHT);
  const pin = fakePin(NAMED);
  const pinned = world.stub({ upstreams: [upstream("only", `&pin=sha256:${pin}`)] });
  assert.match(await world.told(pinned), /no pin matches/);
  assert.equal(world.wasAsked, false);
});

const BAD_RECORDS = {
  "changed on the way": {
    tamper: (reply: Message) => ({
      ...reply,
      answers: reply.answers.map((record) =>
        record.type === RRType.TLSA ? { ...record, rdata: record.rdata.with(5, 1) } : record,
      ),
    }),
    expected: /^ERR_TLS_NOT_AUTHENTICATED authenticate: .*_853\._tcp\.dns\.example\. are bogus: /,
  },
  "taken away": {
    tamper: (reply: Message) =>
      reply.questions[0]?.type === RRType.TLSA ? { ...reply, answers: [], authorities: [] } : reply,
    expected: /^ERR_TLS_NOT_AUTHENTICATED authenticate: .* are bogus: /,
  },
  "not to be had": {
    tamper: (reply: Message) => ({ ...reply, rcode: Rcode.ServFail, answers: [] }),
    expected: /^ERR_REPLY_UNUSABLE resolve: .* not to be had: the reply's code is 2/,
  },
} as const;

for (const [what, { tamper, expected }] of Object.entries(BAD_RECORDS)) {
  test(`records that are ${what} are not as if there were none [7671-10-a]`, async (context) => {
    const world = await worldFor(context, RIGHT, { identity: NAMED });
    world.tamper = tamper;
    for (const dane of ["prefer", "only"]) {
      const stub = world.stub({ upstreams: [upstream(dane)] });
      assert.match(await world.told(stub), expected, dane);
    }
    assert.equal(world.wasAsked, false);
    assert.equal(world.clearQueries, 0);
    const weak = world.stub({ upstreams: [upstream("only")], profile: "opportunistic", neverClear: true });
    assert.equal(await world.told(weak), "encrypted undefined");
  });
}

const NO_RECORDS = {
  "denied by the zone": { tlsa: "", why: /has no TLSA records/ },
  "of no kind that is known": {
    tlsa: `_853._tcp.dns TLSA 9 0 1 ${digestOf(IDENTITY)}`,
    why: /no TLSA record of .* can be used/,
  },
  "in a zone that is not signed": { tlsa: WRONG, isSigned: false, why: /is not signed/ },
} as const;

for (const [what, { tlsa, why, ...world }] of Object.entries(NO_RECORDS))
  test(`records ${what} count as none: prefer takes the name, only nobody [6698-2-a] [8310-11-a]`, async (context) => {
    const { told, stub } = bound(await worldFor(context, tlsa, { identity: NAMED, ...world }));
    assert.equal(await told(stub("prefer")), "authenticated name dns.example");
    const refused = await told(stub("only"));
    assert.match(
      refused,
      /^ERR_TLS_NOT_AUTHENTICATED authenticate: dns\.example is authenticated by DANE only/,
    );
    assert.match(refused, why);
  });

function bound(world: DaneWorld): {
  told: (stub: StubResolver) => Promise<string>;
  stub: (dane: string) => StubResolver;
} {
  return {
    told: (stub) => world.told(stub),
    stub: (dane) => world.stub({ upstreams: [upstream(dane)] }),
  };
}

test("records are renewed before they end, and in the meantime nobody waits", async (context) => {
  const world = await worldFor(context, RIGHT);
  const stub = world.stub({ upstreams: [upstream("only")] });
  await world.told(stub);
  await world.world.clock.advance(TTL_MS * 0.95);
  await world.told(stub);
  assert.equal(world.tlsaFetches, 2);
  await world.world.clock.advance(TTL_MS * 0.1);
  await world.told(stub);
  assert.equal(world.tlsaFetches, 2, "the renewed ones are in use");
});

test("many who come one after the other cost one fetch", async (context) => {
  const world = await worldFor(context, RIGHT);
  const stub = world.stub({ upstreams: [upstream("only")], cacheBytesMax: 0 });
  const waiting: Promise<unknown>[] = [];
  for (let i = 0; i < 20; i++) {
    waiting.push(stub.query("www.example", "A"));
    await world.world.clock.advance(0.1);
  }
  await world.settled(Promise.all(waiting));
  assert.equal(world.tlsaFetches, 1);
});

test("a server that was silent is tried again soon, and what failed is told", async (context) => {
  const world = await worldFor(context, RIGHT);
  const stub = world.stub({ upstreams: [upstream("only")] });
  world.world.network.setReachability(ADDRESS, "silent");
  assert.match(await world.told(stub), /^ERR_(TIMEOUT|CONNECT_TIMEOUT) /);
  assert.match(await world.told(stub), /^ERR_(TIMEOUT|CONNECT_TIMEOUT) resolve: .*_853\._tcp/);
  world.world.network.setReachability(ADDRESS, "normal");
  await world.world.clock.advance(2000);
  assert.equal(await world.told(stub), "authenticated DANE-EE 3 0 1");
});

test("records that cannot be renewed are good to the end of their time, and not longer", async (context) => {
  const world = await worldFor(context, RIGHT);
  const stub = world.stub({ upstreams: [upstream("only")] });
  await world.told(stub);
  world.tamper = BAD_RECORDS["not to be had"].tamper;
  await world.world.clock.advance(TTL_MS * 0.95);
  assert.equal(await world.told(stub), "authenticated DANE-EE 3 0 1");
  assert.equal(await world.told(stub), "authenticated DANE-EE 3 0 1");
  await world.world.clock.advance(TTL_MS * 0.06);
  assert.match(await world.told(stub), /not to be had/);
});

test("a key that changed with its record is known as soon as it is met, not a TTL later", async (context) => {
  const world = await worldFor(context, WRONG);
  const stub = world.stub({ upstreams: [upstream("only")] });
  assert.match(await world.told(stub), /no TLSA record matches/);
  world.zones = zonesWith(RIGHT);
  assert.match(await world.told(stub), /no TLSA record matches/, "records that are fresh are not doubted");
  await world.world.clock.advance(20_000);
  assert.equal(await world.told(stub), "authenticated DANE-EE 3 0 1");
});

test("a ticket is worth what its handshake proved, and nothing after the records changed", async (context) => {
  const world = await worldFor(context, RIGHT);
  const stub = world.stub({ upstreams: [upstream("only")] });
  await world.told(stub);
  const hangUp = async (): Promise<void> => {
    for (const { stream } of world.tls?.streams ?? []) stream.end();
    await world.world.clock.advance(1000);
    stub.flush();
  };
  await hangUp();
  const resumed = await world.settled(stub.query("www.example", "A"));
  assert.deepEqual([resumed.exchange?.sessionResumed, resumed.authenticatedBy], [true, "DANE-EE 3 0 1"]);
  world.zones = zonesWith(WRONG);
  await hangUp();
  await world.world.clock.advance(TTL_MS);
  assert.match(await world.told(stub), /no TLSA record matches/);
});

test("other upstreams that prove who they are are asked first [8310-8.2-a]", async (context) => {
  const world = await worldFor(context, RIGHT);
  const address = "198.51.100.54";
  let broken = false;
  const friend = await FakeStreamServer.open(
    world.world.network.host([address]),
    (query, stream) => stream.reply(broken ? replyTo(query, { rcode: Rcode.ServFail }) : world.answer(query)),
    { certificatePem: fakeCertificatePem(NAMED) },
    { address, port: 853 },
  );
  const stub = world.stub({ upstreams: [upstream("only"), `${address}@853#dns.example`] });
  assert.equal(await world.told(stub), "authenticated DANE-EE 3 0 1");
  const first = friend.streams[0]?.queries.map(({ questions }) => questions[0]?.type);
  assert.ok(first?.includes(RRType.TLSA) === true && !first.includes(RRType.A));
  assert.equal(world.tlsQueries, 1, "the upstream itself was asked the question only");
  broken = true;
  const again = world.stub({ upstreams: [upstream("only"), `${address}@853#dns.example`] });
  assert.equal(await world.told(again), "authenticated DANE-EE 3 0 1");
});

test("the root's keys are built in, and anchors of validation are those of records, too", async (context) => {
  const world = await worldFor(context, RIGHT);
  const { zones } = world;
  const stub = world.stub({ upstreams: [upstream("only")], trustAnchors: undefined });
  assert.match(await world.told(stub), /are bogus/);
  const own = { trustAnchors: undefined, validate: [zones.anchor(".")] };
  const validating = world.stub({ upstreams: [upstream("only")], ...own });
  assert.equal((await world.settled(validating.query("x.example", "A"))).authenticatedBy, "DANE-EE 3 0 1");
});

test("dane wants a name and TLS, in every form of an upstream", () => {
  assert.equal(readUpstream(upstream("only")).dane, "only");
  assert.equal(readUpstream(upstream("off")).dane, undefined);
  assert.equal(readUpstream({ address: ADDRESS, name: "dns.example", dane: "prefer" }).dane, "prefer");
  const wrong = [
    upstream("maybe"),
    `tls://${ADDRESS}?dane=only`,
    { address: ADDRESS, dane: "only" } as const,
    { address: ADDRESS, name: ADDRESS, dane: "only" } as const,
    { address: ADDRESS, pins: [fakePin(NAMED)], dane: "prefer" } as const,
  ];
  for (const given of wrong)
    assert.throws(
      () => readUpstream(given),
      (error) => DnsError.is(error, "ERR_CONFIG"),
      JSON.stringify(given),
    );
});
