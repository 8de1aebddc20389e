import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reply, Transport } from "@sotto/dns/transport";
import { EdeCode, Rcode, RRType, recordToText, rrTypeToText } from "@sotto/dns/wire";
import { cacheLifeSeconds } from "../cache-policy.ts";
import { FakeResponder, queryOctets, queryOf, replyOf, viewOf } from "../queries.test-support.ts";
import { type AnyPolicy, anyQueries } from "./any-queries.ts";

const context = { signal: new AbortController().signal, deadlineMs: 1000 };
const SIGNATURE = (type: string): string =>
  `www.example. 60 IN RRSIG ${type} 13 2 60 20300101000000 20200101000000 1 example. AAAA`;
const ADDRESS = "www.example. 60 IN A 192.0.2.1";
const TEXT = 'www.example. 60 IN TXT "a text that is longer than an address"';
const HINFO = ['www.example. 3600 IN HINFO "RFC8482" ""'];
const ALL = [TEXT, SIGNATURE("TXT"), ADDRESS, SIGNATURE("A")];

interface Asking {
  readonly policy?: AnyPolicy;
  readonly name?: string;
  readonly type?: RRType;
  readonly transport?: Transport;
  readonly dnssecOk?: boolean;
  readonly security?: Reply["security"];
}

/** www.example. has two signed sets, alias.example. is one, host.example. has a HINFO; nothing else exists. */
async function ask(asking: Asking): Promise<{ answers: string[]; reply: Reply; asked: string[] }> {
  const { policy = "minimal", name = "www.example.", type = RRType.ANY, security = "indeterminate" } = asking;
  const asked: string[] = [];
  const source = new FakeResponder((query) => {
    const { qname, qtype } = query.view;
    asked.push(`${qname} ${rrTypeToText(qtype)}`);
    const given = replyOf(query, recordsOf(qname.toString(), qtype));
    const exists = ["www.example.", "alias.example.", "host.example."].includes(qname.toString());
    const message = { ...given.message, rcode: exists ? Rcode.NoError : Rcode.NXDomain };
    return { ...given, security, message };
  });
  const query = queryOf(name, { type, ...(asking.dnssecOk === true ? { edns: { dnssecOk: true } } : {}) });
  const from = { ...query, origin: { ...query.origin, transport: asking.transport ?? "udp" } };
  const reply = await anyQueries(policy)(source).respond(from, context);
  const answers = reply.message.answers.map((record) => recordToText(record).replaceAll("\t", " "));
  return { answers, reply, asked };
}

function recordsOf(name: string, type: RRType): string[] {
  if (name === "alias.example.")
    return ["alias.example. 60 IN CNAME host.example.", 'host.example. 60 IN HINFO "PDP" "ITS"'];
  if (name === "host.example.") return ['host.example. 60 IN HINFO "PDP" "ITS"'];
  if (name !== "www.example.") return [];
  return type === RRType.ANY ? ALL : type === RRType.A ? [ADDRESS] : [];
}

test("ANY gets one HINFO where the policy says so, and only ANY [8482-a 8482-4.2-a]", async () => {
  assert.deepEqual((await ask({ policy: "full" })).answers, ALL);
  assert.deepEqual((await ask({ policy: "minimal over udp" })).answers, HINFO);
  assert.deepEqual((await ask({ transport: "tcp" })).answers, HINFO);
  assert.deepEqual((await ask({ type: RRType.A })).answers, [ADDRESS]);
});

test("over TCP and TLS the whole answer may be given, which no UDP client gets from the cache [8482-4.4-a]", async () => {
  for (const transport of ["tcp", "tls"] as const) {
    const { answers, reply } = await ask({ policy: "minimal over udp", transport });
    assert.deepEqual(answers, ALL);
    assert.equal(cacheLifeSeconds(viewOf(queryOctets("www.example.", { type: RRType.ANY })), reply), 0);
  }
});

test("names that do not exist stay so, and aliases and real HINFO records are given [8482-4-a]", async () => {
  const none = await ask({ name: "none.example." });
  assert.equal(none.reply.message.rcode, Rcode.NXDomain);
  assert.equal(none.reply.message.questions[0]?.type, RRType.ANY);
  assert.deepEqual((await ask({ name: "alias.example." })).answers, [
    "alias.example. 60 IN CNAME host.example.",
  ]);
  assert.deepEqual((await ask({ name: "host.example." })).answers, ['host.example. 60 IN HINFO "PDP" "ITS"']);
});

test("with DO a signed zone gives its smallest set with its signature [8482-4.2-b]", async () => {
  const { answers, reply, asked } = await ask({ dnssecOk: true, security: "secure" });
  assert.deepEqual(answers, [ADDRESS, SIGNATURE("A")]);
  assert.equal(reply.security, "secure");
  assert.deepEqual(asked, ["www.example. HINFO", "www.example. ANY"]);
  assert.deepEqual((await ask({ dnssecOk: true, security: "insecure" })).answers, HINFO);
});

test("what is made here does not count as validated", async () => {
  assert.equal((await ask({ security: "secure" })).reply.security, "indeterminate");
});

test("ANY may be refused, with a reason", async () => {
  const { reply, asked } = await ask({ policy: "refuse", transport: "tls" });
  assert.equal(reply.message.rcode, Rcode.Refused);
  assert.deepEqual(
    reply.extendedErrors.map(({ code }) => code),
    [EdeCode.NotSupported],
  );
  assert.deepEqual(asked, []);
});
