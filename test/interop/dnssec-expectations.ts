/**
 * What a validator must make of each zone under dnssec. and optout. (packages/dns/src/testing/fake-internet/dnssec.zones.ts):
 * written from the RFCs, before anybody was asked.
 */

/** Secure has AD, insecure has not, bogus is SERVFAIL. */
export type Security = "secure" | "insecure" | "bogus";

/** What an answer is made of; flaws hit some of it. */
export type Kind =
  /** Addresses. */
  | "address"
  /** A name without the type; `empty`: an empty non-terminal; `wild`: a wildcard without the type. */
  | "nodata"
  | "empty"
  | "wild nodata"
  /** A name that does not exist. */
  | "nxdomain"
  /** Made from a wildcard. */
  | "wild"
  | "alias"
  /** An alias made by DNAME. */
  | "dname"
  | "soa"
  /** The zone above answers. */
  | "ds"
  | "other";

export interface Question {
  /** Fully qualified. */
  readonly name: string;
  readonly type: string;
  /** Without validation. */
  readonly rcode: "NOERROR" | "NXDOMAIN" | "YXDOMAIN";
  readonly security: Security;
}

/** Questions for a zone with the usual contents: name, type, kinds. */
const BODY: readonly (readonly [label: string, type: string, ...kinds: Kind[]])[] = [
  ["www", "A", "address"],
  ["www", "TXT", "other"],
  ["www", "AAAA", "nodata"],
  ["alias", "A", "alias", "address"],
  ["alias", "CNAME", "other"],
  ["astray", "A", "alias", "nxdomain"],
  ["nothing", "A", "nxdomain"],
  ["a.b.nothing", "A", "nxdomain"],
  ["x.wild", "A", "wild", "address"],
  ["x.wild", "AAAA", "wild nodata"],
  ["x.y.wild", "TXT", "wild"],
  ["real.wild", "A", "address"],
  ["x.real.wild", "A", "nxdomain"],
  ["x.deep.wild", "MX", "wild"],
  ["x.deep.wild", "A", "wild nodata"],
  ["x.aliases", "A", "wild", "alias", "address"],
  ["empty", "A", "empty"],
  ["under.empty", "A", "address"],
  ["www.old", "A", "dname", "address"],
  ["nothing.old", "A", "dname", "nxdomain"],
  ["old", "DNAME", "other"],
  ["", "SOA", "soa"],
  ["", "NS", "other"],
  ["", "DNSKEY", "other"],
  ["", "AAAA", "nodata"],
  ["", "DS", "ds"],
];

/** What a zone is, and what of it is different; `names` wins over kinds, and the first kind that is named counts. */
export interface Expectation {
  readonly security: Security;
  readonly kinds?: Partial<Readonly<Record<Kind, Security>>>;
  /** By `label TYPE`. */
  readonly names?: Readonly<Record<string, Security>>;
  /** Response codes that only those see who do not validate. */
  readonly lies?: Readonly<Record<string, Question["rcode"]>>;
}

const SECURE: Expectation = { security: "secure" };
const INSECURE: Expectation = { security: "insecure", kinds: { ds: "secure" } };
const BOGUS: Expectation = { security: "bogus", kinds: { ds: "secure" } };

/** RFC 9276 §3.2: what needs too many rounds is not computed, and then counts as unsigned. */
const COSTLY: Expectation = {
  security: "secure",
  kinds: {
    nodata: "insecure",
    empty: "insecure",
    "wild nodata": "insecure",
    nxdomain: "insecure",
    wild: "insecure",
  },
};

/** RFC 5155 §9.2: no AD where the next closer name lies in an opt-out span. */
const OPT_OUT: Expectation = {
  security: "secure",
  kinds: { "wild nodata": "insecure", nxdomain: "insecure", wild: "insecure" },
};

const hit = (...kinds: Kind[]): Expectation => ({
  security: "secure",
  kinds: { ds: "secure", ...Object.fromEntries(kinds.map((kind) => [kind, "bogus"])) },
});

const ALL_DENIALS: readonly Kind[] = ["nodata", "empty", "wild nodata", "nxdomain", "wild"];
/** Denials that need more than the record at the name. */
const COVERING: readonly Kind[] = ["wild nodata", "nxdomain", "wild"];

const except = (expectation: Expectation, names: Readonly<Record<string, Security>>): Expectation => ({
  ...expectation,
  names,
});

/** By origin without the dot at its end. */
const EXPECTATIONS: Readonly<Record<string, Expectation>> = {
  "alg5.dnssec": SECURE,
  "alg7.dnssec": SECURE,
  "alg8.dnssec": SECURE,
  "alg8hashed.dnssec": SECURE,
  "alg10.dnssec": SECURE,
  "alg10hashed.dnssec": SECURE,
  "alg13.dnssec": SECURE,
  "alg13hashed.dnssec": SECURE,
  "alg14.dnssec": SECURE,
  "alg14hashed.dnssec": SECURE,
  "alg15.dnssec": SECURE,
  "alg15hashed.dnssec": SECURE,
  "alg16.dnssec": SECURE,
  "alg16hashed.dnssec": SECURE,
  // RFC 8624 §3.1: must not be validated, or are unknown; RFC 4035 §5.2: as if unsigned.
  "alg1.dnssec": INSECURE,
  "alg3.dnssec": INSECURE,
  "alg6.dnssec": INSECURE,
  "alg12.dnssec": INSECURE,
  "alg200.dnssec": INSECURE,
  "alg200and13.dnssec": SECURE,

  "salted.dnssec": SECURE,
  "longsalt.dnssec": SECURE,
  "rounds50.dnssec": SECURE,
  "rounds150.dnssec": SECURE,
  "rounds151.dnssec": COSTLY,
  "rounds500.dnssec": COSTLY,
  "rounds2500.dnssec": COSTLY,
  "leafoptout.dnssec": OPT_OUT,

  "split.dnssec": SECURE,
  "nosep.dnssec": SECURE,
  "rollover.dnssec": SECURE,
  "prepublished.dnssec": SECURE,
  "twods.dnssec": SECURE,
  "twoalgorithms.dnssec": SECURE,
  "halfalgorithms.dnssec": SECURE,
  "revokedbeside.dnssec": SECURE,
  "revoked.dnssec": BOGUS,
  "nozonekey.dnssec": BOGUS,
  "wrongprotocol.dnssec": BOGUS,
  "keysbyzsk.dnssec": BOGUS,
  "unlistedkey.dnssec": BOGUS,
  "sha1ds.dnssec": SECURE,
  "sha384ds.dnssec": SECURE,
  "unknownds.dnssec": INSECURE,
  "unknowndsbeside.dnssec": SECURE,
  "wrongds.dnssec": BOGUS,
  "wrongdsbeside.dnssec": SECURE,
  "sha1besidewrong.dnssec": BOGUS,
  "wrongsha1beside.dnssec": SECURE,
  "dsofother.dnssec": BOGUS,
  "dsofotherbeside.dnssec": SECURE,
  "lonelyds.dnssec": BOGUS,
  "plain.dnssec": INSECURE,
  "island.dnssec": INSECURE,
  "inner.island.dnssec": { security: "insecure" },

  "expired.dnssec": BOGUS,
  "early.dnssec": BOGUS,
  "inverted.dnssec": BOGUS,
  "keysexpired.dnssec": BOGUS,
  "oneexpired.dnssec": SECURE,
  "wrongkey.dnssec": BOGUS,
  "unsigned.dnssec": BOGUS,
  "halfsigned.dnssec": hit("address"),
  "nsecunsigned.dnssec": hit(...ALL_DENIALS),
  "nsec3unsigned.dnssec": hit(...ALL_DENIALS),
  // RFC 4035 §3.2.3: AD speaks for the authority section too.
  "soaunsigned.dnssec": hit("nodata", "empty", "wild nodata", "nxdomain", "soa"),
  "keysunsigned.dnssec": BOGUS,
  "corrupt.dnssec": hit("address"),
  "nseccorrupt.dnssec": hit(...ALL_DENIALS),
  "nsec3corrupt.dnssec": hit(...ALL_DENIALS),
  "manylabels.dnssec": hit("address"),
  "fewlabels.dnssec": hit("address"),
  "signedabove.dnssec": hit("address"),
  "signerbelow.dnssec": hit("address"),
  "ttlraised.dnssec": SECURE,

  "nsecshort.dnssec": hit("empty", ...COVERING),
  "nsec3short.dnssec": hit(...COVERING),
  "nsec3others.dnssec": except(hit(...ALL_DENIALS), { "x.deep.wild MX": "secure" }),
  "noproof.dnssec": hit(...ALL_DENIALS),
  "noproofhashed.dnssec": hit(...ALL_DENIALS),
  // Where one record shows two things, nothing is missing.
  "nowildproof.dnssec": except(hit("nxdomain"), { "x.real.wild A": "secure", "nothing.old A": "secure" }),
  "nowildproofhashed.dnssec": hit("nxdomain"),
  "nonameproof.dnssec": except(hit(...COVERING), {
    "x.real.wild A": "secure",
    "nothing.old A": "secure",
    "x.deep.wild A": "secure",
  }),
  "nonameproofhashed.dnssec": except(hit(...COVERING), { "x.real.wild A": "secure" }),
  "noencloser.dnssec": except(hit("nxdomain", "wild nodata"), { "x.real.wild A": "secure" }),
  "apexproof.dnssec": except(hit(...ALL_DENIALS), { " AAAA": "secure" }),
  "apexproofhashed.dnssec": except(hit(...ALL_DENIALS), { " AAAA": "secure", "x.deep.wild MX": "secure" }),
  "dnamedenied.dnssec": { ...hit("dname"), lies: { "www.old A": "NXDOMAIN" } },
  "dnamedeniedhashed.dnssec": { ...hit("dname"), lies: { "www.old A": "NXDOMAIN" } },
  "aliasdenied.dnssec": { ...hit("alias"), lies: { "astray A": "NOERROR" } },
  "aliasdeniedhashed.dnssec": { ...hit("alias"), lies: { "astray A": "NOERROR" } },
  "wildover.dnssec": except(SECURE, { "real.wild A": "bogus" }),
  "wildoverhashed.dnssec": except(SECURE, { "real.wild A": "bogus" }),

  "parent.dnssec": SECURE,
  "parenthashed.dnssec": SECURE,
  "parentrounds.dnssec": COSTLY,
  optout: {
    security: "secure",
    kinds: { "wild nodata": "insecure", nxdomain: "insecure", wild: "insecure" },
  },
  "nest.dnssec": SECURE,
  "inner.nest.dnssec": SECURE,
  "most.inner.nest.dnssec": SECURE,
  "bare.nest.dnssec": INSECURE,
  "above.dnssec": SECURE,
  "abovehashed.dnssec": SECURE,
  "dsbelow.dnssec": SECURE,
  "child.above.dnssec": hit(...ALL_DENIALS),
  "child.abovehashed.dnssec": hit(...ALL_DENIALS),
  "child.dsbelow.dnssec": { security: "bogus" },
};

/** Below parents with referrals: three kinds of parent tell differently that there is no DS. */
function children(parent: string, denied: Security): [string, Expectation][] {
  const bare: Expectation = { security: "insecure", kinds: { ds: denied } };
  return [
    [`signed.${parent}`, SECURE],
    [`bare.${parent}`, bare],
    [`far.away.${parent}`, SECURE],
    [`gone.away.${parent}`, bare],
    [`only.lonely.${parent}`, bare],
  ];
}

/** Zones with the usual contents, and what to expect of them. */
const BODIES: readonly [string, Expectation][] = [
  ...Object.entries(EXPECTATIONS),
  ...children("parent.dnssec", "secure"),
  ...children("parenthashed.dnssec", "secure"),
  ...children("parentrounds.dnssec", "insecure"),
  ...children("optout", "insecure"),
];

/** Everything else, in lines: name, type, security, rcode when it is not NOERROR. */
const SINGLES = `
. DS secure
. NS secure
. DNSKEY secure
. SOA secure
. AAAA secure
nothing-at-all. A secure NXDOMAIN
dnssec. DS secure
dnssec. DNSKEY secure
dnssec. SOA secure
dnssec. AAAA secure
nothing.dnssec. A secure NXDOMAIN
host.nic.dnssec. A secure
optout. DS secure
optout. DNSKEY secure
lab. DS secure
lab. SOA insecure
www.shop.example. A secure
chain1.shop.example. AAAA insecure
www.old.shop.example. A insecure
www.expired.example. A bogus
www.wrongkey.example. A bogus

capitals.dnssec. NS secure
www.capitals.dnssec. A secure
mail.capitals.dnssec. MX secure
x.wild.capitals.dnssec. A secure
empty.capitals.dnssec. A secure
under.empty.capitals.dnssec. SRV secure
alias.capitals.dnssec. A secure
text.capitals.dnssec. NAPTR secure
svc.capitals.dnssec. SVCB secure
other.capitals.dnssec. TYPE65280 secure
nothing.capitals.dnssec. A secure NXDOMAIN

x.wildapex.dnssec. A secure
x.y.wildapex.dnssec. A secure
x.wildapex.dnssec. AAAA secure
x.empty.wildapex.dnssec. A secure NXDOMAIN
x.www.wildapex.dnssec. A secure NXDOMAIN
*.wildapex.dnssec. A secure
*.wildapex.dnssec. AAAA secure
x.wildapexhashed.dnssec. A secure
x.y.wildapexhashed.dnssec. A secure
x.wildapexhashed.dnssec. AAAA secure
x.empty.wildapexhashed.dnssec. A secure NXDOMAIN
x.www.wildapexhashed.dnssec. A secure NXDOMAIN
*.wildapexhashed.dnssec. A secure
*.wildapexhashed.dnssec. AAAA secure

www.dnameapex.dnssec. A secure
nothing.dnameapex.dnssec. A secure NXDOMAIN
x.wild.dnameapex.dnssec. A secure
dnameapex.dnssec. DNAME secure
dnameapex.dnssec. A secure
dnameapex.dnssec. DS secure

www.secure.dnames.dnssec. A secure
nothing.secure.dnames.dnssec. A secure NXDOMAIN
www.out.dnames.dnssec. A secure
www.twice.dnames.dnssec. A secure
x.wild.out.dnames.dnssec. A secure
x.real.wild.out.dnames.dnssec. A secure NXDOMAIN
www.old.out.dnames.dnssec. A secure
www.insecure.dnames.dnssec. A insecure
nothing.insecure.dnames.dnssec. A insecure NXDOMAIN
www.bogus.dnames.dnssec. A bogus
bogus.dnames.dnssec. DNAME secure
bogus.dnames.dnssec. A secure

secure.chains.dnssec. A secure
insecure.chains.dnssec. A insecure
insecure.chains.dnssec. CNAME secure
through.chains.dnssec. A insecure
bogus.chains.dnssec. A bogus
bogus.chains.dnssec. CNAME secure
late.chains.dnssec. A bogus
nothing-secure.chains.dnssec. A secure NXDOMAIN
nothing-insecure.chains.dnssec. A insecure NXDOMAIN
wild.chains.dnssec. A secure
dname.chains.dnssec. A secure
optout.chains.dnssec. A insecure
nothing-optout.chains.dnssec. A insecure NXDOMAIN
three.chains.dnssec. A secure

back.plain.dnssec. A insecure
bogus.plain.dnssec. A bogus
raised.plain.dnssec. A insecure

away.parent.dnssec. A secure
lonely.parent.dnssec. A secure
away.parenthashed.dnssec. A secure
lonely.parenthashed.dnssec. A secure
away.optout. A secure
lonely.optout. A insecure
`;

/** All questions with what is expected. */
export function expectedQuestions(): Question[] {
  const bodies = BODIES.flatMap(([origin, expectation]) =>
    BODY.map(([label, type, ...kinds]): Question => {
      const name = `${label === "" ? "" : `${label}.`}${origin}.`;
      const key = `${label} ${type}`;
      const rcode = expectation.lies?.[key] ?? (kinds.includes("nxdomain") ? "NXDOMAIN" : "NOERROR");
      return { name, type, rcode, security: securityOf(expectation, key, kinds) };
    }),
  );
  const singles = SINGLES.split("\n")
    .filter((line) => line !== "")
    .map((line): Question => {
      const [name = "", type = "", security, rcode = "NOERROR"] = line.split(" ");
      if (security !== "secure" && security !== "insecure" && security !== "bogus") throw new Error(line);
      if (rcode !== "NOERROR" && rcode !== "NXDOMAIN" && rcode !== "YXDOMAIN") throw new Error(line);
      return { name, type, rcode, security };
    });
  return [...bodies, ...singles];
}

function securityOf(expectation: Expectation, key: string, kinds: readonly Kind[]): Security {
  const named = expectation.names?.[key];
  if (named !== undefined) return named;
  const found = kinds.map((kind) => expectation.kinds?.[kind]).filter((one) => one !== undefined);
  if (found.includes("bogus")) return "bogus";
  return found[0] ?? expectation.security;
}

/** What the zones under dnssec. and optout. are worth, by origin, and the two themselves. */
export function zoneExpectations(): ReadonlyMap<string, Expectation> {
  const table = new Map(BODIES.map(([origin, expectation]) => [`${origin}.`, expectation]));
  for (const origin of ["dnssec.", "capitals.dnssec.", "wildapex.dnssec.", "wildapexhashed.dnssec."])
    table.set(origin, SECURE);
  for (const origin of ["dnameapex.dnssec.", "dnames.dnssec.", "chains.dnssec."]) table.set(origin, SECURE);
  return table;
}
