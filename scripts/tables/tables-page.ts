/** The forms of the tables: a page in Markdown, the reports as JSON that `sotto probe report` reads, a page of HTML. */
import type { Environment } from "../../bench/peers/document.ts";
import {
  type Cell,
  loadRows,
  markdownText,
  pageText,
  reportFileText,
  sheetsOf,
  type TitledReport,
} from "../../packages/sotto/src/tools/probe/index.ts";
import type { Taken } from "./take-tables.ts";

/** Text of each file by the end of its name. */
export async function tablesFiles(
  { reports, missing }: Taken,
  environment: Environment,
  differences: string,
): Promise<Readonly<Record<"md" | "json", string> & { html?: string }>> {
  const rows = await loadRows();
  const bare = reports.map(withoutOctets);
  const json = fitting([reports, bare], reportFileText, JSON_OCTETS_MAX) ?? reportFileText(bare);
  const deckRows = new Set(
    [...rows("server"), ...rows("client")].flatMap(({ key, deck }) => (deck ? [key] : [])),
  );
  const ofDeck = (all: readonly TitledReport[], stepsMax: number): TitledReport[] =>
    all.map((one) => withEvidenceOf(one, deckRows, stepsMax));
  const html = fitting(
    [reports, bare, ...OTHER_STEPS.map((stepsMax) => ofDeck(reports, stepsMax)), ofDeck(bare, 0)],
    (all) => pageText(sheetsOf(all, rows)),
    HTML_OCTETS_MAX,
  );
  const md = `${head(environment, html !== undefined)}
${missing.map((sentence) => `**${sentence}**\n\n`).join("")}${markdownText(sheetsOf(reports, rows))}
${differences}`;
  return { md, json, ...(html === undefined ? {} : { html }) };
}

function head({ node, openssl, kernel, packages }: Environment, hasPage: boolean): string {
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  const page = hasPage
    ? " The cells of 2016's rows, and as far as three megabytes last the others, with what was seen on the wire: [tables.html](tables.html), to be opened in a browser."
    : "";
  return `# The tables of 2016, as of today

Written by \`npm run evidence -- --write\` on Node ${node}, OpenSSL ${openssl}, Linux ${kernel}, with Debian's
${versions.join(", ")}. Do not edit; the last section is by hand, in scripts/tables/differences.md.

All of them were on loopback; as root the program runs in a network namespace with \`net.ipv4.tcp_fastopen=3\`. Each server is configured for all that its
release can do of the rows of 2016 (scripts/tables/table-servers.ts): servers resolve a zone of NSD, and NGINX, HAProxy, stunnel and
dnsdist stand before unbound. As root there are also the signed, wrongly signed and unsigned zones of \`sotto playground --expose\`, from a root of
their own, whose hints and trust anchor the resolvers have. Idle timers are ten seconds, and
ports are above 1024. Clients are probed as \`sotto probe client --preset\` runs them.${page} [tables.json](tables.json) is for \`sotto probe report\`.
`;
}

/** The first text that is not too large; undefined: all are. */
function fitting(
  choices: readonly (readonly TitledReport[])[],
  write: (reports: readonly TitledReport[]) => string,
  octetsMax: number,
): string | undefined {
  return choices.map(write).find((text) => Buffer.byteLength(text) <= octetsMax);
}

/** The octets are the most of it; what they were stays, in words. */
function withoutOctets({ title, report }: TitledReport): TitledReport {
  return { title, report: { ...report, cells: report.cells.map(withoutOctetsOf) } };
}

function withoutOctetsOf(cell: Cell): Cell {
  return { ...cell, evidence: cell.evidence.map(({ atMs, who, what }) => ({ atMs, who, what })) };
}

/** Rows of later times keep what was observed, in a sentence, and exchanges of so many steps at most, without octets. */
function withEvidenceOf(
  { title, report }: TitledReport,
  rows: ReadonlySet<string>,
  stepsMax: number,
): TitledReport {
  const cells = report.cells.map((cell) => {
    if (rows.has(cell.row)) return cell;
    return cell.evidence.length <= stepsMax ? withoutOctetsOf(cell) : { ...cell, evidence: [] };
  });
  return { title, report: { ...report, cells } };
}

/** Tried one after the other: short exchanges, such as one question about validation, say most for their length. */
const OTHER_STEPS = [40, 25, 15, 12, 10, 5, 0];
const JSON_OCTETS_MAX = 1_500_000;
const HTML_OCTETS_MAX = 3_000_000;
