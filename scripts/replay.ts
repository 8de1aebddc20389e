/**
 * Plays all scenarios of folders against the resolver in virtual time and tells which pass:
 * `node scripts/replay.ts [--unmatched silence|SERVFAIL|REFUSED] [--only TEXT] [--loose] [--verbose] FOLDER…`
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { playFile } from "../test/scenarios/play-file.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    unmatched: { type: "string", default: "silence" },
    only: { type: "string", default: "" },
    loose: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

function filesIn(path: string): string[] {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path)
    .filter((name) => name.endsWith(".rpl"))
    .sort()
    .map((name) => join(path, name));
}

const { unmatched } = values;
if (unmatched !== "silence" && unmatched !== "SERVFAIL" && unmatched !== "REFUSED")
  throw new RangeError("--unmatched is silence, SERVFAIL or REFUSED");
const groups = new Map<string, { passed: number; failed: number; unsupported: number }>();
for (const file of positionals.flatMap(filesIn)) {
  const name = basename(file);
  if (!name.includes(values.only)) continue;
  const group = /^[a-z0-9]+/.exec(name)?.[0] ?? "";
  const count = groups.get(group) ?? { passed: 0, failed: 0, unsupported: 0 };
  groups.set(group, count);
  const result = await playFile(readFileSync(file, "utf8"), unmatched, values.loose);
  count[result.kind]++;
  if (result.kind !== "passed")
    console.log(
      `${result.kind} ${name}: ${result.problems
        .slice(0, values.verbose ? 99 : 2)
        .join(" | ")
        .slice(0, 2000)}`,
    );
  if (values.verbose) for (const line of result.trace) console.log(`    ${line}`);
}
for (const [group, { passed, failed, unsupported }] of [...groups].sort())
  console.log(`${group.padEnd(16)} ${passed} passed, ${failed} failed, ${unsupported} not for us`);
const all = [...groups.values()];
const sum = (key: "passed" | "failed" | "unsupported"): number =>
  all.reduce((total, one) => total + one[key], 0);
console.log(
  `all              ${sum("passed")} passed, ${sum("failed")} failed, ${sum("unsupported")} not for us`,
);
