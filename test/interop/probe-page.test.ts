/** The prober's page in a browser: Debian's Chromium, without a window and without a network. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { pageText } from "../../packages/sotto/src/tools/probe/index.ts";
import {
  HOSTILE_REPORT,
  INVENTED,
  inventedSheets,
} from "../../packages/sotto/src/tools/probe/report/invented.test-support.ts";
import { peerTest, runCommand, temporaryFolder } from "./peers.ts";

/** What the browser made of the page when it was gone to, perhaps to a place on it. */
async function render(context: TestContext, fragment: string): Promise<string> {
  const folder = temporaryFolder(context);
  const file = join(folder, "report.html");
  writeFileSync(file, pageText(inventedSheets([...INVENTED, HOSTILE_REPORT])));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${join(folder, "profile")}`];
  const run = await runCommand("chromium", [...flags, "--dump-dom", `file://${file}${fragment}`]);
  assert.equal(run.code, 0, run.stderr);
  return run.stdout;
}

peerTest(
  "a link to a cell opens its evidence, and no other, without a script",
  ["chromium"],
  async (context) => {
    const opened = (dom: string): string[] =>
      [...dom.matchAll(/<details[^>]* open=""[^>]*>/g)].map(([tag]) => tag);
    assert.deepEqual(opened(await render(context, "")), []);
    const dom = await render(context, "#server-0-keepalive");
    assert.equal(opened(dom).length, 1);
    assert.match(dom, /<details[^>]* open=""[^>]*><summary>.{0,200}EDNS0 Keepalive/);
  },
);

peerTest(
  "a browser sees the elements that we wrote, and none of a stranger's",
  ["chromium"],
  async (context) => {
    const dom = await render(context, "");
    const written = pageText(inventedSheets([...INVENTED, HOSTILE_REPORT]));
    const names = (text: string): string[] =>
      [...text.replaceAll(/<style>[\s\S]*?<\/style>/g, "").matchAll(/<([a-z][a-z0-9]*)/g)].map(
        ([, name]) => name ?? "",
      );
    assert.deepEqual(names(dom), names(written.replace(/^<!DOCTYPE html>/, "")));
  },
);
