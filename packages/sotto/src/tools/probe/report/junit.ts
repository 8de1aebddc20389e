/**
 * JUnit's XML: a suite for each target, a case for each row. What is broken fails, and what has to be released and is not;
 * all else that is not released counts as skipped, with its verdict as the reason. Of a target that nothing was seen of, all fail.
 */
import type { Cell } from "../model.ts";
import { type Column, cellsOf, isSilent, type Sheet } from "./sheet.ts";
import { VERDICTS, visible } from "./words.ts";

/** The document; `required` are keys of rows that must be released. */
export function junitText(sheets: readonly Sheet[], required: ReadonlySet<string>): string {
  const suites = sheets.flatMap((sheet) => sheet.columns.map((column) => suiteText(sheet, column, required)));
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="sotto probe">\n${suites.join("")}</testsuites>\n`;
}

/** True when a cell makes a probe a failure. */
export function fails(key: string, cell: Cell | undefined, required: ReadonlySet<string>): boolean {
  if (required.has(key)) return cell?.verdict !== "released" && cell?.verdict !== "not applicable";
  return cell?.verdict === "broken";
}

function suiteText(sheet: Sheet, column: Column, required: ReadonlySet<string>): string {
  const cases = [...cellsOf(sheet)].filter(
    (one) => one.column === column && (one.cell !== undefined || required.has(one.row.key)),
  );
  const isDead = isSilent(column.report);
  const isFailure = ({ row, cell }: (typeof cases)[number]): boolean =>
    fails(row.key, cell, required) || (isDead && cell?.verdict !== "not applicable");
  const failed = cases.filter(isFailure);
  const skipped = cases.filter((one) => !failed.includes(one) && one.cell?.verdict !== "released");
  const seconds = (column.report.tookMs / 1000).toFixed(3);
  const lines = cases.map((one) => {
    const { row, cell } = one;
    const head = `    <testcase classname="${escapeXml(`${sheet.kind} ${column.title}`)}" name="${escapeXml(row.title)}" time="${caseSeconds(cell)}"`;
    const words = cell === undefined ? "not probed" : VERDICTS[cell.verdict].word;
    const message = escapeXml(`${words}: ${cell?.observed ?? "the report has no such row"}`);
    if (isFailure(one))
      return `${head}>\n      <failure type="${escapeXml(cell?.verdict ?? "absent")}" message="${message}">${message}</failure>\n    </testcase>\n`;
    if (cell?.verdict === "released") return `${head}/>\n`;
    return `${head}>\n      <skipped message="${message}"/>\n    </testcase>\n`;
  });
  return (
    `  <testsuite name="${escapeXml(`${sheet.title}: ${column.title}`)}" timestamp="${escapeXml(column.report.startedAt)}" time="${seconds}" ` +
    `tests="${cases.length}" failures="${failed.length}" errors="0" skipped="${skipped.length}">\n${lines.join("")}  </testsuite>\n`
  );
}

function caseSeconds(cell: Cell | undefined): string {
  return ((cell?.evidence.at(-1)?.atMs ?? 0) / 1000).toFixed(3);
}

/** For content and attributes; characters that XML 1.0 has no place for become visible escapes. */
function escapeXml(text: string): string {
  return visible(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
