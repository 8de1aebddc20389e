/** What keys a schema knows where, and which of them somebody may have meant. */
import type { z } from "zod";

/** The keys that are known at a path of the file. */
export function knownKeysAt(schema: z.core.JSONSchema.JSONSchema, path: readonly PropertyKey[]): string[] {
  return Object.keys(objectOf(schemaAt(schema, path))?.properties ?? {});
}

/** What a schema says about a place of the file. */
export function schemaAt(schema: z.core.JSONSchema.JSONSchema, path: readonly PropertyKey[]): SchemaNode {
  let node: SchemaNode = schema;
  for (const part of path) node = step(node, part);
  return node;
}

export type SchemaNode = z.core.JSONSchema._JSONSchema | undefined;

/** The alternative of a union that is an object or an array, or the schema itself. */
export function objectOf(node: SchemaNode): z.core.JSONSchema.JSONSchema | undefined {
  if (node === undefined || typeof node === "boolean") return undefined;
  if (node.anyOf === undefined) return node;
  return node.anyOf
    .map(objectOf)
    .find((option) => option?.properties !== undefined || option?.items !== undefined);
}

function step(node: SchemaNode, part: PropertyKey): SchemaNode {
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
