import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { fakePin } from "@sotto/dns/testing";
import {
  encodeMessage,
  parseRecord,
  Rcode,
  type ResourceRecord,
  RRType,
  recordToText,
} from "@sotto/dns/wire";
import { NOW_SECONDS } from "../dnssec/test-signer.test-support.ts";
import { ZoneWorld } from "../dnssec/zone-world.test-support.ts";
import { IDENTITY, replyTo } from "../transport/client-fakes.test-support.ts";
import { ADDRESS, StubWorld } from "./stub-world.test-support.ts";

const NAMED = `${ADDRESS}@853#dns.example`;
const OTHER_PIN = fakePin({ subjectAltNames: ["DNS:other.example"] });

function worldFor(context: TestContext): StubWorld {
  const world = new StubWorld();
  context.after(() => world.close());
  return world;
}

const failsWith = (code: string, text: RegExp) => (error: unknown) =>
  DnsError.is(error) && error.code === code && text.test(error.message);

test("a question goes over authenticated TLS and tells so [8310-5-d]", async (context) => {
  const world = worldFor(context);
  await world.serve();
  const stub = world.stub({ upstreams: [NAMED] });
  assert.equal(stub.profile, "strict");
  const answer = await world.settled(stub.query("www.example", "A"));
  assert.match(answer.records.map(recordToText).join(), /^www\.example\.\t300\tIN\tA\t10\./);
  assert.equal(answer.protection, "authenticated");
  assert.equal(answer.authenticatedBy, "name dns.example");
  assert.equal(answer.security, "indeterminate");
  assert.deepEqual([world.tlsQueries, world.clearQueries], [1, 0]);
});

const BROKEN = {
  "a wrong name": { identity: { subjectAltNames: ["DNS:other.example"] } },
  "an expired certificate": { identity: { ...IDENTITY, notAfterMs: 1 } },
  "an unknown authority": { identity: { ...IDENTITY, issuer: "somebody" } },
  "no TLS at all": { hasTls: false },
} as const;

for (const [what, served] of Object.entries(BROKEN)) {
  test(`strict sends nothing to a server with ${what} [8310-6.6-c] [8310-6.6-d]`, async (context) => {
    const world = worldFor(context);
    await world.serve(served);
    const stub = world.stub({ upstreams: [NAMED] });
    await assert.rejects(world.settled(stub.query("www.example", "A")), (error) => DnsError.is(error));
    assert.deepEqual([world.tlsQueries, world.clearQueries], [0, 0]);
  });

  test(`opportunistic goes on to what is left with ${what} [8310-5-c]`, async (context) => {
    const world = worldFor(context);
    await world.serve(served);
    const stub = world.stub({ upstreams: [NAMED], profile: "opportunistic" });
    const answer = await world.settled(stub.query("www.example", "A"));
    assert.equal(answer.protection, "hasTls" in served ? "clear" : "encrypted");
    assert.equal(answer.authenticatedBy, undefined);
    assert.equal(answer.records.length, 1);
  });
}

test("name and pin must both be right [8310-6.4-a]", async (context) => {
  const world = worldFor(context);
  await world.serve();
  const pinned = world.stub({
    upstreams: [`tls://dns.example?ip=${ADDRESS}&pin=sha256:${fakePin(IDENTITY)}`],
  });
  const { authenticatedBy } = await world.settled(pinned.query("www.example", "A"));
  assert.match(authenticatedBy ?? "", /^name dns\.example and pin sha256:/);
  const wrong = world.stub({ upstreams: [`tls://dns.example?ip=${ADDRESS}&pin=sha256:${OTHER_PIN}`] });
  await assert.rejects(
    world.settled(wrong.query("www.example", "A")),
    failsWith("ERR_TLS_NOT_AUTHENTICATED", /no pin matches .*; the server showed sha256:/),
  );
  assert.equal(world.clearQueries, 0);
});

test("strict wants to know by what to recognise a server [8310-6.6-a] [8310-6.6-b]", () => {
  const world = new StubWorld();
  for (const upstream of [ADDRESS, `udp://${ADDRESS}`, `tls://${ADDRESS}`])
    assert.throws(
      () => world.stub({ upstreams: [upstream], profile: "strict" }),
      failsWith("ERR_CONFIG", /strict profile/),
    );
  assert.throws(() => world.stub({ upstreams: [] }), failsWith("ERR_CONFIG", /no upstream/));
  assert.throws(() => world.stub({ upstreams: ["nonsense"] }), failsWith("ERR_CONFIG", /nonsense/));
});

test("a bare address is asked over TLS where it speaks it, and by default not in clear only [8310-5-b]", async (context) => {
  const world = worldFor(context);
  await world.serve();
  const stub = world.stub({ upstreams: [ADDRESS] });
  assert.equal(stub.profile, "opportunistic");
  assert.equal((await world.settled(stub.query("www.example", "A"))).protection, "encrypted");
  assert.equal(world.clearQueries, 0);
});

test("answers are kept for their TTL and grow old", async (context) => {
  const world = worldFor(context);
  await world.serve();
  const stub = world.stub({ upstreams: [NAMED] });
  await world.settled(stub.query("www.example", "A"));
  await world.world.clock.advance(100_000);
  const again = await world.settled(stub.query("WWW.example.", "A"));
  assert.equal(again.isFromCache, true);
  assert.deepEqual([again.ttlSeconds, again.records[0]?.ttl], [200, 200]);
  stub.flush("example");
  assert.equal((await world.settled(stub.query("www.example", "A"))).isFromCache, false);
  await world.world.clock.advance(300_000);
  assert.equal((await world.settled(stub.query("www.example", "A"))).isFromCache, false);
  assert.equal(world.tlsQueries, 3);
});

test("many who ask the same at once cost one query, and one who gives up does not take it from the others", async (context) => {
  const world = worldFor(context);
  await world.serve();
  const stub = world.stub({ upstreams: [NAMED] });
  const giveUp = new AbortController();
  const impatient = stub.query("www.example", "A", { signal: giveUp.signal });
  const others = Array.from({ length: 9 }, () => stub.query("www.example", "A"));
  giveUp.abort();
  await assert.rejects(world.settled(impatient), (error) => DnsError.is(error, "ERR_ABORTED"));
  const answers = await world.settled(Promise.all(others));
  assert.ok(answers.every(({ records }) => records.length === 1));
  assert.equal(world.tlsQueries, 1);
});

test("the deadline is for everything together", async (context) => {
  const world = worldFor(context);
  const stub = world.stub({ upstreams: [NAMED], timeoutMs: 1234 });
  world.world.network.setReachability(ADDRESS, "silent");
  const startMs = world.world.clock.nowMs();
  await assert.rejects(world.settled(stub.query("www.example", "A")), (error) => DnsError.is(error));
  assert.equal(world.world.clock.nowMs() - startMs, 1234);
});

test("loopback names, invalid and the hosts file need no upstream (RFC 6761 §6.3, §6.4)", async (context) => {
  const world = worldFor(context);
  await world.serve();
  const stub = world.stub({ upstreams: [NAMED], hosts: { text: "192.0.2.7 printer printer.lan # old\n" } });
  const ask = async (name: string, type: string): Promise<string> => {
    const { records, message, protection } = await world.settled(stub.query(name, type));
    return `${protection} ${message.rcode} ${records.map((record) => recordToText(record).split("\t").at(-1)).join(" ")}`;
  };
  assert.equal(await ask("localhost", "A"), "local 0 127.0.0.1");
  assert.equal(await ask("a.localhost.", "AAAA"), "local 0 ::1");
  assert.equal(await ask("localhost", "MX"), "local 0 ");
  assert.equal(await ask("x.invalid", "A"), "local 3 ");
  assert.equal(await ask("Printer", "A"), "local 0 192.0.2.7");
  assert.equal(await ask("7.2.0.192.in-addr.arpa", "PTR"), "local 0 printer. printer.lan.");
  assert.equal(world.tlsQueries, 0);
});

test("the search list is gone through in the order of resolv.conf", async (context) => {
  const world = worldFor(context);
  await world.serve();
  const asked: string[] = [];
  world.answer = (query) => {
    const name = query.questions[0]?.name.toString() ?? "";
    asked.push(name);
    return replyTo(query, name.endsWith(".b.test.") ? {} : { rcode: Rcode.NXDomain, answers: [] });
  };
  const stub = world.stub({ upstreams: [NAMED], search: ["a.test", "b.test"] });
  const found = await world.settled(stub.query("www", "A"));
  assert.equal(found.canonicalName.toString(), "www.b.test.");
  assert.deepEqual(asked, ["www.a.test.", "www.b.test."]);
  asked.length = 0;
  await world.settled(stub.query("www.x", "A"));
  assert.deepEqual(asked, ["www.x.", "www.x.a.test.", "www.x.b.test."]);
  asked.length = 0;
  assert.equal((await world.settled(stub.query("alone.", "A"))).message.rcode, Rcode.NXDomain);
  assert.deepEqual(asked, ["alone."]);
});

test("what is answered here is nobody's business, whatever the search list (RFC 6761 §6.3, RFC 7686 §2)", async (context) => {
  const world = worldFor(context);
  await world.serve();
  const hosts = { text: "192.0.2.7 printer\n" };
  const stub = world.stub({ upstreams: [NAMED], search: ["a.test"], ndots: 2, hosts });
  const ask = async (name: string, type: string): Promise<string> => {
    const { protection, message, records } = await world.settled(stub.query(name, type));
    return `${protection} ${message.rcode} ${records.length}`;
  };
  assert.equal(await ask("localhost", "A"), "local 0 1", "and not localhost.a.test");
  assert.equal(await ask("localhost", "MX"), "local 0 0");
  assert.equal(await ask("printer", "A"), "local 0 1");
  assert.equal(await ask("printer", "AAAA"), "local 0 0");
  assert.equal(await ask("hidden.onion", "A"), "local 3 0");
  assert.equal(await ask("x.invalid", "A"), "local 3 0");
  assert.equal(world.tlsQueries, 0);
});

test("what an upstream says is validated here, whatever it claims (RFC 4033 §7)", async (context) => {
  const world = worldFor(context);
  const zones = new ZoneWorld([
    { origin: ".", text: "" },
    { origin: "example.", text: "www A 192.0.2.1\nalias CNAME www\n*.wild A 192.0.2.2\n" },
    { origin: "plain.", text: "www A 192.0.2.3\nwww.example TXT x\n", keys: [] },
  ]);
  await world.serve();
  world.world.clock.jumpWall(NOW_SECONDS * 1000 - world.world.clock.wallMs());
  let lies = false;
  let forgets = false;
  let strangers: ResourceRecord[] = [];
  world.answer = (query) => {
    const [question] = query.questions;
    assert.ok(question !== undefined);
    const reply = zones.reply(question.name, question.type);
    const answers = reply.answers.map((record) =>
      lies && record.type === RRType.A ? { ...record, rdata: Uint8Array.of(6, 6, 6, 6) } : record,
    );
    return encodeMessage({
      ...reply,
      id: query.id,
      authenticData: true,
      answers: [...strangers, ...answers],
      authorities: forgets && question.type === RRType.TXT ? [] : reply.authorities,
    });
  };
  const stub = world.stub({ upstreams: [NAMED], validate: [zones.anchor(".")] });
  const ask = async (name: string, type = "A"): Promise<string> => {
    const { security, message, records } = await world.settled(stub.query(name, type));
    return `${security} ${message.rcode} ${records.length} ${message.authenticData}`;
  };
  assert.equal(await ask("www.example"), "secure 0 1 true");
  assert.equal(await ask("alias.example"), "secure 0 1 true");
  assert.equal(await ask("x.wild.example"), "secure 0 1 true");
  assert.equal(await ask("nothing.example"), "secure 3 0 true");
  assert.equal(await ask("www.example", "MX"), "secure 0 0 true");
  assert.equal(await ask("www.plain"), "insecure 0 1 false");
  strangers = [parseRecord("www.plain. 300 IN A 192.0.2.3")];
  stub.flush();
  const { message: whole } = await world.settled(stub.query("www.example", "A"));
  assert.equal(whole.authenticData, true);
  assert.ok(
    whole.answers.every(({ owner }) => owner.toString() === "www.example."),
    "AD speaks of what was judged only",
  );
  lies = true;
  stub.flush();
  assert.equal(await ask("www.example"), "bogus 2 0 false");
  const told = await world.settled(stub.query("www.example", "A"));
  assert.notEqual(told.extendedErrors.length, 0, "why it is bogus");
  lies = false;
  forgets = true;
  const searching = world.stub({ upstreams: [NAMED], validate: [zones.anchor(".")], search: ["plain"] });
  const searched = await world.settled(searching.query("www.example", "TXT"));
  assert.equal(searched.security, "bogus", "nobody else's answer stands for one that was broken");
  forgets = false;
  lies = true;
  assert.equal(
    (await world.settled(stub.query("www.example", "A", { checkingDisabled: true }))).records.length,
    1,
  );
});

test("what is known of upstreams is told", async (context) => {
  const world = worldFor(context);
  await world.serve();
  const stub = world.stub({ upstreams: [NAMED] });
  assert.deepEqual(
    stub.upstreams.map(({ state }) => state),
    ["untried"],
  );
  for (const name of ["a.example", "b.example", "c.example", "d.example"])
    await world.settled(stub.query(name, "A"));
  const [standing] = stub.upstreams;
  assert.deepEqual(
    [
      standing?.state,
      standing?.replies,
      standing?.reuseRatio,
      standing?.fullHandshakes,
      standing?.authenticatedBy,
    ],
    ["authenticated", 4, 0.75, 1, "name dns.example"],
  );
});

test("a closed resolver answers nobody, and who waited is told", async (context) => {
  const world = worldFor(context);
  world.world.network.setReachability(ADDRESS, "silent");
  const stub = world.stub({ upstreams: [NAMED] });
  const waiting = stub.query("www.example", "A");
  const closed = stub.close();
  await assert.rejects(world.settled(waiting), (error) => DnsError.is(error));
  await world.settled(closed);
  await assert.rejects(stub.query("www.example", "A"), (error) => DnsError.is(error, "ERR_CLOSED"));
});

test("records come as typed fields, whatever their type", async (context) => {
  const world = worldFor(context);
  await world.serve();
  world.answer = (query) => {
    const answers = [
      parseRecord("example. 300 IN MX 10 mail.example."),
      parseRecord("example. 300 IN HTTPS 1 . alpn=h2"),
    ];
    const type = query.questions[0]?.type;
    return encodeMessage({ ...query, isResponse: true, answers: answers.filter((one) => one.type === type) });
  };
  const stub = world.stub({ upstreams: [NAMED] });
  const { values, protection } = await world.settled(stub.resolve("example", "MX"));
  assert.deepEqual(
    values.map(({ preference, exchange }) => `${preference} ${exchange}`),
    ["10 mail.example."],
  );
  assert.equal(protection, "authenticated");
  const [service] = (await world.settled(stub.resolve("example", "HTTPS"))).values;
  assert.equal(service?.params.length, 1);
});

test("what happens can be listened to", async (context) => {
  const world = worldFor(context);
  await world.serve();
  const stub = world.stub({ upstreams: [NAMED] });
  await world.settled(stub.query("www.example", "A"));
  const [told] = world.world.events.named("stub.answered");
  assert.deepEqual([told?.["name"], told?.["type"]], ["www.example.", RRType.A]);
});
