/** The checklist for people, and for programs. */
import { requirementReference, requirementWords, visible, WIDTH_MIN, wrapText } from "../report/index.ts";
import type { Clause, ClauseVerdict } from "./checklist.ts";

const WORDS: Readonly<Record<ClauseVerdict, string>> = { pass: "✓ pass", fail: "✗ fail", ask: "? ask " };

/** Lines of at most `width` columns. */
export function checklistText(clauses: readonly Clause[], width: number): string {
  const parts = clauses.map(({ id, verdict, reason }) => {
    const indent = " ".repeat(8);
    const lines = (text: string): string[] =>
      wrapText(text, Math.max(width, WIDTH_MIN) - indent.length).map((line) => `${indent}${line}\n`);
    const [first = "", ...more] = lines(`${requirementReference(id)}: ${requirementWords(id) ?? ""}`);
    return `${WORDS[verdict]}  ${first.trimStart()}${more.join("")}${lines(visible(reason)).join("")}`;
  });
  const count = (wanted: ClauseVerdict): number => clauses.filter(({ verdict }) => verdict === wanted).length;
  const total = `${count("pass")} passed, ${count("fail")} failed, ${count("ask")} for the operator to answer`;
  return `${parts.join("\n")}\n${total}\n`;
}

/** One object a clause. */
export function checklistJson(clauses: readonly Clause[]): string {
  return `${JSON.stringify(
    clauses.map((clause) => ({ ...clause, requirement: requirementWords(clause.id) })),
    null,
    2,
  )}\n`;
}
