import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { CATALOGUE } from "./catalogue.ts";
import { TLS_FIXTURES } from "./catalogue-tls.ts";
import { decoded, query, type RawClient, TestWorld } from "./raw-clients.test-support.ts";

const world = new TestWorld();
before(() => world.start());
after(() => world.close());

/** Accepts whatever OpenSSL can do. */
const LENIENT: ConnectionOptions = {
  rejectUnauthorized: false,
  minVersion: "TLSv1",
  ciphers: "DEFAULT:@SECLEVEL=0",
};

async function open(fixture: string, options: ConnectionOptions = {}): Promise<RawClient> {
  const client = await world.connect(fixture, "tls", options);
  assert.equal(client.error, undefined);
  assert.equal(client.isOpen, true);
  return client;
}

async function answers(client: RawClient): Promise<void> {
  client.send(query("www.test. A"));
  await world.until("a reply", () => client.messages.length > 0);
  assert.equal(decoded(client.messages[0]).answers.length, 1);
}

/** Shakes hands in these versions and no others. */
function onlyVersion(
  name: string,
  version: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3",
): () => Promise<void> {
  return async () => {
    const client = await open(name, LENIENT);
    assert.equal(client.tls.getProtocol(), version);
    await answers(client);
    client.destroy();
    const others =
      version === "TLSv1.3" ? (["TLSv1", "TLSv1.2"] as const) : (["TLSv1.3", "TLSv1.3"] as const);
    const refused = await world.connect(name, "tls", {
      ...LENIENT,
      minVersion: others[0],
      maxVersion: others[1],
    });
    assert.equal(refused.isOpen, false);
    assert.match(refused.error ?? "", /PROTOCOL_VERSION|UNSUPPORTED/);
  };
}

/** What OpenSSL says of the certificate to a client that checks everything. */
function verifies(name: string, problem: string | undefined): () => Promise<void> {
  return async () => {
    const client = await world.connect(name, "tls");
    assert.equal(client.error, problem);
    assert.equal(client.isOpen, problem === undefined);
    client.destroy();
    // Those who do not look get their answers.
    const lenient = await open(name, LENIENT);
    await answers(lenient);
    lenient.destroy();
  };
}

/** The session of a full handshake, once the server has sent its tickets. */
async function sessionOf(fixture: string): Promise<Buffer | undefined> {
  const client = await open(fixture);
  let session: Buffer | undefined;
  client.tls.on("session", (one: Buffer) => {
    session = one;
  });
  await answers(client);
  await client.finish();
  return session;
}

async function isResumed(fixture: string, session: Buffer | undefined): Promise<boolean> {
  assert.ok(session !== undefined, "a session to resume");
  const client = await open(fixture, { session });
  await answers(client);
  const resumed = client.tls.isSessionReused();
  client.destroy();
  return resumed;
}

const CHECKS: Readonly<Record<string, () => Promise<void>>> = {
  "tls-1.0-only": onlyVersion("tls-1.0-only", "TLSv1"),
  "tls-1.1-only": onlyVersion("tls-1.1-only", "TLSv1.1"),
  "tls-1.2-only": onlyVersion("tls-1.2-only", "TLSv1.2"),
  "tls-1.3-only": onlyVersion("tls-1.3-only", "TLSv1.3"),
  "alpn-none": async () => {
    const client = await open("alpn-none");
    assert.equal(client.tls.alpnProtocol, false);
    await answers(client);
    client.destroy();
  },
  "alpn-h2": async () => {
    const refused = await world.connect("alpn-h2", "tls");
    assert.match(refused.error ?? "", /NO_APPLICATION_PROTOCOL/);
    const both = await open("alpn-h2", { ALPNProtocols: ["dot", "h2"] });
    assert.equal(both.tls.alpnProtocol, "h2");
    both.destroy();
  },
  "sni-required": async () => {
    const named = await open("sni-required");
    await answers(named);
    named.destroy();
    const nameless = await world.connect("sni-required", "tls", {
      servername: "",
      rejectUnauthorized: false,
    });
    assert.equal(nameless.isOpen, false);
    assert.match(nameless.error ?? "", /HANDSHAKE_FAILURE/);
  },
  "client-certificate": async () => {
    const { certificatePem, keyPem } = world.tests.credentials.client;
    const known = await open("client-certificate", { cert: certificatePem, key: keyPem });
    await answers(known);
    assert.match(world.tests.observations.connections().at(-1)?.tls?.clientCertificate ?? "", /client\.test/);
    known.destroy();
    const unknown = await world.connect("client-certificate", "tls");
    await world.until("the alert", () => unknown.error !== undefined);
    assert.match(unknown.error ?? "", /CERTIFICATE_REQUIRED/);
  },
  "tickets-none": async () => {
    const client = await open("tickets-none", { maxVersion: "TLSv1.2" });
    await answers(client);
    assert.equal(client.tls.getTLSTicket(), undefined);
    const session = client.tls.getSession();
    client.destroy();
    const again = await open("tickets-none", {
      maxVersion: "TLSv1.2",
      ...(session === undefined ? {} : { session }),
    });
    assert.equal(again.tls.isSessionReused(), false);
    again.destroy();
  },
  "tickets-refused": async () =>
    assert.equal(await isResumed("tickets-refused", await sessionOf("tickets-refused")), false),
  cleartext: async () => {
    // A ClientHello is the beginning of a message of 5635 octets.
    const client = world.begin("cleartext", "tls");
    await world.until("the ClientHello", () => client.sentOctets > 0);
    client.destroy();
    const clear = await world.connectClear("cleartext");
    await answers(clear);
    clear.destroy();
  },
  http: async () => {
    const client = await world.connect("http", "tls");
    assert.match(client.error ?? "", /WRONG_VERSION_NUMBER|PACKET_LENGTH/);
    const clear = await world.connectClear("http");
    clear.socket.write("GET / HTTP/1.1\r\n\r\n");
    await world.until("a reply", () => clear.hasTcpEnded);
    assert.match(Buffer.concat(clear.chunks).toString(), /^HTTP\/1\.1 400 /);
    clear.destroy();
  },
  alert: async () => {
    const client = await world.connect("alert", "tls");
    assert.match(client.error ?? "", /HANDSHAKE_FAILURE/);
  },
  "certificate-wildcard": async () => {
    await verifies("certificate-wildcard", undefined)();
    const client = await open("certificate-wildcard");
    assert.equal(client.tls.getPeerX509Certificate()?.subjectAltName, "DNS:*.sotto.test");
    client.destroy();
  },
  "certificate-address-only": async () => {
    await verifies("certificate-address-only", "ERR_TLS_CERT_ALTNAME_INVALID")();
    const client = await open("certificate-address-only", { servername: "", host: "127.0.0.1" });
    client.destroy();
  },
  "certificate-wrong-name": verifies("certificate-wrong-name", "ERR_TLS_CERT_ALTNAME_INVALID"),
  "certificate-name-in-cn-only": async () => {
    const client = await open("certificate-name-in-cn-only", LENIENT);
    const { subject, subjectAltName } = client.tls.getPeerX509Certificate() ?? {};
    assert.equal(subject, "CN=resolver.sotto.test");
    assert.equal(subjectAltName, undefined);
    await answers(client);
    client.destroy();
  },
  "certificate-expired": verifies("certificate-expired", "CERT_HAS_EXPIRED"),
  "certificate-not-yet-valid": verifies("certificate-not-yet-valid", "CERT_NOT_YET_VALID"),
  "certificate-self-signed": verifies("certificate-self-signed", "DEPTH_ZERO_SELF_SIGNED_CERT"),
  "certificate-other-authority": verifies("certificate-other-authority", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
  "certificate-no-intermediate": verifies("certificate-no-intermediate", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
  "certificate-new-key": async () => {
    const client = await open("certificate-new-key");
    for (const kind of ["new-key", "good"] as const)
      assert.notEqual(pinOf(client.tls), world.tests.credentials.pinOf(kind));
    client.destroy();
  },
  "certificate-client-usage": verifies("certificate-client-usage", "INVALID_PURPOSE"),
  "certificate-sha1": async () => {
    const client = await world.connect("certificate-sha1", "tls");
    assert.equal(client.isOpen, false);
    const lenient = await open("certificate-sha1", LENIENT);
    assert.match(lenient.tls.getPeerX509Certificate()?.publicKey.asymmetricKeyType ?? "", /rsa/);
    await answers(lenient);
    lenient.destroy();
  },
  "certificate-rsa-1024": async () => {
    const lenient = await open("certificate-rsa-1024", LENIENT);
    const { modulusLength } = lenient.tls.getPeerX509Certificate()?.publicKey.asymmetricKeyDetails ?? {};
    assert.equal(modulusLength, 1024);
    await answers(lenient);
    lenient.destroy();
    const strict = await world.connect("certificate-rsa-1024", "tls");
    assert.equal(strict.isOpen, false);
  },
  ...Object.fromEntries(
    TLS_FIXTURES.filter(({ name }) => name.startsWith("handshake-")).map(({ name }) => [
      name,
      () => stops(name),
    ]),
  ),
};

/** How far the handshake comes, counted in octets of the server, and how it ends. */
async function stops(name: string): Promise<void> {
  const how = name.slice(name.lastIndexOf("-") + 1);
  const point = name.slice("handshake-".length, name.lastIndexOf("-"));
  const client = world.begin(name, "tls");
  await world.untilEvent(name, /^stops: /);
  const sent = world.events.filter(({ event }) => event.direction === "out" && event.what === "handshake");
  const flightsBegun = {
    "before-hello": 0,
    "in-first-flight": 1,
    "before-finished": 1,
    "in-last-flight": 2,
    "after-handshake": 1,
  };
  assert.equal(sent.length, flightsBegun[point as keyof typeof flightsBegun]);
  if (how === "silence") {
    // Its own end is the only one that comes.
    client.destroy();
    await world.untilEvent(name, /^end: client/);
  } else {
    await world.until("the end", () => client.isReset || client.hasTcpEnded);
    await world.untilEvent(name, /^end: /);
    assert.equal(client.isReset, how === "rst");
  }
  // In TLS 1.3 the client is done when it has sent its Finished.
  if (point !== "after-handshake") assert.equal(client.isOpen, false);
  assert.equal(client.messages.length, 0);
  client.destroy();
}

function pinOf(socket: TLSSocket): string {
  const key = socket.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256")
    .update(key ?? "")
    .digest("base64");
}

for (const { name, about } of TLS_FIXTURES) test(`${name}: ${about}`, async () => await CHECKS[name]?.());

test("every fixture about TLS has a check here", () => {
  assert.deepEqual(Object.keys(CHECKS).sort(), TLS_FIXTURES.map(({ name }) => name).sort());
});

test("the good server is authenticated by name, address and pin, speaks TLS 1.2 and 1.3, chooses dot and resumes", async () => {
  const client = await open("good");
  assert.equal(client.tls.getProtocol(), "TLSv1.3");
  assert.equal(client.tls.alpnProtocol, "dot");
  assert.equal(pinOf(client.tls), world.tests.credentials.pinOf("good"));
  client.destroy();
  const older = await open("good", { maxVersion: "TLSv1.2", servername: "", host: "127.0.0.1" });
  assert.equal(older.tls.getProtocol(), "TLSv1.2");
  older.destroy();
  assert.equal(await isResumed("good", await sessionOf("good")), true);
});

test("a right certificate is told as such, and only that", async () => {
  for (const { name, transports, authenticates, switchedBy } of CATALOGUE) {
    if (!transports.includes("tls") || !switchedBy.includes("port")) continue;
    if (/^(?:accept-|handshake-|tickets-|cleartext|client-certificate)/.test(name)) continue;
    const client = await world.connect(name, "tls");
    const pin = world.tests.credentials.pinOf(
      world.tests.fixture(name)?.fixture.behaviour.tls?.certificate ?? "good",
    );
    const isContent = client.isOpen && pinOf(client.tls) === pin && client.tls.alpnProtocol !== "h2";
    if (name !== "certificate-name-in-cn-only") assert.equal(isContent, authenticates, name);
    client.destroy();
  }
});
