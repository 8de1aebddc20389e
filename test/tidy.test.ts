/** The rules of the house, applied to the house, and each shown to be able to fail. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  ARROWS,
  badFiles,
  FILE_LINES_MAX,
  idleExceptions,
  importCycles,
  roomsWithoutReadme,
  type Tree,
  unusedExports,
  WORLD_EXCEPTIONS,
  worldOutsideItsRoom,
  wrongArrows,
} from "./tidy/rules.ts";

const root = join(import.meta.dirname, "..");
/** Folders with sources; one that is still empty does not exist in a clone. */
const FOLDERS = ["packages/dns/src", "packages/sotto/src", "test", "bench", "examples", "scripts"];
const files = new Set(
  FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) => `${folder}/${file}`),
  ),
);
const house: Tree = new Map(
  [...files]
    .filter((file) => file.endsWith(".ts"))
    .map((file) => [file, readFileSync(join(root, file), "utf8")]),
);

function tree(sources: Record<string, string>): Tree {
  return new Map(Object.entries(sources).map(([path, text]) => [`packages/${path}`, text]));
}

test("imports follow the arrows and go through index.ts", () => {
  assert.deepEqual(wrongArrows(house), []);
});

test("an import against the arrows, past an index, past the package or of a foreign package is found", () => {
  const rows: readonly (readonly [string, string, RegExp])[] = [
    ["dns/src/wire/a.ts", 'import { x } from "@sotto/dns/transport";', /wire may not import transport/],
    ["sotto/src/compose/a.ts", 'import { x } from "../server/pipeline.ts";', /past the index/],
    ["sotto/src/compose/a.ts", 'import { x } from "../server/middleware/index.ts";', /past the index/],
    ["sotto/src/server/a.ts", 'import { x } from "../recursor/index.ts";', /server may not import recursor/],
    ["sotto/src/tools/query/a.ts", 'import { x } from "../bench/index.ts";', /may not import tools\/bench/],
    ["sotto/src/bin/a.ts", 'import { x } from "../tools/query/query.ts";', /past the index/],
    ["dns/src/transport/a.ts", 'const x = await import("@sotto/dns/runtime/node");', /runtime\/node/],
    ["dns/src/transport/a.ts", 'import { x } from "../wire/index.ts";', /past the package/],
    ["dns/src/transport/a.ts", 'import "yaml";', /depends on nothing, not on yaml/],
    ["dns/src/spare/a.ts", 'import { x } from "@sotto/dns/wire";', /not in the table of arrows/],
    ["dns/src/transport/a.ts", 'export { x } from "../../../../test/x.ts";', /in no room/],
    ["dns/src/a.ts", "", /stands in no room/],
  ];
  for (const [path, source, message] of rows) {
    const problems = wrongArrows(tree({ [path]: source }));
    assert.equal(problems.length, 1, source);
    assert.match(problems[0] ?? "", message);
  }
});

test("imports along the arrows, in tests and in comments are fine", () => {
  const sources = {
    "dns/src/transport/a.ts": 'import { x } from "@sotto/dns/wire"; // import { y } from "@sotto/dns/cache";',
    "dns/src/runtime/node/a.ts": 'import type { Clock } from "../clock.ts";',
    "dns/src/wire/a.test.ts": 'import { x } from "../transport/upstream.ts";',
    "sotto/src/bin/a.ts": 'import { x } from "../tools/query/index.ts";\nimport "../../package.json";',
    "sotto/src/config/a.ts": 'import { z } from "zod";',
  };
  assert.deepEqual(wrongArrows(tree(sources)), []);
});

test("the table of arrows has no circle", () => {
  const sources = Object.entries(ARROWS).map(([room, others]) => [
    `dns/src/${room}/index.ts`,
    others.map((other) => `import { x } from "@sotto/dns/${other}";`).join("\n"),
  ]);
  assert.deepEqual(importCycles(tree(Object.fromEntries(sources))), []);
});

test("no files import each other in a circle", () => {
  assert.deepEqual(importCycles(house), []);
});

test("a circle is found, a circle of types is none", () => {
  const circle = {
    "dns/src/wire/a.ts": 'import { b } from "./b.ts";',
    "dns/src/wire/b.ts": 'import { a } from "./a.ts";',
  };
  assert.match(importCycles(tree(circle))[0] ?? "", /a\.ts → .*b\.ts → .*a\.ts/);
  assert.deepEqual(
    importCycles(tree({ ...circle, "dns/src/wire/b.ts": 'import type { a } from "./a.ts";' })),
    [],
  );
});

test("time, chance and wires are only where they belong", () => {
  assert.deepEqual(worldOutsideItsRoom(house), []);
});

test("a clock, a timer, chance and a socket outside their room are found", () => {
  for (const code of [
    "const t = Date.now();",
    "const t = new Date();",
    "const t = performance.now();",
    "const t = process.hrtime.bigint();",
    "setTimeout(f, 1);",
    "globalThis.setInterval(f, 1);",
    "f(setImmediate);",
    "Math.random();",
    'await fetch("https://x");',
    'import net from "node:net";',
    'import { readFile } from "node:fs/promises";',
    'const fs = await import("node:fs");',
    'import { randomBytes } from "node:crypto";',
  ]) {
    assert.equal(worldOutsideItsRoom(tree({ "dns/src/transport/a.ts": code })).length, 1, code);
    assert.deepEqual(worldOutsideItsRoom(tree({ "dns/src/runtime/node/a.ts": code })), [], code);
    assert.deepEqual(worldOutsideItsRoom(tree({ "dns/src/transport/a.test.ts": code })), [], code);
  }
  for (const code of ["// Date.now()", 'f("Math.random");', "queueMicrotask(f);", "clock.setTimeout(f);"]) {
    assert.deepEqual(worldOutsideItsRoom(tree({ "dns/src/transport/a.ts": code })), [], code);
  }
});

test("any module of Node in wire, and any but crypto in dnssec, is found", () => {
  const source = 'import { x } from "node:util";';
  assert.equal(worldOutsideItsRoom(tree({ "dns/src/wire/a.ts": source })).length, 1);
  assert.equal(worldOutsideItsRoom(tree({ "dns/src/dnssec/a.ts": source })).length, 1);
  const crypto = 'import { createHash } from "node:crypto";';
  assert.equal(worldOutsideItsRoom(tree({ "dns/src/wire/a.ts": crypto })).length, 1);
  assert.deepEqual(worldOutsideItsRoom(tree({ "dns/src/dnssec/a.ts": crypto })), []);
});

test("an exception serves one file, and one that nothing needs is found", () => {
  assert.deepEqual(idleExceptions(house, WORLD_EXCEPTIONS), []);
  const path = "packages/sotto/src/config/a.ts";
  const exceptions = new Map([[path, "reads a file"]]);
  const needed = tree({ "sotto/src/config/a.ts": 'import { readFileSync } from "node:fs";' });
  assert.deepEqual(worldOutsideItsRoom(needed, exceptions), []);
  assert.deepEqual(idleExceptions(needed, exceptions), []);
  assert.equal(idleExceptions(tree({ "sotto/src/config/a.ts": "" }), exceptions).length, 1);
});

test("every export is used by somebody", () => {
  assert.deepEqual(unusedExports(house), []);
});

test("an unused export is found, in its own file, through an index and beside a used one", () => {
  const sources = {
    "sotto/src/server/a.ts": "export const x = 1;\nexport const y = x;\nexport type Z = 1;",
    "sotto/src/server/index.ts": 'export { x } from "./a.ts";',
  };
  const unused = (more: Record<string, string>): string[] =>
    unusedExports(tree({ ...sources, ...more })).map((problem) => problem.replace(/^.*: (\w+) is .*/, "$1"));
  assert.deepEqual(unused({}), ["x", "y", "Z"]);
  assert.deepEqual(unused({ "sotto/src/compose/b.ts": 'import { x } from "../server/index.ts";' }), [
    "y",
    "Z",
  ]);
  assert.deepEqual(unused({ "sotto/src/server/a.test.ts": 'import * as a from "./a.ts";' }), []);
  assert.deepEqual(unused({ "sotto/src/bin/b.ts": 'const { y, x: w } = await import("../server/a.ts");' }), [
    "Z",
  ]);
});

test("what a public index of the library exports is used, and a type that an export of its file speaks of", () => {
  const sources = {
    "dns/src/cache/a.ts": "export const x = 1;\nexport interface Y {}\nexport const z = (y: Y) => y;",
    "dns/src/cache/index.ts": 'export { x } from "./a.ts";\nexport * from "./b.ts";',
    "dns/src/cache/b.ts": "export const all = 1;",
  };
  assert.deepEqual(unusedExports(tree(sources)), [
    "packages/dns/src/cache/a.ts: z is exported but nobody imports it",
  ]);
});

test("files are kebab-case, not too long, and an index only exports", () => {
  assert.deepEqual(badFiles(house), []);
});

test("a bad name, a long file and a busy index are found", () => {
  assert.match(badFiles(tree({ "dns/src/wire/BadName.ts": "" }))[0] ?? "", /kebab-case/);
  assert.match(badFiles(tree({ "dns/src/wire/a.ts": "\n".repeat(FILE_LINES_MAX) }))[0] ?? "", /split it/);
  assert.deepEqual(badFiles(tree({ "dns/src/wire/a.ts": "\n".repeat(FILE_LINES_MAX - 1) })), []);
  assert.deepEqual(badFiles(tree({ "dns/src/wire/iana/a.ts": "\n".repeat(FILE_LINES_MAX) })), []);
  assert.match(badFiles(tree({ "dns/src/wire/index.ts": "export const x = 1;" }))[0] ?? "", /only exports/);
  assert.match(badFiles(tree({ "dns/src/wire/index.ts": 'import "./a.ts";' }))[0] ?? "", /only exports/);
  const index = '/** Why. */\nexport { x } from "./a.ts";\nexport type { Y } from "./b.ts";\n';
  assert.deepEqual(badFiles(tree({ "dns/src/wire/index.ts": index })), []);
});

test("every room has a page that explains it", () => {
  assert.deepEqual(roomsWithoutReadme(house, files), []);
});

test("a room without its page is found", () => {
  const room = tree({ "dns/src/wire/rdata/a.ts": "" });
  assert.deepEqual(roomsWithoutReadme(room, new Set()), ["packages/dns/src/wire has no README.md"]);
  assert.deepEqual(roomsWithoutReadme(room, new Set(["packages/dns/src/wire/README.md"])), []);
});
