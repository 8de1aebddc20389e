import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import type { ExchangeFacts } from "@sotto/dns/transport";
import { makeMessage, parseName, parseRecord } from "@sotto/dns/wire";
import { AnswerCache } from "./answer-cache.ts";
import type { StubAnswer } from "./stub-answer.ts";

const NAME = parseName("www.example.");
const RECORD = parseRecord("www.example. 300 IN A 192.0.2.1");

const EXCHANGE: ExchangeFacts = {
  upstream: { address: "192.0.2.53", port: 853 },
  transport: "tls",
  protection: "encrypted",
  authenticatedBy: undefined,
  connectionReused: false,
  sessionResumed: false,
  security: {
    protocol: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    group: undefined,
    alpn: "dot",
    resumed: false,
    serverName: undefined,
    chainProblem: undefined,
    peerChain: [
      {
        der: new Uint8Array(100_000),
        spkiSha256: "",
        subject: "",
        issuer: "",
        subjectAltNames: [],
        notBeforeMs: 0,
        notAfterMs: 0,
      },
    ],
  },
  connectMs: 0,
  handshakeMs: 0,
  exchangeMs: 0,
  queryOctets: 0,
  replyOctets: 100,
  retriedOverTcp: false,
};

function answerOf(parts: Partial<StubAnswer> = {}): StubAnswer {
  return {
    message: makeMessage({ answers: [RECORD] }),
    records: [RECORD],
    canonicalName: NAME,
    security: "indeterminate",
    protection: "encrypted",
    authenticatedBy: undefined,
    extendedErrors: [],
    ttlSeconds: 300,
    isFromCache: false,
    exchange: EXCHANGE,
    ...parts,
  };
}

test("replies count with all their octets, and certificates are not kept with them", () => {
  const cache = new AnswerCache(1_000_000, () => 0, new SimClock());
  const padded = answerOf({ exchange: { ...EXCHANGE, replyOctets: 60_000 } });
  for (let i = 0; i < 100; i++) cache.store(`padded ${i}`, NAME, padded);
  const kept = Array.from({ length: 100 }, (_, i) => cache.find(`padded ${i}`)).filter(
    (one) => one !== undefined,
  );
  assert.ok(kept.length > 0 && kept.length * 60_000 <= 1_000_000, `${kept.length} are kept`);
  assert.deepEqual(kept[0]?.exchange?.security?.peerChain, []);
  assert.equal(kept[0]?.exchange?.security?.protocol, "TLSv1.3");
});

test("on another network only what somebody vouched for is still good", () => {
  let networkEpoch = 1;
  const cache = new AnswerCache(1_000_000, () => networkEpoch, new SimClock());
  const answers: Readonly<Record<string, StubAnswer>> = {
    clear: answerOf({ protection: "clear" }),
    encrypted: answerOf(),
    insecure: answerOf({ security: "insecure" }),
    authenticated: answerOf({ protection: "authenticated" }),
    secure: answerOf({ protection: "clear", security: "secure" }),
  };
  for (const [key, answer] of Object.entries(answers)) cache.store(key, NAME, answer);
  const found = (): string[] => Object.keys(answers).filter((key) => cache.find(key) !== undefined);
  assert.deepEqual(found(), Object.keys(answers));
  networkEpoch++;
  assert.deepEqual(found(), ["authenticated", "secure"]);
});
