import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChannelSecurity } from "@sotto/dns/runtime";
import {
  EdnsOptionCode,
  encodeMessage,
  type Message,
  makeEdns,
  makeExtendedError,
  makeMessage,
  parseRecord,
} from "@sotto/dns/wire";
import type { Verdict } from "../model.ts";
import { judgeCertificate } from "./check-certificate.ts";
import { EDNS_PROBES } from "./check-edns.ts";
import { judgeFastOpen } from "./check-fast-open.ts";
import {
  type IdleWatch,
  judgeIdle,
  judgeKeepalive,
  type KeepaliveSeen,
  withHonesty,
} from "./check-keepalive.ts";
import { judgeConnections } from "./check-limits.ts";
import { judgeOrder, type OrderRound } from "./check-order.ts";
import { judgePadding, type PaddingSeen } from "./check-padding.ts";
import { judgeTls } from "./check-reach.ts";
import { judgeDesignation, judgeDnssec, judgeExtendedErrors, judgeMinimisation } from "./check-resolver.ts";
import { judgeCount, judgeHalfClose } from "./check-streams.ts";
import { judgeVersions } from "./check-tls.ts";
import { combineFindings, found } from "./finding.ts";
import type { Answer } from "./probe-stream.ts";

function reply(parts: Partial<Message>): Answer {
  const message = makeMessage({ isResponse: true, ...parts });
  return { kind: "reply", message, octets: encodeMessage(message), tookMs: 1, strays: [] };
}

const SILENCE: Answer = { kind: "none", why: "no reply within 2500 ms", isOpen: true, strays: [] };

/** Each row: what it is, what was seen, and the verdict. */
function table<T>(
  title: string,
  judge: (seen: T) => { readonly verdict: Verdict },
  rows: readonly (readonly [string, T, Verdict])[],
): void {
  test(title, () => {
    for (const [name, seen, verdict] of rows) assert.equal(judge(seen).verdict, verdict, name);
  });
}

table(
  "Fast Open is what the system saw, and silence of the system proves nothing [rfc7413#4.1.3]",
  judgeFastOpen,
  [
    ["used at once", [{ use: "used", problem: undefined }], "released"],
    [
      "used after the cookie",
      [
        { use: "not used", problem: undefined },
        { use: "used", problem: undefined },
      ],
      "released",
    ],
    [
      "never",
      [
        { use: "not used", problem: undefined },
        { use: "not used", problem: undefined },
      ],
      "none",
    ],
    ["the system cannot", [{ use: undefined, problem: undefined }], "not testable"],
    ["taken and then dead", [{ use: "used", problem: "no reply" }], "broken"],
    ["dead without data", [{ use: "not used", problem: "no reply" }], "broken"],
  ],
);

const IN_ORDER: OrderRound = { slowerByMs: 300, quickMs: 301, slowMs: 300, isQuickFirst: false };

table(
  "order counts only where one answer was slow, and a control says so [rfc7766#7]",
  (rounds: readonly OrderRound[]) => judgeOrder(rounds, true),
  [
    ["overtaken", [{ ...IN_ORDER, quickMs: 1, isQuickFirst: true }], "released"],
    ["in order twice", [IN_ORDER, IN_ORDER], "none"],
    ["the slow name was quick", [{ ...IN_ORDER, slowerByMs: 2, quickMs: 3 }], "not testable"],
    ["no control", [{ ...IN_ORDER, slowerByMs: undefined }], "not testable"],
    // Who drops what is slow has put nothing in order.
    [
      "the slow one was never answered",
      [{ ...IN_ORDER, quickMs: 1, slowMs: undefined, isQuickFirst: true }],
      "not testable",
    ],
    ["both were quick that time", [{ ...IN_ORDER, quickMs: 3, slowMs: 2 }], "not testable"],
  ],
);

test("one round in order is a guess, two are likely, one that overtakes is certain", () => {
  assert.equal(judgeOrder([IN_ORDER], false).confidence, "guess");
  assert.equal(judgeOrder([IN_ORDER, IN_ORDER], false).confidence, "likely");
  assert.equal(judgeOrder([{ ...IN_ORDER, isQuickFirst: true }], false).confidence, "certain");
  assert.match(judgeOrder([IN_ORDER], false).observed, /looked up/);
  assert.match(judgeOrder([IN_ORDER], true).observed, /known delay/);
});

table(
  "keepalive: asked, not asked, asked again [rfc7828#3.3.2]",
  (seen: readonly KeepaliveSeen[]) => judgeKeepalive(seen),
  [
    ["when asked", [10_000, "absent", 10_000], "released"],
    ["always", [10_000, 10_000, 10_000], "released"],
    ["never", ["absent", "absent", "absent"], "none"],
    ["only when not asked", ["absent", 10_000, "absent"], "none"],
    ["vanishes", [10_000, "absent", "absent"], "partial"],
    ["zero", [0, "absent", 0], "partial"],
    ["malformed", [{ problem: "it has 1 octets" }, "absent", 10_000], "broken"],
  ],
);

const WATCH: IdleWatch = {
  transport: "tls",
  promised: 10_000,
  closedAfterMs: 10_200,
  watchedMs: 10_200,
  problem: undefined,
};

table(
  "a keepalive value is held against the close that was seen [rfc7828#3.3.2]",
  (watch: IdleWatch) => withHonesty(found("released", "says 10 s"), watch),
  [
    ["as promised", WATCH, "released"],
    ["a tick early", { ...WATCH, closedAfterMs: 9100 }, "released"],
    ["far too early", { ...WATCH, closedAfterMs: 2000 }, "broken"],
    ["far too late", { ...WATCH, closedAfterMs: 30_000 }, "partial"],
    ["never", { ...WATCH, closedAfterMs: undefined, watchedMs: 15_000 }, "partial"],
    ["not waited out", { ...WATCH, closedAfterMs: undefined, watchedMs: 8000 }, "released"],
    ["no promise", { ...WATCH, promised: "absent", closedAfterMs: 100 }, "released"],
  ],
);

test("what was not waited out is likely only", () => {
  const watch = { ...WATCH, promised: 120_000, closedAfterMs: undefined, watchedMs: 15_000 };
  assert.equal(withHonesty(found("released", "says 120 s"), watch).confidence, "likely");
});

table("an idle connection has to live for some seconds [rfc7766#6.2.3]", judgeIdle, [
  ["ten seconds", WATCH, "released"],
  ["open still", { ...WATCH, closedAfterMs: undefined }, "released"],
  ["at once", { ...WATCH, closedAfterMs: 100 }, "partial"],
  ["failed", { ...WATCH, problem: "refused" }, "not testable"],
  ["no connection", undefined, "not testable"],
]);

const PADDED: PaddingSeen = { octets: 468, options: 1, isLast: true, isZero: true };
const PLAIN: PaddingSeen = { octets: 60, options: 0, isLast: true, isZero: true };

table(
  "padding: the block, the place, the octets, and who asked [rfc8467#4.1] [rfc7830#3]",
  ([asked, unasked, withoutEdns]: readonly [readonly PaddingSeen[], PaddingSeen, PaddingSeen]) =>
    judgePadding({ asked, unasked, withoutEdns }),
  [
    ["as advised", [[PADDED, { ...PADDED, octets: 936 }], PLAIN, PLAIN], "released"],
    ["also unasked, as it may", [[PADDED], PADDED, PLAIN], "released"],
    ["never", [[PLAIN, PLAIN], PLAIN, PLAIN], "none"],
    ["sometimes", [[PADDED, PLAIN], PLAIN, PLAIN], "partial"],
    ["one block by luck", [[PADDED, { ...PADDED, octets: 470 }], PLAIN, PLAIN], "partial"],
    ["another block", [[{ ...PADDED, octets: 128 }], PLAIN, PLAIN], "partial"],
    ["not zero", [[{ ...PADDED, isZero: false }], PLAIN, PLAIN], "partial"],
    ["not last", [[{ ...PADDED, isLast: false }], PLAIN, PLAIN], "partial"],
    ["twice", [[{ ...PADDED, options: 2 }], PLAIN, PLAIN], "broken"],
    ["without EDNS", [[PADDED], PLAIN, PADDED], "broken"],
  ],
);

const REACHED = { problem: undefined, handshakeProblem: undefined, alpn: ["dot"] };

test("TLS: absent, broken, in clear, or right [rfc7858#3.1]", () => {
  const refused = "TCP connection with 192.0.2.1 port 853: connect ECONNREFUSED";
  assert.equal(judgeTls(REACHED, false, 853).verdict, "released");
  assert.equal(judgeTls(REACHED, true, 853).verdict, "broken");
  assert.equal(
    judgeTls({ ...REACHED, problem: refused, handshakeProblem: refused }, false, 853).verdict,
    "none",
  );
  const alert = "TLS handshake with 192.0.2.1 port 853: alert";
  assert.equal(
    judgeTls({ ...REACHED, problem: alert, handshakeProblem: alert }, false, 853).verdict,
    "broken",
  );
  assert.equal(judgeTls({ ...REACHED, problem: "no reply" }, false, 853).verdict, "broken");
  assert.match(judgeTls(REACHED, false, 8853).observed, /8853/);
});

test("versions of TLS: old ones are a fault, 1.3 is wanted [rfc8310#9]", () => {
  assert.equal(judgeVersions(["TLS 1.2", "TLS 1.3"], ["TLS 1.0", "TLS 1.1"], []).verdict, "released");
  assert.equal(judgeVersions(["TLS 1.1", "TLS 1.2", "TLS 1.3"], [], []).verdict, "partial");
  assert.equal(judgeVersions(["TLS 1.2"], ["TLS 1.3"], []).verdict, "partial");
  assert.equal(judgeVersions(["TLS 1.0"], ["TLS 1.3"], []).verdict, "broken");
  assert.equal(judgeVersions([], [], ["TLS 1.0: no answer"]).verdict, "not testable");
  const silent = judgeVersions(["TLS 1.2", "TLS 1.3"], [], ["TLS 1.0: no answer", "TLS 1.1: no answer"]);
  assert.equal(silent.verdict, "released", "silence refuses, too");
  assert.match(silent.observed, /TLS 1\.0: no answer/);
});

test("of queries that come together, all, some or one is answered [rfc7766#6.2.1.1]", () => {
  const answered = reply({});
  assert.equal(judgeCount([answered, answered], "together").verdict, "released");
  assert.equal(judgeCount([answered, answered, SILENCE], "together").verdict, "partial");
  assert.equal(judgeCount([answered, SILENCE], "together").verdict, "none");
});

const CHANNEL: ChannelSecurity = {
  protocol: "TLSv1.3",
  cipher: "TLS_AES_128_GCM_SHA256",
  group: "X25519",
  alpn: "dot",
  resumed: false,
  serverName: undefined,
  peerChain: [
    {
      der: new Uint8Array(0),
      spkiSha256: "A".repeat(43),
      subject: "CN=dns.example",
      issuer: "CN=authority",
      subjectAltNames: ["DNS:dns.example"],
      notBeforeMs: 0,
      notAfterMs: 86_400_000 * 30,
    },
  ],
  chainProblem: undefined,
};

test("a certificate is judged by what was given to compare with, or told what it is good for [rfc8310#8.1]", () => {
  const policy = {
    serverName: undefined,
    authName: undefined,
    pins: [],
    trustAnchorsPem: undefined,
    authenticate: "required",
  } as const;
  const verdictOf = (parts: Partial<ChannelSecurity>, more: object = {}): string =>
    judgeCertificate({ ...CHANNEL, ...parts }, { ...policy, ...more }, 0).verdict;
  assert.equal(verdictOf({}, { authName: "dns.example" }), "released");
  assert.equal(verdictOf({}, { authName: "other.example" }), "broken");
  assert.equal(verdictOf({}, { pins: ["B".repeat(43)] }), "broken");
  assert.equal(verdictOf({}), "released");
  assert.equal(verdictOf({ chainProblem: "SELF_SIGNED" }), "partial");
  assert.equal(verdictOf({ peerChain: [] }), "none");
  assert.match(judgeCertificate(CHANNEL, policy, 0).observed, /name dns\.example, or by its pin sha256:A/);
});

test("a server that answers a half-closed connection at times does it in part [rfc7766#6.2.4]", () => {
  const answered = reply({});
  assert.equal(judgeHalfClose([answered, answered, answered]).verdict, "released");
  assert.equal(judgeHalfClose([SILENCE, SILENCE]).verdict, "none");
  const { verdict, observed } = judgeHalfClose([answered, SILENCE, answered]);
  assert.equal(verdict, "partial");
  assert.match(observed, /^2 of 3 queries/);
});

test("validation shows in AD for what is signed rightly and SERVFAIL for what is not [rfc4035#5.5]", () => {
  const answers = [parseRecord("example. 60 IN A 192.0.2.1")];
  const good = reply({ authenticData: true, answers });
  assert.equal(
    judgeDnssec(good, reply({ rcode: 2 }), reply({ answers })).verdict,
    "partial",
    "without signatures",
  );
  assert.equal(judgeDnssec(good, reply({ answers }), undefined).verdict, "broken");
  assert.equal(judgeDnssec(reply({ answers }), undefined, undefined).verdict, "none");
  assert.equal(judgeDnssec(reply({ rcode: 2 }), undefined, undefined).verdict, "not testable");
  assert.equal(judgeDnssec(SILENCE, undefined, undefined).verdict, "not testable");
});

test("all extended errors of an answer are told, with their names [rfc8914#2]", () => {
  const failed = (...errors: { code: number; text: string }[]): Answer =>
    reply({ rcode: 2, edns: makeEdns({ options: errors.map(makeExtendedError) }) });
  const cached = { code: 13, text: "" };
  const { verdict, observed } = judgeExtendedErrors(failed(cached, { code: 7, text: "last week" }));
  assert.equal(verdict, "released");
  assert.equal(observed, 'tells why: EDE 13 (Cached Error), EDE 7 (Signature Expired, "last week")');
  assert.equal(judgeExtendedErrors(failed()).verdict, "none");
  assert.equal(judgeExtendedErrors(SILENCE).verdict, "not testable");
  assert.equal(judgeExtendedErrors(reply({})).verdict, "not testable");
  const short = { code: EdnsOptionCode.ExtendedError, data: Uint8Array.of(0) };
  assert.equal(
    judgeExtendedErrors(reply({ rcode: 2, edns: makeEdns({ options: [short] }) })).verdict,
    "broken",
  );
});

test("whether names are minimised is told by a TXT record, and an authority has nobody to ask [rfc9156]", () => {
  const verdictOf = (parts: Partial<Message>): string =>
    judgeMinimisation("how.example", reply(parts)).verdict;
  const telling = (text: string): Partial<Message> => ({
    answers: [parseRecord(`how.example. 60 IN TXT "${text}"`)],
  });
  assert.equal(verdictOf(telling("HOORAY - minimised")), "released");
  assert.equal(verdictOf(telling("NO - not minimised")), "none");
  assert.equal(verdictOf(telling("what?")), "not testable");
  assert.equal(verdictOf({ rcode: 3, recursionAvailable: true }), "not testable");
  assert.equal(judgeMinimisation("how.example", SILENCE).verdict, "not testable");
  const refused = { rcode: 5 };
  assert.equal(verdictOf(refused), "not applicable");
  assert.equal(verdictOf({ ...refused, recursionAvailable: true }), "not testable");
  assert.equal(judgeDnssec(reply(refused), undefined, undefined).verdict, "not applicable");
});

test("many connections of one client are taken, or few [rfc7766#6.2.2]", () => {
  assert.equal(judgeConnections(30, undefined).verdict, "released");
  assert.equal(judgeConnections(12, "closed").verdict, "released");
  assert.equal(judgeConnections(2, "closed").verdict, "partial");
});

test("each line of the EDNS matrix has a reply that it takes and one that it does not [rfc6891#6.1]", () => {
  for (const { name, parts, judge } of EDNS_PROBES) {
    const isOther = parts.edns?.version === 1;
    const right = makeMessage({
      isResponse: true,
      rcode: isOther ? 16 : 0,
      edns: parts.edns && makeEdns({ dnssecOk: parts.edns.dnssecOk === true }),
    });
    assert.equal(judge(right), undefined, name);
    const wrong = parts.edns === undefined ? { ...right, edns: makeEdns() } : { ...right, edns: undefined };
    assert.notEqual(judge(wrong), undefined, name);
  }
});

test("findings of several transports: what is broken once is broken, what works once is partial", () => {
  const released = found("released", "works");
  const none = found("none", "is not there", "likely");
  const unknown = found("not testable", "cannot be known", "guess");
  assert.equal(
    combineFindings([
      ["tcp", released],
      ["tls", released],
    ]).observed,
    "TCP and TLS: works",
  );
  assert.deepEqual(
    combineFindings([
      ["tcp", released],
      ["tls", none],
    ]),
    found("partial", "TCP: works; TLS: is not there", "likely"),
  );
  assert.equal(
    combineFindings([
      ["tcp", released],
      ["tls", found("broken", "is wrong")],
    ]).verdict,
    "broken",
  );
  assert.equal(
    combineFindings([
      ["tcp", released],
      ["tls", unknown],
    ]).verdict,
    "released",
  );
  assert.equal(
    combineFindings([
      ["tcp", unknown],
      ["tls", unknown],
    ]).verdict,
    "not testable",
  );
});

test("who speaks for a resolver is told, not there, of no use, or could not be looked up [rfc9462#4]", () => {
  const svcb = (...rdata: string[]): Answer =>
    reply({ answers: rdata.map((one) => parseRecord(`_dns.resolver.arpa. 60 IN SVCB ${one}`)) });
  const verdictOf = (answer: Answer, ofAlias?: Answer): string => judgeDesignation(answer, ofAlias).verdict;
  const service = svcb("1 dns.example. alpn=dot");
  assert.equal(verdictOf(service), "released");
  assert.equal(verdictOf(svcb("1 dns.example. port=853")), "broken");
  assert.equal(verdictOf(reply({})), "none");
  assert.equal(verdictOf(reply({ rcode: 3 })), "none");
  // A resolver without the internet could not look the name up, or what it is an alias for, and was told to be broken.
  assert.equal(verdictOf(reply({ rcode: 2 })), "not testable");
  assert.equal(verdictOf(SILENCE), "not testable");
  const alias = svcb("0 dns.example.");
  assert.equal(verdictOf(alias, service), "released");
  assert.equal(verdictOf(alias, reply({ rcode: 2 })), "not testable");
  assert.equal(verdictOf(alias, SILENCE), "not testable");
  assert.equal(verdictOf(alias, reply({})), "broken");
  assert.equal(verdictOf(alias, svcb("0 other.example.")), "not testable");
  assert.equal(verdictOf(svcb("0 dns.example.", "1 dns.example. alpn=dot")), "released");
  assert.equal(verdictOf(svcb("0 .")), "none");
});
