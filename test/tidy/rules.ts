/** The rules of the house as functions over a tree of sources, path to text. Each gives the offenders, a sentence each. */
import { codeOf, exportsOf, type Import, importsOf } from "./scan.ts";

export type Tree = ReadonlyMap<string, string>;

/**
 * Who may import whom (architecture §3), by room. A room is a folder under `packages/*\/src`; `runtime/node` and
 * `runtime/native` are rooms of their own, because only programs may bind the real world, and so is each tool. Tests may import everything. Siblings do
 * not see each other: `server` knows Responders and not `recursor`, and `compose` is where parts meet.
 */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  // The library.
  wire: [],
  runtime: [],
  "runtime/node": ["wire", "runtime"],
  "runtime/native": ["wire", "runtime", "runtime/node"],
  transport: ["wire", "runtime"],
  cache: ["wire", "runtime"],
  dnssec: ["wire", "runtime"],
  // `new StubResolver({ upstreams })` has to work in a program without anything else, so it knows the real world as a default.
  stub: ["wire", "runtime", "runtime/node", "transport", "cache", "dnssec"],
  "node-dns": ["wire", "runtime", "runtime/node", "stub"],
  // The file `packages/dns/src/index.ts`, which is the package's root entry.
  root: ["wire", "runtime", "stub"],
  testing: ["wire", "runtime", "transport", "dnssec"],
  // The programs.
  recursor: ["wire", "runtime", "transport", "cache", "dnssec"],
  server: ["wire", "runtime", "transport", "cache"],
  front: ["wire", "runtime", "transport", "cache", "server"],
  config: ["wire", "runtime", "transport", "dnssec", "stub"],
  operations: ["wire", "runtime", "transport"],
  compose: [
    "wire",
    "runtime",
    "transport",
    "cache",
    "dnssec",
    "stub",
    "recursor",
    "server",
    "front",
    "config",
    "operations",
  ],
  // The prober looks at clients through servers with defects.
  terminal: ["runtime", "operations"],
  tools: [
    "wire",
    "runtime",
    "runtime/node",
    "transport",
    "operations",
    "compose",
    "config",
    "terminal",
    "testserver",
  ],
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
  // Servers with defects for tests of clients; the world's edge, because well-behaved parts cannot make the defects.
  testserver: ["wire", "runtime", "runtime/node", "testing", "operations"],
  bin: [
    "wire",
    "runtime",
    "runtime/node",
    "runtime/native",
    "config",
    "operations",
    "compose",
    "tools",
    "playground",
    "testserver",
  ],
};

/** Files that may touch the world although their room may not, each with its reason. */
export const WORLD_EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  [
    "packages/dns/src/testing/sim/sim-clock.ts",
    "lets the event loop turn between two moments of virtual time",
  ],
  ["packages/dns/src/transport/authentication-problem.ts", "prints given wall times as dates"],
  [
    "packages/sotto/src/config/config-document.ts",
    "reads the configuration file, and text files that it names",
  ],
  ["packages/sotto/src/config/load-dnssec.ts", "reads files of trust anchors"],
  ["packages/sotto/src/config/load-stub.ts", "reads files of certificate authorities, and resolv.conf"],
  ["packages/sotto/src/compose/certificates.ts", "reads certificate and key files"],
  ["packages/sotto/src/tools/setup/machine.ts", "reads how the machine finds its resolver"],
  ["packages/sotto/src/tools/query/system-server.ts", "resolv.conf and the system's lookup of server names"],
  ["packages/sotto/src/tools/query/build-exchange.ts", "reads PEM files named on the command line"],
  [
    "packages/sotto/src/tools/probe/client/child-process.ts",
    "runs clients under test, and writes their files",
  ],
  ["packages/sotto/src/tools/probe/client/probe-client.ts", "prints a given wall time as a date"],
  ["packages/sotto/src/tools/query/print-text.ts", "prints a given wall time as a date"],
  ["packages/sotto/src/tools/query/print-json.ts", "prints a given wall time as a date"],
  ["packages/sotto/src/tools/probe/server/start-time.ts", "prints a given wall time as a date"],
]);

/** Rooms that are the world's edge, or programs. */
const WORLD_ROOMS: ReadonlySet<string> = new Set([
  "runtime/node",
  "runtime/native",
  // Takes the place of node:dns, and so has to touch it.
  "node-dns",
  "operations",
  "bin",
  "playground",
  // Breaks the rules of TCP, TLS and HTTP on purpose, below what the Network interface lets anybody do.
  "testserver",
]);

const FORBIDDEN_CODE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b/, "Date.now (ask Clock.wallMs)"],
  [/\bnew Date\(/, "new Date (ask Clock.wallMs)"],
  [/\bperformance\.now\b/, "performance.now (ask Clock.nowMs)"],
  [
    /(?:(?<![.\w])|\bglobalThis\.)set(?:Timeout|Interval|Immediate)\b/,
    "a timer of Node (ask Clock.startTimer)",
  ],
  [/\bMath\.random\b/, "Math.random (ask Random)"],
  [/(?<![.\w])fetch\(|\bnew (?:WebSocket|EventSource|Worker)\b/, "the network or threads (ask Network)"],
  [/\bprocess\.(?:hrtime|nextTick|uptime)\b/, "process as a clock"],
  [
    /\b(?:randomBytes|randomInt|randomUUID|getRandomValues|randomFill|randomFillSync)\b/,
    "randomness of node:crypto (ask Random)",
  ],
];

const FORBIDDEN_MODULE =
  /^node:(?:net|tls|dgram|fs|http|http2|https|dns|child_process|worker_threads|cluster|timers|ffi)(?:\/|$)/;

/** Rooms that may import only some modules of Node: those that do not touch the world anyway, and even fewer. */
const NODE_MODULES_OF: Readonly<Record<string, readonly string[]>> = { wire: [], dnssec: ["node:crypto"] };

/** Longest file, lines. Tables of IANA may be longer. */
export const FILE_LINES_MAX = 600;

/** The one file beside the rooms: it passes on what most programs need. */
const ROOT_ENTRY = "packages/dns/src/index.ts";

/** The room of a source file, undefined outside the packages and for other files beside the rooms. */
export function roomOf(path: string): string | undefined {
  if (path === ROOT_ENTRY) return "root";
  const [, room, inner] = /^packages\/(?:dns|sotto)\/src\/([^/]+)\/(?:([^/]+)\/)?/.exec(path) ?? [];
  if (room === "runtime" && (inner === "node" || inner === "native")) return `runtime/${inner}`;
  if (room === "tools" && inner !== undefined) return `tools/${inner}`;
  return room;
}

/** True for tests and what only tests, benchmarks and examples use. */
export function isTest(path: string): boolean {
  return /\.test\.ts$|\.test-support\.ts$|^test\/|^bench\/|^examples\/|^scripts\//.test(path);
}

/** Files outside the rooms, imports against the arrows, and imports into another room past its index.ts. */
export function wrongArrows(tree: Tree): string[] {
  const problems: string[] = [];
  for (const [path, text] of tree) {
    if (isTest(path)) continue;
    const room = roomOf(path);
    if (room === undefined) problems.push(`${path}: stands in no room of packages/*/src`);
    else for (const one of importsOf(path, text)) problems.push(...wrongArrow(path, room, one));
  }
  return problems;
}

function wrongArrow(path: string, room: string, { specifier, target }: Import): string[] {
  if (target === undefined) {
    const isOurs = path.startsWith("packages/sotto/") || specifier.startsWith("node:");
    return isOurs ? [] : [`${path}: @sotto/dns depends on nothing, not on ${specifier}`];
  }
  if (/^packages\/(?:dns|sotto)\/package\.json$/.test(target)) return [];
  const other = roomOf(target);
  if (other === undefined) return [`${path}: imports ${specifier}, which is in no room`];
  if (other === room) return [];
  // These lie inside `runtime`: to their files the interfaces are neighbours, and to the second engine the first one is.
  if (room === "runtime/node" && other === "runtime") return [];
  if (room === "runtime/native" && (other === "runtime" || other === "runtime/node")) return [];
  const allowed = ARROWS[room.replace(/^tools\/.*/, "tools")];
  if (allowed === undefined) return [`${path}: the room ${room} is not in the table of arrows`];
  if (!allowed.includes(other.replace(/^tools\/.*/, "tools")))
    return [`${path}: ${room} may not import ${other} (${specifier})`];
  const problems: string[] = [];
  if (!target.endsWith(`/src/${other}/index.ts`))
    problems.push(`${path}: imports ${specifier} past the index.ts of ${other}`);
  if (target.startsWith("packages/dns/") && !specifier.startsWith("@sotto/dns/"))
    problems.push(`${path}: imports ${specifier} past the package subpath`);
  return problems;
}

/** Cycles between files, each told once. Imports of types only do not count: they vanish. */
export function importCycles(tree: Tree): string[] {
  const edges = new Map<string, string[]>();
  for (const [path, text] of tree) {
    edges.set(
      path,
      importsOf(path, text).flatMap(({ target, isTypeOnly }) =>
        target !== undefined && !isTypeOnly && tree.has(target) ? [target] : [],
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

/** Time, chance and wires where they do not belong, and modules of Node where there should be none. */
export function worldOutsideItsRoom(
  tree: Tree,
  exceptions: ReadonlyMap<string, string> = WORLD_EXCEPTIONS,
): string[] {
  const problems: string[] = [];
  for (const [path, text] of tree) {
    const room = roomOf(path);
    if (room === undefined || isTest(path) || WORLD_ROOMS.has(room)) continue;
    if (!exceptions.has(path)) problems.push(...worldIn(path, text));
    const allowed = NODE_MODULES_OF[room];
    if (allowed === undefined) continue;
    for (const { specifier } of importsOf(path, text)) {
      if (specifier.startsWith("node:") && !allowed.includes(specifier))
        problems.push(`${path}: ${room} may not import ${specifier}`);
    }
  }
  return problems;
}

function worldIn(path: string, text: string): string[] {
  const code = codeOf(text);
  const inCode = FORBIDDEN_CODE.filter(([pattern]) => pattern.test(code)).map(([, what]) => what);
  const modules = importsOf(path, text)
    .map(({ specifier }) => specifier)
    .filter((specifier) => FORBIDDEN_MODULE.test(specifier));
  return [...inCode, ...modules].map((what) => `${path}: ${what}`);
}

/** Exceptions that nothing needs any more. */
export function idleExceptions(tree: Tree, exceptions: ReadonlyMap<string, string>): string[] {
  return [...exceptions.keys()]
    .filter((path) => worldIn(path, tree.get(path) ?? "").length === 0)
    .map((path) => `${path}: needs no exception`);
}

/** An export of a file, as `path#name`; the name is `*` for all exports. */
type Use = string;

/**
 * Exports that nobody imports: no other file, test, benchmark or example, and no index.ts of a public subpath. An index.ts
 * of the programs passes on what is imported from it and is no user itself. A type may stay exported when an export of its
 * own file speaks of it.
 */
export function unusedExports(tree: Tree): string[] {
  const imports = new Map([...tree].map(([path, text]) => [path, importsOf(path, text)]));
  const uses = new Set<Use>();
  for (const [path, found] of imports) {
    const isPublic = /^packages\/dns\/src\/(?:[^/]+\/(?:node\/|native\/)?)?index\.ts$/.test(path);
    for (const { target, names, isReExport } of found) {
      if (target === undefined || (isReExport && !isPublic)) continue;
      for (const name of names) addUse(uses, imports, target, name);
    }
  }
  const problems: string[] = [];
  for (const [path, text] of tree) {
    if (roomOf(path) === undefined || isTest(path) || uses.has(`${path}#*`)) continue;
    for (const { name, isType } of exportsOf(text)) {
      if (!uses.has(`${path}#${name}`) && !(isType && isSpokenOf(name, text)))
        problems.push(`${path}: ${name} is exported but nobody imports it`);
    }
  }
  return problems;
}

/** A use of a name of a file that re-exports it is a use of the file that it comes from. */
function addUse(
  uses: Set<Use>,
  imports: ReadonlyMap<string, readonly Import[]>,
  target: string,
  name: string,
): void {
  const use = `${target}#${name}`;
  if (uses.has(use)) return;
  uses.add(use);
  for (const passed of imports.get(target) ?? []) {
    if (!passed.isReExport || passed.target === undefined) continue;
    if (passed.names.includes("*")) addUse(uses, imports, passed.target, name);
    else if (passed.names.includes(name)) addUse(uses, imports, passed.target, name);
    else if (name === "*") for (const each of passed.names) addUse(uses, imports, passed.target, each);
  }
}

function isSpokenOf(name: string, text: string): boolean {
  return (codeOf(text).match(new RegExp(`\\b${name}\\b`, "g"))?.length ?? 0) > 1;
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
    if (name === "index.ts" && roomOf(path) !== undefined && !onlyExports(text))
      problems.push(`${path}: index.ts only exports`);
  }
  return problems;
}

function onlyExports(text: string): boolean {
  const rest = codeOf(text).replace(
    /\bexport\s+(?:type\s+)?(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?)\s+from\s*"\s*";/g,
    "",
  );
  return rest.trim() === "";
}

/** Rooms without the page that explains them. */
export function roomsWithoutReadme(tree: Tree, files: ReadonlySet<string>): string[] {
  const rooms = new Set<string>();
  for (const path of tree.keys()) {
    const room = /^packages\/(?:dns|sotto)\/src\/[^/]+(?=\/)/.exec(path)?.[0];
    if (room !== undefined) rooms.add(room);
  }
  return [...rooms]
    .filter((room) => !files.has(`${room}/README.md`))
    .map((room) => `${room} has no README.md`);
}
