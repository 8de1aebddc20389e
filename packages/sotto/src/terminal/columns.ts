import { printable } from "./text.ts";

/** Rows as aligned columns: the first to the left, numbers to the right. */
export function columns(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [heads, ...rows].map((row) => row.map(printable));
  const widths = heads.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  const isNumber = heads.map((_, i) => rows.every((row) => /^[-\d.+]*$/.test(row[i] ?? "")));
  return all.map((row) =>
    row
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}
