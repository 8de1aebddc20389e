/**
 * Writes the tests cells of docs/rfc from the tags in test titles, the counts of docs/rfc/README.md, and the requirements as
 * a module for reports. With `--mark-done`, open rows that have tests become done: look at each before you commit.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REQUIREMENT_TEXTS, requirementModule } from "../test/rfc/requirement-texts.ts";
import { findTestFiles, indexPage, readRows, rowToText, scanTags, testsCell } from "../test/rfc/tables.ts";

const root = join(import.meta.dirname, "..");
const folder = join(root, "docs", "rfc");
const marksDone = process.argv.includes("--mark-done");

const tags = findTestFiles(root, ["packages", "test"]).flatMap((file) =>
  scanTags(file, readFileSync(join(root, file), "utf8")),
);
const rows = readRows(folder);
for (const file of new Set(rows.map((row) => row.file))) {
  const lines = readFileSync(join(folder, file), "utf8").split("\n");
  for (const row of rows.filter((each) => each.file === file)) {
    const tests = testsCell(row.id, tags);
    const status = marksDone && row.status === "open" && tests !== "" ? "done" : row.status;
    lines[row.line] = rowToText(row, status, tests);
  }
  writeFileSync(join(folder, file), lines.join("\n"));
}
writeFileSync(join(folder, "README.md"), indexPage(readRows(folder)));
writeFileSync(join(root, REQUIREMENT_TEXTS), requirementModule(readRows(folder)));
