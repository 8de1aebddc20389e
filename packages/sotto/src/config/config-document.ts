/** A configuration file as YAML with positions, so that whatever is wrong with a setting is told with its line. */
import { readFileSync, statSync } from "node:fs";
import type { Parsed } from "@sotto/dns/wire";
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { issueToText } from "./issue-text.ts";
import { knownKeysAt, schemaAt, suggest } from "./known-keys.ts";

/** One thing that is wrong with a configuration file. */
export interface ConfigProblem {
  readonly file: string;
  /** From 1; undefined when the problem has no place in the file. */
  readonly line: number | undefined;
  /** Dotted path of the setting, empty for the whole file. */
  readonly path: string;
  readonly message: string;
}

/** Largest configuration file, bytes; more is a mistake, such as a log given in its place. */
const CONFIG_BYTES_MAX = 4 * 1024 * 1024;

/** Values that aliases stand for, all together: a few lines of them can mean more than there is memory. */
const ALIASES_MAX = 100;

export function readConfigText(file: string): Parsed<string> {
  try {
    const octets = readFileSync(file);
    if (octets.length > CONFIG_BYTES_MAX)
      return { ok: false, problem: `is larger than ${CONFIG_BYTES_MAX} bytes` };
    return { ok: true, value: octets.toString("utf8") };
  } catch (error) {
    return {
      ok: false,
      problem: `cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

/** Why a file that the configuration names cannot be read; what is in it is looked at when it is loaded. */
export function problemOfFile(file: string): string | undefined {
  try {
    const status = statSync(file, { throwIfNoEntry: false });
    if (status === undefined) return "no such file or directory";
    // A pipe would have to be waited for, and cannot be read twice.
    return status.isFile() ? undefined : "it is no file";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The YAML, or what is wrong with it as YAML. */
export function parseConfigDocument(
  text: string,
  file: string,
):
  | { readonly ok: true; readonly value: ConfigDocument }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const problems = document.errors.map((error) => ({
    file,
    line: lines.linePos(error.pos[0]).line,
    path: "",
    message: `not valid YAML: ${error.message}`,
  }));
  if (problems.length > 0) return { ok: false, problems };
  try {
    // What is wrong with aliases shows only here.
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX }) ?? {};
    return { ok: true, value: new ConfigDocument(document, value, lines, file) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return {
      ok: false,
      problems: [{ file, line: undefined, path: "", message: `not valid YAML: ${why}` }],
    };
  }
}

/** Knows where in the file things stand. */
export class ConfigDocument {
  /** What the file says, unchecked; an empty file is an empty object. */
  readonly value: unknown;
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;
  readonly #file: string;

  constructor(document: Document.Parsed, value: unknown, lines: LineCounter, file: string) {
    this.value = value;
    this.#document = document;
    this.#lines = lines;
    this.#file = file;
  }

  /** A problem with its place in the file. */
  problem(path: readonly PropertyKey[], message: string): ConfigProblem {
    return { file: this.#file, line: this.#lineOf(path, false), path: pathText(path), message };
  }

  /** Issues of the schema as problems; unknown keys become one problem each, with a suggestion. */
  problemsOf(
    issues: readonly z.core.$ZodIssue[],
    schema: z.core.JSONSchema.JSONSchema,
  ): readonly ConfigProblem[] {
    return issues.flatMap((issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => this.#unknownKey([...issue.path, key], knownKeysAt(schema, issue.path)))
        : [
            this.problem(
              issue.path,
              issueToText(issue, this.#valueAt(issue.path), schemaAt(schema, issue.path)),
            ),
          ],
    );
  }

  #valueAt(path: readonly PropertyKey[]): unknown {
    let value = this.value;
    for (const part of path)
      value = typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined;
    return value;
  }

  #unknownKey(path: readonly PropertyKey[], known: readonly string[]): ConfigProblem {
    const near = suggest(String(path.at(-1)), known);
    const help =
      near === undefined ? `known here: ${known.join(", ")}` : `did you mean ${JSON.stringify(near)}?`;
    const line = this.#lineOf(path, true);
    return { file: this.#file, line, path: pathText(path), message: `unknown key, ${help}` };
  }

  /** The line of the value at `path`, or of its nearest ancestor that is in the file; of the key itself with `ofKey`. */
  #lineOf(path: readonly PropertyKey[], ofKey: boolean): number | undefined {
    if (ofKey) {
      const parent: unknown =
        path.length === 1 ? this.#document.contents : this.#document.getIn(path.slice(0, -1), true);
      const key = String(path.at(-1));
      const pair = isMap(parent)
        ? parent.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === key)
        : undefined;
      if (pair !== undefined && isNode(pair.key) && pair.key.range)
        return this.#lines.linePos(pair.key.range[0]).line;
    }
    for (let length = path.length; length >= 0; length--) {
      const node: unknown =
        length === 0 ? this.#document.contents : this.#document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return this.#lines.linePos(node.range[0]).line;
    }
    return undefined;
  }
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`))
    .join("");
}
