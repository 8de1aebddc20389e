/** What the schema has against a value, in words: the value, what was expected, and what to write instead. */
import type { z } from "zod";
import { objectOf, type SchemaNode, suggest } from "./known-keys.ts";

/** `value` is what the file says at the issue's path, `node` what the schema knows about that place. */
export function issueToText(issue: z.core.$ZodIssue, value: unknown, node: SchemaNode): string {
  switch (issue.code) {
    case "invalid_type":
      return value === undefined
        ? `is missing, expected ${issue.expected}${sampleText(node)}`
        : `${shown(value)} is here, ${wrongType(issue.expected, value, node)}`;
    case "invalid_value":
      return wrongChoice(issue.values, value);
    case "too_small":
      return `${shown(value)} is ${isNumber(value) ? `less than ${issue.minimum}` : `too little, at least ${issue.minimum}`}`;
    case "too_big":
      return `${shown(value)} is ${isNumber(value) ? `more than ${issue.maximum}` : `too much, at most ${issue.maximum}`}`;
    case "invalid_union":
      return [...new Set(issue.errors.flat().map((one) => issueToText(one, value, node)))].join(", and ");
    default:
      return issue.message;
  }
}

function wrongType(expected: string, value: unknown, node: SchemaNode): string {
  if (expected === "array" && isScalar(value)) return `expected a list: write [${shown(value)}]`;
  if (expected === "array") return "expected a list: entries behind - or in [ ]";
  if (expected === "object") {
    const keys = Object.keys(objectOf(node)?.properties ?? {});
    const known = keys.length === 0 ? "" : ` with ${keys.slice(0, KEYS_SHOWN_MAX).join(", ")}`;
    const isOptional = (objectOf(node)?.required ?? []).length === 0;
    return `expected settings${known}${isOptional ? "; {} is for the defaults" : ""}`;
  }
  if (expected === "string" && isScalar(value) && value !== null)
    return `expected string${sampleText(node)}; what looks like a number or a boolean goes in quotes`;
  if (expected === "boolean") return "expected true or false";
  return `expected ${expected}${sampleText(node)}`;
}

function wrongChoice(values: readonly unknown[], value: unknown): string {
  const [only] = values;
  if (values.length === 1 && only === true)
    return `${shown(value)} is here, and only true can be: leave the line out for the contrary`;
  const known = values.map(String);
  const near = typeof value === "string" ? suggest(value, known) : undefined;
  const help = near === undefined ? "" : `, did you mean ${JSON.stringify(near)}?`;
  return `${shown(value)} is not one of ${known.join(", ")}${help}`;
}

function sampleText(node: SchemaNode): string {
  const sample = typeof node === "object" ? node.examples?.[0] : undefined;
  return sample === undefined ? "" : ` such as ${JSON.stringify(sample)}`;
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

function isScalar(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

/** Short, and on one line. */
function shown(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
}

const SHOWN_CHARACTERS_MAX = 64;
/** `when` has twenty. */
const KEYS_SHOWN_MAX = 20;
