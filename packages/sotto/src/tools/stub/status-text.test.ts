import assert from "node:assert/strict";
import { test } from "node:test";
import type { PortalStatus, StubStatus, UpstreamStatus } from "../../compose/index.ts";
import { COLUMNS, coloured, countText, durationText, plain, shareText } from "../../terminal/index.ts";
import { statusText } from "./status-text.ts";

const WORKING: UpstreamStatus = {
  address: "192.0.2.53",
  port: 853,
  transport: "tls",
  rung: "authenticated",
  state: "authenticated",
  authenticatedBy: "name dns.example",
  identity: "name dns.example and one of 2 pins",
  connection: {
    state: "open",
    ageMs: 720_000,
    security: "TLSv1.3 X25519MLKEM768",
    isResumed: true,
    inFlight: 3,
    served: 120,
    idleTimeoutMs: 7000,
    promisedIdleMs: 8000,
    learntIdleMs: undefined,
    idleClosesInMs: 4200,
    queriesMax: undefined,
    tickets: 2,
    backOff: undefined,
  },
  replies: 450,
  repliesBy: { authenticated: 450, encrypted: 0, clear: 0 },
  failures: 2,
  failuresInARow: 0,
  reuseRatio: 0.98,
  fullHandshakes: 3,
  resumedHandshakes: 14,
  smoothedMs: 12.34,
  avoidedForMs: 0,
  lastFailure: undefined,
  lastReplyAgoMs: 100,
  lookup: undefined,
};

const FAILING: UpstreamStatus = {
  ...WORKING,
  address: "2001:db8::53",
  state: "failing",
  connection: WORKING.connection && {
    ...WORKING.connection,
    state: "none",
    idleClosesInMs: undefined,
    promisedIdleMs: undefined,
    learntIdleMs: 3000,
    idleTimeoutMs: 3000,
    queriesMax: 5,
    backOff: { failureClass: "authentication", failuresInARow: 4, leftMs: 12_000 },
  },
  failuresInARow: 4,
  avoidedForMs: 4000,
  lastFailure: {
    atMs: 0,
    agoMs: 180_000,
    code: "ERR_TLS_NOT_AUTHENTICATED",
    stage: "authenticate",
    problem: `2001:db8::53 port 853 is not authenticated: the certificate is not for dns.example but for ${"evil\u001b[31m.example ".repeat(12)}`,
  },
};

function statusOf(upstreams: readonly UpstreamStatus[], portal?: PortalStatus): StubStatus {
  return {
    portal,
    answers: { answered: 1204, fromCache: 746, failed: 3, refused: 0 },
    zones: [
      { zone: ".", profile: "strict", choice: "fastest", state: upstreams[0]?.state ?? "untried", upstreams },
    ],
  };
}

const OPEN: PortalStatus = {
  isAllowed: true,
  opening: {
    names: ["portal.example."],
    server: { address: "192.0.2.254", port: 53 },
    openForMs: 60_000,
    leftMs: 200_000,
    queriesInClear: 12,
  },
  last: undefined,
  queriesInClear: 12,
};

test("a page tells of each upstream its state, proof, reuse, handshakes, timers and last failure", () => {
  assert.equal(
    statusText(statusOf([WORKING]), plain),
    `clients       1204 answers, 62 % of them from the cache, 3 failed

everything: profile strict, fastest; now ✓ authenticated
replies       450: authenticated 100 %, encrypted none, in clear none

✓ 192.0.2.53 port 853, TLS: authenticated by name dns.example
  must prove    name dns.example and one of 2 pins
  asked         450 replies, 98 % over a connection that was open, 12.3 ms each, 2 failures
  connection    open for 12 min; TLSv1.3 X25519MLKEM768, resumed; 120 replies over it; 3 queries in
                flight
  handshakes    3 full, 14 resumed; 2 tickets for the next
  timers        closes in 4 s when nobody asks; the server promised 8 s
`,
  );
  const failing = statusText(statusOf([FAILING]), plain);
  assert.match(failing, /^✗ 2001:db8::53 port 853, TLS: failing, next try in 12 s$/m);
  assert.match(failing, /^everything: .*; now ✗ nobody can be asked, and queries fail$/m);
  assert.match(failing, /left alone for 12 s \(authentication, 4 in a row\)/);
  assert.match(
    failing,
    /stays for 3 s without\s+queries; learnt from when the server closes; at most 5 queries on one/,
  );
  assert.match(failing, /last failure {2}3 min ago at authenticate: 2001:db8::53 port 853 is not/);
});

test("no line is longer than a terminal, and what strangers wrote cannot steer it", () => {
  for (const text of [
    statusText(statusOf([WORKING, FAILING], OPEN), plain),
    statusText(statusOf([{ ...FAILING, rung: "clear", identity: undefined, connection: undefined }]), plain),
  ]) {
    for (const line of text.split("\n")) assert.ok(line.length <= COLUMNS, line);
    assert.ok(!text.includes("\u001b"));
  }
});

test("colours only repeat what words say", () => {
  const status = statusOf([WORKING, FAILING], OPEN);
  const painted = statusText(status, coloured);
  assert.notEqual(painted, statusText(status, plain));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what colours are made of.
  assert.equal(painted.replaceAll(/\u001b\[[0-9;]*m/g, ""), statusText(status, plain));
});

test("an open portal is said before everything else, and after its end how much went in clear [8310-6.6-e] [7858-4.2-d]", () => {
  assert.ok(
    statusText(statusOf([WORKING], OPEN), plain).startsWith(
      `!!! DNS IS NOT PRIVATE for portal.example. and what is below
    these questions go in clear to 192.0.2.254 port 53, and answers are not validated; 12 questions
    so far; closes by itself in 3 min, or now with: sotto stub portal close
`,
    ),
  );
  const { opening } = OPEN;
  assert.ok(opening !== undefined);
  const last = { ...opening, reason: "its time is over", endedAgoMs: 5000 };
  const closed = { ...OPEN, opening: undefined, last };
  assert.match(
    statusText(statusOf([WORKING], closed), plain),
    /^portal {8}closed 5 s ago \(its time is over\); 12 questions went in clear since the start\n/,
  );
  const never = { ...OPEN, opening: undefined, queriesInClear: 0 };
  assert.match(statusText(statusOf([WORKING], never), plain), /^clients/);
});

test("an upstream that was not asked yet is one line and what it must prove", () => {
  const untried = { ...WORKING, state: "untried", replies: 0, failures: 0 } as const;
  const text = statusText(statusOf([untried]), plain);
  assert.match(
    text,
    /· 192\.0\.2\.53 port 853, TLS: not asked yet\n {2}must prove {4}name dns\.example and .*\n$/,
  );
  assert.doesNotMatch(text, /handshakes/);
});

test("durations, counts and shares are rounded for people", () => {
  const durations: [number, string][] = [
    [0, "0.0 ms"],
    [640.7, "641 ms"],
    [1000, "1 s"],
    [119_400, "119 s"],
    [120_000, "2 min"],
    [11_100_000, "3 h 5 min"],
    [187_200_000, "2 d 4 h"],
  ];
  for (const [ms, expected] of durations) assert.equal(durationText(ms), expected);
  assert.deepEqual(
    [0, 1, 2].map((count) => countText(count, "reply", "replies")),
    ["no reply", "1 reply", "2 replies"],
  );
  const shares: [number, number, string][] = [
    [0, 10, "0 %"],
    [1, 1000, "less than 1 %"],
    [999, 1000, "more than 99 %"],
    [1000, 1000, "100 %"],
    [1, 3, "33 %"],
  ];
  for (const [part, whole, expected] of shares) assert.equal(shareText(part, whole), expected);
});
