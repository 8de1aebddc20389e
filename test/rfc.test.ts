import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { REQUIREMENT_TEXTS, requirementModule } from "./rfc/requirement-texts.ts";
import {
  findProblems,
  findTestFiles,
  indexPage,
  type Row,
  readRows,
  scanTags,
  tagsOf,
} from "./rfc/tables.ts";

const root = join(import.meta.dirname, "..");

test("every done requirement has a test, every tag a requirement, and the tables are current", () => {
  const files = findTestFiles(root, ["packages", "test"]);
  const tags = files.flatMap((file) => scanTags(file, readFileSync(join(root, file), "utf8")));
  const rows = readRows(join(root, "docs", "rfc"));
  assert.ok(rows.length > 200, `only ${rows.length} rows found`);
  assert.deepEqual(findProblems(rows, tags), []);
  const page = readFileSync(join(root, "docs", "rfc", "README.md"), "utf8");
  assert.equal(page, indexPage(rows), "docs/rfc/README.md is stale, run npm run rfc");
  const module = readFileSync(join(root, REQUIREMENT_TEXTS), "utf8");
  assert.equal(module, requirementModule(rows), `${REQUIREMENT_TEXTS} is stale, run npm run rfc`);
});

function row(id: string, status: string, tests = ""): Row {
  return { file: "x.md", line: 0, cells: [id, "M", "A", "…", status, tests], id, status, tests };
}

test("a done row without a test, an unknown tag, a double id, a stale cell and an unknown status are each found", () => {
  const tag = { id: "7766-7-a", file: "a.test.ts", title: "t" };
  assert.match(findProblems([row("7766-7-a", "done")], [])[0] ?? "", /no test title/);
  assert.match(findProblems([], [tag])[0] ?? "", /not in docs\/rfc/);
  assert.match(findProblems([row("1-a", "open"), row("1-a", "open")], [])[0] ?? "", /twice/);
  assert.match(findProblems([row("7766-7-a", "open")], [tag])[0] ?? "", /stale/);
  assert.match(findProblems([row("7766-7-a", "nearly")], [])[0] ?? "", /unknown status/);
  assert.deepEqual(findProblems([row("7766-7-a", "done", "`a.test.ts`")], [tag]), []);
});

test("tags are the last brackets of a title when all their words are ids", () => {
  const titles: readonly (readonly [string, readonly string[]])[] = [
    ["a sentence [7766-7-a 7858-3.4-tfo]", ["7766-7-a", "7858-3.4-tfo"]],
    ["one after the other [7766-7-a] [7858-3.4-tfo 10029]", ["7766-7-a", "7858-3.4-tfo", "10029"]],
    ["only the last are tags [1, 2] [7766-7-a]", ["7766-7-a"]],
    ["other ids [dot-alpn-a 10029]", ["dot-alpn-a", "10029"]],
    ["not the last [7766-7-a] brackets", []],
    ["an array like [1, 2]", []],
    ["one word too many [7766-7-a twice]", []],
    ["no tags", []],
  ];
  for (const [title, tags] of titles) assert.deepEqual(tagsOf(title), tags, title);
});

test("titles are first arguments of calls, also of helpers, and never in comments", () => {
  const source = [
    'test("a [7766-7-a]", f);',
    "contract(\n  `b of $" + "{x} [7766-7-b]`,\n);",
    '// test("c [7766-7-c]", f);',
    'const title = "d [7766-8-a]";',
  ];
  const tags = scanTags("a.test.ts", source.join("\n"));
  assert.deepEqual(
    tags.map((tag) => tag.id),
    ["7766-7-a", "7766-7-b"],
  );
});

test("the title of a scenario is the comment in its first line", () => {
  const text = "; a sentence [8020-a 8198-5-a]\nserver:\n; another [7766-7-a]\n";
  assert.deepEqual(
    scanTags("a.rpl", text).map((tag) => tag.id),
    ["8020-a", "8198-5-a"],
  );
  assert.deepEqual(scanTags("a.rpl", "server:\n; not the first [7766-7-a]\n"), []);
});

test("the index page counts rows per page and status", () => {
  const page = indexPage([row("1035-a", "done"), row("1035-b", "open"), row("1035-c", "open")]);
  assert.match(page, /\| \[x\.md\]\(x\.md\) \| 1 \| 0 \| 2 \| 0 \|/);
  assert.match(page, /\| all \| 1 \| 0 \| 2 \| 0 \|/);
});
