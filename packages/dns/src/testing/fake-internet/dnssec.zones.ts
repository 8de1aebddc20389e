/**
 * Two top-level domains full of DNSSEC: every way to sign, to delegate and to deny, and every way to get it wrong. What a
 * validator must make of each zone stands in test/interop/dnssec-expectations.ts.
 */
import { ATTACK_ZONES } from "./attack.zones.ts";
import type { SigningFlawName } from "./signing-flaws.ts";
import type { AnswerFlaw } from "./zone.ts";
import type { KeyPlan } from "./zone-key.ts";
import { csk, type ServerText, type SigningText, type ZoneText } from "./zone-text.ts";

/** What nearly every zone holds: each kind of positive and negative answer has a name here. */
const BODY = `@ NS host.nic.dnssec.
@ A 203.0.113.220
www A 203.0.113.221
www TXT "signed or not"
alias CNAME www
astray CNAME nothing
*.wild A 203.0.113.222
*.wild TXT "made from a wildcard"
real.wild A 203.0.113.223
*.deep.wild MX 10 www
*.aliases CNAME www
under.empty A 203.0.113.224
old DNAME moved
www.moved A 203.0.113.225
`;

/** Delegations of every kind, and names two labels down. */
const PARENT = `${BODY}signed NS host2.nic.dnssec.
bare NS host2.nic.dnssec.
far.away NS host2.nic.dnssec.
gone.away NS host2.nic.dnssec.
only.lonely NS host2.nic.dnssec.
`;

const NSEC = "nsec";

/** A zone without its name; text absent: {@link BODY}. */
type ZoneShape = Omit<ZoneText, "origin" | "text"> & { readonly text?: string };

/** Zones right under dnssec., one line each. */
const ZONES_BY_LABEL: Readonly<Record<string, ZoneShape>> = {
  // Algorithms (RFC 8624 §3.1).
  alg5: { signing: { keys: csk(5), denial: NSEC } },
  alg7: { signing: { keys: csk(7), denial: {} } },
  alg8: { signing: { keys: csk(8), denial: NSEC } },
  alg8hashed: { signing: { keys: csk(8), denial: {} } },
  alg10: { signing: { keys: csk(10), denial: NSEC } },
  alg10hashed: { signing: { keys: csk(10), denial: {} } },
  alg13: { signing: { keys: csk(13), denial: NSEC } },
  alg13hashed: { signing: { keys: csk(13), denial: {} } },
  alg14: { signing: { keys: csk(14), denial: NSEC } },
  alg14hashed: { signing: { keys: csk(14), denial: {} } },
  alg15: { signing: { keys: csk(15), denial: NSEC } },
  alg15hashed: { signing: { keys: csk(15), denial: {} } },
  alg16: { signing: { keys: csk(16), denial: NSEC } },
  alg16hashed: { signing: { keys: csk(16), denial: {} } },
  alg1: { signing: { keys: csk(1), denial: NSEC } },
  alg3: { signing: { keys: csk(3), denial: NSEC } },
  alg6: { signing: { keys: csk(6), denial: {} } },
  alg12: { signing: { keys: csk(12), denial: NSEC } },
  alg200: { signing: { keys: csk(200), denial: NSEC } },
  alg200and13: { signing: { keys: [...csk(200), ...csk(13)], denial: NSEC } },

  // NSEC3 (RFC 5155, RFC 9276).
  salted: { signing: { keys: csk(13), denial: { salt: "aabbccdd", iterations: 1 } } },
  longsalt: { signing: { keys: csk(13), denial: { salt: "5a".repeat(255) } } },
  rounds50: { signing: { keys: csk(13), denial: { iterations: 50, salt: "01" } } },
  rounds150: { signing: { keys: csk(13), denial: { iterations: 150, salt: "0102" } } },
  rounds151: { signing: { keys: csk(13), denial: { iterations: 151, salt: "010203" } } },
  rounds500: { signing: { keys: csk(13), denial: { iterations: 500 } } },
  rounds2500: { signing: { keys: csk(8), denial: { iterations: 2500, salt: "beef" } } },
  leafoptout: { signing: { keys: csk(13), denial: { isOptOut: true } } },

  // Keys and digests.
  split: { signing: { keys: [key("ksk"), key("zsk", "data")], denial: NSEC } },
  nosep: { signing: { keys: [{ algorithm: 13, role: "csk", flags: 256 }], denial: NSEC } },
  rollover: {
    signing: { keys: [key("ksk"), key("zsk", "old"), key("zsk", "new")], denial: NSEC },
  },
  prepublished: {
    signing: { keys: [key("ksk"), key("zsk"), { ...key("idle", "next"), flags: 256 }], denial: {} },
  },
  twods: {
    signing: {
      keys: [key("csk"), { ...key("idle", "standby"), hasDs: true, isPublished: false }],
      denial: NSEC,
    },
  },
  twoalgorithms: { signing: { keys: [...csk(13), ...csk(15)], denial: NSEC } },
  // RFC 6840 §5.11: a signer must sign with both, a validator is content with one.
  halfalgorithms: {
    signing: { keys: [key("csk"), { algorithm: 15, role: "idle", hasDs: true }], denial: NSEC },
  },
  revokedbeside: {
    signing: { keys: [key("csk"), { ...key("idle", "old"), flags: 0x181 }], denial: NSEC },
  },
  revoked: { signing: { keys: [{ ...key("csk"), flags: 0x181 }], denial: NSEC } },
  nozonekey: { signing: { keys: [{ ...key("csk"), flags: 1 }], denial: NSEC } },
  wrongprotocol: { signing: { keys: [{ ...key("csk"), protocol: 4 }], denial: NSEC } },
  keysbyzsk: {
    signing: {
      keys: [
        { ...key("idle", "ksk"), hasDs: true },
        { ...key("csk"), flags: 256, hasDs: false },
      ],
      denial: NSEC,
    },
  },
  unlistedkey: {
    signing: { keys: [{ ...key("csk"), isPublished: false }, { ...key("idle", "x") }], denial: NSEC },
  },
  sha1ds: { signing: plain(), ds: [{ digestType: 1 }] },
  sha384ds: { signing: plain(), ds: [{ digestType: 4 }] },
  unknownds: { signing: plain(), ds: [{ digestType: 99 }] },
  unknowndsbeside: { signing: plain(), ds: [{ digestType: 99 }, {}] },
  wrongds: { signing: plain(), ds: [{ isWrong: true }] },
  wrongdsbeside: { signing: plain(), ds: [{ isWrong: true }, {}] },
  // RFC 4509 §3: SHA-1 does not count where SHA-256 is.
  sha1besidewrong: { signing: plain(), ds: [{ digestType: 1 }, { isWrong: true }] },
  wrongsha1beside: { signing: plain(), ds: [{ digestType: 1, isWrong: true }, {}] },
  dsofother: { signing: plain(), ds: [{ key: { algorithm: 15, role: "ksk" } }] },
  dsofotherbeside: { signing: plain(), ds: [{ key: { algorithm: 15, role: "ksk" } }, {}] },
  lonelyds: { ds: [{}] },
  plain: {
    text: `${BODY}back CNAME www.alg13.dnssec.\nbogus CNAME www.expired.dnssec.\nraised CNAME www.ttlraised.dnssec.\n`,
  },
  island: { signing: plain(), ds: [], text: `${BODY}inner NS host2.nic.dnssec.\n` },

  // Signatures.
  expired: flawed("expired"),
  early: flawed("not yet valid"),
  inverted: flawed("ends before it begins"),
  keysexpired: flawed("keys expired"),
  oneexpired: flawed("one of two expired"),
  wrongkey: flawed("wrong key"),
  unsigned: flawed("no signatures"),
  halfsigned: flawed("addresses unsigned"),
  nsecunsigned: flawed("denials unsigned"),
  nsec3unsigned: flawed("denials unsigned", {}),
  soaunsigned: flawed("SOA unsigned"),
  keysunsigned: flawed("keys unsigned"),
  corrupt: flawed("addresses corrupt"),
  nseccorrupt: flawed("denials corrupt"),
  nsec3corrupt: flawed("denials corrupt", {}),
  manylabels: flawed("too many labels"),
  fewlabels: flawed("too few labels"),
  signedabove: flawed("signed by the zone above"),
  signerbelow: flawed("signer below"),
  ttlraised: flawed("TTL raised"),

  // Denials.
  nsecshort: flawed("denials do not cover"),
  nsec3short: flawed("denials do not cover", {}),
  nsec3others: flawed("denials of other names", {}),
  ...denying("noproof", "no proofs"),
  ...denying("nowildproof", "no wildcard proof"),
  ...denying("nonameproof", "no name proof"),
  noencloser: { signing: plain({}), answerFlaw: "no encloser proof" },
  ...denying("apexproof", "proofs of the apex"),
  ...denying("dnamedenied", "denies below DNAME"),
  ...denying("aliasdenied", "denies aliases"),
  ...denying("wildover", "wildcard over names"),

  // Shapes.
  capitals: {
    signing: plain(),
    text: `@ NS HOST.Nic.DNSSEC.
WWW A 203.0.113.221
Mail MX 10 WWW.Capitals.DNSSEC.
*.WILD A 203.0.113.222
under.EMPTY SRV 0 0 53 WWW
Alias CNAME Www.CAPITALS.dnssec.
Text NAPTR 1 1 "S" "SIP" "" WWW
Svc SVCB 1 WWW.capitals.DNSSEC. alpn="dot"
Other TYPE65280 \\# 4 01020304
`,
  },
  wildapex: {
    signing: plain(),
    text: "@ NS host.nic.dnssec.\n* A 203.0.113.222\nwww A 203.0.113.221\nunder.empty A 203.0.113.224\n",
  },
  wildapexhashed: {
    signing: plain({}),
    text: "@ NS host.nic.dnssec.\n* A 203.0.113.222\nwww A 203.0.113.221\nunder.empty A 203.0.113.224\n",
  },
  dnameapex: { signing: plain(), text: "@ NS host.nic.dnssec.\n@ DNAME alg13.dnssec.\n" },
  dnames: {
    signing: plain({}),
    text: `@ NS host.nic.dnssec.
secure DNAME target
www.target A 203.0.113.226
twice DNAME secure
insecure DNAME plain.dnssec.
bogus DNAME expired.dnssec.
out DNAME alg13.dnssec.
long DNAME ${"x".repeat(63)}.${"y".repeat(63)}.${"z".repeat(63)}.dnssec.
`,
  },
  chains: {
    signing: plain(),
    text: `@ NS host.nic.dnssec.
secure CNAME www.alg15hashed.dnssec.
insecure CNAME www.plain.dnssec.
through CNAME back.plain.dnssec.
bogus CNAME www.expired.dnssec.
late CNAME bogus.plain.dnssec.
nothing-secure CNAME nothing.alg13.dnssec.
nothing-insecure CNAME nothing.plain.dnssec.
wild CNAME x.wild.alg13hashed.dnssec.
dname CNAME www.old.alg13.dnssec.
optout CNAME www.bare.optout.
nothing-optout CNAME nothing.optout.
three CNAME two
two CNAME secure
`,
  },

  // Parents whose children are elsewhere.
  parent: { signing: plain(), text: PARENT },
  parenthashed: { signing: plain({}), text: PARENT },
  parentrounds: { signing: plain({ iterations: 151 }), text: PARENT },

  // Parents beside their children on one server.
  nest: { signing: plain(), text: `${BODY}inner NS host.nic.dnssec.\nbare NS host.nic.dnssec.\n` },
  above: { signing: plain(), text: `${BODY}child NS host.nic.dnssec.\n` },
  abovehashed: { signing: plain({}), text: `${BODY}child NS host.nic.dnssec.\n` },
  dsbelow: { signing: plain(), text: `${BODY}child NS host.nic.dnssec.\n` },
};

/** Zones further down, by their whole names. */
const ZONES_BELOW: Readonly<Record<string, ZoneShape>> = {
  "inner.island.dnssec.": { signing: plain() },
  ...children("parent.dnssec."),
  ...children("parenthashed.dnssec."),
  ...children("parentrounds.dnssec."),
  ...children("optout."),
  "inner.nest.dnssec.": { signing: plain({}), text: `${BODY}most NS host.nic.dnssec.\n` },
  "most.inner.nest.dnssec.": { signing: plain() },
  "bare.nest.dnssec.": {},
  "child.above.dnssec.": { signing: plain(), answerFlaw: "proofs from above" },
  "child.abovehashed.dnssec.": { signing: plain({}), answerFlaw: "proofs from above" },
  "child.dsbelow.dnssec.": { signing: plain(), answerFlaw: "DS from the child" },
};

function children(parent: string): Readonly<Record<string, ZoneShape>> {
  return {
    [`signed.${parent}`]: { signing: plain() },
    [`bare.${parent}`]: {},
    [`far.away.${parent}`]: { signing: plain({}) },
    [`gone.away.${parent}`]: {},
    [`only.lonely.${parent}`]: {},
  };
}

function key(role: KeyPlan["role"], seed = ""): KeyPlan {
  return { algorithm: 13, role, seed };
}

function plain(denial: SigningText["denial"] = NSEC): SigningText {
  return { keys: csk(13), denial };
}

function flawed(flaw: SigningFlawName, denial: SigningText["denial"] = NSEC): ZoneShape {
  return { signing: { keys: csk(13), denial, flaw } };
}

/** The same wrong answers with NSEC and with NSEC3. */
function denying(label: string, answerFlaw: AnswerFlaw): Readonly<Record<string, ZoneShape>> {
  return {
    [label]: { signing: plain(), answerFlaw },
    [`${label}hashed`]: { signing: plain({}), answerFlaw },
  };
}

/** What the root says of the two. */
export const DNSSEC_DELEGATIONS = `dnssec. NS ns1.nic.dnssec.
ns1.nic.dnssec. A 198.51.100.61
optout. NS ns1.nic.optout.
ns1.nic.optout. A 198.51.100.62
`;

/** Children of these are served beside them, so that no referral leads there. */
const BESIDE = /\.(?:nest|above|abovehashed|dsbelow)\.dnssec\.$/;

const LABELS = [...Object.keys(ZONES_BY_LABEL), ...Object.keys(ATTACK_ZONES)];

/** The top-level domains first, then all beneath. */
export const DNSSEC_ZONES: readonly ZoneText[] = [
  {
    origin: "dnssec.",
    signing: plain(),
    text: `@ NS ns1.nic
ns1.nic A 198.51.100.61
host.nic A 203.0.113.71
host2.nic A 203.0.113.72
${LABELS.map((label) => `${label} NS host.nic\n`).join("")}`,
  },
  {
    origin: "optout.",
    signing: plain({ isOptOut: true, salt: "ab" }),
    text: PARENT.replace("@ NS host.nic.dnssec.", "@ NS ns1.nic\nns1.nic A 198.51.100.62"),
  },
  ...Object.entries(ZONES_BY_LABEL).map(([label, shape]) => ({
    text: BODY,
    ...shape,
    origin: `${label}.dnssec.`,
  })),
  ...Object.entries(ATTACK_ZONES).map(([label, shape]) => ({ ...shape, origin: `${label}.dnssec.` })),
  ...Object.entries(ZONES_BELOW).map(([origin, { text = BODY, ...shape }]) => ({
    ...shape,
    origin,
    text: BESIDE.test(origin) ? text : text.replace("@ NS host.", "@ NS host2."),
  })),
];

/** Servers of these zones, all of good will: what is wrong is wrong in the zones. */
export const DNSSEC_SERVERS: readonly ServerText[] = [
  {
    name: "ns1.nic.dnssec.",
    addresses: ["198.51.100.61"],
    zones: ["dnssec."],
    behaviour: "good",
    about: "TLD dnssec, signed with ECDSA, NSEC: every right and wrong way to sign",
  },
  {
    name: "ns1.nic.optout.",
    addresses: ["198.51.100.62"],
    zones: ["optout."],
    behaviour: "good",
    about: "TLD optout, signed with ECDSA, NSEC3 with opt-out",
  },
  {
    name: "host.nic.dnssec.",
    addresses: ["203.0.113.71"],
    zones: [
      ...LABELS.map((label) => `${label}.dnssec.`),
      ...Object.keys(ZONES_BELOW).filter((origin) => BESIDE.test(origin)),
    ],
    behaviour: "good",
    about: "the zones of dnssec",
  },
  {
    name: "host2.nic.dnssec.",
    addresses: ["203.0.113.72"],
    zones: Object.keys(ZONES_BELOW).filter((origin) => !BESIDE.test(origin)),
    behaviour: "good",
    about: "zones below those of dnssec and optout",
  },
];
