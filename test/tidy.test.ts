/** The rules of the house, applied to the house, and each shown to be able to fail. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  badFiles,
  FILE_LINES_MAX,
  importCycles,
  roomsWithoutReadme,
  type Tree,
  unusedExports,
  worldOutsideItsRoom,
  wrongArrows,
} from "./tidy/rules.ts";

const root = join(import.meta.dirname, "..");
const files = new Set(
  ["packages/dns/src", "packages/sotto/src", "test", "bench", "examples", "scripts"].flatMap((folder) =>
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

test("an import against the arrows, past an index or past the package is found", () => {
  assert.match(
    wrongArrows(tree({ "dns/src/wire/a.ts": 'import { x } from "@sotto/dns/transport";' }))[0] ?? "",
    /wire may not import transport/,
  );
  assert.match(
    wrongArrows(tree({ "sotto/src/compose/a.ts": 'import { x } from "../server/pipeline.ts";' }))[0] ?? "",
    /past the index/,
  );
  assert.match(
    wrongArrows(
      tree({ "dns/src/transport/a.ts": 'const x = await import("@sotto/dns/runtime/node");' }),
    )[0] ?? "",
    /may not import runtime\/node/,
  );
  assert.deepEqual(
    wrongArrows(tree({ "dns/src/transport/a.ts": '// import { x } from "@sotto/dns/cache";' })),
    [],
  );
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
    "setTimeout(f, 1);",
    "Math.random();",
    'import net from "node:net";',
    'import { randomBytes } from "node:crypto";',
  ]) {
    assert.equal(worldOutsideItsRoom(tree({ "dns/src/transport/a.ts": code })).length, 1, code);
  }
  assert.deepEqual(worldOutsideItsRoom(tree({ "dns/src/runtime/node/a.ts": "setTimeout(f, 1);" })), []);
  assert.equal(
    worldOutsideItsRoom(tree({ "dns/src/wire/a.ts": 'import { x } from "node:util";' })).length,
    1,
  );
});

test("every export is used by somebody", () => {
  assert.deepEqual(unusedExports(house), []);
});

test("an unused export is found, through an index too", () => {
  const used = {
    "sotto/src/server/a.ts": "export const x = 1;",
    "sotto/src/server/index.ts": 'export { x } from "./a.ts";',
  };
  assert.match(unusedExports(tree(used))[0] ?? "", /x is exported but nobody imports it/);
  assert.deepEqual(
    unusedExports(tree({ ...used, "sotto/src/compose/b.ts": 'import { x } from "../server/index.ts";' })),
    [],
  );
});

test("files are kebab-case, not too long, and an index only exports", () => {
  assert.deepEqual(badFiles(house), []);
});

test("a bad name, a long file and a busy index are found", () => {
  assert.match(badFiles(tree({ "dns/src/wire/BadName.ts": "" }))[0] ?? "", /kebab-case/);
  assert.match(badFiles(tree({ "dns/src/wire/a.ts": "\n".repeat(FILE_LINES_MAX) }))[0] ?? "", /split it/);
  assert.match(badFiles(tree({ "dns/src/wire/index.ts": "export const x = 1;" }))[0] ?? "", /only exports/);
});

test("every room has a page that explains it", () => {
  assert.deepEqual(roomsWithoutReadme(house, files), []);
  assert.equal(roomsWithoutReadme(tree({ "dns/src/wire/a.ts": "" }), new Set()).length, 1);
});
