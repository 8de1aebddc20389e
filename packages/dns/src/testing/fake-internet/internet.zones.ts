/** The fake internet in short text: servers, zones, and what each is there for. A private root, so all names are free to use. */
import { DNSSEC_DELEGATIONS, DNSSEC_SERVERS, DNSSEC_ZONES } from "./dnssec.zones.ts";
import type { BehaviourName } from "./misbehaviour.ts";
import { csk, type ServerText, type ZoneText } from "./zone-text.ts";

/** A zone with one server of its own under lab., with glue in the parent. */
interface Trouble {
  readonly label: string;
  readonly address: string;
  readonly behaviour: BehaviourName;
  readonly about: string;
  readonly isAbsent?: boolean;
  /** A second, good server beside the troubled one. */
  readonly helper?: string;
}

const TROUBLES: readonly Trouble[] = [
  {
    label: "slow",
    address: "203.0.113.101",
    behaviour: "slow",
    about: "answers d300-x.slow.lab after 300 ms",
  },
  {
    label: "sluggish",
    address: "203.0.113.102",
    behaviour: "sluggish",
    about: "takes 1.5 s, beside a fast server",
    helper: "203.0.113.103",
  },
  { label: "dead", address: "203.0.113.104", behaviour: "dead", about: "never answers" },
  {
    label: "half",
    address: "203.0.113.105",
    behaviour: "dead",
    about: "one dead server, one good",
    helper: "203.0.113.106",
  },
  { label: "closed", address: "203.0.113.107", behaviour: "good", about: "nobody listens", isAbsent: true },
  { label: "refused", address: "203.0.113.108", behaviour: "refuses", about: "REFUSED to everything" },
  { label: "servfail", address: "203.0.113.109", behaviour: "servfail", about: "SERVFAIL to everything" },
  {
    label: "lame",
    address: "203.0.113.110",
    behaviour: "unauthoritative",
    about: "answers without authority and data",
  },
  {
    label: "halflame",
    address: "203.0.113.111",
    behaviour: "refuses",
    about: "one lame server, one good",
    helper: "203.0.113.112",
  },
  { label: "upward", address: "203.0.113.113", behaviour: "upward", about: "refers to the root" },
  { label: "selfref", address: "203.0.113.114", behaviour: "selfReferral", about: "refers to itself" },
  { label: "ednsformerr", address: "203.0.113.115", behaviour: "ednsFormerr", about: "FORMERR to EDNS" },
  { label: "ednsdrop", address: "203.0.113.116", behaviour: "ednsDrop", about: "drops queries with EDNS" },
  { label: "ednsignore", address: "203.0.113.117", behaviour: "ednsIgnore", about: "ignores EDNS" },
  { label: "badvers", address: "203.0.113.118", behaviour: "badvers", about: "BADVERS to version 0" },
  { label: "tc", address: "203.0.113.119", behaviour: "alwaysTruncated", about: "always TC over UDP" },
  {
    label: "tcnotcp",
    address: "203.0.113.120",
    behaviour: "truncatedWithoutTcp",
    about: "TC, and TCP does not work",
  },
  {
    label: "tcpclose",
    address: "203.0.113.121",
    behaviour: "closesAfterAnswer",
    about: "closes TCP after each answer",
  },
  {
    label: "wrongid",
    address: "203.0.113.122",
    behaviour: "wrongIdFirst",
    about: "a wrong id before each reply",
  },
  {
    label: "wrongquestion",
    address: "203.0.113.123",
    behaviour: "wrongQuestion",
    about: "answers another question",
  },
  { label: "poison", address: "203.0.113.124", behaviour: "poisons", about: "adds records about others" },
  { label: "garbage", address: "203.0.113.125", behaviour: "garbage", about: "octets that are no message" },
  { label: "cut", address: "203.0.113.126", behaviour: "cut", about: "cuts its replies" },
  { label: "shout", address: "203.0.113.127", behaviour: "shouts", about: "answers in capitals" },
  {
    label: "nxns",
    address: "203.0.113.128",
    behaviour: "nxns",
    about: "refers to twenty servers that do not exist",
  },
  { label: "endless", address: "203.0.113.129", behaviour: "endless", about: "refers further down for ever" },
  { label: "notimp", address: "203.0.113.130", behaviour: "notimp", about: "NOTIMP to everything" },
];

/** What every troubled zone holds, so that a good server beside a bad one can answer. */
const TROUBLE_TEXT = `www A 203.0.113.200
* A 203.0.113.201
big TXT ${Array.from({ length: 9 }, (_, i) => `"${String(i).repeat(200)}"`).join(" ")}
`;

function troubleServers(): ServerText[] {
  return TROUBLES.flatMap(({ label, address, behaviour, about, isAbsent, helper }) => {
    const zones = [`${label}.lab.`];
    const troubled: ServerText = {
      name: `ns1.${label}.lab.`,
      addresses: [address],
      zones,
      behaviour,
      about,
      isAbsent: isAbsent ?? false,
    };
    return helper === undefined
      ? [troubled]
      : [
          troubled,
          {
            name: `ns2.${label}.lab.`,
            addresses: [helper],
            zones,
            behaviour: "good",
            about: `the good server of ${label}.lab`,
          },
        ];
  });
}

function serversOf(trouble: Trouble): string {
  const second = trouble.helper === undefined ? "" : `@ NS ns2\nns2 A ${trouble.helper}\n`;
  return `@ NS ns1\nns1 A ${trouble.address}\n${second}`;
}

function troubleZones(): ZoneText[] {
  return TROUBLES.map((trouble) => ({
    origin: `${trouble.label}.lab.`,
    text: `${serversOf(trouble)}${TROUBLE_TEXT}`,
  }));
}

/** The delegations of the troubled zones, as they stand in lab. */
function troubleDelegations(): string {
  return TROUBLES.map(({ label, address, helper }) => {
    const second = helper === undefined ? "" : `${label} NS ns2.${label}\nns2.${label} A ${helper}\n`;
    return `${label} NS ns1.${label}\nns1.${label} A ${address}\n${second}`;
  }).join("");
}

function strings(octets: number): string {
  return Array.from(
    { length: Math.ceil(octets / 251) },
    (_, i) => `"${String(i).padStart(Math.min(250, octets - i * 251), "x")}"`,
  ).join(" ");
}

/** Every server of the fake internet. */
export const SERVERS: readonly ServerText[] = [
  {
    name: "a.root-servers.lab.",
    addresses: ["198.51.100.1", "2001:db8:1::1"],
    zones: ["."],
    behaviour: "good",
    about: "root",
  },
  {
    name: "b.root-servers.lab.",
    addresses: ["198.51.100.2", "2001:db8:1::2"],
    zones: ["."],
    behaviour: "good",
    about: "root",
  },
  {
    name: "c.root-servers.lab.",
    addresses: ["198.51.100.3"],
    zones: ["."],
    behaviour: "good",
    about: "root",
  },
  {
    name: "ns1.nic.example.",
    addresses: ["198.51.100.11", "2001:db8:2::11"],
    zones: ["example."],
    behaviour: "good",
    about: "TLD example, signed with RSA, NSEC",
  },
  {
    name: "ns2.nic.example.",
    addresses: ["198.51.100.12"],
    zones: ["example."],
    behaviour: "good",
    about: "TLD example",
  },
  {
    name: "ns1.nic.net.",
    addresses: ["198.51.100.21"],
    zones: ["net."],
    behaviour: "good",
    about: "TLD net, signed with ECDSA, NSEC3",
  },
  {
    name: "ns1.nic.org.",
    addresses: ["198.51.100.31"],
    zones: ["org."],
    behaviour: "good",
    about: "TLD org, signed with Ed25519, NSEC",
  },
  {
    name: "ns1.nic.lab.",
    addresses: ["198.51.100.41"],
    zones: ["lab.", "root-servers.lab."],
    behaviour: "good",
    about: "TLD lab, unsigned: trouble",
  },
  {
    name: "ns1.nic.arpa.",
    addresses: ["198.51.100.51"],
    zones: ["arpa.", "113.0.203.in-addr.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa."],
    behaviour: "good",
    about: "reverse trees",
  },
  {
    name: "ns1.shop.example.",
    addresses: ["203.0.113.1", "2001:db8:3::1"],
    zones: ["shop.example."],
    behaviour: "good",
    about: "signed, ECDSA, NSEC",
  },
  {
    name: "ns2.shop.example.",
    addresses: ["203.0.113.2"],
    zones: ["shop.example.", "sibling.example."],
    behaviour: "good",
    about: "signed, ECDSA, NSEC",
  },
  {
    name: "ns1.bank.example.",
    addresses: ["203.0.113.3"],
    zones: ["bank.example."],
    behaviour: "good",
    about: "signed, Ed25519, NSEC3",
  },
  {
    name: "ns1.plain.example.",
    addresses: ["203.0.113.4"],
    zones: ["plain.example.", "cdn.net.", "victim.example."],
    behaviour: "good",
    about: "unsigned",
  },
  {
    name: "ns1.expired.example.",
    addresses: ["203.0.113.5"],
    zones: ["expired.example."],
    behaviour: "good",
    about: "signatures have expired",
  },
  {
    name: "ns1.wrongkey.example.",
    addresses: ["203.0.113.6"],
    zones: ["wrongkey.example."],
    behaviour: "good",
    about: "signed with another key",
  },
  {
    name: "ns1.types.org.",
    addresses: ["203.0.113.7"],
    zones: ["types.org."],
    behaviour: "good",
    about: "many record types",
  },
  {
    name: "ns1.big.org.",
    addresses: ["203.0.113.8"],
    zones: ["big.org."],
    behaviour: "good",
    about: "large answers",
  },
  {
    name: "ns1.v6only.lab.",
    addresses: ["2001:db8:4::1"],
    zones: ["v6only.lab."],
    behaviour: "good",
    about: "IPv6 only",
  },
  ...troubleServers(),
  ...DNSSEC_SERVERS,
];

/** Every zone. */
export const ZONES: readonly ZoneText[] = [
  {
    origin: ".",
    signing: { keys: csk(13), denial: "nsec" },
    text: `. NS a.root-servers.lab.
. NS b.root-servers.lab.
. NS c.root-servers.lab.
a.root-servers.lab. A 198.51.100.1
a.root-servers.lab. AAAA 2001:db8:1::1
b.root-servers.lab. A 198.51.100.2
b.root-servers.lab. AAAA 2001:db8:1::2
c.root-servers.lab. A 198.51.100.3
example. NS ns1.nic.example.
example. NS ns2.nic.example.
ns1.nic.example. A 198.51.100.11
ns1.nic.example. AAAA 2001:db8:2::11
ns2.nic.example. A 198.51.100.12
net. NS ns1.nic.net.
ns1.nic.net. A 198.51.100.21
org. NS ns1.nic.org.
ns1.nic.org. A 198.51.100.31
lab. NS ns1.nic.lab.
ns1.nic.lab. A 198.51.100.41
arpa. NS ns1.nic.arpa.
ns1.nic.arpa. A 198.51.100.51
${DNSSEC_DELEGATIONS}`,
  },
  {
    origin: "example.",
    signing: { keys: csk(8), denial: "nsec" },
    text: `@ NS ns1.nic
@ NS ns2.nic
ns1.nic A 198.51.100.11
ns1.nic AAAA 2001:db8:2::11
ns2.nic A 198.51.100.12
shop NS ns1.shop
shop NS ns2.shop
ns1.shop A 203.0.113.1
ns1.shop AAAA 2001:db8:3::1
ns2.shop A 203.0.113.2
sibling NS ns2.shop
bank NS ns1.bank
ns1.bank A 203.0.113.3
plain NS ns1.plain
ns1.plain A 203.0.113.4
victim NS ns1.plain
expired NS ns1.expired
ns1.expired A 203.0.113.5
wrongkey NS ns1.wrongkey
ns1.wrongkey A 203.0.113.6
`,
  },
  {
    origin: "net.",
    signing: { keys: csk(13), denial: {} },
    text: `@ NS ns1.nic
ns1.nic A 198.51.100.21
cdn NS ns1.plain.example.
`,
  },
  {
    origin: "org.",
    signing: { keys: csk(15), denial: "nsec" },
    text: `@ NS ns1.nic
ns1.nic A 198.51.100.31
types NS ns1.types
ns1.types A 203.0.113.7
big NS ns1.big
ns1.big A 203.0.113.8
`,
  },
  {
    origin: "lab.",
    text: `@ NS ns1.nic
ns1.nic A 198.51.100.41
root-servers NS ns1.nic
cyclic1 NS ns.cyclic2
cyclic2 NS ns.cyclic1
v6only NS ns1.v6only
ns1.v6only AAAA 2001:db8:4::1
alias CNAME www.shop.example.
loop1 CNAME loop2
loop2 CNAME loop1
selfloop CNAME selfloop
dangling CNAME nothing.shop.example.
trouble CNAME www.dead
dnameloop DNAME x.dnameloop
${troubleDelegations()}`,
  },
  {
    origin: "root-servers.lab.",
    text: "@ NS ns1.nic.lab.\na A 198.51.100.1\na AAAA 2001:db8:1::1\nb A 198.51.100.2\nb AAAA 2001:db8:1::2\nc A 198.51.100.3\n",
  },
  {
    origin: "arpa.",
    text: "@ NS ns1.nic\nns1.nic A 198.51.100.51\n113.0.203.in-addr NS ns1.nic\n8.b.d.0.1.0.0.2.ip6 NS ns1.nic\n",
  },
  {
    origin: "113.0.203.in-addr.arpa.",
    text: "@ NS ns1.nic.arpa.\n10 PTR www.shop.example.\n* PTR host.plain.example.\n",
  },
  {
    origin: "8.b.d.0.1.0.0.2.ip6.arpa.",
    text: `@ NS ns1.nic.arpa.\n0.1.${"0.".repeat(21)}0 PTR www.shop.example.\n`,
  },
  {
    origin: "shop.example.",
    signing: { keys: csk(13), denial: "nsec" },
    text: `@ NS ns1
@ NS ns2
@ A 203.0.113.10
@ MX 10 mail
@ TXT "v=spf1 mx -all"
@ CAA 0 issue "ca.example"
ns1 A 203.0.113.1
ns1 AAAA 2001:db8:3::1
ns2 A 203.0.113.2
www A 203.0.113.10
www AAAA 2001:db8::10
mail A 203.0.113.11
cdn CNAME edge.cdn.net.
chain1 CNAME chain2
chain2 CNAME alias.lab.
*.wild A 203.0.113.12
*.wild TXT "made from a wildcard"
under.empty A 203.0.113.13
old DNAME plain.example.
many A 203.0.113.21
${Array.from({ length: 39 }, (_, i) => `many A 203.0.113.${i + 22}`).join("\n")}
`,
  },
  { origin: "sibling.example.", text: "@ NS ns2.shop.example.\nwww A 203.0.113.14\n" },
  {
    origin: "bank.example.",
    signing: { keys: csk(15), denial: {} },
    text: `@ NS ns1
ns1 A 203.0.113.3
www A 203.0.113.15
_443._tcp.www TLSA 3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971
under.empty TXT "beneath an empty non-terminal"
*.wild A 203.0.113.16
`,
  },
  {
    origin: "plain.example.",
    text: `@ NS ns1
@ A 203.0.113.17
ns1 A 203.0.113.4
www A 203.0.113.17
host A 203.0.113.18
*.wild A 203.0.113.19
loop CNAME loop
`,
  },
  { origin: "cdn.net.", text: "@ NS ns1.plain.example.\nedge A 203.0.113.20\nedge AAAA 2001:db8::20\n" },
  { origin: "victim.example.", text: "@ NS ns1.plain.example.\nwww A 203.0.113.61\n" },
  {
    origin: "expired.example.",
    signing: { keys: csk(13), denial: "nsec", flaw: "expired" },
    text: "@ NS ns1\nns1 A 203.0.113.5\nwww A 203.0.113.62\n",
  },
  {
    origin: "wrongkey.example.",
    signing: { keys: csk(13), denial: "nsec", flaw: "wrong key" },
    text: "@ NS ns1\nns1 A 203.0.113.6\nwww A 203.0.113.63\n",
  },
  {
    origin: "types.org.",
    signing: { keys: csk(13), denial: "nsec" },
    text: `@ NS ns1
ns1 A 203.0.113.7
mx MX 10 mail.shop.example.
srv SRV 0 5 5060 sip.shop.example.
naptr NAPTR 100 10 "s" "SIP+D2U" "" _sip._udp.shop.example.
svcb SVCB 1 dns.shop.example. alpn="dot" port=853 ipv4hint=203.0.113.10
https HTTPS 1 . alpn="h2,h3" ipv6hint=2001:db8::10
caa CAA 0 issuewild "ca.example"
tlsa TLSA 3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971
sshfp SSHFP 4 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF123456789
loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0m 10000m 10m
hinfo HINFO "PC" "Debian"
rp RP admin.shop.example. text.shop.example.
txt TXT "one" "two" "three"
uri URI 10 1 "https://www.shop.example/"
eui EUI48 00-00-5e-00-53-2a
generic TYPE65280 \\# 4 01020304
ptr PTR www.shop.example.
dname DNAME plain.example.
`,
  },
  {
    origin: "big.org.",
    text: `@ NS ns1
ns1 A 203.0.113.8
t512 TXT ${strings(480)}
t1232 TXT ${strings(1190)}
t1400 TXT ${strings(1350)}
t4096 TXT ${strings(4000)}
t16384 TXT ${strings(16_000)}
t60000 TXT ${strings(60_000)}
`,
  },
  { origin: "v6only.lab.", text: "@ NS ns1\nns1 AAAA 2001:db8:4::1\nwww A 203.0.113.64\n" },
  ...troubleZones(),
  ...DNSSEC_ZONES,
];
