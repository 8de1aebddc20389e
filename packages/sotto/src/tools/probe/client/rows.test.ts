/** Judges of rows, on runs that never were: each verdict has its run. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readRows } from "../../../../../../test/rfc/tables.ts";
import { CATALOGUE } from "../../../testserver/catalogue.ts";
import { CLIENT_ROWS } from "../rows-client.ts";
import { evidenceOf, type Finding } from "./cell.ts";
import { connection, DONE, edns, hello, plan, query, run, runAt } from "./invented-runs.test-support.ts";
import {
  CONNECTION_PROBES,
  judgeFastOpen,
  judgeOutOfOrder,
  judgePipelining,
  judgeResumption,
  judgeRetry,
  judgeRetryOfOne,
  judgeReuse,
  judgeTruncation,
} from "./rows-connections.ts";
import { FAULT_PROBES, judgeFaults, judgeMatching, judgeSegmentation } from "./rows-faults.ts";
import {
  afterZero,
  judgeClientSubnet,
  judgeEdnsFallback,
  judgeKeepalive,
  judgeObedience,
  judgePadding,
  lingerMs,
  OPTION_PROBES,
} from "./rows-options.ts";
import {
  judgeAlpn,
  judgeAuthentication,
  judgeDowngrade,
  judgePins,
  judgeServerName,
  judgeTls,
  judgeVersions,
  TLS_PROBES,
} from "./rows-tls.ts";

const NOTHING = run([]);
const ONE = run([connection([query("a")])]);
const APART = run([connection([query("a")]), connection([query("b")]), connection([query("c")])]);
const TOGETHER = run([connection([query("a"), query("b"), query("c")])]);
const [A, B, C] = [query("a"), query("b", { inFlightBefore: 1 }), query("c", { inFlightBefore: 2 })];
const PIPELINED = run([connection([A, B, C])]);
const asked = (parts: Parameters<typeof edns>[0]): ReturnType<typeof query> =>
  query("a", { edns: edns(parts) });
const reply = (atMs: number) => ({ atMs, direction: "out", what: "reply", octets: 60 }) as const;
const end = (atMs: number) => ({ atMs, direction: "in", what: "end: client-fin", octets: 0 }) as const;
const TOOL = plan(true);
const COMMAND = plan(false);

/** What is judged, the verdict, and a part of the sentence. */
const CASES: readonly (readonly [
  title: string,
  finding: Finding,
  verdict: Finding["verdict"],
  says: RegExp,
])[] = [
  ["three queries on one connection", judgeReuse(TOGETHER, TOOL), "released", /3 queries came on one/],
  ["a connection for each query", judgeReuse(APART, TOOL), "none", /on 3 connections/],
  [
    "two of three share a connection",
    judgeReuse(run([connection([A, B]), connection([C])]), TOOL),
    "partial",
    /2 conn/,
  ],
  ["a preset that asks once cannot reuse", judgeReuse(ONE, TOOL), "none", /one question/],
  ["a command that asks once may reuse elsewhere", judgeReuse(ONE, COMMAND), "not testable", /one \{qname\}/],
  ["nothing to reuse", judgeReuse(NOTHING, TOOL), "not testable", /nothing came/],
  ["queries in flight together", judgePipelining(PIPELINED, TOOL), "released", /3 queries were in flight/],
  ["one after the other", judgePipelining(TOGETHER, TOOL), "none", /never more than one/],
  ["order does not matter to who waits", judgeOutOfOrder(TOGETHER, TOOL), "not applicable", /waits/],
  ["all taken in another order", judgeOutOfOrder(PIPELINED, TOOL), "released", /all 3 were taken/],
  [
    "nobody tells whether they were taken",
    judgeOutOfOrder(run([connection([A, B, C])], { answered: undefined }), TOOL),
    "released",
    /nothing was asked again/,
  ],
  [
    "an answer lost to the order",
    judgeOutOfOrder(run([connection([A, B, C])], { answered: 2 }), TOOL),
    "broken",
    /2 were/,
  ],
  [
    "asked again because of the order",
    judgeOutOfOrder(run([connection([A, B, C, A])]), TOOL),
    "partial",
    /1 of the questions/,
  ],
  [
    "no second connection after the close",
    judgeRetry(run([connection([A, B, C], { answers: 1 })])),
    "none",
    /2 of 3/,
  ],
  [
    "the rest on another connection",
    judgeRetry(run([connection([A, B], { answers: 1 }), connection([B])])),
    "released",
    /after 1 answers/,
  ],
  [
    "a second connection and not all",
    judgeRetry(run([connection([A, B]), connection([C])], { answered: 2 })),
    "partial",
    /2 of 3/,
  ],
  [
    "one query comes again",
    judgeRetryOfOne(run([connection([A]), connection([A])])),
    "released",
    /on 1 more/,
  ],
  ["one query is given up", judgeRetryOfOne(ONE), "none", /never came again/],
  ["data in a SYN", judgeFastOpen([run([connection([A], { fastOpen: true })])], false), "released", /1 of 1/],
  [
    "data in a SYN after a switch",
    judgeFastOpen([run([connection([A], { fastOpen: true })])], true),
    "off",
    /told to/,
  ],
  [
    "no data in any SYN",
    judgeFastOpen([run([connection([A], { fastOpen: false })])], false),
    "none",
    /no SYN/,
  ],
  ["a system that does not tell", judgeFastOpen([ONE], false), "not testable", /does not tell/],
  [
    "TCP after TC",
    judgeTruncation(run([connection([A], { transport: "udp" }), connection([A], { transport: "tcp" })])),
    "released",
    /over TCP/,
  ],
  [
    "TC taken as it is",
    judgeTruncation(run([connection([A], { transport: "udp" })])),
    "none",
    /no query came over TCP/,
  ],
  [
    "a ticket used",
    judgeResumption(
      run([
        connection([A]),
        connection([B], { hello: hello({ offersResumption: true }), tls: { ...DONE, isResumed: true } }),
      ]),
    ),
    "released",
    /1 resumed/,
  ],
  ["tickets thrown away", judgeResumption(APART), "none", /0 offered/],
  ["no second handshake", judgeResumption(ONE), "not testable", /one connection/],
  [
    "keepalive without a value",
    judgeKeepalive(run([connection([asked({ keepalive: "empty" })])])),
    "released",
    /1 of 1/,
  ],
  [
    "keepalive with a value",
    judgeKeepalive(run([connection([asked({ keepalive: 100 })])])),
    "broken",
    /with a value/,
  ],
  [
    "keepalive over UDP",
    judgeKeepalive(run([connection([A]), connection([asked({ keepalive: "empty" })], { transport: "udp" })])),
    "broken",
    /over UDP/,
  ],
  ["no keepalive", judgeKeepalive(ONE), "none", /0 of 1/],
  [
    "both halves of keepalive obeyed",
    judgeObedience("asked elsewhere", true),
    "released",
    /another connection; it closed/,
  ],
  ["half of keepalive obeyed", judgeObedience("asked elsewhere", false), "partial", /did not close/],
  ["keepalive not obeyed", judgeObedience("went on", undefined), "none", /went on asking/],
  ["nobody could see", judgeObedience(undefined, undefined), "not testable", /nobody sees/],
  ["padded to 128", judgePadding(run([connection([asked({ paddingOctets: 60 })])])), "released", /1 of 1/],
  [
    "padded to something else",
    judgePadding(run([connection([query("a", { octets: 100, edns: edns({ paddingOctets: 9 }) })])])),
    "partial",
    /had 100 octets/,
  ],
  [
    "padded once of twice",
    judgePadding(run([connection([asked({ paddingOctets: 60 }), A])])),
    "partial",
    /1 of 2/,
  ],
  ["128 octets by chance are no padding", judgePadding(ONE), "none", /0 of 1/],
  [
    "a prefix of no bits",
    judgeClientSubnet(run([connection([asked({ clientSubnetBits: 0 })])])),
    "released",
    /nobody/,
  ],
  [
    "a prefix that tells",
    judgeClientSubnet(run([connection([asked({ clientSubnetBits: 24 })])])),
    "broken",
    /24 bits/,
  ],
  ["again without OPT", judgeEdnsFallback(run([connection([asked({}), A])])), "released", /without OPT/],
  ["not again", judgeEdnsFallback(run([connection([asked({})])])), "none", /nothing came/],
  ["never any OPT", judgeEdnsFallback(ONE), "not applicable", /does not use/],
  ["a query over TLS", judgeTls(ONE), "released", /TLSv1\.3/],
  ["a handshake and no query", judgeTls(run([connection()])), "broken", /no query/],
  [
    "queries in clear",
    judgeTls(run([connection([A], { transport: "tcp", hello: undefined, tls: undefined })])),
    "none",
    /in clear/,
  ],
  [
    "asks only the right one",
    judgeAuthentication(ONE, [
      runAt("certificate-expired", [connection()]),
      runAt("certificate-wrong-name", [connection()]),
    ]),
    "released",
    /expired, wrong name/,
  ],
  [
    "asks everybody",
    judgeAuthentication(ONE, [runAt("certificate-expired", [connection([A])])]),
    "none",
    /expired/,
  ],
  [
    "asks some",
    judgeAuthentication(ONE, [
      runAt("certificate-expired", [connection([A])]),
      runAt("certificate-wrong-name", [connection()]),
    ]),
    "broken",
    /refused wrong name/,
  ],
  [
    "asks nobody",
    judgeAuthentication(NOTHING, [runAt("certificate-expired", [connection()])]),
    "not testable",
    /did not ask the right/,
  ],
  [
    "the pin holds",
    judgePins(ONE, runAt("certificate-new-key", [connection()])),
    "released",
    /not the one with another key/,
  ],
  [
    "the pin does not hold",
    judgePins(ONE, runAt("certificate-new-key", [connection([A])])),
    "none",
    /another key/,
  ],
  [
    "silent before wrong servers",
    judgeDowngrade(ONE, [runAt("alert", [connection()])]),
    "released",
    /nothing came in clear/,
  ],
  [
    "in clear to the other port",
    judgeDowngrade(ONE, [runAt("alert", [connection([A], { transport: "udp" })])]),
    "broken",
    /alert/,
  ],
  [
    "in clear to the port for TLS",
    judgeDowngrade(ONE, [
      runAt("cleartext", [
        connection([], { events: [{ atMs: 1, direction: "own", what: "not a TLS handshake", octets: 0 }] }),
      ]),
    ]),
    "broken",
    /cleartext/,
  ],
  ["a server name", judgeServerName(ONE), "released", /resolver\.sotto\.test/],
  [
    "no server name",
    judgeServerName(run([connection([A], { hello: hello({ serverName: undefined }) })])),
    "none",
    /no server name/,
  ],
  ["ALPN dot", judgeAlpn(ONE), "released", /dot/],
  ["ALPN of HTTP", judgeAlpn(run([connection([A], { hello: hello({ alpn: ["h2"] }) })])), "broken", /h2/],
  ["no ALPN", judgeAlpn(run([connection([A], { hello: hello({ alpn: [] }) })])), "none", /no protocol/],
  ["TLS 1.2 and 1.3", judgeVersions(ONE), "released", /TLSv1\.3, TLSv1\.2/],
  [
    "TLS 1.2 alone",
    judgeVersions(run([connection([A], { hello: hello({ versions: ["TLSv1.2"] }) })])),
    "partial",
    /TLSv1\.2/,
  ],
  [
    "TLS 1.1 as well",
    judgeVersions(run([connection([A], { hello: hello({ versions: ["TLSv1.3", "TLSv1.1"] }) })])),
    "broken",
    /TLSv1\.1/,
  ],
  [
    "wrong answers left alone",
    judgeMatching(ONE, [runAt("wrong-id", [connection([A])], { answered: 0 })]),
    "released",
    /wrong-id/,
  ],
  ["a wrong answer taken", judgeMatching(ONE, [runAt("wrong-id", [connection([A])])]), "broken", /wrong-id/],
  [
    "nobody tells what was taken",
    judgeMatching(run([connection([A])], { answered: undefined }), []),
    "not testable",
    /nobody tells/,
  ],
  [
    "pieces put together",
    judgeSegmentation(ONE, [runAt("split-length", [connection([A])])]),
    "released",
    /split-length/,
  ],
  [
    "pieces lost",
    judgeSegmentation(ONE, [runAt("split-length", [connection([A])], { answered: 0 })]),
    "broken",
    /split-length/,
  ],
  ["an end in time", judgeFaults([runAt("garbage", [connection([A])])], false), "released", /in time/],
  [
    "a crash",
    judgeFaults([runAt("garbage", [], { end: { kind: "signal", signal: "SIGSEGV" } })], false),
    "broken",
    /garbage: ended by SIGSEGV/,
  ],
  [
    "no end",
    judgeFaults([runAt("half-silence", [], { end: { kind: "limit" } })], false),
    "broken",
    /did not end/,
  ],
  [
    "a client that never met a fault",
    judgeFaults([runAt("garbage", [])], false),
    "not testable",
    /nothing came/,
  ],
  [
    "nobody saw the end",
    judgeFaults([runAt("garbage", [connection([A])], { answered: undefined, end: { kind: "ended" } })], true),
    "not testable",
    /nobody tells/,
  ],
  [
    "a client that came to no wrong server",
    judgeAuthentication(ONE, [runAt("certificate-expired", [])]),
    "not testable",
    /did not come/,
  ],
  ["a client that came to no other key", judgePins(ONE, NOTHING), "not testable", /did not come/],
  ["a client that met no failure", judgeDowngrade(ONE, [NOTHING]), "not testable", /did not come/],
  [
    "a daemon that lives on",
    judgeFaults([runAt("garbage", [connection([A])], { end: { kind: "ended" } })], true),
    "released",
    /lived on/,
  ],
  ["a daemon that ends by itself", judgeFaults([runAt("garbage", [])], true), "broken", /exit code 0/],
];

for (const [title, finding, verdict, says] of CASES)
  test(`${title}: ${verdict}`, () => {
    assert.equal(finding.verdict, verdict, finding.observed);
    assert.match(finding.observed, says);
  });

test("after a timeout of 0 queries on the connection disobey, and so does leaving it open", () => {
  const first = (atMs: number) => connection([query("a"), query("b", { atMs })], { events: [reply(2)] });
  assert.equal(afterZero(run([first(3)]), 0), "went on");
  assert.equal(afterZero(run([first(3)]), 20), undefined, "may have crossed");
  assert.equal(afterZero(run([first(30)]), 20), "went on");
  const elsewhere = (endMs: number) =>
    run([connection([A], { events: [reply(2), end(endMs)] }), connection([B])]);
  assert.equal(afterZero(elsewhere(5), 0), "asked elsewhere");
  assert.equal(afterZero(elsewhere(900), 0), "stayed");
  assert.equal(afterZero(NOTHING, 0), undefined);
});

test("how long a client keeps an idle connection is known only when it ended it", () => {
  const events = [reply(5), reply(10), end(900)];
  assert.equal(lingerMs(run([connection([A, B], { events })])), 890);
  assert.equal(lingerMs(run([connection([A], { events: [reply(10)], endedBy: undefined })])), undefined);
  assert.equal(lingerMs(run([connection([A], { events, endedBy: "server" })])), undefined);
  assert.equal(lingerMs(NOTHING), undefined);
});

test("evidence is in order of time, names the command and has a limit", () => {
  const events = Array.from({ length: 200 }, (_, i) => reply(200 - i));
  const steps = evidenceOf([run([connection([A], { events, openedAtMs: 1_000_005 })], { command: "dig x" })]);
  assert.equal(steps.length, 151);
  assert.match(steps[0]?.what ?? "", /dig x/);
  assert.match(steps.at(-1)?.what ?? "", /53 more steps are left out/);
  const times = steps.map(({ atMs }) => atMs);
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  assert.deepEqual(evidenceOf([]), []);
});

test("evidence tells what came in a SYN and what the ClientHello offers", () => {
  const [, ...steps] = evidenceOf([run([connection([A], { id: 7, fastOpen: true })])]);
  assert.equal(steps[0]?.what, "tls 7: data came in the SYN");
  assert.match(
    steps[1]?.what ?? "",
    /^tls 7: ClientHello with TLSv1\.3, TLSv1\.2; server name resolver\.sotto\.test; ALPN dot$/,
  );
});

test("every row of clients has one probe, with servers of the catalogue and requirements of docs/rfc", () => {
  const probes = [...CONNECTION_PROBES, ...OPTION_PROBES, ...TLS_PROBES, ...FAULT_PROBES];
  assert.deepEqual(probes.map(({ row }) => row).sort(), CLIENT_ROWS.map(({ key }) => key).sort());
  const names = new Set(CATALOGUE.map(({ name }) => name));
  const known = new Set(
    readRows(join(import.meta.dirname, "../../../../../../docs/rfc")).map(({ id }) => id),
  );
  for (const { row, fixtures, requirements } of probes) {
    for (const fixture of fixtures) assert.ok(names.has(fixture), `${row}: ${fixture}`);
    for (const requirement of requirements) assert.ok(known.has(requirement), `${row}: ${requirement}`);
  }
  assert.equal(CLIENT_ROWS.filter(({ deck }) => deck === "clients").length, 8);
});
