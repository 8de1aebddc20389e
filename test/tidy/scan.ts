/**
 * Reads TypeScript just well enough for the rules of the house: blanks comments and the content of strings, finds imports
 * and exports. It is no parser: it knows tokens, and the shape that Biome gives to import and export statements.
 */
import { dirname, join, normalize } from "node:path/posix";

/** One import, re-export or dynamic import. */
export interface Import {
  readonly specifier: string;
  /** Path of the file in the tree, undefined for what is not ours. */
  readonly target: string | undefined;
  /** Names taken from the target; `*` for all of them. */
  readonly names: readonly string[];
  /** True for `export … from`. */
  readonly isReExport: boolean;
  /** True when it vanishes with the types. */
  readonly isTypeOnly: boolean;
}

/** One exported declaration. */
export interface Export {
  readonly name: string;
  readonly isType: boolean;
}

/** A slash after one of these begins a regular expression, not a division. */
const BEFORE_REGEX =
  /(?:^|[^\w)\]}\s.]|(?:^|[^\w.])(?:return|typeof|case|in|of|void|delete|await|yield))\s*$/;

/** Longest look back for what precedes a slash, characters. */
const LOOK_BACK = 40;

/**
 * The text with comments and the contents of strings, templates and regular expressions as spaces: every other character
 * stays where it is. Code inside `${}` stays too.
 */
export function codeOf(text: string): string {
  const out = text.split("");
  const blank = (from: number, to: number): void => {
    for (let at = from; at < to; at++) if (out[at] !== "\n") out[at] = " ";
  };
  // Depths of braces at which a template literal continues.
  const templates: number[] = [];
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    const one = text[at] ?? "";
    let end = at + 1;
    if (two === "//") {
      end = endOf(text, at, "\n", 0);
      blank(at, end);
    } else if (two === "/*") {
      end = endOf(text, at + 2, "*/", 2);
      blank(at, end);
    } else if (one === '"' || one === "'") {
      end = closing(text, at + 1, (c) => c === one || c === "\n") + 1;
      blank(at + 1, end - 1);
    } else if (one === "`" || (one === "}" && templates.at(-1) === depth)) {
      if (one === "}") templates.pop();
      end = endOfTemplatePart(text, at + 1);
      const continues = text[end - 1] === "{";
      if (continues) templates.push(depth);
      blank(at + 1, continues ? end - 2 : end - 1);
    } else if (one === "/" && BEFORE_REGEX.test(out.slice(Math.max(0, at - LOOK_BACK), at).join(""))) {
      end = endOfRegex(text, at + 1);
      blank(at + 1, end - 1);
    } else if (one === "{") depth++;
    else if (one === "}") depth--;
    at = end;
  }
  return out.join("");
}

function endOf(text: string, from: number, mark: string, length: number): number {
  const at = text.indexOf(mark, from);
  return at < 0 ? text.length : at + length;
}

/** Index of the first character that ends something, past escaped ones. */
function closing(text: string, from: number, ends: (character: string) => boolean): number {
  let at = from;
  while (at < text.length && !ends(text[at] ?? "")) at += text[at] === "\\" ? 2 : 1;
  return Math.min(at, text.length);
}

/** Past the closing backtick, or past the brace of the next `${`. */
function endOfTemplatePart(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== "`") {
    if (text.startsWith("${", at)) return at + 2;
    at += text[at] === "\\" ? 2 : 1;
  }
  return at + 1;
}

function endOfRegex(text: string, from: number): number {
  let inClass = false;
  const end = closing(text, from, (c) => {
    if (c === "[") inClass = true;
    if (c === "]") inClass = false;
    return (c === "/" && !inClass) || c === "\n";
  });
  return end + 1;
}

const STATIC_IMPORT =
  /\b(import|export)\s+(type\s+)?(?:(\w+)\s*,?\s*)?(\*(?:\s+as\s+\w+)?|\{[^}]*\})?\s*\bfrom\s*"/g;
const SIDE_EFFECT_IMPORT = /^\s*import\s+"/gm;
const DYNAMIC_IMPORT = /\bimport\(\s*"/g;

/** All imports of a file: static, for the side effect, re-exports and dynamic ones. */
export function importsOf(path: string, text: string): Import[] {
  const code = codeOf(text);
  const found: Import[] = [];
  const add = (end: number, names: readonly string[], isReExport: boolean, isTypeOnly: boolean): void => {
    const specifier = text.slice(end, text.indexOf('"', end));
    found.push({ specifier, target: targetOf(path, specifier), names, isReExport, isTypeOnly });
  };
  for (const match of code.matchAll(STATIC_IMPORT)) {
    const names = namesIn(match[4] ?? "");
    if (match[3] !== undefined) names.push("default");
    add(match.index + match[0].length, names, match[1] === "export", match[2] !== undefined);
  }
  for (const match of code.matchAll(SIDE_EFFECT_IMPORT)) add(match.index + match[0].length, [], false, false);
  for (const match of code.matchAll(DYNAMIC_IMPORT)) {
    const end = match.index + match[0].length;
    add(end, namesOfDynamic(code, match.index, end), false, false);
  }
  return found;
}

/** `(await import("x")).name` and `const { name } = await import("x")` take names, anything else may take all. */
function namesOfDynamic(code: string, start: number, end: number): string[] {
  const member = /^[^"]*"\s*\)\s*\)?\s*\.(\w+)/.exec(code.slice(end))?.[1];
  if (member !== undefined && member !== "then") return [member];
  const pattern = /(\{[^}]*\})\s*=\s*await\s*$/.exec(code.slice(0, start))?.[1];
  return pattern === undefined ? ["*"] : namesIn(pattern);
}

function namesIn(clause: string): string[] {
  if (clause.startsWith("*")) return ["*"];
  return clause
    .replace(/[{}]/g, "")
    .split(",")
    .map((part) =>
      part
        .trim()
        .replace(/^type\s+/, "")
        .replace(/(?:\s+as\s|:)[\s\S]*$/, ""),
    )
    .filter((name) => name !== "");
}

const SHARED_PACKAGE = "@sotto/dns";

function targetOf(path: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return normalize(join(dirname(path), specifier));
  if (specifier === SHARED_PACKAGE) return "packages/dns/src/index.ts";
  if (specifier.startsWith(`${SHARED_PACKAGE}/`))
    return `packages/dns/src/${specifier.slice(SHARED_PACKAGE.length + 1)}/index.ts`;
  return undefined;
}

/** What a file declares and exports. */
export function exportsOf(text: string): Export[] {
  const pattern =
    /^export\s+(?:declare\s+)?(?:async\s+)?(const|let|function\*?|(?:abstract\s+)?class|interface|type)\s+(\w+)/gm;
  return [...codeOf(text).matchAll(pattern)].map((match) => ({
    name: match[2] ?? "",
    isType: match[1] === "interface" || match[1] === "type",
  }));
}
