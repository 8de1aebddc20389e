/** The requirement tables as a module of the programs, so that reports can quote them. */
import type { Row } from "./tables.ts";

/** Where the module stands, from the root. */
export const REQUIREMENT_TEXTS = "packages/sotto/src/tools/probe/report/requirement-texts.ts";

/** The text of the module. */
export function requirementModule(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    // Markdown's emphasis means nothing in a report.
    const text = (row.cells[3] ?? "").replaceAll(/\*([^*]+)\*/g, "$1");
    return `  [${JSON.stringify(row.id)}, ${JSON.stringify(text)}],`;
  });
  return [
    "/** The requirements of docs/rfc by id, in our words. Written by `npm run rfc`. */",
    "// biome-ignore format: one line a requirement, as the script writes it",
    "export const REQUIREMENTS: ReadonlyMap<string, string> = new Map([",
    ...lines,
    "]);",
    "",
  ].join("\n");
}
