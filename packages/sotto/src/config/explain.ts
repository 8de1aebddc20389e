/** What people see of the configuration: problems as lines, suggestions for unknown keys, the reference page, the effective file. */
import { stringify } from "yaml";
import { z } from "zod";
import type { ConfigProblem } from "./load.ts";
import { type Settings, settings } from "./settings.ts";

/** One line for one problem: `sotto.yaml:12: listen[0].prot: unknown key, did you mean "port"?` */
export function problemToText(problem: ConfigProblem): string {
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}`;
  return problem.path === ""
    ? `${place}: ${problem.message}`
    : `${place}: ${problem.path}: ${problem.message}`;
}

/** The file that says explicitly what is in force. */
export function effectiveSettings(checked: Settings): string {
  return stringify(checked, { lineWidth: 0 });
}

/** JSON Schema of the file, for editors. */
export function settingsSchema(): z.core.JSONSchema.JSONSchema {
  return z.toJSONSchema(settings, { io: "input" });
}

/** The keys that are known at a path of the file. */
export function knownKeysAt(path: readonly PropertyKey[]): string[] {
  let node: z.core.JSONSchema._JSONSchema | undefined = settingsSchema();
  for (const part of path) node = step(node, part);
  return Object.keys(objectOf(node)?.properties ?? {});
}

type Schema = z.core.JSONSchema._JSONSchema | undefined;

/** The alternative of a union that is an object or an array, or the schema itself. */
function objectOf(node: Schema): z.core.JSONSchema.JSONSchema | undefined {
  if (node === undefined || typeof node === "boolean") return undefined;
  if (node.anyOf === undefined) return node;
  return node.anyOf
    .map(objectOf)
    .find((option) => option?.properties !== undefined || option?.items !== undefined);
}

function step(node: Schema, part: PropertyKey): Schema {
  const object = objectOf(node);
  if (object === undefined) return undefined;
  if (typeof part !== "number") return object.properties?.[String(part)];
  // Our arrays have one kind of item, never a tuple.
  return Array.isArray(object.items) ? undefined : object.items;
}

/** The known key that differs least from `key`, undefined when none is near. */
export function suggest(key: string, known: readonly string[]): string | undefined {
  let best: { key: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(key.toLowerCase(), candidate);
    if (best === undefined || distance < best.distance) best = { key: candidate, distance };
  }
  return best !== undefined && best.distance <= Math.max(2, Math.floor(best.key.length / 3))
    ? best.key
    : undefined;
}

/** Levenshtein distance; keys are short. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      row.push(Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + change));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}

/** The reference page of all settings, in Markdown. */
export function settingsReference(): string {
  const rows = referenceRows(settingsSchema(), "");
  return [
    "# Configuration reference",
    "",
    "One YAML file, `sotto serve --config FILE`. Written by `npm run docs`; the source is `packages/sotto/src/config/settings.ts`.",
    "Durations carry a unit (`500ms`, `10s`, `5m`, `2h`, `1d`), sizes too (`64KiB`, `16MiB`, `1GiB`). Unknown keys are errors.",
    "",
    "| setting | type | default | meaning |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

function referenceRows(node: Schema, path: string): string[] {
  const object = objectOf(node);
  if (object === undefined) return [];
  const rows: string[] = [];
  for (const [key, child] of Object.entries(object.properties ?? {})) {
    if (typeof child === "boolean") continue;
    const own = path === "" ? key : `${path}.${key}`;
    const shape = objectOf(child);
    const items = shape?.items !== undefined && !Array.isArray(shape.items) ? shape.items : undefined;
    const inner = objectOf(items)?.properties === undefined ? shape : objectOf(items);
    const innerPath = inner === shape ? own : `${own}[]`;
    rows.push(`| \`${own}\` | ${typeText(child)} | ${defaultText(child)} | ${child.description ?? ""} |`);
    if (inner?.properties !== undefined) rows.push(...referenceRows(inner, innerPath));
  }
  return rows;
}

function typeText(node: z.core.JSONSchema.JSONSchema): string {
  if (node.anyOf !== undefined)
    return node.anyOf.map((option) => (typeof option === "boolean" ? "" : typeText(option))).join(" or ");
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(", ");
  if (node.type === "array") {
    const items = Array.isArray(node.items) ? undefined : node.items;
    return `list of ${typeof items === "object" ? typeText(items) : "values"}`;
  }
  const sample = node.examples?.[0];
  return sample === undefined ? String(node.type) : `text, e.g. \`${String(sample)}\``;
}

function defaultText(node: z.core.JSONSchema.JSONSchema): string {
  if (node.default === undefined || (typeof node.default === "object" && !Array.isArray(node.default)))
    return "";
  return `\`${JSON.stringify(node.default)}\``;
}
