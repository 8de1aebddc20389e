/**
 * One line and an exit code for monitoring plugins, with the tests and codes of getdns_server_mon (`-M`), so that its
 * commands can be replaced one by one. `all` looks at every row at once.
 */
import { tryDecodeMessage, tryHexToOctets } from "@sotto/dns/wire";
import type { Cell, ProbeReport } from "../model.ts";
import { tryReadCertificate } from "./describe-octets.ts";
import { isSilent } from "./sheet.ts";
import { visible } from "./words.ts";

/** Exit codes of monitoring plugins. */
export const NagiosExit = { Ok: 0, Warning: 1, Critical: 2, Unknown: 3 } as const;
export type NagiosExit = (typeof NagiosExit)[keyof typeof NagiosExit];

/** A status with its line, without line end. */
export interface NagiosResult {
  readonly exit: NagiosExit;
  readonly line: string;
}

/** Milliseconds above which, or days at or below which, the status is warning or critical. */
export interface Thresholds {
  readonly warning: number;
  readonly critical: number;
}

/** getdns_server_mon has both the other way round, so that its warning never comes. */
const RTT_MS_DEFAULT: Thresholds = { warning: 250, critical: 500 };
/** Days until the end of the certificate, as there. */
const DAYS_DEFAULT: Thresholds = { warning: 14, critical: 7 };

/** Characters of one line of a plugin; more are cut off by some monitors. */
const LINE_CHARACTERS_MAX = 1000;

interface Plain {
  /** Key of the row. */
  readonly row: string;
  readonly ok: string;
  readonly bad: string;
  /** What anything but released is; getdns_server_mon warns where a thing is good to have. */
  readonly severity: NagiosExit;
}

/** Tests that are a row. */
const PLAIN: Readonly<Record<string, Plain>> = {
  keepalive: {
    row: "keepalive",
    ok: "Server sent keepalive",
    bad: "Server did not send keepalive",
    severity: NagiosExit.Critical,
  },
  OOOR: {
    row: "out-of-order",
    ok: "Responses are not in query order",
    bad: "Responses are in query order",
    severity: NagiosExit.Critical,
  },
  "qname-min": {
    row: "qname-minimisation",
    ok: "QNAME minimisation ON",
    bad: "QNAME minimisation OFF",
    severity: NagiosExit.Warning,
  },
  "dnssec-validate": {
    row: "dnssec",
    ok: "Server validates DNSSEC",
    bad: "Server does NOT validate DNSSEC",
    severity: NagiosExit.Critical,
  },
  "tls-auth": {
    row: "certificate",
    ok: "Authentication succeeded",
    bad: "Authentication failed",
    severity: NagiosExit.Critical,
  },
  "tls-padding": {
    row: "padding",
    ok: "Padding found",
    bad: "No padding found",
    severity: NagiosExit.Critical,
  },
  "tls-1.3": {
    row: "tls-versions",
    ok: "Server supports TLS 1.3",
    bad: "Server does not support TLS 1.3",
    severity: NagiosExit.Critical,
  },
};

/** Names of tests, in getdns_server_mon's order, and `all`. */
export const NAGIOS_TESTS: readonly string[] = [
  "lookup",
  "rtt",
  "qname-min",
  "tls-auth",
  "tls-cert-valid",
  "tls-padding",
  "keepalive",
  "dnssec-validate",
  "tls-1.3",
  "OOOR",
  "all",
];

/** Judges a report; `thresholds` are for `rtt` (milliseconds) and `tls-cert-valid` (days). */
export function nagiosResult(
  report: ProbeReport,
  test: string,
  thresholds?: Thresholds | undefined,
): NagiosResult {
  const plain = Object.hasOwn(PLAIN, test) ? PLAIN[test] : undefined;
  if (plain !== undefined) return judgePlain(report, plain);
  if (test === "lookup" || test === "rtt") return judgeTime(report, test, thresholds ?? RTT_MS_DEFAULT);
  if (test === "tls-cert-valid") return judgeCertificate(report, thresholds ?? DAYS_DEFAULT);
  return judgeAll(report);
}

/** What a monitor is told when there is no report to judge. */
export function nagiosUnknown(problem: string): NagiosResult {
  return result(NagiosExit.Unknown, problem);
}

function judgePlain(report: ProbeReport, { row, ok, bad, severity }: Plain): NagiosResult {
  const cell = report.cells.find((one) => one.row === row);
  if (cell === undefined) return result(NagiosExit.Unknown, "the report has no such row");
  if (isUntold(cell)) return result(NagiosExit.Unknown, cell.observed);
  if (cell.verdict === "released") return result(NagiosExit.Ok, `${ok}: ${cell.observed}`);
  // What is there and not right has words of its own: neither of the test's two would be true.
  if (cell.verdict === "broken") return result(NagiosExit.Critical, cell.observed);
  if (cell.verdict === "partial") return result(NagiosExit.Warning, cell.observed);
  return result(severity, `${bad}: ${cell.observed}`);
}

function isUntold(cell: Cell): boolean {
  return cell.verdict === "not testable" || cell.verdict === "not applicable";
}

/** The shortest time between a query and its reply in the evidence: the others had reason to take longer. */
function judgeTime(report: ProbeReport, test: string, { warning, critical }: Thresholds): NagiosResult {
  const ms = report.cells.reduce((least, cell) => Math.min(least, shortestReplyMs(cell)), NEVER);
  if (ms === NEVER) return result(NagiosExit.Critical, "no query was answered");
  const performance = `rtt=${ms.toFixed(1)}ms;${warning};${critical};0`;
  if (test === "lookup") return result(NagiosExit.Ok, "Lookup succeeded", performance);
  const exit = ms > critical ? NagiosExit.Critical : ms > warning ? NagiosExit.Warning : NagiosExit.Ok;
  return result(exit, `RTT lookup succeeded in ${ms.toFixed(1)} ms`, performance);
}

const NEVER = Number.POSITIVE_INFINITY;

/** A reply belongs to the last query before it with its id. */
function shortestReplyMs({ evidence }: Cell): number {
  const sent = new Map<number, number>();
  let leastMs = NEVER;
  for (const { who, octets, atMs } of evidence) {
    const read = octets === undefined ? undefined : tryHexToOctets(octets);
    const message = read?.ok === true ? tryDecodeMessage(read.value) : undefined;
    if (message?.ok !== true) continue;
    const { id, isResponse } = message.value;
    if (who === "prober" && !isResponse) sent.set(id, atMs);
    const since = sent.get(id);
    if (who === "target" && isResponse && since !== undefined && atMs >= since)
      leastMs = Math.min(leastMs, atMs - since);
  }
  return leastMs;
}

/** The end of the certificate that the server presented first. */
function judgeCertificate(report: ProbeReport, { warning, critical }: Thresholds): NagiosResult {
  const cell = report.cells.find(({ row }) => row === "certificate");
  if (cell === undefined) return result(NagiosExit.Unknown, "the report has no such row");
  const certificate = cell.evidence
    .flatMap(({ octets = "" }) => {
      const read = tryHexToOctets(octets);
      return read.ok ? [tryReadCertificate(read.value)] : [];
    })
    .find((found) => found !== undefined);
  if (certificate === undefined)
    return result(
      isUntold(cell) ? NagiosExit.Unknown : NagiosExit.Critical,
      `No PKIX certificate: ${cell.observed}`,
    );
  const days = Math.floor((Date.parse(certificate.validTo) - Date.parse(report.startedAt)) / DAY_MS);
  if (Number.isNaN(days)) return result(NagiosExit.Unknown, "the dates of the report are unreadable");
  const performance = `days=${days};${warning};${critical}`;
  if (days < 0)
    return result(NagiosExit.Critical, `Certificate expired ${-days} day${plural(-days)} ago`, performance);
  const exit = days <= critical ? NagiosExit.Critical : days <= warning ? NagiosExit.Warning : NagiosExit.Ok;
  const text =
    days === 0 ? "Certificate expires today" : `Certificate will expire in ${days} day${plural(days)}`;
  return result(exit, text, performance);
}

const DAY_MS = 86_400_000;

function plural(count: number): string {
  return count === 1 ? "" : "s";
}

/** Broken is critical, partial a warning; what is off or not there is the operator's choice. */
function judgeAll(report: ProbeReport): NagiosResult {
  const { cells } = report;
  const keys = (verdict: Cell["verdict"]): string[] =>
    cells.filter((cell) => cell.verdict === verdict).map(({ row }) => row);
  const [broken, partial, released] = [keys("broken"), keys("partial"), keys("released")];
  const applicable = cells.filter((cell) => !isUntold(cell));
  const performance = `released=${released.length} partial=${partial.length} broken=${broken.length} rows=${applicable.length}`;
  if (applicable.length === 0)
    return result(NagiosExit.Unknown, cells[0]?.observed ?? "nothing was probed", performance);
  if (isSilent(report))
    return result(NagiosExit.Critical, `nothing answers: ${applicable[0]?.observed ?? ""}`, performance);
  const told = `${released.length} of ${applicable.length} rows released`;
  if (broken.length > 0)
    return result(NagiosExit.Critical, `${told}, broken: ${broken.join(", ")}`, performance);
  if (partial.length > 0)
    return result(NagiosExit.Warning, `${told}, partial: ${partial.join(", ")}`, performance);
  return result(NagiosExit.Ok, told, performance);
}

const WORDS: Readonly<Record<NagiosExit, string>> = { 0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN" };

/** The bar divides text and figures, so that a text must not have one. A long text gives way to the figures behind it. */
function result(exit: NagiosExit, text: string, performance = ""): NagiosResult {
  const before = `DNS SERVER ${WORDS[exit]} - `;
  const behind = performance === "" ? "" : `|${performance}`;
  const textCharactersMax = LINE_CHARACTERS_MAX - before.length - behind.length - CUT_SIGN_CHARACTERS;
  return { exit, line: `${before}${visible(text, textCharactersMax).replaceAll("|", "/")}${behind}` };
}

/** The sign of what was cut off a text. */
const CUT_SIGN_CHARACTERS = 1;
