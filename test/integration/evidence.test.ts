/** `npm run evidence:connections` works and finds every cell green that can be looked at without root. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

interface Report {
  readonly cells: readonly { side: string; row: string; isGreen: boolean; evidence: readonly string[] }[];
  readonly honesty: readonly { isHonest: boolean }[];
}

test("the quick evidence is green in every row but Fast Open, which wants a namespace [7828-3.3.2-b 7828-4-a]", async () => {
  const script = join(import.meta.dirname, "../../scripts/evidence.ts");
  const args = ["--conditions=source", "--disable-warning=ExperimentalWarning", script, "--quick", "--json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  const report: Report = JSON.parse(text);
  assert.deepEqual(
    report.cells.filter(({ isGreen }) => !isGreen).map(({ side, row }) => `${side}: ${row}`),
    ["server: TCP Fast Open", "stub: TCP Fast Open"],
    text,
  );
  assert.equal(report.cells.length, 18);
  assert.ok(report.honesty.length > 0 && report.honesty.every(({ isHonest }) => isHonest), text);
  assert.equal(code, 0);
});
