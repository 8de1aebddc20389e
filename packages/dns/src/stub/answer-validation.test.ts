import assert from "node:assert/strict";
import { test } from "node:test";
import { TrustAnchors, Validator } from "@sotto/dns/dnssec";
import {
  type Message,
  parseName,
  parseRecord,
  Rcode,
  type ResourceRecord,
  RRType,
  rrTypeFromText,
} from "@sotto/dns/wire";
import { NOW_SECONDS } from "../dnssec/test-signer.test-support.ts";
import { ZoneWorld } from "../dnssec/zone-world.test-support.ts";
import { answerOf, withoutStrangers } from "./answer-of.ts";
import { judgeReply } from "./answer-validation.ts";

const zones = new ZoneWorld([
  { origin: ".", text: "" },
  {
    origin: "example.",
    text: `www A 192.0.2.1
www TXT "a"
alias CNAME www
away CNAME www.plain.
dn DNAME plain.
`,
  },
  { origin: "other.", text: "www A 192.0.2.9\n" },
  { origin: "plain.", text: "www A 192.0.2.3\n", keys: [] },
]);

type Change = (message: Message) => Partial<Message>;

/** What is made of the servers' reply to a question after somebody on the way has changed it. */
async function judged(name: string, type: string, change: Change = () => ({})): Promise<string> {
  const validator = new Validator({
    anchors: new TrustAnchors([zones.anchor(".")], []),
    nowSeconds: () => NOW_SECONDS,
    uptimeSeconds: () => 0,
  });
  const qname = parseName(name);
  const qtype = rrTypeFromText(type) ?? 0;
  const honest = zones.reply(qname, qtype);
  const message = { ...honest, ...change(honest) };
  const { status, rcode } = await judgeReply(message, qname, qtype, validator, (asked, of) =>
    Promise.resolve(zones.reply(asked, of)),
  );
  return rcode === message.rcode ? status : `${status}, code ${rcode}`;
}

const FORGED = parseRecord("www.example. 300 IN A 203.0.113.66");
const STRANGER = parseRecord("www.plain. 300 IN A 192.0.2.3");

/** Many sets of an unsigned zone, which nobody can say anything against. */
const CROWD: readonly ResourceRecord[] = Array.from({ length: 300 }, (_, i) => ({
  ...parseRecord("www.plain. 300 IN TXT x"),
  type: 0xff00 - i,
}));

test("a crowd of unsigned sets hides no forged one (RFC 4035 §5.3)", async () => {
  assert.equal(await judged("www.example.", "A"), "secure");
  assert.equal(await judged("www.example.", "A", () => ({ answers: [...CROWD, FORGED] })), "bogus");
});

test("what came along and does not answer takes nothing from what does", async () => {
  const unsigned: Change = ({ answers }) => ({ answers: [STRANGER, ...answers] });
  assert.equal(await judged("www.example.", "A", unsigned), "secure");
  const broken: Change = ({ answers }) => ({
    answers: [...answers, parseRecord("www.other. 300 IN A 203.0.113.66")],
  });
  assert.equal(await judged("www.example.", "A", broken), "secure");
  assert.equal(
    await judged("away.example.", "A", ({ answers }) => ({ answers: [...answers, STRANGER] })),
    "insecure",
  );
});

test("each link of an alias chain counts, with the DNAME that made it (RFC 6672 §5.3.1)", async () => {
  assert.equal(await judged("alias.example.", "A"), "secure");
  const forgedEnd: Change = ({ answers }) => ({
    answers: answers.map((one) => (one.type === RRType.A ? FORGED : one)),
  });
  assert.equal(await judged("alias.example.", "A", forgedEnd), "bogus");
  assert.equal(await judged("x.dn.example.", "CNAME"), "secure");
  const forgedLink: Change = ({ answers }) => ({
    answers: answers.map((one) =>
      one.type === RRType.CNAME ? parseRecord("x.dn.example. 300 IN CNAME www.plain.") : one,
    ),
  });
  assert.equal(await judged("x.dn.example.", "CNAME", forgedLink), "bogus");
  const twoLinks: Change = ({ answers }) => ({
    answers: [...answers, parseRecord("x.dn.example. 300 IN CNAME www.plain.")],
  });
  assert.equal(await judged("x.dn.example.", "CNAME", twoLinks), "bogus");
});

test("a reply in which nothing could be judged is not secure", async () => {
  for (const rcode of [Rcode.ServFail, Rcode.Refused, Rcode.FormErr])
    assert.equal(
      await judged("www.example.", "A", () => ({ rcode, answers: [], authorities: [] })),
      "indeterminate",
    );
  const alias: Change = ({ answers }) => ({
    rcode: Rcode.ServFail,
    answers: answers.filter(({ owner }) => owner.equals(parseName("alias.example."))),
  });
  assert.equal(await judged("alias.example.", "A", alias), "indeterminate");
  assert.equal(await judged("www.example.", "RRSIG"), "indeterminate", "nobody signs signatures");
  const onlySignatures: Change = ({ answers }) => ({
    answers: answers.filter(({ type }) => type === RRType.RRSIG),
  });
  assert.equal(await judged("www.example.", "ANY", onlySignatures), "indeterminate");
});

test("an answer that says that there is none is a lie", async () => {
  for (const rcode of [Rcode.NXDomain, Rcode.ServFail])
    assert.equal(await judged("www.example.", "A", () => ({ rcode })), "bogus");
});

test("what proofs show counts, not what the reply calls it (RFC 4035 §5.4)", async () => {
  const denies: Change = () => ({ rcode: Rcode.NXDomain });
  assert.equal(await judged("www.example.", "MX", denies), `secure, code ${Rcode.NoError}`);
  assert.equal(await judged("nothing.example.", "A"), "secure");
  const concedes: Change = () => ({ rcode: Rcode.NoError });
  assert.equal(await judged("nothing.example.", "A", concedes), "bogus");
});

test("records that do not answer are left out, signatures of those that do stay", () => {
  const qname = parseName("alias.example.");
  const honest = zones.reply(qname, RRType.A);
  const message = { ...honest, answers: [STRANGER, ...honest.answers, ...CROWD] };
  const found = answerOf(message, qname, RRType.A);
  assert.deepEqual(withoutStrangers(message, found).answers, honest.answers);
  const dname = zones.reply(parseName("x.dn.example."), RRType.CNAME);
  const made = answerOf(dname, parseName("x.dn.example."), RRType.CNAME);
  assert.deepEqual(withoutStrangers(dname, made).answers, dname.answers);
});
