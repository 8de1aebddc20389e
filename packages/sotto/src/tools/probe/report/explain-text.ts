/** `--explain ROW`: the exchange behind a cell, message by message, with framing, options and the time between steps. */
import type { Cell, EvidenceStep } from "../model.ts";
import { describeOctets } from "./describe-octets.ts";
import { requirementText } from "./requirement.ts";
import { cellsOf, type Sheet } from "./sheet.ts";
import { CONFIDENCES, verdictText, visible, WIDTH_MIN, wrapText } from "./words.ts";

/** Steps told of one cell. */
const STEPS_MAX = 500;
/** A pause that is worth a line of its own, milliseconds. */
const PAUSE_MS = 200;

/** The text for one row of all sheets; undefined: no sheet has it. */
export function explainText(sheets: readonly Sheet[], row: string, columns: number): string | undefined {
  const width = Math.max(columns, WIDTH_MIN);
  const parts = sheets.flatMap((sheet) =>
    [...cellsOf(sheet)].flatMap(({ row: one, column, cell }) => {
      if (one.key !== row || cell === undefined) return [];
      const title = `${visible(column.title)}: ${visible(one.title)}`;
      return [[title, "=".repeat(Math.min(title.length, width)), ...cellLines(cell, one.question, width)]];
    }),
  );
  return parts.length === 0 ? undefined : `${parts.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

/** Keys that can be explained, in the order of the tables. */
export function explainableRows(sheets: readonly Sheet[]): string[] {
  return [...new Set(sheets.flatMap((sheet) => [...cellsOf(sheet)].map(({ row }) => row.key)))];
}

function cellLines(cell: Cell, question: string, width: number): string[] {
  const paragraph = (text: string, indent = ""): string[] =>
    wrapText(text, width - indent.length).map((line) => indent + line);
  return [
    ...(question === "" ? [] : paragraph(question)),
    "",
    `${verdictText(cell.verdict)}, ${cell.confidence}: ${CONFIDENCES[cell.confidence]}`,
    ...paragraph(visible(cell.observed)),
    ...(cell.requirements.length === 0 ? [] : ["", "Rests on"]),
    ...cell.requirements.flatMap((id) => paragraph(requirementText(id), "  ")),
    "",
    ...stepLines(cell.evidence, width),
  ];
}

function stepLines(steps: readonly EvidenceStep[], width: number): string[] {
  if (steps.length === 0) return ["No exchange was recorded."];
  let lastMs = 0;
  const lines = steps.slice(0, STEPS_MAX).flatMap((step) => {
    const pause = step.atMs - lastMs;
    lastMs = step.atMs;
    const [first = "", ...more] = wrapText(visible(step.what), Math.max(width - 18, 20));
    return [
      ...(pause >= PAUSE_MS ? [`${" ".repeat(12)}   … ${pause.toFixed(0)} ms …`] : []),
      `${step.atMs.toFixed(1).padStart(9)} ms ${ARROWS[step.who]} ${first}`,
      ...more.map((line) => " ".repeat(16) + line),
      ...octetLines(step, width),
    ];
  });
  if (steps.length > STEPS_MAX) lines.push(`and ${steps.length - STEPS_MAX} more steps`);
  return lines;
}

const ARROWS: Readonly<Record<EvidenceStep["who"], string>> = { prober: "→", target: "←", note: "·" };

function octetLines({ octets }: EvidenceStep, width: number): string[] {
  if (octets === undefined) return [];
  const { title, lines, dump } = describeOctets(octets);
  const indent = " ".repeat(16);
  return [
    `${indent}${title}`,
    ...lines.flatMap((line) => wrapText(line, Math.max(width - 18, 20)).map((part) => `${indent}  ${part}`)),
    ...dump.map((line) => `${indent}  ${line}`),
  ];
}
