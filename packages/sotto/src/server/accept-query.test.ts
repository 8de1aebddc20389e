import assert from "node:assert/strict";
import { test } from "node:test";
import type { Transport } from "@sotto/dns/transport";
import {
  EdeCode,
  EdnsOptionCode,
  MessageView,
  Opcode,
  parseName,
  parseRecord,
  Rcode,
  RRClass,
  RRType,
  setUint16,
  uint16At,
} from "@sotto/dns/wire";
import { acceptQuery } from "./accept-query.ts";
import { type QueryParts, queryOctets } from "./queries.test-support.ts";

/** `serve`, `drop`, or the response code with the first extended error. */
function verdict(octets: Uint8Array, transport: Transport = "tcp"): string | readonly (number | undefined)[] {
  const view = new MessageView();
  const acceptance = acceptQuery(view, view.reset(octets), transport);
  if (acceptance.kind !== "reject") return acceptance.kind;
  const [error] = acceptance.errors;
  return error === undefined ? [acceptance.rcode] : [acceptance.rcode, error.code];
}

function changed(octets: Uint8Array, change: (octets: Uint8Array) => void): Uint8Array {
  const copy = octets.slice();
  change(copy);
  return copy;
}

/** A query with an OPT record of exactly these rdata octets. */
function withOptRdata(rdata: readonly number[]): Uint8Array {
  const base = queryOctets("www.example.");
  const opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, rdata.length, ...rdata];
  return changed(Uint8Array.from([...base, ...opt]), (octets) => setUint16(octets, 10, 1));
}

const plain = queryOctets("www.example.");
const question = { name: parseName("www.example."), type: RRType.A, class: RRClass.IN };

test("an ordinary query is served, and so is what older and newer clients add to it", () => {
  const rows: readonly (readonly [string, Uint8Array])[] = [
    ["plain", plain],
    ["the root", queryOctets(".", { type: RRType.NS })],
    ["EDNS", queryOctets("www.example.", { edns: true })],
    ["DO and unknown EDNS flags", queryOctets("x.", { edns: { dnssecOk: true, reservedFlags: 0x7fff } })],
    ["payload of 0", queryOctets("x.", { edns: { udpPayloadOctets: 0 } })],
    ["RD=0", queryOctets("x.", { recursionDesired: false })],
    ["AD and CD", queryOctets("x.", { authenticData: true, checkingDisabled: true })],
    ["reserved header bit", queryOctets("x.", { reservedFlag: true })],
    ["TC", queryOctets("x.", { isTruncated: true })],
    ["a response code", queryOctets("x.", { rcode: 5 })],
    ["ANY", queryOctets("x.", { type: RRType.ANY })],
    ["unknown type", queryOctets("x.", { type: 65280 })],
    ["additional records beside OPT", queryOctets("x.", { edns: true, additionals: [aRecord()] })],
    ["version.bind CH TXT", queryOctets("version.bind.", { type: RRType.TXT, class: RRClass.CH })],
  ];
  for (const [name, octets] of rows) assert.equal(verdict(octets), "serve", name);
});

test("unknown EDNS options do not matter [6891-6.1.2-a]", () => {
  const options = [
    { code: 65001, data: Uint8Array.of(1, 2, 3) },
    { code: 65001, data: new Uint8Array(0) },
  ];
  assert.equal(verdict(queryOctets("x.", { edns: { options } })), "serve");
});

function aRecord(): ReturnType<typeof parseRecord> {
  return parseRecord("a.example. 1 IN A 192.0.2.1");
}

test("responses and what has no header get no answer", () => {
  assert.equal(verdict(queryOctets("x.", { isResponse: true })), "drop");
  assert.equal(verdict(queryOctets("x.", { isResponse: true, opcode: Opcode.Notify })), "drop");
  for (let length = 0; length < 12; length++) assert.equal(verdict(plain.subarray(0, length)), "drop");
});

test("other opcodes are not implemented, whatever their body is", () => {
  for (let opcode = 1; opcode < 16; opcode++) {
    assert.deepEqual(verdict(queryOctets("x.", { opcode })), [Rcode.NotImp], `opcode ${opcode}`);
    const garbage = changed(plain, (octets) => {
      octets[2] = opcode << 3;
      octets.fill(0xff, 4);
    });
    assert.deepEqual(verdict(garbage), [Rcode.NotImp], `opcode ${opcode} with garbage`);
  }
});

test("a DSO request without questions is not implemented [8490-5.1.1-a]", () => {
  // Keepalive TLV of RFC 8490 §7.1, id 1.
  const header = [0, 1, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  const dso = Uint8Array.from([...header, 0, 1, 0, 8, 0, 0, 0x3a, 0x98, 0, 0, 0x3a, 0x98]);
  assert.deepEqual(verdict(dso), [Rcode.NotImp]);
});

test("a query has exactly one question [9619-a]", () => {
  assert.deepEqual(verdict(queryOctets("x.", { questions: [] })), [Rcode.FormErr]);
  assert.deepEqual(verdict(queryOctets("x.", { questions: [question, question] })), [Rcode.FormErr]);
  const many = changed(plain, (octets) => setUint16(octets, 4, 0xffff));
  assert.deepEqual(verdict(many), [Rcode.FormErr]);
});

test("more than one OPT, and one that cannot be read, is malformed [6891-6.1.1-a]", () => {
  const one = withOptRdata([]);
  assert.equal(verdict(one), "serve");
  const opt = one.subarray(plain.length);
  const two = changed(Uint8Array.from([...one, ...opt]), (octets) => setUint16(octets, 10, 2));
  const misplaced = changed(one, (octets) => {
    setUint16(octets, 10, 0);
    setUint16(octets, 8, 1);
  });
  const withOwner = changed(Uint8Array.from([...plain, 1, 0x78, ...opt]), (octets) =>
    setUint16(octets, 10, 1),
  );
  const rows: readonly (readonly [string, Uint8Array])[] = [
    ["two", two],
    ["in the authority section", misplaced],
    ["with an owner", withOwner],
    ["option header cut", withOptRdata([0, 12, 0])],
    ["option runs over", withOptRdata([0, 12, 0, 4, 0])],
  ];
  for (const [name, octets] of rows) assert.deepEqual(verdict(octets), [Rcode.FormErr], name);
});

test("an unknown EDNS version is BADVERS, also with options that are unknown then [6891-6.1.3-a]", () => {
  for (const version of [1, 2, 255])
    assert.deepEqual(verdict(queryOctets("x.", { edns: { version } })), [Rcode.BadVers]);
});

test("a keepalive option of a length that cannot be is malformed, but not looked at on UDP [7828-3.1-a 7828-3.3.1-a]", () => {
  for (let length = 0; length < 6; length++) {
    const options = [{ code: EdnsOptionCode.TcpKeepalive, data: new Uint8Array(length) }];
    const octets = queryOctets("x.", { edns: { options } });
    const expected = length === 0 || length === 2 ? "serve" : [Rcode.FormErr];
    assert.deepEqual(verdict(octets, "tcp"), expected, `${length} over TCP`);
    assert.deepEqual(verdict(octets, "tls"), expected, `${length} over TLS`);
    assert.equal(verdict(octets, "udp"), "serve", `${length} over UDP`);
  }
});

test("a message that cannot be read is malformed", () => {
  const pointer = changed(plain, (octets) => {
    octets[12] = 0xc0;
  });
  const rows: readonly (readonly [string, Uint8Array])[] = [
    ["compressed question", pointer],
    ["octets behind the end", Uint8Array.from([...plain, 0])],
    ["a record that is not there", changed(plain, (octets) => setUint16(octets, 10, 1))],
    ["answers", queryOctets("x.", { answers: [aRecord()] })],
    ["authorities", queryOctets("x.", { authorities: [aRecord()] })],
  ];
  for (const [name, octets] of rows) assert.deepEqual(verdict(octets), [Rcode.FormErr], name);
  for (let length = 12; length < plain.length; length++)
    assert.deepEqual(verdict(plain.subarray(0, length)), [Rcode.FormErr], `${length} octets`);
});

test("what we do not do is refused or not implemented, with a reason", () => {
  const soa = parseRecord("example. 1 IN SOA a. b. 1 2 3 4 5");
  const rows: readonly (readonly [string, QueryParts, readonly number[]])[] = [
    ["AXFR", { type: RRType.AXFR }, [Rcode.Refused, EdeCode.NotSupported]],
    ["IXFR with its SOA", { type: RRType.IXFR, authorities: [soa] }, [Rcode.Refused, EdeCode.NotSupported]],
    ["class CH", { class: RRClass.CH }, [Rcode.Refused, EdeCode.NotSupported]],
    ["class HS", { class: RRClass.HS }, [Rcode.Refused, EdeCode.NotSupported]],
    ["type 0", { type: 0 }, [Rcode.FormErr, EdeCode.InvalidQueryType]],
    ["OPT", { type: RRType.OPT }, [Rcode.FormErr, EdeCode.InvalidQueryType]],
    ["TSIG", { type: RRType.TSIG }, [Rcode.FormErr, EdeCode.InvalidQueryType]],
    ["TKEY", { type: RRType.TKEY }, [Rcode.FormErr, EdeCode.InvalidQueryType]],
    ["NXNAME", { type: RRType.NXNAME }, [Rcode.FormErr, EdeCode.InvalidQueryType]],
    ["MAILB", { type: RRType.MAILB }, [Rcode.NotImp, EdeCode.InvalidQueryType]],
    ["an unassigned question type", { type: 200 }, [Rcode.NotImp, EdeCode.InvalidQueryType]],
  ];
  for (const [name, parts, expected] of rows)
    assert.deepEqual(verdict(queryOctets("www.example.", parts)), expected, name);
});

test("any class means the one there is", () => {
  assert.equal(verdict(queryOctets("www.example.", { class: RRClass.ANY })), "serve");
});

test("no octets make it throw, and each gets one verdict", () => {
  let state = 99;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 16;
  };
  const seeds = [plain, queryOctets("a.b.c.example.", { edns: true }), withOptRdata([0, 12, 0, 1, 0])];
  for (let i = 0; i < 20_000; i++) {
    const seed = seeds[next() % seeds.length] ?? plain;
    const mutant = changed(seed, (octets) => {
      for (let n = next() % 4; n >= 0; n--) octets[next() % octets.length] = next();
    }).subarray(0, next() % 3 === 0 ? next() % seed.length : seed.length);
    const found = verdict(mutant, i % 2 === 0 ? "udp" : "tls");
    if (mutant.length >= 12 && (uint16At(mutant, 2) & 0x8000) === 0) assert.notEqual(found, "drop");
    else assert.equal(found, "drop");
  }
});
