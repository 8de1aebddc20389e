/** What is in the tarballs, and what is not. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { TARBALLS } from "./consumer.test-support.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** Octets of a tarball; sources and source maps are most of it. Raise it knowingly. */
const BUDGETS = { dns: 1_150_000, sotto: 1_450_000 } as const;
const NAMES = ["dns", "sotto"] as const;

type Manifest = Record<string, unknown> & {
  readonly exports: Record<string, string | Record<string, string>>;
};

async function contentOf(name: (typeof NAMES)[number]): Promise<ReadonlySet<string>> {
  const { stdout } = await run("tar", ["-tzf", TARBALLS[name]], { maxBuffer: 1 << 24 });
  return new Set(stdout.split("\n").map((path) => path.replace(/^package\//, "")));
}

function manifestOf(name: (typeof NAMES)[number]): Manifest {
  return JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8"));
}

for (const name of NAMES) {
  test(`packages/${name}: everything that its manifest names is in the tarball`, async () => {
    const content = await contentOf(name);
    const { exports: entries, bin = {} } = manifestOf(name);
    const targets = Object.values(entries).flatMap((entry) =>
      typeof entry === "string" ? [entry] : Object.values(entry),
    );
    const missing = [...targets, ...Object.values(bin as Record<string, string>)]
      .map((target) => target.replace(/^\.\//, ""))
      .filter((target) => !content.has(target));
    assert.deepEqual(missing, []);
    for (const file of ["LICENSE", "README.md", "package.json"]) assert.ok(content.has(file), file);
  });

  test(`packages/${name}: no tests and nothing else that only we need is in the tarball`, async () => {
    const odd = [...(await contentOf(name))].filter(
      (path) =>
        /\.test\.|test-support|tsbuildinfo|tsconfig|\.zone$|node_modules/.test(path) ||
        !/^$|^(?:dist|src|bin)\/|^(?:LICENSE|README\.md|package\.json)$/.test(path),
    );
    assert.deepEqual(odd, []);
  });

  test(`packages/${name}: the tarball is within its budget`, () => {
    const { size } = statSync(TARBALLS[name]);
    assert.ok(size <= BUDGETS[name], `${size} octets, at most ${BUDGETS[name]}`);
  });

  test(`packages/${name}: the licence is ours, and installing runs nothing`, () => {
    const licence = readFileSync(join(root, "packages", name, "LICENSE"), "utf8");
    assert.equal(licence, readFileSync(join(root, "LICENSE"), "utf8"));
    const scripts = Object.keys((manifestOf(name)["scripts"] ?? {}) as object);
    assert.deepEqual(scripts, ["prepack"]);
  });
}

test("the library depends on nothing, and its only peer is optional", () => {
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta } = manifestOf("dns");
  assert.deepEqual([dependencies, optionalDependencies], [undefined, undefined]);
  assert.deepEqual(Object.keys(peerDependencies as object), ["koffi"]);
  assert.deepEqual(peerDependenciesMeta, { koffi: { optional: true } });
});

test("the programs want the library of their own version", () => {
  const { version } = manifestOf("dns");
  const { version: own, dependencies } = manifestOf("sotto");
  assert.deepEqual([own, Reflect.get(dependencies as object, "@sotto/dns")], [version, version]);
});
