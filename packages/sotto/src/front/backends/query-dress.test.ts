import assert from "node:assert/strict";
import { test } from "node:test";
import { EdnsOptionCode, encodeMessage, makeEdns, makeMessage } from "@sotto/dns/wire";
import { decode, questionOf } from "./backends.test-support.ts";
import { type Dress, QueryDresser } from "./query-dress.ts";

const NOTHING: Dress = { asksKeepalive: false, padBlockOctets: 0, isPlain: false, udpPayloadOctets: 0 };
const COOKIE = { code: EdnsOptionCode.Cookie, data: new Uint8Array(8).fill(7) };
const SUBNET = { code: EdnsOptionCode.ClientSubnet, data: Uint8Array.of(0, 1, 24, 0, 192, 0, 2) };

function queryWith(options: readonly { code: number; data: Uint8Array }[]): Uint8Array {
  return encodeMessage(
    makeMessage({
      id: 1,
      recursionDesired: true,
      questions: [questionOf("www.example.")],
      edns: makeEdns({ dnssecOk: true, options }),
    }),
  );
}

test("nothing to change gives the same octets, and so does a message without EDNS", () => {
  const dresser = new QueryDresser();
  const octets = queryWith([COOKIE]);
  assert.equal(dresser.dress(octets, NOTHING), octets);
  const plain = encodeMessage(makeMessage({ questions: [questionOf("www.example.")] }));
  const all = { ...NOTHING, asksKeepalive: true, padBlockOctets: 128, udpPayloadOctets: 512 };
  assert.equal(dresser.dress(plain, all), plain);
  assert.equal(dresser.dress(Uint8Array.of(1, 2, 3), all).length, 3);
});

test("padding fills the block, keepalive asks without a timeout, and other options stay in order", () => {
  const dresser = new QueryDresser();
  const old = { code: EdnsOptionCode.Padding, data: new Uint8Array(31) };
  const promise = { code: EdnsOptionCode.TcpKeepalive, data: Uint8Array.of(0, 9) };
  for (let octets = 0; octets < 140; octets++) {
    const filler = { code: 65001, data: new Uint8Array(octets) };
    const dressed = dresser.dress(queryWith([COOKIE, old, SUBNET, promise, filler]), {
      ...NOTHING,
      asksKeepalive: true,
      padBlockOctets: 128,
    });
    assert.equal(dressed.length % 128, 0);
    const { edns } = decode(dressed);
    assert.equal(edns?.dnssecOk, true);
    assert.deepEqual(
      edns?.options.map(({ code }) => code),
      [COOKIE.code, SUBNET.code, 65001, EdnsOptionCode.TcpKeepalive, EdnsOptionCode.Padding],
    );
    assert.equal(edns?.options[3]?.data.length, 0);
  }
});

test("for UDP only the payload size changes; for who has no EDNS the record goes", () => {
  const dresser = new QueryDresser();
  const octets = queryWith([COOKIE]);
  const before = octets.slice();
  const forUdp = decode(dresser.dress(octets, { ...NOTHING, udpPayloadOctets: 4096 }));
  assert.equal(forUdp.edns?.udpPayloadOctets, 4096);
  assert.deepEqual(forUdp.edns?.options, [COOKIE]);
  const plain = decode(dresser.dress(octets, { ...NOTHING, isPlain: true }));
  assert.equal(plain.edns, undefined);
  assert.equal(plain.questions[0]?.name.toString(), "www.example.");
  assert.deepEqual(octets, before, "what is forwarded is not changed");
});
