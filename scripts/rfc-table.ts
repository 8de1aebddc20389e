/**
 * Writes the tests cells of docs/rfc from the tags in test titles, and the counts of docs/rfc/README.md. With
 * `--mark-done`, open rows that have tests become done: look at each before you commit.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findTestFiles, readRows, rowToText, STATUSES, scanTags, testsCell } from "../test/rfc/tables.ts";

const root = join(import.meta.dirname, "..");
const folder = join(root, "docs", "rfc");
const marksDone = process.argv.includes("--mark-done");

const tags = findTestFiles(root, ["packages", "test"]).flatMap((file) =>
  scanTags(file, readFileSync(join(root, file), "utf8")),
);
const counts = new Map<string, Map<string, number>>();
for (const row of readRows(folder)) {
  const file = join(folder, row.file);
  const lines = readFileSync(file, "utf8").split("\n");
  const tests = testsCell(row.id, tags);
  const status = marksDone && row.status === "open" && tests !== "" ? "done" : row.status;
  lines[row.line] = rowToText(row, status, tests);
  writeFileSync(file, lines.join("\n"));
  const perFile = counts.get(row.file) ?? new Map<string, number>();
  perFile.set(status, (perFile.get(status) ?? 0) + 1);
  counts.set(row.file, perFile);
}

const header = `| page | ${STATUSES.join(" | ")} |\n|---|${STATUSES.map(() => "---").join("|")}|`;
const lines = [...counts].map(
  ([file, perFile]) =>
    `| [${file}](${file}) | ${STATUSES.map((status) => perFile.get(status) ?? 0).join(" | ")} |`,
);
const total = STATUSES.map((status) =>
  [...counts.values()].reduce((sum, perFile) => sum + (perFile.get(status) ?? 0), 0),
);
writeFileSync(
  join(folder, "README.md"),
  `# Requirements and the tests that prove them

One row for each requirement of the RFCs about DNS over TCP and TLS, and for those of the DNS core that a resolver is judged
on: id (RFC, section, letter), level (M must, MN must not, S should, SN should not, Y may, n testable but not normative, op for
operators), side (C client, F server facing clients, U resolver facing other servers, P proxy, A all), the requirement in our
words, its status, and the tests whose titles end in its id.

*done*: the tests prove it for every side that is built. *partial*: some of it, the row says what. *open*: not yet.
*not applicable*: the row says why. \`npm run rfc\` writes the tests cells and this table; \`test/rfc.test.ts\` fails when a done row
has no test, a tag has no row, or a cell is stale.

${header}
${lines.join("\n")}
| all | ${total.join(" | ")} |
`,
);
