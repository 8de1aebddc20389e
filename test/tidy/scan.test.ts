import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf, exportsOf, importsOf } from "./scan.ts";

test("comments, strings, templates and regular expressions become blanks, the rest stays in place", () => {
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the sources under test hold templates
  const rows: readonly (readonly [string, string])[] = [
    ['a("//x") // y', 'a("   ")     '],
    ["a /* b\nc */ d", "a     \n     d"],
    ['a = "\\"b" + c', 'a = "   " + c'],
    ["`a${b(`c${d}`)}e` + f", "` ${b(` ${d}`)} ` + f"],
    ["a = /[/\"]'/.test(b)", "a = /     /.test(b)"],
    ['a = b / c; d = "e / f"', 'a = b / c; d = "     "'],
    ["return /`/.test(a)", "return / /.test(a)"],
    ["f(a) / 2 + '/'", "f(a) / 2 + ' '"],
    ["{ `${a}` } b", "{ `${a}` } b"],
  ];
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above
  for (const [source, code] of rows) assert.equal(codeOf(source), code, source);
});

test("what never ends is blank to the end and ends the scan", () => {
  for (const source of ["/* a", "`a", '"a', "x = /a", "`${", '"\\', "// a"]) {
    assert.equal(codeOf(source).length, source.length, source);
  }
});

test("every form of import is found, and none in comments and strings", () => {
  const forms = importsOf(
    "packages/sotto/src/server/a.ts",
    `import { b, type C as D } from "./b.ts";
import type { E } from "@sotto/dns/wire";
import * as f from "../compose/index.ts";
import g from "yaml";
import "reflect-metadata";
export { h } from "./h.ts";
export * from "./i.ts";
const { j } = await import("./j.ts");
const k = (await import("./k.ts")).k;
const l = await import("@sotto/dns/runtime/node");
// import { m } from "./m.ts";
const n = 'import { n } from "./n.ts";';
import {
  o,
  p,
} from "./o.ts";
`,
  );
  const found = forms.map((form) => `${form.names.join(",")} of ${form.target ?? form.specifier}`);
  assert.deepEqual(found.sort(), [
    " of reflect-metadata",
    "* of packages/dns/src/runtime/node/index.ts",
    "* of packages/sotto/src/compose/index.ts",
    "* of packages/sotto/src/server/i.ts",
    "E of packages/dns/src/wire/index.ts",
    "b,C of packages/sotto/src/server/b.ts",
    "default of yaml",
    "h of packages/sotto/src/server/h.ts",
    "j of packages/sotto/src/server/j.ts",
    "k of packages/sotto/src/server/k.ts",
    "o,p of packages/sotto/src/server/o.ts",
  ]);
  assert.deepEqual(
    forms.filter((form) => form.isTypeOnly).map((form) => form.specifier),
    ["@sotto/dns/wire"],
  );
  assert.deepEqual(
    forms.filter((form) => form.isReExport).map((form) => form.specifier),
    ["./h.ts", "./i.ts"],
  );
});

test("exported declarations are found with their kind", () => {
  const source =
    "export const a = 1;\nexport async function b() {}\nexport abstract class C {}\nexport type D = 1;\nexport interface E {}\nconst f = 1;\n// export const g = 1;\n";
  assert.deepEqual(exportsOf(source), [
    { name: "a", isType: false },
    { name: "b", isType: false },
    { name: "C", isType: false },
    { name: "D", isType: true },
    { name: "E", isType: true },
  ]);
});
