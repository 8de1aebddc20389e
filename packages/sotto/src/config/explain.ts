/** What people see of the configuration: problems as lines, the reference page, the effective file. */
import { stringify } from "yaml";
import { z } from "zod";
import type { ConfigProblem } from "./config-document.ts";
import { type FrontSettings, frontSettings } from "./front-settings.ts";
import { objectOf, type SchemaNode } from "./known-keys.ts";
import { type Settings, settings } from "./settings.ts";

/** One line for one problem: `sotto.yaml:12: listen[0].prot: unknown key, did you mean "port"?` */
export function problemToText(problem: ConfigProblem): string {
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}`;
  return problem.path === ""
    ? `${place}: ${problem.message}`
    : `${place}: ${problem.path}: ${problem.message}`;
}

/** The file that says explicitly what is in force. */
export function effectiveSettings(checked: Settings | FrontSettings): string {
  return stringify(checked, { lineWidth: 0 });
}

/** JSON Schema of the file, for editors. */
export function settingsSchema(): z.core.JSONSchema.JSONSchema {
  return z.toJSONSchema(settings, { io: "input" });
}

/** The same of `sotto front`. */
export function frontSchema(): z.core.JSONSchema.JSONSchema {
  return z.toJSONSchema(frontSettings, { io: "input" });
}

/** The reference page of all settings, in Markdown. */
export function settingsReference(): string {
  return reference(settingsSchema(), "serve", "settings.ts");
}

/** The same for `sotto front`. */
export function frontReference(): string {
  return reference(frontSchema(), "front", "front-settings.ts");
}

function reference(schema: z.core.JSONSchema.JSONSchema, command: string, source: string): string {
  const rows = referenceRows(schema, "");
  return [
    `# Configuration reference${command === "serve" ? "" : ` of sotto ${command}`}`,
    "",
    `One YAML file, \`sotto ${command} --config FILE\`. Written by \`npm run docs\`; the source is \`packages/sotto/src/config/${source}\`.`,
    "Durations carry a unit (`500ms`, `10s`, `5m`, `2h`, `1d`), sizes too (`64KiB`, `16MiB`, `1GiB`). Unknown keys are errors.",
    "",
    "| setting | type | default | meaning |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

function referenceRows(node: SchemaNode, path: string): string[] {
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
    // They hold what stands beside them once more.
    if (own.endsWith(".when.not") || own.endsWith(".when.any")) continue;
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
