import assert from "node:assert/strict";
import { test } from "node:test";
import { makeEdns } from "./edns/edns.ts";
import { makeKeepalive } from "./edns/keepalive.ts";
import { RRClass } from "./iana/rr-class.ts";
import { RRType } from "./iana/rr-type.ts";
import { HeaderFlag, makeMessage } from "./message.ts";
import { tryDecodeMessage } from "./message-decoder.ts";
import { encodeMessage } from "./message-encoder.ts";
import { parseName } from "./name.ts";
import { OctetWriter } from "./octets.ts";
import type { ResourceRecord } from "./record.ts";
import { ageTtls, appendOpt, patchFlags, patchId, tryFindTtls } from "./reply-patcher.ts";

function address(owner: string, ttl: number): ResourceRecord {
  return {
    owner: parseName(owner),
    type: RRType.A,
    class: RRClass.IN,
    ttl,
    rdata: Uint8Array.of(192, 0, 2, 1),
  };
}

const reply = makeMessage({
  id: 1,
  isResponse: true,
  questions: [{ name: parseName("www.example."), type: RRType.A, class: RRClass.IN }],
  answers: [address("www.example.", 300), address("www.example.", 60)],
  authorities: [address("example.", 0)],
  additionals: [address("ns.example.", 3600)],
});

/** The reply's octets behind seven others, as a cache or a frame holds them. */
function placed(room = 0): { octets: Uint8Array; start: number; end: number } {
  const message = encodeMessage(reply);
  const octets = new Uint8Array(7 + message.length + room).fill(0xee);
  octets.set(message, 7);
  return { octets, start: 7, end: 7 + message.length };
}

test("id and flags are set in place", () => {
  const { octets, start, end } = placed();
  patchId(octets, start, 0xbeef);
  patchFlags(octets, start, HeaderFlag.Response | HeaderFlag.AuthenticData | 2);
  const message = tryDecodeMessage(octets.subarray(start, end));
  assert.ok(message.ok);
  assert.deepEqual(message.value, { ...reply, id: 0xbeef, authenticData: true, rcode: 2 });
  assert.ok(octets.subarray(0, start).every((octet) => octet === 0xee));
});

test("TTLs are found in every section but not in OPT", () => {
  const found = tryFindTtls(encodeMessage({ ...reply, edns: makeEdns({ dnssecOk: true }) }));
  assert.ok(found.ok);
  assert.equal(found.value.offsets.length, 4);
  assert.equal(found.value.smallestTtl, 0);
});

test("a message without records has no smallest TTL", () => {
  const found = tryFindTtls(encodeMessage(makeMessage()));
  assert.deepEqual(found, {
    ok: true,
    value: { offsets: new Uint16Array(0), smallestTtl: Number.POSITIVE_INFINITY },
  });
});

test("TTLs of a malformed message are a problem", () => {
  const message = encodeMessage(reply);
  for (let end = 12; end < message.length; end++)
    assert.equal(tryFindTtls(message.subarray(0, end)).ok, false);
  assert.equal(tryFindTtls(new Uint8Array([...message, 0])).ok, false);
});

test("TTLs age down to zero and no further", () => {
  const ages: readonly (readonly [number, readonly number[]])[] = [
    [0, [300, 60, 0, 3600]],
    [59, [241, 1, 0, 3541]],
    [60, [240, 0, 0, 3540]],
    [100_000, [0, 0, 0, 0]],
  ];
  for (const [elapsedSeconds, expected] of ages) {
    const { octets, start, end } = placed();
    const found = tryFindTtls(octets.subarray(start, end));
    assert.ok(found.ok);
    ageTtls(octets, start, found.value.offsets, elapsedSeconds);
    const message = tryDecodeMessage(octets.subarray(start, end));
    assert.ok(message.ok);
    const { answers, authorities, additionals } = message.value;
    assert.deepEqual(
      [...answers, ...authorities, ...additionals].map((record) => record.ttl),
      expected,
    );
  }
});

test("an OPT record with options and padding is appended as the encoder would write it", () => {
  const keepalive = makeKeepalive(300);
  const writer = new OctetWriter();
  writer.uint16(keepalive.code);
  writer.uint16(keepalive.data.length);
  writer.octets(keepalive.data);
  const { octets, start, end } = placed(400);
  const opt = { udpPayloadOctets: 1232, dnssecOk: true, upperRcode: 1, options: writer.finish() };
  const bare = appendOpt(octets, start, end, { ...opt, paddingOctets: -1 });
  const edns = makeEdns({ dnssecOk: true, options: [keepalive] });
  assert.deepEqual(octets.slice(start, bare), encodeMessage({ ...reply, rcode: 16, edns }));

  const again = placed(400);
  const length = bare - start;
  const paddingOctets = 468 - length - 4;
  const padded = appendOpt(again.octets, start, end, { ...opt, paddingOctets });
  assert.equal(padded - start, 468);
  assert.deepEqual(
    again.octets.slice(start, padded),
    encodeMessage({ ...reply, rcode: 16, edns }, { padBlockOctets: 468 }),
  );
});
