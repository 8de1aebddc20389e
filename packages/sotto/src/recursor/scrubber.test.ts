import assert from "node:assert/strict";
import { test } from "node:test";
import { type Message, makeMessage, parseName, Rcode, RRType } from "@sotto/dns/wire";
import { rr, show } from "./authorities.test-support.ts";
import { type Asked, type Scrubbed, scrub } from "./scrubber.ts";

function scrubbed(
  parts: Partial<Message>,
  options: Partial<Pick<Asked, "recursionDesired" | "isForwarder" | "isSigned">> & {
    readonly name?: string;
    readonly type?: number;
    readonly zone?: string;
  } = {},
): Scrubbed {
  const sought = { name: parseName(options.name ?? "www.example."), type: options.type ?? RRType.A };
  const zone = parseName(options.zone ?? "example.");
  const message = makeMessage({ isResponse: true, ...parts });
  return scrub(message, { recursionDesired: false, ...options, sought, zone });
}

function authoritative(parts: Partial<Message>): Partial<Message> {
  return { isAuthoritative: true, ...parts };
}

test("a set that answers the question is taken, and nothing beside it", () => {
  const reply = authoritative({
    answers: [rr("www.example. 300 A 192.0.2.1"), rr("other.example. 300 A 192.0.2.66")],
    authorities: [rr("example. 300 NS ns.attacker.invalid.")],
    additionals: [rr("ns.attacker.invalid. 300 A 192.0.2.66")],
  });
  const result = scrubbed(reply);
  assert.equal(result.kind, "answer");
  assert.deepEqual(result.kind === "answer" && result.rrsets.map(({ rrset }) => rrset.owner.toString()), [
    "www.example.",
  ]);
});

test("records that are there twice count once and the smallest TTL is the set's", () => {
  const answers = [
    rr("www.example. 300 A 192.0.2.1"),
    rr("WWW.example. 60 A 192.0.2.1"),
    rr("www.example. 200 A 192.0.2.2"),
  ];
  const result = scrubbed(authoritative({ answers }));
  assert.ok(result.kind === "answer");
  assert.equal(result.rrsets[0]?.rrset.rdatas.length, 2);
  assert.equal(result.rrsets[0]?.rrset.ttlSeconds, 60);
});

test("what an alias inside the zone leads to is asked for by itself, unless signatures tell", () => {
  const signature = "RRSIG A 13 2 60 20300101000000 20200101000000 1 example. AAAA";
  const answers = [rr("www.example. 300 CNAME web.example."), rr("web.example. 60 A 192.0.2.1")];
  const signed = [...answers, rr(`web.example. 60 ${signature}`)];
  // RFC 2181 §5.4.1: only the alias is authoritative; anybody can put a signature beside a lie.
  for (const [records, asked] of [
    [answers, {}],
    [answers, { isSigned: true }],
    [signed, {}],
  ] as const) {
    const result = scrubbed(authoritative({ answers: records }), asked);
    assert.ok(result.kind === "alias");
    assert.equal(result.target.toString(), "web.example.");
  }
  for (const [records, asked] of [
    [signed, { isSigned: true }],
    [answers, { isForwarder: true }],
  ] as const) {
    const result = scrubbed(authoritative({ answers: records }), asked);
    assert.ok(result.kind === "answer");
    assert.equal(result.chain.length, 1);
    assert.equal(result.rrsets[0]?.rrset.owner.toString(), "web.example.");
    assert.ok((result.rrsets[0]?.trust ?? 0) < (result.chain[0]?.trust ?? 0));
  }
});

test("of a chain of aliases only the first link is believed", () => {
  const answers = [
    rr("www.example. 300 CNAME a.example."),
    rr("a.example. 300 CNAME b.example."),
    rr("b.example. 60 A 192.0.2.1"),
  ];
  const result = scrubbed(authoritative({ answers }));
  assert.ok(result.kind === "alias");
  assert.equal(result.target.toString(), "a.example.");
});

test("YXDOMAIN without a DNAME is no answer (RFC 6672 §2.2)", () => {
  const answers = [rr("www.example. 300 A 192.0.2.1")];
  assert.equal(scrubbed(authoritative({ rcode: Rcode.YXDomain, answers })).kind, "broken");
});

test("an NSEC whose next name is of another zone is not believed (RFC 4034 §4.1.1)", () => {
  const nsec = (next: string): Partial<Message> =>
    authoritative({ answers: [rr(`www.example. 300 NSEC ${next} A RRSIG NSEC`)] });
  const asked = { type: RRType.NSEC };
  assert.equal(scrubbed(nsec("b.example."), asked).kind, "answer");
  assert.equal(scrubbed(nsec("b.other."), asked).kind, "empty");
});

test("what a server says about the target of an alias outside its zone is not believed", () => {
  const answers = [rr("www.example. 300 CNAME www.bank.test."), rr("www.bank.test. 300 A 192.0.2.66")];
  const result = scrubbed(authoritative({ answers }));
  assert.ok(result.kind === "alias");
  assert.equal(result.target.toString(), "www.bank.test.");
});

test("an alias loop inside one reply ends", () => {
  const answers = [rr("www.example. 300 CNAME a.example."), rr("a.example. 300 CNAME www.example.")];
  assert.equal(scrubbed(authoritative({ answers })).kind, "alias");
});

test("a CNAME that does not follow from the DNAME beside it is not believed", () => {
  const answers = [
    rr("old.example. 300 DNAME new.example."),
    rr("www.old.example. 0 CNAME www.attacker.invalid."),
    rr("www.new.example. 60 A 192.0.2.1"),
  ];
  assert.equal(scrubbed(authoritative({ answers }), { name: "www.old.example." }).kind, "broken");
});

test("the CNAME beside a DNAME is made by us, with the DNAME's TTL", () => {
  const answers = [
    rr("old.example. 300 DNAME new.example."),
    rr("www.old.example. 0 CNAME www.new.example."),
    rr("www.new.example. 60 A 192.0.2.1"),
  ];
  const result = scrubbed(authoritative({ answers }), { name: "www.old.example." });
  assert.ok(result.kind === "alias");
  assert.deepEqual(
    result.chain.map(({ rrset }) => `${rrset.owner} ${rrset.type} ${rrset.ttlSeconds}`),
    ["old.example. 39 300", "www.old.example. 5 300"],
  );
  assert.equal(result.target.toString(), "www.new.example.");
});

test("a DNAME does not apply to its own owner", () => {
  const result = scrubbed(authoritative({ answers: [rr("www.example. 300 DNAME new.example.")] }));
  assert.equal(result.kind, "empty");
});

test("a DNAME that makes a name too long is an overflow", () => {
  const label = "a".repeat(60);
  const long = `${label}.${label}.${label}.old.example.`;
  const answers = [rr(`old.example. 300 DNAME ${label}.new.example.`)];
  assert.equal(scrubbed(authoritative({ rcode: Rcode.YXDomain, answers }), { name: long }).kind, "overflow");
});

test("a question for CNAME under a DNAME is answered by the CNAME that the DNAME makes", () => {
  const answers = [rr("old.example. 300 DNAME new.example.")];
  const result = scrubbed(authoritative({ answers }), { name: "www.old.example.", type: RRType.CNAME });
  assert.ok(result.kind === "answer");
  assert.equal(result.chain.length, 1);
  assert.deepEqual(result.rrsets[0]?.rrset.rdatas[0], parseName("www.new.example.").wire);
});

test("signatures stay beside their set and wildcards bring their proofs", () => {
  const result = scrubbed(
    authoritative({
      answers: [rr("www.example. 300 A 192.0.2.1"), rr("www.example. 300 RRSIG A 1")],
      authorities: [rr("a.example. 300 NSEC z.example."), rr("a.example. 300 RRSIG NSEC 2")],
    }),
  );
  assert.ok(result.kind === "answer");
  assert.equal(result.rrsets[0]?.rrset.signatures.length, 1);
  assert.equal(result.rrsets[0]?.rrset.proofs.length, 1);
});

test("the negative TTL is the smaller of the SOA's TTL and its minimum [2308-5-a]", () => {
  for (const [ttl, minimum, expected] of [
    [300, 60, 60],
    [30, 60, 30],
  ] as const) {
    const authorities = [rr(`example. ${ttl} SOA ${minimum}`)];
    for (const rcode of [Rcode.NoError, Rcode.NXDomain]) {
      const result = scrubbed(authoritative({ rcode, authorities }));
      assert.ok(result.kind === "negative");
      assert.equal(result.answer.kind, rcode === Rcode.NXDomain ? "nxdomain" : "nodata");
      assert.equal(result.answer.soa?.ttlSeconds, expected);
    }
  }
});

test("a SOA from above the zone or beside the name is not taken", () => {
  for (const owner of [".", "test.", "other.example."]) {
    const result = scrubbed(
      authoritative({ rcode: Rcode.NXDomain, authorities: [rr(`${owner} 300 SOA 60`)] }),
    );
    assert.ok(result.kind === "negative");
    assert.equal(result.answer.soa, undefined, owner);
  }
});

test("a referral gives the servers of the cut and the glue that the parent may give", () => {
  const result = scrubbed(
    {
      authorities: [rr("sub.example. 300 NS ns1.sub.example."), rr("sub.example. 300 NS ns.elsewhere.test.")],
      additionals: [
        rr("ns1.sub.example. 120 A 192.0.2.1"),
        rr("ns1.sub.example. 300 AAAA 2001:db8::1"),
        rr("ns.elsewhere.test. 300 A 192.0.2.66"),
        rr("unrelated.example. 300 A 192.0.2.67"),
      ],
    },
    { name: "www.sub.example." },
  );
  assert.ok(result.kind === "referral");
  const { delegation, ttlSeconds } = result.referral;
  assert.equal(delegation.zone.toString(), "sub.example.");
  assert.equal(ttlSeconds, 120);
  assert.deepEqual(
    delegation.servers.map((server) => [server.name.toString(), ...server.addresses]),
    [["ns1.sub.example.", "192.0.2.1", "2001:db8::1"], ["ns.elsewhere.test."]],
  );
});

test("glue with addresses that no server can have is dropped", () => {
  const addresses = ["A 0.0.0.0", "A 224.0.0.1", "A 255.255.255.255", "AAAA ::", "AAAA ff02::1"];
  const result = scrubbed(
    {
      authorities: [rr("sub.example. 300 NS ns.sub.example.")],
      additionals: addresses.map((address) => rr(`ns.sub.example. 300 ${address}`)),
    },
    { name: "www.sub.example." },
  );
  assert.ok(result.kind === "referral");
  assert.deepEqual(result.referral.delegation.servers[0]?.addresses, []);
});

test("a referral upwards is lame, one to the zone itself a circle, and one sideways says nothing", () => {
  for (const [owner, kind] of [
    ["example.", "broken"],
    [".", "lame"],
    ["test.", "empty"],
    ["other.example.", "empty"],
  ] as const) {
    const result = scrubbed({ authorities: [rr(`${owner} 300 NS ns.example.`)] });
    assert.equal(result.kind, kind, owner);
  }
});

test("an empty reply is only a last resort", () => {
  assert.equal(scrubbed(authoritative({})).kind, "empty");
  assert.equal(scrubbed({}).kind, "empty");
});

test("a referral for DS to the name itself means that there is no DS", () => {
  const result = scrubbed(
    { authorities: [rr("sub.example. 300 NS ns.sub.example.")] },
    { name: "sub.example.", type: RRType.DS },
  );
  assert.ok(result.kind === "negative");
  assert.equal(result.answer.kind, "nodata");
});

test("an answer out of recursion is lame unless recursion was asked for", () => {
  const reply = { recursionAvailable: true, answers: [rr("www.example. 300 A 192.0.2.1")] };
  assert.equal(scrubbed(reply).kind, "lame");
  assert.equal(scrubbed(reply, { recursionDesired: true }).kind, "answer");
});

test("an answer without AA and without RA is taken, with less trust", () => {
  const result = scrubbed({ answers: [rr("www.example. 300 A 192.0.2.1")] });
  assert.ok(result.kind === "answer");
  assert.equal(result.rrsets[0]?.trust, 4);
});

test("what a response code deserves", () => {
  const table: readonly [rcode: number, kind: Scrubbed["kind"]][] = [
    [Rcode.FormErr, "no edns"],
    [Rcode.NotImp, "no edns"],
    [Rcode.BadVers, "no edns"],
    [Rcode.ServFail, "broken"],
    [Rcode.Refused, "broken"],
    [Rcode.NotAuth, "broken"],
    [Rcode.YXDomain, "broken"],
  ];
  for (const [rcode, kind] of table) assert.equal(scrubbed({ rcode }).kind, kind, `rcode ${rcode}`);
});

test("more sets than a reply can need make it broken, in linear time", () => {
  const answers = Array.from({ length: 3000 }, (_, i) => rr(`n${i}.example. 300 A 192.0.2.1`));
  assert.equal(scrubbed(authoritative({ answers })).kind, "broken");
});

test("ANY takes every set at the name and does not follow an alias", () => {
  const answers = [
    rr("www.example. 300 A 192.0.2.1"),
    rr("www.example. 300 TXT hello"),
    rr("x.example. 300 TXT no"),
  ];
  const result = scrubbed(authoritative({ answers }), { type: RRType.ANY });
  assert.ok(result.kind === "answer");
  assert.equal(result.rrsets.length, 2);
  const alias = authoritative({ answers: [rr("www.example. 300 CNAME web.example.")] });
  const only = scrubbed(alias, { type: RRType.ANY });
  assert.ok(only.kind === "answer");
  assert.deepEqual(
    show(
      only.rrsets.flatMap(({ rrset }) => rrset.rdatas.map((rdata) => ({ ...rr("x. 1 CNAME y."), rdata }))),
    ),
    ["x. 1 CNAME web.example."],
  );
});
