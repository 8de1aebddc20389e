import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { encodeMessage, type Message, makeEdns, makeMessage, parseRecord } from "@sotto/dns/wire";
import type { Answer } from "../server/probe-stream.ts";
import { cellOf, ProbedFixtures } from "../server/probed-fixtures.test-support.ts";
import { type Compared, judgeAnswers, judgeOptions, judgeSize } from "./check-path.ts";
import { PATH_ROWS, planOfPath } from "./index.ts";

const SILENCE: Answer = { kind: "none", why: "no reply within 2500 ms", isOpen: true, strays: [] };

function reply(parts: Partial<Message>): Answer {
  const message = makeMessage({ isResponse: true, ...parts });
  return { kind: "reply", message, octets: encodeMessage(message).slice(), tookMs: 1, strays: [] };
}

function compared(udp: Answer, tcp: Answer, tls: Answer): Compared {
  return new Map([
    ["udp", udp],
    ["tcp", tcp],
    ["tls", tls],
  ]);
}

test("EDNS that comes over TLS and not in clear was lost on the way [rfc7828#3.5]", () => {
  const whole = reply({ edns: makeEdns({ dnssecOk: true }) });
  const bare = reply({});
  assert.equal(judgeOptions(compared(whole, whole, whole)).verdict, "released");
  assert.match(judgeOptions(compared(bare, whole, whole)).observed, /^UDP: no OPT/);
  assert.match(
    judgeOptions(compared(whole, SILENCE, whole)).observed,
    /^TCP: queries with EDNS get no answer/,
  );
  assert.match(judgeOptions(compared(reply({ edns: makeEdns() }), whole, whole)).observed, /DO is lost/);
  assert.equal(judgeOptions(compared(bare, bare, bare)).verdict, "not testable", "the server has none");
  assert.equal(judgeOptions(new Map([["udp", whole]])).verdict, "not testable", "nothing to compare with");
});

test("long answers come over UDP, or fragments are lost [rfc9715#3]", () => {
  const long = reply({
    answers: [parseRecord(`example. 60 IN TXT ${'"x123456789x123456789x123456789" '.repeat(40)}`)],
  });
  const short = reply({ isTruncated: true });
  assert.equal(judgeSize(long, short, long).verdict, "released");
  assert.equal(judgeSize(long, short, SILENCE).verdict, "partial");
  assert.equal(judgeSize(long, SILENCE, SILENCE).verdict, "broken");
  assert.equal(judgeSize(short, short, short).verdict, "not testable");
  assert.equal(judgeSize(SILENCE, short, short).verdict, "not testable");
});

test("answers that differ in clear are told, and are a guess; order and TTL do not count", () => {
  const records = ["example. 60 IN A 192.0.2.1", "example. 60 IN A 192.0.2.2"].map((text) =>
    parseRecord(text),
  );
  const right = reply({ answers: records });
  const turned = reply({ answers: [...records].reverse().map((record) => ({ ...record, ttl: 5 })) });
  const forged = reply({ answers: [parseRecord("example. 60 IN A 203.0.113.1")] });
  const absent = reply({ rcode: 3 });
  const same = compared(absent, absent, absent);
  assert.equal(judgeAnswers(compared(turned, right, right), same).verdict, "released");
  const finding = judgeAnswers(compared(forged, right, right), same);
  assert.equal(finding.verdict, "partial");
  assert.equal(finding.confidence, "guess");
  assert.match(finding.observed, /203\.0\.113\.1/);
  assert.equal(
    judgeAnswers(compared(right, right, right), compared(forged, absent, absent)).verdict,
    "partial",
  );
});

const fixtures = new ProbedFixtures();
before(() => fixtures.start(["certificate-wrong-name", "truncated-without-tcp"]));
after(() => fixtures.close());

test("nothing stands between a server on loopback and its prober", async () => {
  const report = await fixtures.probePath("good");
  assert.deepEqual(
    report.cells.map(({ row }) => row),
    PATH_ROWS.map(({ key }) => key),
  );
  for (const row of ["udp", "tcp", "tls", "identity", "options", "answers", "fast-open"])
    assert.equal(cellOf(report, row).verdict, "released", `${row}: ${cellOf(report, row).observed}`);
});

test("somebody else's certificate, or no TCP, shows in its row only", async () => {
  const other = await fixtures.probePath("certificate-wrong-name");
  assert.equal(cellOf(other, "identity").verdict, "broken");
  assert.equal(cellOf(other, "tls").verdict, "released");
  const blocked = await fixtures.probePath("truncated-without-tcp");
  assert.equal(cellOf(blocked, "udp").verdict, "released");
  assert.equal(cellOf(blocked, "tcp").verdict, "broken");
});

test("the plan names the place and every row", () => {
  const plan = planOfPath({ text: "192.0.2.1", address: "192.0.2.1", transports: ["udp", "tls"] });
  assert.match(plan[0] ?? "", /192\.0\.2\.1: UDP port 53, TLS port 853/);
  assert.equal(plan.length, 1 + PATH_ROWS.length);
});
