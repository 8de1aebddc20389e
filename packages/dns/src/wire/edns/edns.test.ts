import assert from "node:assert/strict";
import { test } from "node:test";
import { octetsToHex } from "../hex.ts";
import { OctetWriter } from "../octets.ts";
import { ednsOctets, makeEdns, tryReadOptions, UDP_PAYLOAD_OCTETS_DEFAULT, writeEdns } from "./edns.ts";

test("our default payload size avoids fragments [9715-3-a]", () => {
  assert.equal(makeEdns().udpPayloadOctets, UDP_PAYLOAD_OCTETS_DEFAULT);
  assert.ok(UDP_PAYLOAD_OCTETS_DEFAULT <= 1400);
});

test("an OPT record is written with the upper bits of the response code", () => {
  const writer = new OctetWriter();
  const edns = makeEdns({
    version: 2,
    dnssecOk: true,
    reservedFlags: 1,
    options: [{ code: 0x0102, data: Uint8Array.of(0xaa) }],
  });
  writeEdns(writer, edns, 0xabc);
  assert.equal(octetsToHex(writer.finish()), "00002904d0ab028001000501020001aa");
  assert.equal(ednsOctets(edns), writer.length);
});

test("options are split by their lengths, as views", () => {
  const rdata = Uint8Array.of(0, 10, 0, 1, 7, 0, 11, 0, 0);
  const options = tryReadOptions(rdata);
  assert.deepEqual(options, {
    ok: true,
    value: [
      { code: 10, data: Uint8Array.of(7) },
      { code: 11, data: new Uint8Array(0) },
    ],
  });
  for (const end of [1, 2, 3, 4, 6, 7, 8])
    assert.equal(tryReadOptions(rdata.subarray(0, end)).ok, false, `${end}`);
  assert.deepEqual(tryReadOptions(new Uint8Array(0)), { ok: true, value: [] });
});
