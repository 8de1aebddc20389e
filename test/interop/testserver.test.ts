/** `sotto testserver` as other people's clients see it: dig, kdig and delv against fixtures of every group. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { after, before } from "node:test";
import {
  type CommandResult,
  peerTest,
  type RunningPeer,
  runCommand,
  SOTTO,
  startPeer,
  temporaryFolder,
} from "./peers.ts";

/** What the command prints of a fixture. */
interface Fixture {
  readonly name: string;
  readonly places: readonly { readonly transport: string; readonly port: number }[];
  readonly pin: string | null;
}

interface Facts {
  readonly authName: string;
  readonly files: { readonly authority: string; readonly trustAnchor: string };
  readonly control: string;
  readonly fixtures: readonly Fixture[];
}

let peer: RunningPeer;
let facts: Facts;

before(async () => {
  const isReady = (output: string): boolean => output.endsWith("\n}\n");
  peer = await startPeer(process.execPath, [...SOTTO, "testserver", "--port-base", "0", "--json"], isReady);
  facts = JSON.parse(peer.output());
});
after(() => peer.stop());

function fixture(name: string): Fixture {
  const found = facts.fixtures.find((one) => one.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

function portOf(name: string, transport: string): string {
  const place = fixture(name).places.find((one) => one.transport === transport);
  return String(place?.port ?? assert.fail(`${name} over ${transport}`));
}

function dig(name: string, transport: "udp" | "tcp", ...more: string[]): Promise<CommandResult> {
  const port = portOf(name, transport);
  const base = ["@127.0.0.1", "-p", port, "+time=1", "+tries=1", ...(transport === "tcp" ? ["+tcp"] : [])];
  return runCommand("dig", [...base, ...(more.length === 0 ? ["www.test."] : more)]);
}

/** Strict: by the authority and the name. */
function kdig(name: string, ...more: string[]): Promise<CommandResult> {
  const tls = [`+tls-ca=${facts.files.authority}`, `+tls-hostname=${facts.authName}`];
  const base = ["@127.0.0.1", "-p", portOf(name, "tls"), "+time=1", "+retry=0", ...tls];
  return runCommand("kdig", [...base, ...(more.length === 0 ? ["www.test."] : more)]);
}

const ADDRESS = /192\.0\.2\.53/;

peerTest("dig gets answers, sizes and delays over UDP and TCP from the good server", ["dig"], async () => {
  assert.match((await dig("good", "udp")).stdout, ADDRESS);
  assert.match((await dig("good", "tcp", "+keepalive", "www.test.")).stdout, /TCP.KEEPALIVE: 10\.0 sec/);
  assert.match((await dig("good", "tcp", "size-4000.test.", "TXT")).stdout, /MSG SIZE {2}rcvd: 4000/);
  const slow = await dig("good", "udp", "delay-300.test.");
  // dig's clock starts when the system has told it that the datagram is gone, which may be a moment after it came.
  assert.ok(Number(/Query time: ([0-9]+) msec/.exec(slow.stdout)?.[1]) >= 290, slow.stdout);
});

/** What dig makes of one query over UDP, or over TCP where only that shows it. */
const DIG_SEES: readonly (readonly [name: string, transport: "udp" | "tcp", sees: RegExp])[] = [
  ["refused", "udp", /status: REFUSED[\s\S]*EDE: 18/],
  ["truncated", "udp", /Truncated, retrying in TCP mode[\s\S]*192\.0\.2\.53/],
  ["wrong-id", "udp", /ID mismatch|timed out/],
  ["wrong-question", "tcp", /Question section mismatch/],
  ["edns-formerr", "udp", /FORMERR/],
  ["edns-badvers", "tcp", /BADVERS/],
  ["edns-drop", "udp", /timed out|no servers could be reached/],
  ["query-fin", "tcp", /end of file|communications error/],
  ["query-rst", "tcp", /connection reset|communications error/],
  ["port-closed", "tcp", /connection refused/],
  ["drops-syn", "tcp", /timed out/],
  ["octet-by-octet", "tcp", ADDRESS],
  ["keepalive-max", "tcp", ADDRESS],
  ["half-fin", "tcp", /end of file|communications error/],
];

for (const [name, transport, sees] of DIG_SEES)
  peerTest(`dig sees what is wrong with ${name}`, ["dig"], async () => {
    const { stdout, stderr } = await dig(name, transport);
    assert.match(stdout + stderr, sees);
  });

peerTest("kdig authenticates, pads and is padded", ["kdig"], async () => {
  const { stdout } = await kdig("good", "+padding", "www.test.");
  assert.match(stdout, /TLS session \(TLS1\.3\)/);
  assert.match(stdout, /Received 468 B/);
  const pinned = [
    "@127.0.0.1",
    "-p",
    portOf("good", "tls"),
    "+tls",
    `+tls-pin=${fixture("good").pin}`,
    "www.test.",
  ];
  assert.match((await runCommand("kdig", pinned)).stdout, ADDRESS);
});

const BAD_CERTIFICATE = /Error in the certificate/;

/** What kdig makes of fixtures when it authenticates by name and authority. */
const KDIG_SEES: readonly (readonly [name: string, sees: RegExp])[] = [
  ["tls-1.2-only", /TLS session \(TLS1\.2\)[\s\S]*192\.0\.2\.53/],
  ["tls-1.3-only", /TLS session \(TLS1\.3\)[\s\S]*192\.0\.2\.53/],
  ["certificate-wildcard", ADDRESS],
  ["certificate-wrong-name", BAD_CERTIFICATE],
  ["certificate-expired", BAD_CERTIFICATE],
  ["certificate-not-yet-valid", BAD_CERTIFICATE],
  ["certificate-self-signed", BAD_CERTIFICATE],
  ["certificate-no-intermediate", BAD_CERTIFICATE],
  ["alpn-h2", /fatal alert/],
  ["cleartext", /TLS|timeout|timed out/i],
  ["alert", /[Hh]andshake failed|handshake/],
  ["handshake-in-first-flight-rst", /WARNING|ERROR/],
];

for (const [name, sees] of KDIG_SEES)
  peerTest(`kdig sees what is the matter with ${name}`, ["kdig"], async () => {
    const { stdout, stderr } = await kdig(name);
    const isAnswered = ADDRESS.test(stdout);
    assert.match(stdout + stderr, sees);
    assert.equal(
      isAnswered,
      sees.source.includes("192"),
      `${name} ${isAnswered ? "answered" : "did not answer"}`,
    );
  });

peerTest("kdig does not take a new key for the one it was told", ["kdig"], async () => {
  const { pin } = fixture("certificate-new-key");
  const arguments_ = [
    "@127.0.0.1",
    "-p",
    portOf("certificate-new-key", "tls"),
    "+tls",
    `+tls-pin=${pin}`,
    "www.test.",
  ];
  const { stdout } = await runCommand("kdig", arguments_);
  assert.doesNotMatch(stdout, ADDRESS);
});

peerTest("delv validates the signed names, and finds the bogus ones", ["delv"], async (context) => {
  const [, , , , keyTag, algorithm, digestType, digest] = readFileSync(facts.files.trustAnchor, "utf8")
    .trim()
    .split(/\s+/);
  const anchors = join(temporaryFolder(context), "anchors");
  writeFileSync(
    anchors,
    `trust-anchors { . static-ds ${keyTag} ${algorithm} ${digestType} "${digest}"; };\n`,
  );
  const verdicts = [
    ["www.alg13.dnssec.", /fully validated/],
    ["nothing.alg13hashed.dnssec.", /fully validated/],
    ["www.plain.dnssec.", /unsigned answer/],
    ["www.expired.dnssec.", /RRSIG has expired/],
    ["www.wrongkey.dnssec.", /resolution failed/],
  ] as const;
  for (const [name, verdict] of verdicts) {
    const asked = ["@127.0.0.1", "-p", portOf("good", "tcp"), "-a", anchors, "+root=.", name, "A"];
    const { stdout, stderr } = await runCommand("delv", asked);
    assert.match(stdout + stderr, verdict);
  }
});

peerTest("the control API tells what kdig and dig did", ["kdig", "dig"], async () => {
  await kdig("after-3-fin", "+padding", "www.test.");
  await dig("after-3-fin", "tcp", "+keepalive", "+cookie", "+subnet=0/0", "www.test.");
  const { connections } = await new Promise<{ connections: readonly Seen[] }>((resolve, reject) => {
    get(`${facts.control}/connections?fixture=after-3-fin`, (response) => {
      let text = "";
      response.on("data", (piece: Buffer) => {
        text += piece.toString();
      });
      response.on("end", () => resolve(JSON.parse(text)));
    }).on("error", reject);
  });
  const [tls, tcp] = connections;
  assert.deepEqual(
    [tls?.transport, tls?.hello?.serverName, tls?.hello?.alpn],
    ["tls", facts.authName, ["dot"]],
  );
  assert.equal(tls?.queries[0]?.octets, 128);
  assert.ok((tls?.queries[0]?.edns?.paddingOctets ?? 0) > 0);
  const { keepalive, cookieOctets, clientSubnetBits } = tcp?.queries[0]?.edns ?? {};
  assert.deepEqual([keepalive, cookieOctets, clientSubnetBits], ["empty", 8, 0]);
});

interface Seen {
  readonly transport: string;
  readonly hello?: { readonly serverName: string; readonly alpn: readonly string[] };
  readonly queries: readonly {
    readonly octets: number;
    readonly edns?: {
      readonly keepalive?: unknown;
      readonly paddingOctets?: number;
      readonly cookieOctets?: number;
      readonly clientSubnetBits?: number;
    };
  }[];
}
