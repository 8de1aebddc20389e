/** The rules of the house as functions over a tree of sources, path to text. Each gives the offenders, a sentence each. */
import { dirname, join, normalize } from "node:path/posix";

export type Tree = ReadonlyMap<string, string>;

/**
 * Who may import whom (architecture §3), by room. A room is a folder under `packages/*\/src`; `runtime/node` is a room of
 * its own, because only programs may bind the real world. Tests may import everything.
 */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  runtime: [],
  "runtime/node": ["wire", "runtime"],
  transport: ["wire", "runtime"],
  cache: ["wire", "runtime"],
  dnssec: ["wire", "runtime"],
  testing: ["wire", "runtime", "transport", "dnssec"],
  recursor: ["wire", "runtime", "transport", "cache", "dnssec"],
  server: ["wire", "runtime", "transport", "cache"],
  config: ["wire", "runtime", "transport"],
  operations: ["wire", "runtime", "transport"],
  compose: ["wire", "runtime", "transport", "cache", "recursor", "server", "config", "operations"],
  tools: ["wire", "runtime", "runtime/node", "transport", "operations", "compose", "config"],
  playground: [
    "wire",
    "runtime",
    "runtime/node",
    "transport",
    "testing",
    "operations",
    "compose",
    "config",
    "tools",
  ],
  bin: ["wire", "runtime", "runtime/node", "config", "operations", "compose", "tools", "playground"],
};

/** Files that may touch the world although their room may not, each with its reason. */
export const WORLD_EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  [
    "packages/dns/src/testing/sim/sim-clock.ts",
    "lets the event loop turn between two moments of virtual time",
  ],
  ["packages/sotto/src/config/load.ts", "reads the configuration file and the files it names"],
  ["packages/sotto/src/compose/certificates.ts", "reads certificate and key files"],
  ["packages/sotto/src/tools/query/system-server.ts", "resolv.conf and the system's lookup of server names"],
  ["packages/sotto/src/tools/query/build-exchange.ts", "reads PEM files named on the command line"],
  ["packages/sotto/src/tools/query/query.ts", "reads the batch file"],
  ["packages/sotto/src/tools/query/print-text.ts", "prints a given wall time as a date"],
  ["packages/sotto/src/tools/query/print-json.ts", "prints a given wall time as a date"],
]);

/** Rooms that are the world's edge, or programs. */
const WORLD_ROOMS: ReadonlySet<string> = new Set(["runtime/node", "operations", "bin", "playground"]);

const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b/, "Date.now (ask Clock.wallMs)"],
  [/\bnew Date\(/, "new Date (ask Clock.wallMs)"],
  [/\bperformance\.now\b/, "performance.now (ask Clock.nowMs)"],
  [/(?<![.\w])set(?:Timeout|Interval|Immediate)\(/, "a timer (ask Clock.startTimer)"],
  [/\bMath\.random\b/, "Math.random (ask Random)"],
  [
    /from "node:(?:net|tls|dgram|fs|fs\/promises|http|http2|https|dns|dns\/promises|child_process|worker_threads|timers|timers\/promises)"/,
    "a module of the outside world",
  ],
  [
    /\b(?:randomBytes|randomInt|randomUUID|getRandomValues|randomFillSync)\b/,
    "randomness of node:crypto (ask Random)",
  ],
];

/** The room of a source file, undefined outside the packages. */
export function roomOf(path: string): string | undefined {
  const parts = /^packages\/(?:dns|sotto)\/src\/([^/]+)(?:\/([^/]+))?/.exec(path);
  if (parts === null) return undefined;
  return parts[1] === "runtime" && parts[2] === "node" ? "runtime/node" : parts[1];
}

/** True for tests and what only tests use. */
export function isTest(path: string): boolean {
  return /\.test\.ts$|\.test-support\.ts$|^test\/|^bench\/|^examples\//.test(path);
}

/** A text without comments and without the content of template literals and regular strings other than in imports. */
export function withoutComments(text: string): string {
  return text.replace(
    /\/\*[\s\S]*?\*\/|(^|[^:"'`\\])\/\/[^\n]*/g,
    (comment, before: string | undefined) => (before ?? "") + comment.replace(/[^\n]/g, "").slice(0, 0),
  );
}

/** What an import points to: a path in the tree or a bare specifier. */
export interface Import {
  readonly specifier: string;
  readonly target: string | undefined;
}

const SUBPATHS: Readonly<Record<string, string>> = {
  "@sotto/dns/runtime/node": "packages/dns/src/runtime/node/index.ts",
};

/** All static and dynamic imports and re-exports of a file. */
export function importsOf(path: string, text: string): Import[] {
  const found: Import[] = [];
  for (const match of withoutComments(text).matchAll(
    /(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s+)"([^"]+)"/gm,
  )) {
    const specifier = match[1] ?? "";
    if (specifier.startsWith("."))
      found.push({ specifier, target: normalize(join(dirname(path), specifier)) });
    else if (specifier.startsWith("@sotto/dns/")) {
      found.push({
        specifier,
        target: SUBPATHS[specifier] ?? `packages/dns/src/${specifier.slice("@sotto/dns/".length)}/index.ts`,
      });
    } else found.push({ specifier, target: undefined });
  }
  return found;
}

/** Imports against the arrows, and imports into another room past its index.ts. */
export function wrongArrows(tree: Tree): string[] {
  const problems: string[] = [];
  for (const [path, text] of tree) {
    const room = roomOf(path);
    if (room === undefined || isTest(path)) continue;
    for (const { specifier, target } of importsOf(path, text)) {
      const other = target === undefined ? undefined : roomOf(target);
      if (target === undefined || other === undefined || other === room) continue;
      const allowed = ARROWS[room];
      if (allowed === undefined) problems.push(`${path}: the room ${room} is not in the table of arrows`);
      else if (!allowed.includes(other))
        problems.push(`${path}: ${room} may not import ${other} (${specifier})`);
      if (
        !target.endsWith(`${other.split("/").at(-1) ?? ""}/index.ts`) &&
        !(room === "tools" || other === "tools")
      ) {
        problems.push(`${path}: imports ${specifier} past the index.ts of ${other}`);
      }
      if (
        path.startsWith("packages/sotto") &&
        target.startsWith("packages/dns") &&
        !specifier.startsWith("@sotto/dns/")
      ) {
        problems.push(`${path}: imports ${specifier} past the package`);
      }
    }
  }
  return problems;
}

/** Cycles between files, each told once. Imports of types only do not count: they vanish. */
export function importCycles(tree: Tree): string[] {
  const edges = new Map<string, string[]>();
  for (const [path, text] of tree) {
    const real = text.replace(/\b(?:import|export)\s+type\s[^;]*;/g, "");
    edges.set(
      path,
      importsOf(path, real).flatMap(({ target }) =>
        target !== undefined && tree.has(target) ? [target] : [],
      ),
    );
  }
  const problems: string[] = [];
  const done = new Set<string>();
  const stack: string[] = [];
  const visit = (path: string): void => {
    const at = stack.indexOf(path);
    if (at >= 0) {
      problems.push(`cycle: ${[...stack.slice(at), path].join(" → ")}`);
      return;
    }
    if (done.has(path)) return;
    stack.push(path);
    for (const next of edges.get(path) ?? []) visit(next);
    stack.pop();
    done.add(path);
  };
  for (const path of edges.keys()) visit(path);
  return problems;
}

/** Time, chance and wires where they do not belong, and any `node:` module in wire. */
export function worldOutsideItsRoom(tree: Tree): string[] {
  const problems: string[] = [];
  for (const [path, text] of tree) {
    const room = roomOf(path);
    if (room === undefined || isTest(path) || WORLD_ROOMS.has(room) || WORLD_EXCEPTIONS.has(path)) continue;
    const code = withoutComments(text);
    for (const [pattern, what] of FORBIDDEN) if (pattern.test(code)) problems.push(`${path}: ${what}`);
    if (room === "wire" && /from "node:/.test(code))
      problems.push(`${path}: wire is pure and imports no node: module`);
  }
  return problems;
}

/** Exports that nothing uses, inside or outside their file. Exports of public subpaths count as used. */
export function unusedExports(tree: Tree): string[] {
  const uses = new Map<string, Set<string>>();
  const publicFiles = new Set<string>();
  for (const [path, text] of tree) {
    const isPublic = /^packages\/dns\/src\/[^/]+\/(?:node\/)?index\.ts$/.test(path);
    const code = withoutComments(text);
    for (const match of code.matchAll(
      /\b(?:import|export)\s+(?:type\s+)?(\*(?:\s+as\s+\w+)?|\w+|\{[^}]*\})\s+from\s*"([^"]+)"/g,
    )) {
      const specifier = match[2] ?? "";
      const target = importsOf(path, `import x from "${specifier}";`)[0]?.target;
      if (target === undefined) continue;
      if (isPublic && match[0].startsWith("export")) {
        if (match[1] === "*") publicFiles.add(target);
      }
      // A room's index that re-exports is a use only when somebody takes it from there.
      const isInnerIndex =
        path.startsWith("packages/sotto") && path.endsWith("/index.ts") && match[0].startsWith("export");
      for (const name of namesIn(match[1] ?? ""))
        noteUse(uses, isInnerIndex ? `via ${path}` : target, name, target, tree);
    }
    for (const match of code.matchAll(/import\(\s*"([^"]+)"\s*\)\)?\.(\w+)/g)) {
      const target = importsOf(path, `import x from "${match[1] ?? ""}";`)[0]?.target;
      if (target !== undefined) noteUse(uses, target, match[2] ?? "", target, tree);
    }
  }
  return [...tree].flatMap(([path, text]) => unusedIn(path, text, uses, publicFiles));
}

function namesIn(clause: string): string[] {
  if (!clause.startsWith("{")) return clause.startsWith("*") ? ["*"] : [clause];
  return clause
    .slice(1, -1)
    .split(",")
    .map(
      (part) =>
        part
          .trim()
          .replace(/^type\s+/, "")
          .split(/\s+as\s+/)[0] ?? "",
    )
    .filter((name) => name !== "");
}

/** A use of a name of an index.ts is also a use of the file that the index takes it from. */
function noteUse(
  uses: Map<string, Set<string>>,
  target: string,
  name: string,
  file: string,
  tree: Tree,
): void {
  const names = uses.get(target) ?? new Set<string>();
  names.add(name);
  uses.set(target, names);
  if (target.startsWith("via ") || !file.endsWith("/index.ts")) return;
  const index = tree.get(file) ?? "";
  for (const match of withoutComments(index).matchAll(
    /\bexport\s+(?:type\s+)?(\{[^}]*\}|\*)\s+from\s*"([^"]+)"/g,
  )) {
    const inner = normalize(join(dirname(file), match[2] ?? ""));
    if (match[1] === "*" || namesIn(match[1] ?? "").includes(name)) noteUse(uses, inner, name, inner, tree);
  }
}

function unusedIn(
  path: string,
  text: string,
  uses: ReadonlyMap<string, Set<string>>,
  publicFiles: ReadonlySet<string>,
): string[] {
  if (roomOf(path) === undefined || isTest(path) || path.endsWith("/index.ts") || publicFiles.has(path))
    return [];
  const used = uses.get(path) ?? new Set<string>();
  if (used.has("*")) return [];
  const problems: string[] = [];
  for (const match of withoutComments(text).matchAll(
    /^export\s+(?:async\s+)?(?:const|let|function\*?|class|interface|type|abstract class)\s+(\w+)/gm,
  )) {
    const name = match[1] ?? "";
    // What the file itself uses is part of another export's signature, or a limit named for readers: not dead.
    const isUsedHere = (withoutComments(text).match(new RegExp(`\\b${name}\\b`, "g"))?.length ?? 0) > 1;
    if (!used.has(name) && !isUsedHere) problems.push(`${path}: ${name} is exported but nobody imports it`);
  }
  return problems;
}

/** Files that are too long, badly named, or an index that does more than export. */
export function badFiles(tree: Tree): string[] {
  const problems: string[] = [];
  for (const [path, text] of tree) {
    const name = path.split("/").at(-1) ?? "";
    if (!/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.test-support|\.zones|\.d)?\.ts$/.test(name))
      problems.push(`${path}: file names are kebab-case`);
    const lines = text.split("\n").length;
    if (lines > FILE_LINES_MAX && !path.includes("/iana/"))
      problems.push(`${path}: ${lines} lines, split it (at most ${FILE_LINES_MAX})`);
    const isRoomIndex = roomOf(path) !== undefined && name === "index.ts";
    if (
      isRoomIndex &&
      withoutComments(text)
        .replace(/\bexport\s+(?:type\s+)?(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?)\s+from\s*"[^"]+";/g, "")
        .trim() !== ""
    ) {
      problems.push(`${path}: index.ts only exports`);
    }
  }
  return problems;
}

/** Rooms without the page that explains them. */
export function roomsWithoutReadme(tree: Tree, files: ReadonlySet<string>): string[] {
  const rooms = new Set<string>();
  for (const path of tree.keys()) {
    const room = /^packages\/(?:dns|sotto)\/src\/[^/]+/.exec(path)?.[0];
    if (room !== undefined && room !== path) rooms.add(room);
  }
  return [...rooms]
    .filter((room) => !files.has(`${room}/README.md`))
    .map((room) => `${room} has no README.md`);
}

export const FILE_LINES_MAX = 600;
