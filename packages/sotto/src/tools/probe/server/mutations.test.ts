/**
 * The prober against every server of the catalogue: each defect turns exactly its cells. A defect that a prober cannot get
 * past mutes what rests on it, and what a server may do turns nothing.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CATALOGUE } from "../../../testserver/catalogue.ts";
import type { ProbeReport } from "../model.ts";
import { SERVER_ROWS } from "../rows-server.ts";
import { IDLE_ROW, SERVER_CHECKS } from "./probe-server.ts";
import { cellOf, ProbedFixtures } from "./probed-fixtures.test-support.ts";
import { MUTE, NO_HANDSHAKE, turnedCells } from "./turned-cells.test-support.ts";

/** Queries with OPT get no answer. */
const NO_EDNS = ["edns-udp: broken", "edns-tcp: broken", "edns-tls: broken", "dnssec: not testable"];

/** Queries with OPT get an error with OPT. */
const OPT_ANSWERED_BY_ERROR = [...NO_EDNS, "extended-errors: none"];

/** Queries with OPT get an error without OPT. */
const OPT_REFUSED = ["keepalive: none", "padding: none", ...OPT_ANSWERED_BY_ERROR];

/** One answer on each connection, which then ends. */
const ONE_ANSWER = [
  "pipelining: none",
  "out-of-order: not testable",
  "keepalive: broken",
  "reuse: none",
  "two-in-one: none",
  "in-flight: partial",
  "idle-timeout: partial",
];

const TURNED: Readonly<Record<string, readonly string[]>> = {
  good: [],
  "answers-late": [MUTE, "tls: broken", "udp: broken", "tcp: broken"],
  "never-answers": [MUTE, "tls: broken", "udp: broken", "tcp: broken"],
  refused: [
    "edns-udp: partial",
    "edns-tcp: partial",
    "edns-tls: partial",
    "odd-requests: partial",
    "dnssec: not testable",
    "extended-errors: released",
  ],
  servfail: [
    "edns-udp: partial",
    "edns-tcp: partial",
    "edns-tls: partial",
    "odd-requests: partial",
    "dnssec: not testable",
    "extended-errors: none",
    "ddr: not testable",
  ],
  truncated: [],
  "truncated-without-tcp": [
    "fast-open: not testable",
    "pipelining: not testable",
    "out-of-order: not testable",
    "keepalive: not testable",
    "reuse: not testable",
    "tcp: broken",
    "replies: not testable",
    "two-in-one: not testable",
    "segmentation: not testable",
    "half-close: not testable",
    "in-flight: not testable",
    "idle-timeout: not testable",
    "edns-tcp: not testable",
    "odd-requests: not testable",
    "dnssec: not testable",
  ],
  "wrong-id": [MUTE, "tls: broken", "udp: broken", "tcp: broken"],
  "wrong-id-first": ["replies: broken"],
  "wrong-question": [MUTE, "tls: broken", "udp: broken", "tcp: broken"],
  "no-question": ["padding: partial", "replies: broken"],
  "query-bit": [MUTE, "tls: broken", "udp: broken", "tcp: broken"],
  "answers-twice": ["replies: broken"],
  unsolicited: ["replies: broken"],
  "old-id": ["replies: broken"],
  garbage: [MUTE, "tls: broken", "udp: broken", "tcp: broken"],
  cut: [MUTE, "tls: broken", "udp: broken", "tcp: broken"],
  "trailing-octets": [MUTE, "tls: broken", "udp: broken", "tcp: broken"],
  "octet-by-octet": [],
  "split-length": [],
  "empty-frame": ["replies: broken"],
  "length-too-long": [MUTE, "tls: broken", "tcp: broken"],
  "length-too-short": [MUTE, "tls: broken", "tcp: broken"],
  "two-in-one": [],
  "half-fin": [MUTE, "tls: broken", "tcp: broken"],
  "half-rst": [MUTE, "tls: broken", "tcp: broken"],
  "half-silence": [MUTE, "tls: broken", "tcp: broken"],
  reversed: [],
  "in-order": ["out-of-order: none"],
  "first-only": ["pipelining: partial", "out-of-order: none", "two-in-one: none", "in-flight: partial"],
  "keepalive-absent": ["keepalive: none"],
  "keepalive-0": ["keepalive: partial"],
  "keepalive-1": ["idle-timeout: partial"],
  "keepalive-max": [],
  "keepalive-lies-long": ["keepalive: broken"],
  "keepalive-lies-short": ["keepalive: partial"],
  "keepalive-one-octet": ["keepalive: broken"],
  "keepalive-three-octets": ["keepalive: broken"],
  "keepalive-empty": ["keepalive: broken"],
  "keepalive-changes": ["keepalive: partial"],
  "keepalive-vanishes": ["keepalive: partial"],
  "keepalive-unasked": [],
  "keepalive-udp": ["keepalive: broken"],
  "padding-none": ["padding: none"],
  "padding-block-128": ["padding: partial"],
  "padding-too-small": ["padding: partial"],
  "padding-nonzero": ["padding: partial"],
  "padding-twice": ["padding: broken"],
  "padding-first": ["padding: partial"],
  "padding-unasked": [],
  "padding-without-edns": ["padding: broken", "edns-tls: partial"],
  "padding-in-clear": ["padding: broken"],
  "padding-over-size": ["padding: broken"],
  "edns-formerr": OPT_REFUSED,
  "edns-formerr-with-opt": OPT_ANSWERED_BY_ERROR,
  "edns-notimp": OPT_REFUSED,
  "edns-drop": ["keepalive: none", "padding: none", ...NO_EDNS, "cookies: broken"],
  "edns-drop-unknown": ["edns-udp: partial", "edns-tcp: partial", "edns-tls: partial"],
  "edns-badvers": OPT_ANSWERED_BY_ERROR,
  "edns-echo": [
    "keepalive: broken",
    "padding: broken",
    "edns-udp: partial",
    "edns-tcp: partial",
    "edns-tls: partial",
    "cookies: broken",
  ],
  "edns-no-opt": [
    "keepalive: none",
    "padding: none",
    "edns-udp: broken",
    "edns-tcp: broken",
    "edns-tls: broken",
  ],
  "edns-do-cleared": ["edns-udp: partial", "edns-tcp: partial", "edns-tls: partial"],
  "edns-two-opts": [
    "keepalive: none",
    "padding: none",
    "edns-udp: broken",
    "edns-tcp: broken",
    "edns-tls: broken",
    "dnssec: not testable",
    "cookies: broken",
  ],
  "edns-version-1": ["edns-udp: broken", "edns-tcp: broken", "edns-tls: broken"],
  "edns-unasked": ["edns-udp: partial", "edns-tcp: partial", "edns-tls: partial"],
  "port-closed": [MUTE, "tcp: none"],
  "drops-syn": [MUTE, "tcp: none"],
  "accept-fin": [MUTE, NO_HANDSHAKE, "tls: broken", "tcp: broken", "tls-versions: not testable"],
  "accept-rst": [MUTE, NO_HANDSHAKE, "tls: broken", "tcp: broken", "tls-versions: not testable"],
  "accept-silence": [MUTE, NO_HANDSHAKE, "tls: broken", "tcp: broken", "tls-versions: not testable"],
  "query-fin": [MUTE, "tls: broken", "tcp: broken"],
  "query-rst": [MUTE, "tls: broken", "tcp: broken"],
  "one-query": ONE_ANSWER,
  "one-query-rst": ONE_ANSWER,
  "one-query-silence": [
    "pipelining: none",
    "out-of-order: not testable",
    "keepalive: none",
    "reuse: none",
    "replies: broken",
    "two-in-one: none",
    "in-flight: partial",
    "edns-tcp: broken",
    "edns-tls: broken",
    "odd-requests: partial",
  ],
  "one-query-no-close-notify": ONE_ANSWER,
  "one-query-only-close-notify": ONE_ANSWER,
  "after-3-fin": [
    "pipelining: partial",
    "reuse: partial",
    "in-flight: partial",
    "out-of-order: not testable",
  ],
  "after-3-rst": [
    "pipelining: partial",
    "reuse: partial",
    "in-flight: partial",
    "out-of-order: not testable",
  ],
  "after-50-fin": [],
  "connections-2": [],
  "idle-fin": [],
  "idle-rst": [],
  "idle-silence": ["keepalive: partial"],
  "idle-no-close-notify": [],
  "idle-only-close-notify": [],
  "fast-open": [],
  "tls-1.0-only": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: broken"],
  "tls-1.1-only": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: broken"],
  "tls-1.2-only": ["tls-versions: partial"],
  "tls-1.3-only": [],
  "alpn-none": ["alpn: none"],
  "alpn-h2": ["alpn: broken"],
  "sni-required": ["sni: partial"],
  "client-certificate": [MUTE, "tls: broken"],
  "tickets-none": ["tls-versions: partial", "resumption: none"],
  "tickets-refused": ["resumption: none"],
  cleartext: [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: not testable"],
  http: [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: not testable"],
  alert: [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: broken"],
  "certificate-wildcard": [],
  "certificate-address-only": ["certificate: broken"],
  "certificate-wrong-name": ["certificate: broken"],
  "certificate-name-in-cn-only": ["certificate: broken"],
  "certificate-expired": ["certificate: broken"],
  "certificate-not-yet-valid": ["certificate: broken"],
  "certificate-self-signed": ["certificate: broken"],
  "certificate-other-authority": ["certificate: broken"],
  "certificate-no-intermediate": ["certificate: broken"],
  "certificate-new-key": ["certificate: broken"],
  "certificate-client-usage": ["certificate: broken"],
  "certificate-sha1": ["certificate: broken"],
  "certificate-rsa-1024": ["certificate: broken"],
  "handshake-before-hello-silence": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: not testable"],
  "handshake-before-hello-fin": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: not testable"],
  "handshake-before-hello-rst": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: not testable"],
  // Half of a flight is enough to see that its version is spoken.
  "handshake-in-first-flight-silence": [MUTE, NO_HANDSHAKE, "tls: broken"],
  "handshake-in-first-flight-fin": [MUTE, NO_HANDSHAKE, "tls: broken"],
  "handshake-in-first-flight-rst": [MUTE, NO_HANDSHAKE, "tls: broken"],
  "handshake-before-finished-silence": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: partial"],
  "handshake-before-finished-fin": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: partial"],
  "handshake-before-finished-rst": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: partial"],
  "handshake-in-last-flight-silence": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: partial"],
  "handshake-in-last-flight-fin": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: partial"],
  "handshake-in-last-flight-rst": [MUTE, NO_HANDSHAKE, "tls: broken", "tls-versions: partial"],
  "handshake-after-handshake-silence": [MUTE, "tls: broken"],
  "handshake-after-handshake-fin": [MUTE, "tls: broken"],
  "handshake-after-handshake-rst": [MUTE, "tls: broken"],
};

const fixtures = new ProbedFixtures();
let good: ProbeReport;

before(async () => {
  await fixtures.start(Object.keys(TURNED));
  good = await fixtures.probe("good");
});
after(() => fixtures.close());

test("the table has every server of the catalogue", () => {
  const withPorts = CATALOGUE.filter(({ switchedBy }) => switchedBy.includes("port")).map(({ name }) => name);
  assert.deepEqual(Object.keys(TURNED).sort(), withPorts.sort());
});

test("every row of the table has a check, and every check a row", () => {
  const checked = [...SERVER_CHECKS.map(({ row }) => row), IDLE_ROW];
  assert.deepEqual(checked.sort(), SERVER_ROWS.map(({ key }) => key).sort());
});

test("the good server is released in every row of 2016 but Fast Open, which it does not ask for", () => {
  const rows = SERVER_ROWS.filter(({ deck }) => deck === "servers").map(({ key }) => key);
  assert.equal(rows.length, 7);
  for (const row of rows.filter((one) => one !== "fast-open")) {
    const { verdict, observed, evidence } = cellOf(good, row);
    assert.equal(verdict, "released", `${row}: ${observed}`);
    assert.ok(evidence.length > 2, `${row} has evidence`);
    assert.ok(
      evidence.some(({ octets }) => octets !== undefined),
      `${row} has octets`,
    );
  }
});

test("a report has one cell for each row, in the table's order", () => {
  assert.deepEqual(
    good.cells.map(({ row }) => row),
    SERVER_ROWS.map(({ key }) => key),
  );
});

test("each defect turns exactly its cells", async (context) => {
  for (const [name, expected] of Object.entries(TURNED)) {
    const report = await fixtures.probe(name);
    const told = report.cells.map(({ row, verdict, observed }) => `${row}: ${verdict}, ${observed}`);
    assert.deepEqual(turnedCells(report, good).sort(), [...expected].sort(), `${name}\n${told.join("\n")}`);
    context.diagnostic(`${name}: ${expected.length === 0 ? "nothing turns" : expected.join(", ")}`);
  }
});

test("what only a thorough probe sees: limits of connections, and of queries on one", async () => {
  const isThorough = true;
  const thorough = await fixtures.probe("good", { isThorough });
  assert.equal(cellOf(thorough, "connections").verdict, "released");
  assert.equal(cellOf(thorough, "reuse").verdict, "released");
  assert.equal(cellOf(thorough, "in-flight").verdict, "released");
  const few = await fixtures.probe("connections-2", { isThorough });
  assert.equal(cellOf(few, "connections").verdict, "partial");
  const short = await fixtures.probe("after-50-fin", { isThorough });
  assert.equal(cellOf(short, "reuse").verdict, "partial");
  assert.match(cellOf(short, "reuse").observed, /50 queries/);
});

test("without a name of known delay the evidence says that names were looked up, and here it cannot be known", async () => {
  const names = { existing: "www.test", below: "test" };
  const cell = cellOf(await fixtures.probe("in-order", { names }), "out-of-order");
  assert.equal(cell.verdict, "not testable");
  assert.match(cell.observed, /--delay-name/);
  assert.ok(cell.evidence.some(({ what }) => what.startsWith("without a name of known delay")));
});

test("names that take long to look up stand for a name of known delay, and the verdict says so [rfc7766#7]", async () => {
  const names = { existing: "www.test", below: "d300-x.test" };
  const free = cellOf(await fixtures.probe("good", { names }), "out-of-order");
  const bound = cellOf(await fixtures.probe("in-order", { names }), "out-of-order");
  assert.deepEqual([free.verdict, free.confidence], ["released", "certain"]);
  assert.deepEqual([bound.verdict, bound.confidence], ["none", "likely"]);
  for (const { observed } of [free, bound]) assert.match(observed, /had to be looked up/);
});
