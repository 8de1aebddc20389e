import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reply } from "@sotto/dns/transport";
import { parseName, parseRecord, Rcode, RRType, recordToText, uint32At } from "@sotto/dns/wire";
import { FakeResponder, queryOf, replyOf } from "../queries.test-support.ts";
import { type LocalZonesOptions, localZones } from "./local-zones.ts";

/** Asks local zones; undefined when the query went on. */
async function ask(
  name: string,
  type: number = RRType.A,
  options: Partial<LocalZonesOptions> = {},
): Promise<Reply | undefined> {
  const next = new FakeResponder((query) => replyOf(query, []));
  const members = localZones({ builtin: true, except: [], records: [], ...options })(next);
  const reply = await members.respond(queryOf(name, { type }), {
    signal: new AbortController().signal,
    deadlineMs: 1000,
  });
  return next.queries.length > 0 ? undefined : reply;
}

function texts(reply: Reply | undefined): string[] {
  return (reply?.message.answers ?? []).map((record) => recordToText(record).replaceAll("\t", " "));
}

async function nxdomain(name: string): Promise<void> {
  const reply = await ask(name);
  assert.equal(reply?.message.rcode, Rcode.NXDomain, name);
  assert.equal(reply?.message.authorities[0]?.type, RRType.SOA, name);
}

const LOOPBACK_IPV6 = `1.${"0.".repeat(31)}ip6.arpa.`;

test("private and special reverse zones are empty and never asked of the world [6303-a]", async () => {
  const zones = [
    "10.in-addr.arpa.",
    "16.172.in-addr.arpa.",
    "31.172.in-addr.arpa.",
    "168.192.in-addr.arpa.",
    "0.in-addr.arpa.",
    "127.in-addr.arpa.",
    "254.169.in-addr.arpa.",
    "2.0.192.in-addr.arpa.",
    "100.51.198.in-addr.arpa.",
    "113.0.203.in-addr.arpa.",
    "255.255.255.255.in-addr.arpa.",
    "64.100.in-addr.arpa.",
    "127.100.in-addr.arpa.",
    `${"0.".repeat(32)}ip6.arpa.`,
    LOOPBACK_IPV6,
    "d.f.ip6.arpa.",
    "8.e.f.ip6.arpa.",
    "b.e.f.ip6.arpa.",
    "8.b.d.0.1.0.0.2.ip6.arpa.",
  ];
  for (const zone of zones) {
    const soa = `${zone} 10800 IN SOA ${zone} nobody.invalid. 1 3600 1200 604800 10800`;
    assert.deepEqual(texts(await ask(zone, RRType.SOA)), [soa]);
    assert.deepEqual(texts(await ask(zone, RRType.NS)), [`${zone} 10800 IN NS ${zone}`]);
    assert.deepEqual(texts(await ask(zone, RRType.ANY)).length, zone === LOOPBACK_IPV6 ? 3 : 2);
    const nodata = await ask(zone, RRType.MX);
    assert.equal(nodata?.message.rcode, Rcode.NoError, zone);
    assert.deepEqual(
      nodata?.message.authorities.map((record) => record.type),
      [RRType.SOA],
    );
    await nxdomain(`1.2.${zone}`);
  }
});

test("the loopback addresses lead back to localhost, as unbound and kresd answer [1912-4.1-a]", async () => {
  for (const name of ["1.0.0.127.in-addr.arpa.", LOOPBACK_IPV6]) {
    const reply = await ask(name, RRType.PTR);
    assert.equal(reply?.message.rcode, Rcode.NoError);
    assert.deepEqual(texts(reply), [`${name} 10800 IN PTR localhost.`]);
    assert.equal((await ask(name, RRType.TXT))?.message.rcode, Rcode.NoError);
  }
  assert.equal((await ask("0.127.in-addr.arpa.", RRType.PTR))?.message.rcode, Rcode.NoError);
  for (const name of ["2.0.0.127", "1.1.0.0.127", "1.127"]) await nxdomain(`${name}.in-addr.arpa.`);
});

test("neighbours of the reverse zones are asked of the world", async () => {
  for (const name of ["15.172", "32.172", "63.100", "128.100", "1", "192", "169.192", "172", "100"])
    assert.equal(await ask(`${name}.in-addr.arpa.`, RRType.PTR), undefined, name);
  for (const name of ["c.f", "7.e.f", "c.e.f", "e.f", "0.0", "9.b.d.0.1.0.0.2"])
    assert.equal(await ask(`${name}.ip6.arpa.`, RRType.PTR), undefined, name);
  for (const name of [".", "arpa.", "example.", "www.example.", "nolocalhost.", "localhost.example."])
    assert.equal(await ask(name), undefined, name);
});

test("localhost is this machine, invalid and test do not exist [6761-a]", async () => {
  for (const name of ["localhost.", "a.b.LOCALHOST."]) {
    assert.deepEqual(texts(await ask(name, RRType.A)), [`${name} 10800 IN A 127.0.0.1`]);
    assert.deepEqual(texts(await ask(name, RRType.AAAA)), [`${name} 10800 IN AAAA ::1`]);
    assert.equal(texts(await ask(name, RRType.ANY)).length, 2);
    const nodata = await ask(name, RRType.MX);
    assert.equal(nodata?.message.rcode, Rcode.NoError);
    assert.equal(nodata?.message.authorities.length, 1);
  }
  for (const name of ["invalid.", "x.invalid.", "test.", "x.y.test."]) await nxdomain(name);
});

test("onion and names of other systems never leave", async () => {
  for (const name of ["onion.", "example.onion.", "printer.local.", "x.alt."]) await nxdomain(name);
});

test("home.arpa is empty, but its delegation can be proved insecure [8375-a]", async () => {
  await nxdomain("router.home.arpa.");
  assert.equal((await ask("home.arpa.", RRType.SOA))?.message.answers.length, 1);
  assert.equal(await ask("home.arpa.", RRType.DS), undefined);
  assert.equal(await ask("10.in-addr.arpa.", RRType.DS), undefined);
  assert.equal((await ask("x.home.arpa.", RRType.DS))?.message.rcode, Rcode.NXDomain);
});

test("resolver.arpa is not forwarded and has nothing [9462-6.1-a]", async () => {
  for (const type of [RRType.SVCB, RRType.A, RRType.ANY]) {
    const reply = await ask("_dns.resolver.arpa.", type);
    assert.equal(reply?.message.rcode, Rcode.NoError);
    assert.deepEqual(reply?.message.answers, []);
    assert.equal(reply?.message.authorities.length, 1);
  }
});

test("zones can be switched off, one by one and all", async () => {
  assert.equal(await ask("x.test.", RRType.A, { except: [parseName("TEST.")] }), undefined);
  assert.notEqual(await ask("x.invalid.", RRType.A, { except: [parseName("test.")] }), undefined);
  assert.equal(await ask("x.invalid.", RRType.A, { builtin: false }), undefined);
});

test("negative answers may be kept for as long as their SOA says", async () => {
  const soa = (await ask("x.invalid."))?.message.authorities[0];
  assert.equal(soa?.owner.toString(), "invalid.");
  assert.equal(uint32At(soa?.rdata ?? new Uint8Array(4), (soa?.rdata.length ?? 4) - 4), 10_800);
});

test("own records are answered in any case of the name, and win over built-in zones", async () => {
  const records = [
    "router.home.arpa. 300 IN A 192.0.2.1",
    "router.home.arpa. 300 IN A 192.0.2.2",
    "router.home.arpa. 300 IN TXT here",
    "a.b.home.arpa. 300 IN A 192.0.2.3",
    "www.example. 300 IN CNAME web.example.",
    "localhost. 60 IN A 192.0.2.9",
  ].map((text) => parseRecord(text));
  const own = (name: string, type: number): Promise<Reply | undefined> => ask(name, type, { records });
  assert.equal(texts(await own("ROUTER.home.arpa.", RRType.A)).length, 2);
  assert.equal(texts(await own("router.home.arpa.", RRType.ANY)).length, 3);
  const nodata = await own("router.home.arpa.", RRType.AAAA);
  assert.equal(nodata?.message.rcode, Rcode.NoError);
  assert.equal(nodata?.message.authorities.length, 1);
  assert.deepEqual(texts(await own("www.example.", RRType.A)), ["www.example. 300 IN CNAME web.example."]);
  assert.deepEqual(texts(await own("localhost.", RRType.A)), ["localhost. 60 IN A 192.0.2.9"]);
  assert.equal(await own("x.www.example.", RRType.A), undefined);
  const parent = await own("b.home.arpa.", RRType.A);
  assert.equal(parent?.message.rcode, Rcode.NoError, "a name above an own record exists");
  assert.equal((await own("c.home.arpa.", RRType.A))?.message.rcode, Rcode.NXDomain);
  assert.equal(await own("example.", RRType.A), undefined, "outside built-in zones the world knows better");
});

test("local answers are authoritative and marked as local, so that nobody caches them", async () => {
  const reply = await ask("localhost.");
  assert.equal(reply?.message.isAuthoritative, true);
  assert.equal(reply?.protection, "local");
});
