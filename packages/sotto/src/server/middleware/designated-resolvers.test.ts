import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reply } from "@sotto/dns/transport";
import { parseName, Rcode, type ResourceRecord, RRType, recordToText } from "@sotto/dns/wire";
import { FakeResponder, queryOf, replyOf } from "../queries.test-support.ts";
import { type DesignatedService, designatedResolvers } from "./designated-resolvers.ts";

const TLS: DesignatedService = { transport: "tls", port: 853, path: undefined, addresses: ["192.0.2.53"] };
const HTTPS: DesignatedService = { ...TLS, transport: "https", port: 443, path: "/dns-query" };

/** Asks; undefined when the query went on. */
async function ask(
  question: string,
  services: readonly DesignatedService[] | "none" = [TLS],
  type: number = RRType.SVCB,
): Promise<Reply | undefined> {
  const next = new FakeResponder((query) => replyOf(query, []));
  const designation = services === "none" ? undefined : { name: parseName("dns.example."), services };
  const member = designatedResolvers(designation)(next);
  const context = { signal: new AbortController().signal, deadlineMs: 1000 };
  const reply = await member.respond(queryOf(question, { type }), context);
  return next.queries.length > 0 ? undefined : reply;
}

function texts(records: readonly ResourceRecord[] | undefined): string[] {
  return (records ?? []).map((record) => recordToText(record).replaceAll("\t", " "));
}

test("who asks is told where the resolver speaks TLS and HTTPS, with its addresses [9461-5-a] [rfc9462#4]", async () => {
  const reply = await ask("_dns.resolver.arpa.", [
    { ...TLS, addresses: ["192.0.2.53", "2001:db8::53"] },
    { ...TLS, port: 8853 },
    HTTPS,
    { ...HTTPS, port: 8443, path: "/a,b;c", addresses: [] },
  ]);
  const owner = "_dns.resolver.arpa. 300 IN SVCB";
  assert.deepEqual(texts(reply?.message.answers), [
    `${owner} 1 dns.example. alpn="dot" ipv4hint=192.0.2.53 ipv6hint=2001:db8::53`,
    `${owner} 2 dns.example. alpn="dot" port=8853 ipv4hint=192.0.2.53`,
    `${owner} 3 dns.example. alpn="h2" ipv4hint=192.0.2.53 dohpath="/dns-query{?dns}"`,
    `${owner} 4 dns.example. alpn="h2" port=8443 dohpath="/a,b;c{?dns}"`,
  ]);
  assert.deepEqual(texts(reply?.message.additionals), [
    "dns.example. 300 IN A 192.0.2.53",
    "dns.example. 300 IN AAAA 2001:db8::53",
  ]);
  assert.equal(reply?.message.isAuthoritative, true);
});

test("everything else at and below resolver.arpa is NODATA, and nobody is asked for it [9462-6.1-a]", async () => {
  for (const [name, type] of [
    ["_dns.resolver.arpa.", RRType.A],
    ["_dns.resolver.arpa.", RRType.DS],
    ["resolver.arpa.", RRType.SVCB],
    ["resolver.arpa.", RRType.DS],
    ["other._dns.resolver.arpa.", RRType.SVCB],
  ] as const) {
    const reply = await ask(name, [TLS], type);
    assert.equal(reply?.message.rcode, Rcode.NoError, name);
    assert.deepEqual(reply.message.answers, [], name);
    const [soa] = reply.message.authorities;
    assert.deepEqual([soa?.type, soa?.owner.toString()], [RRType.SOA, "resolver.arpa."], name);
  }
});

test("who asks for anything is told, too", async () => {
  const reply = await ask("_dns.resolver.arpa.", [TLS], RRType.ANY);
  assert.deepEqual(
    reply?.message.answers.map(({ type }) => type),
    [RRType.SVCB],
  );
});

test("letters of either case name the same resolver", async () => {
  assert.equal((await ask("_DNS.Resolver.ARPA."))?.message.answers.length, 1);
});

test("other names go on, and without a designation all names do", async () => {
  assert.equal(await ask("resolver.example.", [TLS]), undefined);
  assert.equal(await ask("arpa.", [TLS]), undefined);
  assert.equal(await ask("_dns.resolver.arpa.", "none"), undefined);
});
