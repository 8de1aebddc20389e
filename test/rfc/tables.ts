/** The requirement tables of docs/rfc and the tags in test titles: read, compared and written. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../tidy/scan.ts";

/** What has become of a requirement. */
export const STATUSES = ["done", "partial", "open", "not applicable"] as const;
export type Status = (typeof STATUSES)[number];

/** One row of a table. */
export interface Row {
  readonly file: string;
  /** Index into the lines of the file. */
  readonly line: number;
  readonly cells: readonly string[];
  readonly id: string;
  readonly status: string;
  /** What the tests cell says now. */
  readonly tests: string;
}

/** Where a tag stands. */
export interface Tag {
  readonly id: string;
  readonly file: string;
  readonly title: string;
}

const ID = /^(?:[0-9]{4,5}-[A-Za-z0-9./-]+|dot-alpn-[a-z]|10029)$/;

/** All rows of the Markdown tables in a folder. */
export function readRows(folder: string): Row[] {
  const rows: Row[] = [];
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".md") || file === "README.md") continue;
    const lines = readFileSync(join(folder, file), "utf8").split("\n");
    for (const [line, text] of lines.entries()) {
      if (!text.startsWith("|") || text.startsWith("|---") || text.startsWith("| id |")) continue;
      const cells = text
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim());
      rows.push({
        file,
        line,
        cells,
        id: cells[0] ?? "",
        status: cells.at(-2) ?? "",
        tests: cells.at(-1) ?? "",
      });
    }
  }
  return rows;
}

/** The ids in the bracket groups that end a test title, as far as all words of a group are ids. */
export function tagsOf(title: string): string[] {
  const ids: string[] = [];
  let rest = title.trim();
  for (;;) {
    const group = /\s*\[([^[\]]+)\]$/.exec(rest);
    const words = group?.[1]?.split(/[\s,]+/) ?? [];
    if (group === null || !words.every((word) => ID.test(word))) return ids;
    ids.unshift(...words);
    rest = rest.slice(0, group.index);
  }
}

const TITLE = /"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`/y;

/**
 * Tags of the titles in one test file. A title is the first argument of a call, so that helpers around `test` count too; that of
 * a replay scenario is the comment in its first line.
 */
export function scanTags(file: string, text: string): Tag[] {
  if (file.endsWith(".rpl")) {
    const title = /^; *(.*)/.exec(text)?.[1] ?? "";
    return tagsOf(title).map((id) => ({ id, file, title }));
  }
  const tags: Tag[] = [];
  for (const call of codeOf(text).matchAll(/\w\(\s*(?=["`])/g)) {
    TITLE.lastIndex = call.index + call[0].length;
    const match = TITLE.exec(text);
    const title = match?.[1] ?? match?.[2] ?? "";
    for (const id of tagsOf(title)) tags.push({ id, file, title });
  }
  return tags;
}

/** All test files and replay scenarios below the given folders, relative to `root`. */
export function findTestFiles(root: string, folders: readonly string[]): string[] {
  return folders
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) =>
        join(folder, file),
      ),
    )
    .filter((file) => /\.(?:test\.ts|rpl)$/.test(file) && !file.includes("node_modules"))
    .sort();
}

/** The text of the tests cell for an id. */
export function testsCell(id: string, tags: readonly Tag[]): string {
  const files = new Set(tags.filter((tag) => tag.id === id).map((tag) => tag.file));
  return [...files]
    .sort()
    .map((file) => `\`${file}\``)
    .join(" ");
}

/** A row as a line of Markdown. */
export function rowToText(row: Row, status: string, tests: string): string {
  return `| ${[...row.cells.slice(0, -2), status, tests].join(" | ")} |`;
}

/** Everything that is wrong with tables and tags together, a sentence each. */
export function findProblems(rows: readonly Row[], tags: readonly Tag[]): string[] {
  const problems: string[] = [];
  const known = new Set<string>();
  for (const row of rows) {
    if (known.has(row.id)) problems.push(`${row.file}: ${row.id} stands in the tables twice`);
    known.add(row.id);
    if (!STATUSES.some((status) => status === row.status))
      problems.push(`${row.file}: ${row.id} has the unknown status "${row.status}"`);
    const cell = testsCell(row.id, tags);
    if (row.status === "done" && cell === "")
      problems.push(`${row.file}: ${row.id} is done, but no test title has [${row.id}]`);
    if (cell !== row.tests) problems.push(`${row.file}: ${row.id} has a stale tests cell, run npm run rfc`);
  }
  for (const tag of tags) {
    if (!known.has(tag.id)) problems.push(`${tag.file}: [${tag.id}] in "${tag.title}" is not in docs/rfc`);
  }
  return problems;
}

/** The index page of the tables: method and counts. */
export function indexPage(rows: readonly Row[]): string {
  const count = (file: string | undefined, status: Status): number =>
    rows.filter((row) => row.status === status && (file === undefined || row.file === file)).length;
  const counts = (file: string | undefined): string =>
    STATUSES.map((status) => count(file, status)).join(" | ");
  const pages = [...new Set(rows.map((row) => row.file))];
  return `# Requirements and the tests that prove them

One row for each requirement of the RFCs about DNS over TCP and TLS, and for those of the DNS core that a resolver is judged
on: id (RFC, section, letter), level (M must, MN must not, S should, SN should not, Y may, n testable but not normative, op for
operators), side (C client, F server facing clients, U resolver facing other servers, P proxy, A all), the requirement in our
words, its status, and the tests whose titles end in its id.

*done*: the tests prove it for every side that is built. *partial*: some of it, the row says what. *open*: not yet.
*not applicable*: the row says why. \`npm run rfc\` writes the tests cells and this page, and with \`-- --mark-done\` turns open
rows that have tests into done ones: look at each. \`test/rfc.test.ts\` fails when a done row has no test, a tag has no row, an id
stands twice, or a cell or this page is stale.

| page | ${STATUSES.join(" | ")} |
|---|${STATUSES.map(() => "---").join("|")}|
${pages.map((file) => `| [${file}](${file}) | ${counts(file)} |`).join("\n")}
| all | ${counts(undefined)} |
`;
}
