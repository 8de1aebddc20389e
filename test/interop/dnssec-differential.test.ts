/**
 * The same questions to three validators on the exposed fake internet: ours, Debian's unbound and kresd. Response codes, AD
 * and answer sets must be what the RFCs want (`dnssec-expectations.ts`) and the same everywhere; where somebody differs, the
 * clause that explains it stands in `DIFFERENCES`. Needs root, for port 53 on 127.x.y.z.
 */
import assert from "node:assert/strict";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { Exchanger } from "@sotto/dns/transport";
import {
  makeEdns,
  parseName,
  type ResourceRecord,
  RRClass,
  rcodeToText,
  recordToText,
  rrTypeFromText,
} from "@sotto/dns/wire";
import { expectedQuestions, type Question } from "./dnssec-expectations.ts";
import { peerTest } from "./peers.ts";
import { type RunningResolver, startKresd, startSotto, startUnbound, withExposed } from "./resolvers.ts";

/** A known difference from the expectation. */
interface Difference {
  readonly who: "sotto" | "unbound" | "kresd";
  /** Matches `name TYPE`. */
  readonly questions: RegExp;
  /** Absent: only without CD. */
  readonly withCd?: true;
  /** What they say instead: response code, and whether AD is set. */
  readonly says: string;
  /** What the RFCs say to it. */
  readonly because: string;
}

/** Kresd believes wildcards, too, whose denial is signed by the zone itself. */
const SIGNED_ABOVE = {
  sotto: /^(?!x\.wild)\S*\bsignedabove\.dnssec\. A$/,
  unbound: /^(?!x\.wild)\S*\bsignedabove\.dnssec\. A$/,
  kresd: /^\S*\bsignedabove\.dnssec\. A$/,
};

const DIFFERENCES: readonly Difference[] = [
  {
    who: "unbound",
    questions: /\brevoked\.dnssec\. (?!DS)/,
    says: "as if right",
    because:
      "RFC 5011 §2.1: a revoked key must not be used for anything but its own revocation. Unbound looks at the flag in trust anchors only.",
  },
  {
    who: "unbound",
    questions: /\bsha1besidewrong\.dnssec\. (?!DS)/,
    says: "as if right",
    because:
      "RFC 4509 §3: SHA-1 should be ignored where SHA-256 stands beside it. Unbound takes any digest unless harden-algo-downgrade is set.",
  },
  {
    who: "unbound",
    questions: /(?<!DS)\bfar\.away\.parentrounds\.dnssec\. (?!DS)/,
    says: "NOERROR|NXDOMAIN without AD",
    because:
      "RFC 9276 §3.2 lets everything below a costly denial be insecure. Unbound asks for DS label by label and stops at the empty non-terminal; the DS itself is signed, so RFC 4035 §5.2 makes the child secure for us and kresd.",
  },
  {
    who: "kresd",
    questions: /\brounds150\.dnssec\. /,
    says: "NOERROR|NXDOMAIN without AD",
    because:
      "RFC 9276 §3.2 leaves the limit to validators: kresd's is lower than 150, ours and Unbound's is 150.",
  },
  {
    who: "kresd",
    questions: /^(?:rounds(?:151|500|2500)|parentrounds)\.dnssec\. SOA$/,
    says: "NOERROR without AD",
    because:
      "RFC 9276 §3.2: kresd gives the SOA of the insecure denial before from its cache. It is signed, and RFC 4035 §5.3 does not depend on denials.",
  },
  {
    who: "kresd",
    questions: /^x\.wild\.fewlabels\.dnssec\. A$/,
    says: "NOERROR with AD",
    because:
      "RFC 4035 §5.3.4 and RFC 7129 §5.3: the encloser that the denial shows is longer than the wildcard that the signature names. Kresd does not compare them for NSEC.",
  },
  {
    who: "kresd",
    questions: /^nothing\.old\.noencloser\.dnssec\. A$/,
    says: "NXDOMAIN with AD",
    because:
      "RFC 8198 §5.2: kresd completes the denial with NSEC3 records that it knows from earlier answers.",
  },
  {
    who: "sotto",
    questions: /^child\.dsbelow\.dnssec\. DS$/,
    withCd: true,
    says: "SERVFAIL without AD",
    because:
      "RFC 4035 §3.1.4.1: a server of both zones answers for DS from the parent. To us a child's answer is none, with CD too.",
  },
  ...(["sotto", "unbound", "kresd"] as const).map((who) => ({
    who,
    questions: SIGNED_ABOVE[who],
    says: "as if right",
    because:
      "RFC 4035 §5.3.1: the signer must be the zone of the set. A signature tells nobody where zones end, and who can sign for the zone above could sign another DS too; nobody asks for DS at every label to find out.",
  })),
];

/** What one of them said. */
interface Said {
  readonly rcode: string;
  readonly isAuthentic: boolean;
  /** As sorted text without TTLs. */
  readonly answers: string;
  readonly ttlSecondsMax: number;
}

/** A question with and without CD. */
interface Case {
  readonly question: Question;
  readonly checkingDisabled: boolean;
}

const textOf = ({ question: { name, type } }: Case): string => `${name} ${type}`;
const keyOf = (one: Case): string => `${textOf(one)}${one.checkingDisabled ? " CD" : ""}`;
const DEADLINE_MS = 20_000;

/** Asks in this order, one at a time, over one connection. */
async function askAll(resolver: RunningResolver, cases: readonly Case[]): Promise<Map<string, Said>> {
  const runtime = nodeRuntime();
  const exchanger = new Exchanger({}, runtime);
  const said = new Map<string, Said>();
  for (const one of cases) {
    const { message } = await exchanger.exchange({
      question: {
        name: parseName(one.question.name),
        type: rrTypeFromText(one.question.type) ?? 0,
        class: RRClass.IN,
      },
      server: { address: "127.0.0.1", port: resolver.port },
      transport: "tcp",
      recursionDesired: true,
      checkingDisabled: one.checkingDisabled,
      authenticData: false,
      edns: makeEdns({ dnssecOk: true }),
      deadlineMs: runtime.clock.nowMs() + DEADLINE_MS,
    });
    said.set(keyOf(one), {
      rcode: rcodeToText(message.rcode),
      isAuthentic: message.authenticData,
      answers: message.answers.map(withoutTtl).sort().join("\n"),
      ttlSecondsMax: Math.max(0, ...message.answers.map(({ ttl }) => ttl)),
    });
  }
  await exchanger.close();
  return said;
}

function withoutSignatures(text: string): string {
  return text
    .split("\n")
    .filter((line) => !line.includes("\trrsig\t"))
    .join("\n");
}

function withoutTtl(record: ResourceRecord): string {
  return recordToText({ ...record, ttl: 0 }).toLowerCase();
}

/** With CD, AD is nobody's promise: it may be set when the cache happens to know (RFC 4035 §3.2.3). */
function expectedOf({ question, checkingDisabled }: Case): string {
  if (checkingDisabled) return question.rcode;
  if (question.security === "bogus") return "SERVFAIL without AD";
  return `${question.rcode} ${question.security === "secure" ? "with" : "without"} AD`;
}

function saidAsText({ rcode, isAuthentic }: Said, { checkingDisabled }: Case): string {
  return checkingDisabled ? rcode : `${rcode} ${isAuthentic ? "with" : "without"} AD`;
}

/** Lines for everything that is neither expected nor explained; notes which explanations were needed. */
function compare(
  who: Difference["who"],
  said: ReadonlyMap<string, Said>,
  cases: readonly Case[],
  used: Set<Difference>,
): string[] {
  return cases.flatMap((one) => {
    const found = said.get(keyOf(one));
    if (found === undefined) return [`${who}: ${keyOf(one)} was not answered`];
    const expected = expectedOf(one);
    const text = saidAsText(found, one);
    if (text === expected) return [];
    const difference = differenceFor(who, one);
    if (difference === undefined) return [`${who}: ${keyOf(one)}: ${text}, and not ${expected}`];
    used.add(difference);
    return isAsSaid(difference, found, one.question)
      ? []
      : [`${who}: ${keyOf(one)}: ${text}, and not ${difference.says}`];
  });
}

function differenceFor(who: Difference["who"], one: Case): Difference | undefined {
  return DIFFERENCES.find(
    (known) =>
      known.who === who &&
      known.questions.test(textOf(one)) &&
      (known.withCd === true) === one.checkingDisabled,
  );
}

function isAsSaid({ says }: Difference, { rcode, isAuthentic }: Said, question: Question): boolean {
  if (says === "as if right") return rcode === question.rcode && isAuthentic;
  const [rcodes = "", ad] = says.split(" ");
  return rcodes.split("|").includes(rcode) && isAuthentic === (ad === "with");
}

function allCases(): Case[] {
  return expectedQuestions().flatMap((question) =>
    [false, true].map((checkingDisabled) => ({ question, checkingDisabled })),
  );
}

peerTest(
  "ours, unbound and kresd judge alike what is signed in every right and wrong way",
  ["unbound", "kresd"],
  (context) =>
    withExposed(context, async (facts, folder) => {
      const resolvers = {
        sotto: await startSotto(folder, facts, { isValidating: true }),
        unbound: await startUnbound(folder, facts, { isValidating: true }),
        kresd: await startKresd(folder, facts),
      };
      try {
        const cases = allCases();
        const [sotto, unbound, kresd] = await Promise.all([
          askAll(resolvers.sotto, cases),
          askAll(resolvers.unbound, cases),
          askAll(resolvers.kresd, cases),
        ]);
        const used = new Set<Difference>();
        const wrong = [
          ...compare("sotto", sotto, cases, used),
          ...compare("unbound", unbound, cases, used),
          ...compare("kresd", kresd, cases, used),
        ];
        assert.deepEqual(wrong, []);
        assert.deepEqual(
          DIFFERENCES.filter((difference) => !used.has(difference)).map(
            ({ who, questions }) => `${who} ${questions}`,
          ),
          [],
          "explanations that nothing needs",
        );
        const otherwise = cases.flatMap((one) => answersThatDiffer(one, sotto, { unbound, kresd }));
        assert.deepEqual(otherwise, []);
        context.diagnostic(`${cases.length} questions to each of three`);
      } finally {
        await Promise.all(Object.values(resolvers).map(({ peer }) => peer.stop()));
      }
    }),
);

/**
 * Where two have the same response code, they have the same records. Of failures nobody looks at the records (kresd shows the
 * part of a chain that it believed), and with CD signatures that cannot be right may be left away (kresd does).
 */
function answersThatDiffer(
  one: Case,
  ours: ReadonlyMap<string, Said>,
  others: Readonly<Record<string, ReadonlyMap<string, Said>>>,
): string[] {
  const own = ours.get(keyOf(one));
  return Object.entries(others).flatMap(([who, theirs]) => {
    const their = theirs.get(keyOf(one));
    if (own === undefined || their === undefined || own.rcode !== their.rcode) return [];
    if (own.rcode === "SERVFAIL") return [];
    const shown = one.checkingDisabled ? withoutSignatures : (text: string) => text;
    return shown(own.answers) === shown(their.answers)
      ? []
      : [`${keyOf(one)}\nsotto:\n${own.answers}\n${who}:\n${their.answers}`];
  });
}
