import assert from "node:assert/strict";
import { test } from "node:test";
import { octetsToHex, tryHexToOctets } from "../hex.ts";
import { RRType, rrTypeFromText, rrTypeToText } from "../iana/rr-type.ts";
import { parseName } from "../name.ts";
import { parseRecord, recordToText } from "../record-text.ts";
import { rdataProblem } from "./check.ts";
import { canonicalRdata, decodeRdata, decodeRdataOf, encodeRdata, encodeRdataOf } from "./rdata.ts";
import { rdataToText } from "./rdata-text.ts";
import { RDATA_TYPES } from "./types.ts";

/** One line per type: text in our canonical form; `hex` where the octets are worth stating. */
const SAMPLES: readonly { readonly text: string; readonly hex?: string }[] = [
  { text: "A 192.0.2.1", hex: "c0000201" },
  { text: "NS ns1.example.", hex: "036e7331076578616d706c6500" },
  { text: "MD md.example." },
  { text: "MF mf.example." },
  { text: "CNAME target.example." },
  { text: "SOA ns1.example. hostmaster.example. 2026112301 3600 600 1209600 300" },
  { text: "MB mb.example." },
  { text: "MG mg.example." },
  { text: "MR mr.example." },
  {
    text: "WKS 192.0.2.1 6 25 80",
    hex: "c0000201060000004000000000000080",
  },
  { text: "PTR host.example." },
  { text: 'HINFO "PC-Intel" "Debian \\"12\\""' },
  { text: "MINFO admin.example. errors.example." },
  { text: "MX 10 mail.example.", hex: "000a046d61696c076578616d706c6500" },
  { text: 'TXT "one" "two \\"quoted\\" \\\\ \\000\\255"' },
  { text: "RP admin.example. text.example." },
  { text: "AFSDB 1 afs.example." },
  { text: 'X25 "311061700956"' },
  { text: 'ISDN "150862028003217" "004"' },
  { text: 'ISDN "150862028003217"' },
  { text: "RT 10 relay.example." },
  { text: "NSAP 0x47000580005a00" },
  { text: "NSAP-PTR host.example." },
  { text: "KEY 256 3 8 AwEAAQ==" },
  { text: "KEY 49152 3 0" },
  { text: "PX 10 map822.example. mapx400.example." },
  { text: 'GPOS "-32.6882" "116.8652" "10.0"' },
  { text: "AAAA 2001:db8::1", hex: "20010db8000000000000000000000001" },
  {
    text: "LOC 42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m",
    hex: "003316138917 2dd070be15f000988d20".replaceAll(" ", ""),
  },
  { text: "LOC 0 0 0.001 S 0 0 0.999 E -100000.00m 0.00m 0.50m 90000000m" },
  { text: "EID E32C6F78163A9348" },
  { text: "NIMLOC 32251A030067" },
  { text: "SRV 10 20 5060 sip.example." },
  { text: 'NAPTR 100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp.example.' },
  { text: "KX 10 kx.example." },
  { text: "CERT PKIX 12345 RSASHA256 AQIDBA==", hex: "00013039080" + "1020304" },
  { text: "CERT URI 12345 7 AQIDBA==" },
  { text: "DNAME target.example." },
  {
    text: "APL 1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8",
    hex: "00011503c0a820" + "00011c83c0a826" + "00020801ff",
  },
  {
    text: "DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
    hex: "ec4505012bb183af5f22588179a53b0a98631fad1a292118",
  },
  { text: "SSHFP 4 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF123456789" },
  { text: "IPSECKEY 10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==" },
  { text: "IPSECKEY 10 0 2 . AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==" },
  { text: "IPSECKEY 10 3 2 mygateway.example. AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==" },
  { text: "IPSECKEY 10 2 2 2001:db8:0:8002::2000:1 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==" },
  { text: "RRSIG A 8 3 86400 20261231235959 20261201000000 12345 example. AQIDBA==" },
  { text: "SIG A 8 3 86400 20261231235959 20261201000000 12345 example. AQIDBA==" },
  {
    text: "NSEC host.example. A MX RRSIG NSEC TYPE1234",
    hex: `04686f7374076578616d706c650000064001000000030 41b`
      .replaceAll(" ", "")
      .concat("0000000000000000000000000000000000000000000000000000 20".replaceAll(" ", "")),
  },
  {
    text: "DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
  },
  { text: "DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=" },
  { text: "NSEC3 1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG" },
  { text: "NSEC a.example. NXNAME TYPE65535" },
  { text: "NSEC3 1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR" },
  { text: "NSEC3PARAM 1 0 12 AABBCCDD" },
  { text: "NSEC3PARAM 1 0 0 -" },
  { text: "TLSA 3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971" },
  { text: "SMIMEA 3 0 0 AABBCC" },
  {
    text: "HIP 2 200100107B1A74DF365639CC39F1D578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e19WzK00+CI6zBCQTdtWsuxKbWIy87UOoJTwkUs7lBu+Upr1gsNrut79ryra+bSRGQb1slImA8YVJyuIDsj7kwzG7jnERNqnWxZ48AWkskmdHaVDP4BcelrTI3rMXdXF5D rvs1.example. rvs2.example.",
  },
  { text: 'NINFO "status"' },
  { text: "RKEY 0 255 8 AQID" },
  { text: "TALINK a.example. b.example." },
  { text: "CDS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118" },
  { text: "CDNSKEY 257 3 8 AwEAAQ==" },
  { text: "OPENPGPKEY AQIDBAU=" },
  { text: "CSYNC 66 3 A NS AAAA" },
  {
    text: "ZONEMD 2018031500 1 1 6B0C0C8F2A8B3A7F6B0C0C8F2A8B3A7F6B0C0C8F2A8B3A7F6B0C0C8F2A8B3A7F6B0C0C8F2A8B3A7F6B0C0C8F2A8B3A7F",
  },
  { text: "SVCB 0 svc.example." },
  {
    text: 'SVCB 1 . mandatory=alpn,ipv4hint alpn="h2,h3-19" port=853 ipv4hint=192.0.2.1,192.0.2.2 key65000="x\\"y"',
  },
  { text: 'HTTPS 1 . alpn="h2" no-default-alpn ech=AQID ipv6hint=2001:db8::1,2001:db8::53:1' },
  { text: 'SVCB 1 dns.example. alpn="dot" dohpath="/dns-query{?dns}"' },
  {
    text: 'SVCB 16 foo.example. alpn="f\\\\\\\\oo\\\\,bar,h2"',
    hex: `001003666f6f076578616d706c6500000100 0c08665c6f6f2c6261720268 32`.replaceAll(" ", ""),
  },
  { text: "DSYNC CDS NOTIFY 5300 notify.example." },
  { text: "HHIT AQID" },
  { text: "BRID AQID" },
  { text: 'SPF "v=spf1 -all"' },
  { text: "NID 10 0014:4fff:ff20:ee64" },
  { text: "L32 10 10.1.2.0" },
  { text: "L64 10 2001:0db8:1140:1000" },
  { text: "LP 10 l64.example." },
  { text: "EUI48 00-00-5e-00-53-2a" },
  { text: "EUI64 00-00-5e-ef-10-00-00-2a" },
  { text: 'URI 10 1 "ftp://ftp.example/public"' },
  { text: 'CAA 128 issue "ca.example; policy=ev"' },
  { text: 'AVC "app"' },
  { text: "AMTRELAY 10 1 3 relay.example." },
  { text: "AMTRELAY 10 0 0 ." },
  { text: 'RESINFO "qnamemin" "exterr=15,16,17"' },
  { text: 'WALLET "x"' },
  { text: 'CLA "x"' },
  { text: "TA 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118" },
  { text: "DLV 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118" },
  { text: "TYPE65280 \\# 3 ABCDEF", hex: "abcdef" },
  { text: "NULL \\# 2 0102" },
];

test("every type reads its text, packs it, and prints it again", () => {
  for (const { text, hex } of SAMPLES) {
    const record = parseRecord(`x.example. 300 IN ${text}`);
    if (hex !== undefined) assert.equal(octetsToHex(record.rdata), hex, text);
    assert.equal(rdataProblem(record.type, record.rdata), undefined, text);
    assert.equal(recordToText(record).split("\t").slice(3).join(" "), text);
  }
});

test("every type of the table has a sample", () => {
  const sampled = new Set(SAMPLES.map(({ text }) => text.split(" ")[0]));
  const missing = Object.keys(RDATA_TYPES).filter(
    (mnemonic) => !sampled.has(mnemonic) && mnemonic !== "TSIG" && mnemonic !== "TKEY",
  );
  assert.deepEqual(missing, []);
});

test("fields decode and encode to the same octets", () => {
  for (const { text } of SAMPLES) {
    const record = parseRecord(`x.example. 300 IN ${text}`);
    const fields = decodeRdata(record.type, record.rdata);
    if (!fields.ok) {
      assert.match(text, /^(TYPE65280|NULL)/);
      continue;
    }
    const packed = encodeRdata(record.type, fields.value);
    assert.ok(packed.ok);
    assert.equal(octetsToHex(packed.value), octetsToHex(record.rdata), text);
  }
});

test("rdata cut short anywhere is read without a throw, and is either refused or well-formed", () => {
  for (const { text } of SAMPLES) {
    const record = parseRecord(`x.example. 300 IN ${text}`);
    for (let length = 0; length < record.rdata.length; length++) {
      const cut = record.rdata.slice(0, length);
      const problem = rdataProblem(record.type, cut);
      const fields = decodeRdata(record.type, cut);
      // A bitmap of ports may end in zeros: well-formed, but no list of ports gives it back.
      if (record.type < 65280 && record.type !== RRType.NULL && record.type !== RRType.WKS)
        assert.equal(problem === undefined, fields.ok, `${text} cut to ${length}`);
      assert.equal(typeof rdataToText(record.type, cut), "string");
    }
  }
});

test("what is printed for cut rdata reads back to the same octets or is refused", () => {
  for (const { text } of SAMPLES) {
    const record = parseRecord(`x.example. 300 IN ${text}`);
    for (let length = 1; length < record.rdata.length; length++) {
      const cut = record.rdata.slice(0, length);
      if (rdataProblem(record.type, cut) !== undefined) continue;
      const again = parseRecord(`x.example. 300 IN ${text.split(" ")[0]} ${rdataToText(record.type, cut)}`);
      assert.equal(octetsToHex(again.rdata), octetsToHex(cut), `${text} cut to ${length}`);
    }
  }
});

test("one octet too many is a problem where the type has an end", () => {
  for (const mnemonic of ["A", "AAAA", "MX", "SOA", "SRV", "NSEC3PARAM", "EUI48", "NID", "LOC"]) {
    const sample = SAMPLES.find(({ text }) => text.startsWith(`${mnemonic} `));
    const record = parseRecord(`x.example. 300 IN ${sample?.text ?? ""}`);
    assert.notEqual(rdataProblem(record.type, Uint8Array.of(...record.rdata, 0)), undefined, mnemonic);
  }
});

test("wrong texts are refused with a sentence", () => {
  for (const [text, problem] of [
    ["A 192.0.2", /cannot be read/],
    ["A 192.0.2.1 more", /one value too many/],
    ["AAAA 192.0.2.1", /cannot be read/],
    ["MX mail.example.", /preference .* is not a number/],
    ["MX 65536 mail.example.", /preference .* is not a number from 0 to 65535/],
    ["MX 10", /exchange is missing/],
    ["TXT", /missing/],
    [`TXT "${"x".repeat(256)}"`, /255 octets/],
    ["DS 1 8 2 XYZ", /hexadecimal/],
    ["DNSKEY 257 3 8 A*==", /base64/],
    ["NSEC a.example. NOTYPE", /not a record type/],
    ["LOC 91 0 0 N 0 0 0 E 0m", /angle/],
    ["SVCB 1 . alpn=h2 alpn=h3", /twice/],
    ["SVCB 1 . port=h2", /port/],
    ["SVCB 1 . nothing=1", /not a service parameter/],
    ["SVCB 1 . mandatory=port", /mandatory service parameter is missing/],
    ["SVCB 1 . mandatory=mandatory", /mandatory is not in order/],
    ["SVCB 1 . no-default-alpn", /without alpn/],
    ["SVCB 1 . no-default-alpn=x alpn=h2", /no-default-alpn has a value/],
    ["SVCB 1 . key0667=a", /not a service parameter/],
    ["SVCB 1 . key3=853", /port is not 2 octets/],
    ["SVCB 1 . alpn=h2,,h3", /alpn is not a list/],
    ["CAA 0 is_sue x", /letters and digits/],
    ["CAA 0 is-sue x", /letters and digits/],
    ["SOA a. b. 1 1h 1x 1w 1m", /retry "1x" is not a period/],
    ["NSEC3 1 0 0 - - A", /nextHash/],
    ["NSEC3 1 0 0 ABC 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR", /salt/],
    ["DS 60485 5 1", /digest: it is empty/],
    ["DNSKEY 257 3 8", /publicKey: it is empty/],
    ["ZONEMD 1 1 240 AABBCCDDEEFF0011223344", /shorter than 12 octets/],
    ["NSAP 47000580005a00", /does not begin with 0x/],
    ["LOC 1 60 N 1 E 0m", /not part of an angle/],
    ["HINFO cpu", /os is missing/],
    ["IPSECKEY 10 1 2 2001:db8::1 AQ==", /not of type 1/],
    ["IPSECKEY 10 4 2 . AQ==", /gateway type .* from 0 to 3/],
    ["AMTRELAY 10 2 0 .", /discovery flag .* from 0 to 1/],
    ["APL 3:192.0.2.0/24", /address prefix/],
    ["RRSIG A 8 3 300 20261331000000 20261201000000 1 example. AQ==", /not a time/],
    ["TYPE65280 192.0.2.1", /RFC 3597/],
    ["TYPE65280 \\# 3 abcd", /promises 3 octets and has 2/],
    ["A \\# 3 c00002", /4 octets/],
    ["EUI48 00-00-5e-00-53", /cannot be read/],
  ] as const) {
    assert.throws(() => parseRecord(`x.example. 300 IN ${text}`), problem, text);
  }
});

test("the generic form is accepted for known types and printed in theirs", () => {
  const record = parseRecord("x.example. 300 IN A \\# 4 C0 00 02 01");
  assert.equal(recordToText(record), "x.example.\t300\tIN\tA\t192.0.2.1");
});

test("names of algorithms, units of time and keyN are understood and written our way", () => {
  for (const [text, expected] of [
    ["DNSKEY 257 3 RSASHA256 AwEAAQ==", "257 3 8 AwEAAQ=="],
    ["DS 1 nsec3rsasha1 1 AB", "1 7 1 AB"],
    ["DS 1 RSASHA1-NSEC3-SHA1 1 AB", "1 7 1 AB"],
    [
      "RRSIG A ED25519 2 300 1893456000 20261201000000 1 e. AQ==",
      "A 15 2 300 20300101000000 20261201000000 1 e. AQ==",
    ],
    ["CERT 1 1 RSASHA1 AQ==", "PKIX 1 RSASHA1 AQ=="],
    ["SOA a. b. 1 1h 90m 1w 1h30m", "a. b. 1 3600 5400 604800 5400"],
    ["SVCB 1 . key3=\\003U key1=\\002h2", '1 . alpn="h2" port=853'],
    ['SVCB 1 . port="853" alpn=h2 mandatory=port,alpn', '1 . mandatory=alpn,port alpn="h2" port=853'],
    ["LOC 42 N 71 W 24", "42 0 0.000 N 71 0 0.000 W 24.00m 1m 10000m 10m"],
    ["NID 10 14:4fff:0:ee64", "10 0014:4fff:0000:ee64"],
    ["NSAP 0x47.0005.80.005A.00", "0x47000580005a00"],
    ["WKS 192.0.2.1 TCP 25", "192.0.2.1 6 25"],
    [
      "RRSIG A 8 2 300 21060207062816 20261201000000 1 e. AQ==",
      "A 8 2 300 19700101000000 20261201000000 1 e. AQ==",
    ],
  ] as const) {
    const record = parseRecord(`x.example. 300 IN ${text}`);
    assert.equal(rdataToText(record.type, record.rdata), expected);
  }
});

test("forms that only a later RFC would explain are well-formed, and printed as octets", () => {
  for (const [what, type, hex] of [
    ["LOC of version 1", RRType.LOC, "0112"],
    ["APL with an address family that is no IP's", RRType.APL, "00031803c00002"],
    ["IPSECKEY with gateway type 4", RRType.IPSECKEY, "0a0402c0000201"],
    ["AMTRELAY with relay type 4", RRType.AMTRELAY, "0a04c0000201"],
    ["WKS whose ports end in zeros", RRType.WKS, "c00002010600000040" + "00"],
  ] as const) {
    const octets = tryHexToOctets(hex);
    assert.ok(octets.ok);
    assert.equal(rdataProblem(type, octets.value), undefined, what);
    assert.equal(decodeRdata(type, octets.value).ok, false, what);
    const text = rdataToText(type, octets.value);
    assert.equal(text, `\\# ${hex.length / 2} ${hex.toUpperCase()}`);
    assert.deepEqual(parseRecord(`x. 1 IN ${rrTypeToText(type)} ${text}`).rdata, octets.value, what);
  }
});

test("rdata that breaks a rule of its type is refused", () => {
  for (const [problem, type, hex] of [
    [/not in canonical form/, RRType.APL, "00011804c0000200"],
    [/not in canonical form/, RRType.APL, "00012103c00002"],
    [/size that is no number/, RRType.LOC, "00a216138b3cf018810cbce0009895b8"],
    [/size that is no number/, RRType.LOC, "000116138b3cf018810cbce0009895b8"],
    [/not on the globe/, RRType.LOC, "00121613000000" + "00810cbce0009895b8"],
    [/not in order/, RRType.SVCB, "000100000300020035000100030268" + "32"],
    [/not in order/, RRType.SVCB, "0001000003000200350003000200" + "35"],
    [/missing/, RRType.HTTPS, "0001000000000200" + "03"],
    [/missing/, RRType.HTTPS, "00010000000002000100030002" + "0035"],
    [/without alpn/, RRType.HTTPS, "00010000020000"],
    [/not in canonical form/, RRType.NSEC, "0000020100"],
    [/not in canonical form/, RRType.NSEC, "000002400100" + "0140"],
    [/letters and digits/, RRType.CAA, "000369" + "2d6978"],
    [/letters and digits/, RRType.CAA, "000078"],
    [/ends too early/, RRType.DS, "ec450501"],
    [/ends too early/, RRType.DNSKEY, "01010308"],
    [/empty/, RRType.NSEC3, "0100000000000140"],
    [/no tag or no key/, RRType.HIP, "00020001" + "01"],
  ] as const) {
    const octets = tryHexToOctets(hex);
    assert.ok(octets.ok);
    assert.match(rdataProblem(type, octets.value) ?? "", problem, hex);
    assert.equal(decodeRdata(type, octets.value).ok, false, hex);
  }
});

test("TSIG and TKEY print as dig prints them", () => {
  const mac = Uint8Array.of(1, 2, 3);
  const algorithm = parseName("hmac-sha256.");
  const tsig = encodeRdataOf("TSIG", {
    ...{ algorithm, timeSigned: 0x1_0000_0001, fudge: 300, mac, originalId: 7, error: 16 },
    other: new Uint8Array(0),
  });
  assert.ok(tsig.ok);
  assert.equal(rdataToText(RRType.TSIG, tsig.value), "hmac-sha256. 4294967297 300 3 AQID 7 BADSIG 0");
  const tkey = encodeRdataOf("TKEY", {
    ...{ algorithm, inception: 1, expiration: 2, mode: 3, error: 0, key: mac },
    other: new Uint8Array(0),
  });
  assert.ok(tkey.ok);
  assert.equal(rdataToText(RRType.TKEY, tkey.value), "hmac-sha256. 1 2 3 NOERROR 3 AQID 0");
});

test("values that do not fit are refused when packing", () => {
  const tag = new TextEncoder().encode("is-sue");
  const value = new Uint8Array(0);
  assert.deepEqual(encodeRdataOf("CAA", { flags: 0, tag, value }), {
    ok: false,
    problem: "tag: CAA tag is not letters and digits",
  });
  const prefix = { family: 1, bits: 8, isNegated: false, address: Uint8Array.of(10, 0) };
  assert.equal(encodeRdataOf("APL", { prefixes: [prefix] }).ok, false);
  assert.equal(encodeRdataOf("A", { address: new Uint8Array(16) }).ok, false);
  assert.equal(encodeRdataOf("TXT", { strings: [] }).ok, false);
  assert.equal(encodeRdataOf("TXT", { strings: [new Uint8Array(256)] }).ok, false);
});

test("typed fields for programmers", () => {
  const mx = encodeRdataOf("MX", { preference: 10, exchange: parseRecord("x. 1 IN NS mail.example.").owner });
  assert.ok(mx.ok);
  const fields = decodeRdataOf("MX", mx.value);
  assert.ok(fields.ok);
  assert.equal(fields.value.preference, 10);
  assert.equal(fields.value.exchange.toString(), "x.");
  assert.equal(encodeRdataOf("MX", { preference: 70_000, exchange: fields.value.exchange }).ok, false);
});

test("canonical form lowers the names of the old types and leaves the others", () => {
  for (const [mnemonic, text, expected] of [
    ["MX", "10 MAIL.Example.", "10 mail.example."],
    [
      "RRSIG",
      "A 8 2 300 20261231235959 20261201000000 1 EXAMPLE. AQ==",
      "A 8 2 300 20261231235959 20261201000000 1 example. AQ==",
    ],
    ["NSEC", "NEXT.Example. A", "NEXT.Example. A"],
    ["SVCB", "1 TARGET.Example.", "1 TARGET.Example."],
    ["TXT", '"Text"', '"Text"'],
  ] as const) {
    const record = parseRecord(`x.example. 300 IN ${mnemonic} ${text}`);
    assert.equal(
      rdataToText(rrTypeFromText(mnemonic) ?? 0, canonicalRdata(record.type, record.rdata)),
      expected,
    );
  }
});
