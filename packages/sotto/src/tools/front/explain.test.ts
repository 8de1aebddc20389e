import assert from "node:assert/strict";
import { test } from "node:test";
import { simRuntime } from "@sotto/dns/testing";
import { loadFront } from "../../config/index.ts";
import { runFrontExplain } from "./explain.ts";
import type { ExplainCommand } from "./supposed-query.ts";

const HEAD = `listen:
  - { name: plain, transport: udp, address: 127.0.0.1 }
  - { name: private, transport: tls, address: 127.0.0.1 }
pools: [{ name: main, backends: [{ address: "tcp://192.0.2.1" }] }]
access: { allow: [192.0.2.0/24] }
`;

const ASKED: ExplainCommand = {
  words: ["www.example"],
  client: "192.0.2.7",
  transport: undefined,
  listener: undefined,
  tlsVersion: undefined,
  alpn: undefined,
  at: undefined,
  json: false,
};

async function explain(when: string, parts: Partial<ExplainCommand>): Promise<string> {
  const loaded = loadFront(
    `${HEAD}rules: [{ name: one, when: ${when}, then: { drop: true } }]\n`,
    "front.yaml",
  );
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const pieces: string[] = [];
  const stream = { write: (piece: string) => pieces.push(piece) };
  const io = { stdout: stream, stderr: stream } as unknown as Parameters<typeof runFrontExplain>[3];
  await runFrontExplain(loaded.config, { ...ASKED, ...parts }, simRuntime(1).runtimeOf([]), io);
  return pieces.join("");
}

// Selectors about TLS, EDNS options, sizes, classes and times could not be asked about: they never held.
for (const [when, parts] of [
  ["{ tls-version: [TLSv1.3], alpn: [dot] }", { transport: "tls" }],
  ["{ tls-version: [TLSv1.2] }", { listener: "private", tlsVersion: "TLSv1.2" }],
  ["{ alpn: [h2] }", { transport: "https" }],
  ["{ listener: [private], transport: [tls] }", { listener: "private" }],
  [
    "{ edns: { options: [65001], payload-min: 4096 } }",
    { words: ["a.", "+ednsopt=65001:00ff", "+bufsize=4096"] },
  ],
  ["{ edns: { options: [client-subnet] } }", { words: ["a.", "+subnet=198.51.100.0/24"] }],
  ["{ class: [CH], type: [TXT] }", { words: ["version.bind", "TXT", "CH"] }],
  ["{ time: { days: [sat], from: 22:00 } }", { at: "20261128223000" }],
  ["{ flags: { ad: true, rd: false, do: true } }", { words: ["a.", "+ad", "+nord", "+dnssec"] }],
] as const)
  test(`explain can ask about ${when}`, async () => {
    assert.match(await explain(when, parts), /rule "one" decides/);
    assert.match(await explain(when, {}), /no rule ends the walk/);
  });

test("a client that may not ask is told so before the rules", async () => {
  const text = await explain("{}", { client: "198.51.100.1" });
  assert.match(
    text,
    /^✓ access: ends\n {4}client 198\.51\.100\.1 is not in access\.allow.*REFUSED\n✓ one: ends/,
  );
  assert.match(text, /access comes before all rules; for a client that may ask, rule "one" decides/);
});

for (const [parts, problem] of [
  [{ listener: "privat" }, 'there is no listener "privat", did you mean "private"?'],
  [{ listener: "plain", transport: "tls" }, "listener plain is one for udp, not for tls"],
  [{ transport: "dot" }, 'there is no transport "dot", but udp, tcp, tls, https'],
  [{ words: ["a.", "+dnsec"] }, 'there is no flag "+dnsec", did you mean "+dnssec"?'],
  [{ words: ["a.", "+bufsize=big"] }, "+bufsize=big: give octets, such as +bufsize=1232"],
  [{ words: [] }, "give one name, and type and class if they are not A and IN"],
  [{ at: "20260231000000" }, "there is no moment 20260231000000 in the calendar"],
] as const)
  test(`explain says what it does not understand: ${problem}`, async () => {
    assert.equal(await explain("{}", parts), `sotto front explain: ${problem}\n`);
  });
