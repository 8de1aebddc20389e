/** Invented reports, for tests of their forms: nothing here was ever probed. */
import {
  encodeMessage,
  makeEdns,
  makeKeepalive,
  makeMessage,
  makePadding,
  octetsToHex,
  parseName,
  parseRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import type { Cell, Confidence, EvidenceStep, ProbeReport, Row, Verdict } from "../model.ts";
import { type Sheet, sheetsOf, type TitledReport } from "./sheet.ts";

export const INVENTED_ROWS: readonly Row[] = [
  row("fast-open", "TCP Fast Open", "Does it take a query in the SYN?"),
  row(
    "pipelining",
    "Process pipelined queries",
    "Does it read queries before it has answered the one before?",
  ),
  row("out-of-order", "Provide OOOR", "Is a quick answer sent before a slow one that was asked for earlier?"),
  row("keepalive", "EDNS0 Keepalive", "Does it tell how long a connection may be idle, and keep its word?"),
  row("tls", "TLS on port 853", "Does it answer over TLS?"),
  row("certificate", "Provide server certificate", "Can a client tell that it is the right server?"),
  row("padding", "EDNS0 Padding", "Are answers padded to blocks when the query was?"),
  {
    key: "resumption",
    title: "Session resumption",
    question: "Does a second connection resume the first's session?",
  },
  { key: "alpn", title: "ALPN dot", question: "Does it choose the protocol dot?" },
];

function row(key: string, title: string, question: string): Row {
  return { key, title, question, deck: "servers" };
}

const question = { name: parseName("www.example."), type: RRType.A, class: RRClass.IN };
const query = octetsToHex(
  encodeMessage(
    makeMessage({
      id: 4660,
      recursionDesired: true,
      questions: [question],
      edns: makeEdns({ options: [makeKeepalive(undefined), makePadding(64)] }),
    }),
  ),
);
const reply = octetsToHex(
  encodeMessage(
    makeMessage({
      id: 4660,
      isResponse: true,
      recursionDesired: true,
      recursionAvailable: true,
      questions: [question],
      answers: [parseRecord("www.example. 300 IN A 192.0.2.1")],
      edns: makeEdns({ options: [makeKeepalive(100)] }),
    }),
  ),
);

/** A query, its reply 12.5 ms later, and a pause of ten seconds. */
const EXCHANGE: readonly EvidenceStep[] = [
  { atMs: 0, who: "note", what: "connected in 0.4 ms, TLS 1.3 in 6.1 ms" },
  { atMs: 7, who: "prober", what: "query with an empty keepalive option", octets: query },
  { atMs: 19.5, who: "target", what: "reply with keepalive of 10 s", octets: reply },
  { atMs: 10_021, who: "target", what: "close_notify, then FIN" },
  { atMs: 10_022, who: "target", what: "octets that are no message", octets: "16030100020100" },
];

export function inventedCell(
  key: string,
  verdict: Verdict,
  observed: string,
  confidence: Confidence = "certain",
  requirements: readonly string[] = [],
  evidence: readonly EvidenceStep[] = [],
): Cell {
  return { row: key, verdict, confidence, observed, requirements, evidence };
}

export function inventedReport(
  target: string,
  cells: readonly Cell[],
  kind: ProbeReport["kind"] = "server",
): ProbeReport {
  return { kind, target, startedAt: "2026-11-29T12:00:00.000Z", tookMs: 12_345, cells };
}

/** A good server, and one that has everything that can be wrong. */
export const INVENTED: readonly TitledReport[] = [
  {
    title: "Unbound 1.26",
    report: inventedReport("tls://dns.example?ip=192.0.2.1", [
      inventedCell("fast-open", "off", "the kernel would, and the listener does not ask for it", "likely"),
      inventedCell("pipelining", "released", "20 of 20 queries in one segment were answered", "certain", [
        "7766-6.2.1.1-c",
      ]),
      inventedCell("out-of-order", "released", "the second reply came 287 ms before the first", "certain", [
        "7766-7-a",
      ]),
      inventedCell(
        "keepalive",
        "released",
        "told 10.0 s, closed after 10.0 s",
        "certain",
        ["7828-3.3.2-b", "7828-3.3.2-a"],
        EXCHANGE,
      ),
      inventedCell("tls", "released", "TLS 1.3, X25519MLKEM768"),
      inventedCell(
        "certificate",
        "released",
        "chain to a known authority, name dns.example, valid to 2026-12-10T00:00:00Z",
      ),
      inventedCell("padding", "released", "replies of 468, 468 and 936 octets", "certain", ["8467-4.1-b"]),
      inventedCell("resumption", "released", "the second handshake resumed"),
      inventedCell("alpn", "none", "no protocol was chosen"),
    ]),
  },
  {
    title: "192.0.2.2",
    report: inventedReport("192.0.2.2", [
      inventedCell("fast-open", "not testable", "this machine has no counters of it"),
      inventedCell(
        "pipelining",
        "partial",
        "7 of 20 queries were answered, then the connection was reset",
        "likely",
      ),
      inventedCell("out-of-order", "none", "replies came in the order of the queries in 3 rounds", "guess"),
      inventedCell("keepalive", "broken", "told 30.0 s and closed after 4.0 s", "certain", [
        "7828-3.3.2-b",
        "x-own",
      ]),
      inventedCell("tls", "none", "port 853 refuses connections"),
      inventedCell("certificate", "not applicable", "no TLS"),
      inventedCell("padding", "not applicable", "no TLS"),
      inventedCell("new-row", "released", "from a later version"),
    ]),
  },
];

/** The sheets of the reports with the invented rows. */
export function inventedSheets(reports: readonly TitledReport[] = INVENTED): Sheet[] {
  return sheetsOf(reports, () => INVENTED_ROWS);
}

/** What a server could try to smuggle into a report, in every text of it. */
export const HOSTILE =
  "</title></td><script>alert(1)</script>\"'&<img src=https://evil.example/x>]]>|`*_\u001b[2J\u0007\r\n\u202e\u2028\ud800";

export const HOSTILE_REPORT: TitledReport = {
  title: HOSTILE,
  report: {
    kind: "server",
    target: HOSTILE,
    startedAt: HOSTILE,
    tookMs: 1,
    cells: [
      {
        row: HOSTILE,
        verdict: "broken",
        confidence: "guess",
        observed: HOSTILE,
        requirements: [HOSTILE],
        evidence: [
          { atMs: 0, who: "target", what: HOSTILE },
          { atMs: 1, who: "target", what: HOSTILE, octets: "3c7363726970743e" },
        ],
      },
      { ...inventedCell("keepalive", "broken", HOSTILE), requirements: [HOSTILE] },
    ],
  },
};
