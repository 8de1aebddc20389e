/** Our `node:dns` beside Node's own, call by call, at the same server with the same zone. */
import assert from "node:assert/strict";
import nodeDns from "node:dns";
import { after, before, test } from "node:test";
import { inspect, isDeepStrictEqual } from "node:util";
import { createDns, type NodeDns } from "@sotto/dns/node-dns";
import { brief, called, oldWays, outcome, plain } from "./call-outcome.test-support.ts";
import { ZoneServer } from "./zone-server.test-support.ts";

const ZONE = `
@ SOA ns.example. host\\.master.example. 7 3600 600 86400 60
@ NS ns
@ NS ns2.example.net.
ns A 192.0.2.53
www A 192.0.2.1
www A 192.0.2.2
www AAAA 2001:db8::1
www AAAA 2001:db8:0:0:1::
four A 192.0.2.4
six AAAA 2001:db8::6
alias CNAME www
chain CNAME alias
dangling CNAME nowhere
outside CNAME www.elsewhere.test.
mx MX 20 b.example.
mx MX 10 a.example.
mx MX 0 .
txt TXT "one" "two"
txt TXT ""
txt TXT "caf\\195\\169 \\000\\"quoted\\""
srv SRV 1 2 8080 www
srv SRV 0 0 0 .
ptr PTR www
ptr PTR odd\\.label.example.
caa CAA 0 issue "ca.example"
caa CAA 128 iodef "mailto:security@example"
naptr NAPTR 10 20 "S" "SIP+D2U" "!^.*$!sip:x@example!" _sip._udp
tlsa TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
mixed A 192.0.2.9
mixed AAAA 2001:db8::9
mixed MX 5 www
mixed TXT "hello" "world"
mixed SRV 1 2 3 www
mixed NAPTR 1 2 "A" "B" "C" www
mixed CAA 0 issue "x"
mixed TLSA 3 1 1 00
mixed PTR www
mixed NS ns
mixed SOA ns host 1 2 3 4 5
odd\\.dot A 192.0.2.7
under_score A 192.0.2.8
xn--mnchen-3ya A 192.0.2.10
many TXT ${`"${"x".repeat(250)}"`}
big TXT ${`"${"y".repeat(250)}" `.repeat(8)}
empty.below A 192.0.2.11
https HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1
https HTTPS 0 other.example.
svcb SVCB 1 dns.example. alpn=dot no-default-alpn dohpath=/dns-query{?dns} key65400=abc mandatory=alpn
1.2.0.192.in-addr.arpa. PTR www
1.2.0.192.in-addr.arpa. PTR www2
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR six
3.2.0.192.in-addr.arpa. TXT "nothing here"
`;

let server: ZoneServer;
let ours: NodeDns;

before(async () => {
  server = await ZoneServer.open(ZONE);
  ours = createDns({ upstreams: [{ address: "127.0.0.1", port: server.udp.local.port, transport: "udp" }] });
});

after(async () => {
  await ours.close();
  await server[Symbol.asyncDispose]();
});

type Resolving = (resolver: Record<string, (...given: unknown[]) => unknown>) => unknown;

/** Where we mean to differ. A call that does not differ any more has no business here. */
const DIFFERENCES: Readonly<Record<string, string>> = {
  'resolveAny("tlsa.example")': "Node forgets the type of TLSA",
  'resolveAny("mixed.example")':
    "with TLSA among others Node gives a list with holes, which its users' loops fall into",
  'resolveSoa("alias.example")': "no SOA behind an alias is no bad response, but no data",
  'resolveSoa("chain.example")': "no SOA behind an alias is no bad response, but no data",
};

/** What older Nodes do in another way than Node 26 and we. */
const OLD_WAYS = oldWays([
  {
    before: "24.0",
    why: "records have no `type`",
    calls: [
      'resolveCaa("caa.example")',
      'resolveCaa("mixed.example")',
      'resolveMx("mx.example")',
      'resolveMx("mixed.example")',
      'resolveSrv("srv.example")',
      'resolveSrv("mixed.example")',
      "resolve(mx.example, MX)",
    ],
  },
]);

/** One call at both, callbacks and promises; the differences. */
async function compare(what: string, callback: Resolving, promised: Resolving): Promise<string[]> {
  const differences: string[] = [];
  for (const [form, call, pair] of [
    ["callback", callback, [new nodeDns.Resolver(), new ours.Resolver()]],
    ["promise", promised, [new nodeDns.promises.Resolver(), new ours.promises.Resolver()]],
  ] as const) {
    for (const resolver of pair) resolver.setServers([server.clear]);
    // Methods are called by name.
    const [theirs, mine] = await Promise.all(
      pair.map((resolver) => outcome(() => call(resolver as unknown as Parameters<Resolving>[0]))),
    );
    const isSame = isDeepStrictEqual(plain(mine), plain(theirs));
    const isMeant = DIFFERENCES[what] !== undefined || OLD_WAYS.has(what);
    if (isSame && isMeant) differences.push(`${what} (${form}) does not differ`);
    if (!isSame && !isMeant)
      differences.push(`${what} (${form})\n  ours   ${brief(mine)}\n  Node's ${brief(theirs)}`);
  }
  return differences;
}

const METHODS = [
  "resolve4",
  "resolve6",
  "resolveAny",
  "resolveCaa",
  "resolveCname",
  "resolveMx",
  "resolveNaptr",
  "resolveNs",
  "resolvePtr",
  "resolveSoa",
  "resolveSrv",
  "resolveTlsa",
  "resolveTxt",
];

const NAMES = [
  "www",
  "four",
  "six",
  "alias",
  "chain",
  "dangling",
  "outside",
  "mx",
  "txt",
  "srv",
  "ptr",
  "caa",
  "naptr",
  "tlsa",
  "mixed",
  "many",
  "big",
  "below",
  "absent",
  "servfail",
  "refused",
  "notimp",
  "formerr",
  "under_score",
].map((label) => `${label}.example`);

const ODD_NAMES = [
  "www.example.",
  "WWW.Example",
  "example",
  "odd\\.dot.example",
  "",
  ".",
  "a..b",
  "x".repeat(64),
  "münchen.example",
];

for (const method of METHODS) {
  test(`${method} gives what Node's gives`, async () => {
    const differences: string[] = [];
    for (const name of [...NAMES, ...ODD_NAMES])
      differences.push(
        ...(await compare(
          `${method}(${JSON.stringify(name)})`,
          (resolver) => called((callback) => resolver[method]?.(name, callback)),
          (resolver) => resolver[method]?.(name),
        )),
      );
    if (differences.length > 0) assert.fail(differences.join("\n"));
  });
}

test("resolve(name, rrtype) gives what Node's gives", async () => {
  const differences: string[] = [];
  for (const rrtype of [
    "A",
    "AAAA",
    "ANY",
    "CAA",
    "CNAME",
    "MX",
    "NAPTR",
    "NS",
    "PTR",
    "SOA",
    "SRV",
    "TLSA",
    "TXT",
  ])
    for (const name of ["www.example", "absent.example", "mx.example"])
      differences.push(
        ...(await compare(
          `resolve(${name}, ${rrtype})`,
          (resolver) => called((callback) => resolver["resolve"]?.(name, rrtype, callback)),
          (resolver) => resolver["resolve"]?.(name, rrtype),
        )),
      );
  differences.push(
    ...(await compare(
      "resolve(name)",
      (resolver) => called((callback) => resolver["resolve"]?.("www.example", callback)),
      (resolver) => resolver["resolve"]?.("www.example"),
    )),
  );
  if (differences.length > 0) assert.fail(differences.join("\n"));
});

test("addresses with their TTL are what Node gives", async () => {
  const differences: string[] = [];
  for (const method of ["resolve4", "resolve6", "resolveMx"])
    for (const options of [{ ttl: true }, { ttl: false }, {}, undefined, null])
      for (const name of ["www.example", "alias.example", "absent.example"])
        differences.push(
          ...(await compare(
            `${method}(${name}, ${inspect(options)})`,
            (resolver) => called((callback) => resolver[method]?.(name, options, callback)),
            (resolver) => resolver[method]?.(name, options),
          )),
        );
  if (differences.length > 0) assert.fail(differences.join("\n"));
});

test("a name that has no form in ASCII is not asked, and no other one in its place", async () => {
  const asks = async (name: string): Promise<unknown> => {
    server.seen.length = 0;
    const resolver = new ours.promises.Resolver();
    resolver.setServers([server.clear]);
    const [, error] = await outcome(() => resolver.resolve4(name));
    const code: unknown = Reflect.get(Object(error), "code");
    return [code, [...new Set(server.seen.map((one) => one.name))]];
  };
  for (const name of [
    "ü/x.example",
    "ü?x.example",
    "ü:80",
    "ü%2e.example",
    "a\u200db.example",
    "\ud800.example",
  ])
    assert.deepEqual(await asks(name), ["EBADNAME", []], inspect(name));
  assert.deepEqual(await asks("１２７.1"), ["ENOTFOUND", ["127.1."]]);
  assert.deepEqual(await asks("Ü.example."), ["ENOTFOUND", ["xn--tda.example."]]);
});

/** undici's cache counts in milliseconds: what was given in seconds ended 1000 times too early. */
test("lookupOrigin gives undici a TTL in milliseconds", async () => {
  const facade = createDns({ upstreams: [`udp://${server.clear}`], hosts: "none" });
  const look = (name: string): Promise<unknown> =>
    called((callback) => facade.lookupOrigin(new URL(`http://${name}`), { family: "IPv4" }, callback));
  assert.deepEqual(await look("four.example"), [[{ address: "192.0.2.4", family: 4, ttl: 300_000 }]]);
  assert.deepEqual(await look("[::1]:80"), [[{ address: "::1", family: 6, ttl: 1000 }]]);
  await facade.close();
});

test("a timeout of 0 is none of ours, as with Node", async () => {
  for (const Resolver of [nodeDns.promises.Resolver, ours.promises.Resolver]) {
    const resolver = new Resolver({ timeout: 0, tries: 2 });
    resolver.setServers([server.clear]);
    assert.deepEqual(await resolver.resolve4("four.example"), ["192.0.2.4"]);
  }
});

test("reverse gives what Node's gives", async () => {
  const differences: string[] = [];
  for (const address of [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "2001:db8::1",
    "2001:db8::2",
    "2001:DB8:0::1",
    "bogus",
    "",
    "1.2.3",
    "fe80::1%lo",
  ])
    differences.push(
      ...(await compare(
        `reverse(${address})`,
        (resolver) => called((callback) => resolver["reverse"]?.(address, callback)),
        (resolver) => resolver["reverse"]?.(address),
      )),
    );
  if (differences.length > 0) assert.fail(differences.join("\n"));
});
