// Compiles the packages for publication: `node scripts/build.mjs [dns] [sotto]`, both when none is named.
// The programs compile against the library's declarations, so the library must be built first.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const PACKAGES = ["dns", "sotto"];

const named = process.argv.slice(2);
const unknown = named.filter((name) => !PACKAGES.includes(name));
if (unknown.length > 0) {
  console.error(`no package ${unknown.join(", ")}: usage: node scripts/build.mjs [${PACKAGES.join("] [")}]`);
  process.exit(1);
}
for (const name of PACKAGES.filter((one) => named.length === 0 || named.includes(one))) {
  const folder = join(root, "packages", name);
  // What was renamed must not be published from an older build.
  rmSync(join(folder, "dist"), { recursive: true, force: true });
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { status, error } = spawnSync(process.execPath, [tsc, "-p", join(folder, "tsconfig.build.json")], {
    stdio: "inherit",
  });
  if (error !== undefined) console.error(`cannot run ${tsc}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}
