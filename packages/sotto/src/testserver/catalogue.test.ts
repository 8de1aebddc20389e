import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { tryParseAnchor } from "@sotto/dns/dnssec";
import { StubResolver } from "@sotto/dns/stub";
import { readRows } from "../../../../test/rfc/tables.ts";
import { Answers } from "./answers.ts";
import { CATALOGUE, fixtureOf } from "./catalogue.ts";
import { DNSSEC_FIXTURES } from "./catalogue-dnssec.ts";
import { AUTH_NAME } from "./certificates.ts";
import { decoded, query, TestWorld } from "./raw-clients.test-support.ts";

const world = new TestWorld();
before(() => world.start(["good"]));
after(() => world.close());

test("names are unique, and every requirement is one of docs/rfc", () => {
  assert.equal(new Set(CATALOGUE.map(({ name }) => name)).size, CATALOGUE.length);
  const known = new Set(readRows(join(import.meta.dirname, "../../../../docs/rfc")).map(({ id }) => id));
  for (const { name, requirements } of CATALOGUE) {
    assert.ok(requirements.length > 0, name);
    for (const requirement of requirements) assert.ok(known.has(requirement), `${name}: ${requirement}`);
  }
});

test("every fixture can be chosen, and labels choose only what changes a reply", () => {
  for (const { name, switchedBy, behaviour, question } of CATALOGUE) {
    assert.ok(switchedBy.length > 0, name);
    if (!switchedBy.includes("name")) continue;
    assert.match(name, /^[a-z0-9-]{1,63}$/);
    assert.ok(behaviour.reply !== undefined || question !== undefined, name);
    assert.deepEqual(behaviour.connection ?? {}, {}, name);
  }
});

/** What a test bed for DNS over TCP and TLS should be able to do, and by which fixture. */
const WANTED: Readonly<Record<string, readonly string[]>> = {
  "answers after N ms, a slow and a fast one on a connection": ["delay"],
  "answers of any size": ["size"],
  "one octet a segment, length split, length 0, length wrong, two in a segment, half and FIN": [
    "octet-by-octet",
    "split-length",
    "empty-frame",
    "length-too-long",
    "length-too-short",
    "two-in-one",
    "half-fin",
  ],
  "idle close by FIN, RST, silence, close_notify alone, FIN alone": [
    "idle-fin",
    "idle-rst",
    "idle-silence",
    "idle-only-close-notify",
    "idle-no-close-notify",
  ],
  "keepalive absent, 0, 1, 65535, length 1 and 3, changing, over UDP, gone after it was there, lies": [
    "keepalive-absent",
    "keepalive-0",
    "keepalive-1",
    "keepalive-max",
    "keepalive-one-octet",
    "keepalive-three-octets",
    "keepalive-changes",
    "keepalive-udp",
    "keepalive-vanishes",
    "keepalive-lies-long",
    "keepalive-lies-short",
  ],
  "padding absent, too small, twice, not zero, not last, over size, in clear, without EDNS": [
    "padding-none",
    "padding-too-small",
    "padding-block-128",
    "padding-twice",
    "padding-nonzero",
    "padding-first",
    "padding-over-size",
    "padding-in-clear",
    "padding-without-edns",
  ],
  "TLS versions": ["tls-1.0-only", "tls-1.1-only", "tls-1.2-only", "tls-1.3-only"],
  certificates: [
    "certificate-expired",
    "certificate-not-yet-valid",
    "certificate-wrong-name",
    "certificate-address-only",
    "certificate-wildcard",
    "certificate-self-signed",
    "certificate-no-intermediate",
    "certificate-new-key",
    "client-certificate",
  ],
  "ALPN, SNI, tickets": ["alpn-none", "alpn-h2", "sni-required", "tickets-none", "tickets-refused"],
  "stalls at each flight": [
    "accept-silence",
    "handshake-before-hello-silence",
    "handshake-in-first-flight-silence",
    "handshake-before-finished-silence",
    "handshake-in-last-flight-silence",
    "handshake-after-handshake-silence",
  ],
  "clear DNS and HTTP on the TLS port": ["cleartext", "http"],
  "failure classes": [
    "never-answers",
    "accept-rst",
    "accept-fin",
    "query-fin",
    "query-rst",
    "drops-syn",
    "port-closed",
    "answers-late",
  ],
  limits: ["connections-2", "after-50-fin", "one-query", "refused", "truncated", "truncated-without-tcp"],
  "wrong id, question wrong, absent, reply twice, reply to an old id, QR, garbage": [
    "wrong-id",
    "wrong-question",
    "no-question",
    "answers-twice",
    "old-id",
    "query-bit",
    "garbage",
    "unsolicited",
  ],
  order: ["reversed", "in-order", "first-only"],
  EDNS: [
    "edns-formerr",
    "edns-notimp",
    "edns-badvers",
    "edns-drop",
    "edns-drop-unknown",
    "edns-no-opt",
    "edns-two-opts",
    "edns-echo",
    "edns-do-cleared",
  ],
  DNSSEC: [
    "dnssec-secure",
    "dnssec-insecure",
    "dnssec-bogus-expired",
    "dnssec-bogus-wrong-key",
    "dnssec-bogus-unsigned",
    "dnssec-denied-nsec",
    "dnssec-denied-nsec3",
    "dnssec-wildcard",
    "dnssec-unknown-algorithm",
    "dnssec-iterations-2500",
  ],
  "TCP Fast Open": ["fast-open"],
};

test("the catalogue has all that a test bed should have", () => {
  for (const [what, names] of Object.entries(WANTED))
    for (const name of names) assert.ok(fixtureOf(name) !== undefined, `${what}: ${name}`);
});

test("a validating stub comes to the verdict that each DNSSEC fixture promises", async () => {
  const anchors = new Answers(Date.now()).trustAnchorText
    .trim()
    .split("\n")
    .map((line) => {
      const anchor = tryParseAnchor(line);
      assert.ok(anchor.ok);
      return anchor.value;
    });
  const upstream = {
    address: "127.0.0.1",
    port: world.portOf("good", "tls"),
    name: AUTH_NAME,
    trustAnchorsPem: [world.tests.credentials.authorityPem],
  };
  await using stub = new StubResolver({ upstreams: [upstream], validate: anchors, hosts: "none" });
  for (const { name, about, question = "" } of DNSSEC_FIXTURES) {
    const [qname = "", qtype = ""] = question.split(" ");
    const { security } = await stub.query(qname, qtype);
    assert.ok(about.startsWith(security), `${name}: ${about}, found ${security}`);
  }
});

test("names under test. exist with the usual types, and below nxdomain nothing does", async () => {
  const answersTo = async (text: string): Promise<[number, number]> => {
    const { rcode, answers } = decoded((await world.ask("good", "tcp", query(text)))[0]);
    return [rcode, answers.length];
  };
  for (const type of ["A", "AAAA", "TXT", "NS", "MX", "SOA"])
    assert.deepEqual(await answersTo(`x1.test. ${type}`), [0, 1], type);
  assert.deepEqual(await answersTo("x1.test. HINFO"), [0, 0]);
  assert.deepEqual(await answersTo("x1.nxdomain.test. A"), [3, 0]);
});

test("labels add up, and are not looked for outside test.", async () => {
  const [both] = await world.ask("good", "tcp", query("x1.rcode-2.size-300.wrong-id.test. TXT"));
  const message = decoded(both);
  assert.deepEqual([message.rcode, message.id, both?.length], [2, 0x1234 ^ 0x5a5a, 300]);
  const [other] = await world.ask("good", "tcp", query("rcode-2.example. A"));
  assert.equal(decoded(other).rcode, 3);
});
