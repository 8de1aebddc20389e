import assert from "node:assert/strict";
import { test } from "node:test";
import { octetsToHex } from "../hex.ts";
import { RRType, rrTypeFromText } from "../iana/rr-type.ts";
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
  { text: "KEY 256 3 8 AwEAAQ==" },
  { text: "PX 10 map822.example. mapx400.example." },
  { text: 'GPOS "-32.6882" "116.8652" "10.0"' },
  { text: "AAAA 2001:db8::1", hex: "20010db8000000000000000000000001" },
  {
    text: "LOC 42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m",
    hex: "003316138917 2dd070be15f000988d20".replaceAll(" ", ""),
  },
  { text: "SRV 10 20 5060 sip.example." },
  { text: 'NAPTR 100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp.example.' },
  { text: "KX 10 kx.example." },
  { text: "CERT PKIX 12345 8 AQIDBA==" },
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
      if (record.type < 65280 && record.type !== RRType.NULL)
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
      // A bitmap of ports may end in zeros, which no text can say.
      if (rdataProblem(record.type, cut) !== undefined || record.type === RRType.WKS) continue;
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
    ["CAA 0 is_sue x", /letters and digits/],
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
