// The packages as users get them: `node scripts/packages.mjs check` packs both, asks publint and attw, installs the tarballs into
// an empty folder and runs test/packages there; `withConsumer` does the packing and installing for others.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(import.meta.dirname, "..");
const packed = join(root, ".sotto", "packed");

/** Tools of the dev dependencies that look at each tarball, with what they are asked. */
const LINTS = [
  ["publint", ["--strict"]],
  // ESM only (docs/decisions/0014): CommonJS gets it by require() from Node 22.12 on, which attw does not know.
  ["attw", ["--profile", "esm-only"]],
];

/** What attw cannot look at: programs have no types. */
const WITHOUT_TYPES = new Set(["sotto"]);

/** The optional peer of the library. */
const KOFFI = "koffi@3.3.4";

/** Runs a command with its output shown; throws when it fails. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? `exit code ${status}`}`);
}

/** Builds and packs both packages; gives the paths of the tarballs. */
function pack() {
  rmSync(packed, { recursive: true, force: true });
  mkdirSync(packed, { recursive: true });
  run(process.execPath, [join(root, "scripts", "build.mjs")]);
  return ["dns", "sotto"].map((name) => {
    // Built above, both; prepack would build again.
    const args = [
      "pack",
      join(root, "packages", name),
      "--ignore-scripts",
      "--json",
      "--pack-destination",
      packed,
    ];
    const { stdout, status } = spawnSync("npm", args, {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (status !== 0) throw new Error(`npm ${args.join(" ")} failed`);
    const [{ filename }] = JSON.parse(stdout);
    return { name, tarball: join(packed, filename) };
  });
}

/** Calls `use` with the environment of tests that need the tarballs and a folder outside this tree where both are installed. */
export function withConsumer(use) {
  const packages = pack();
  const folder = mkdtempSync(join(tmpdir(), "sotto-consumer-"));
  try {
    const [dns, sotto] = packages.map(({ tarball }) => tarball);
    const both = install(join(folder, "both"), [dns, sotto]);
    const koffi = install(join(folder, "koffi"), [dns, KOFFI]);
    use(packages, {
      SOTTO_CONSUMER: both,
      SOTTO_CONSUMER_KOFFI: koffi,
      SOTTO_TARBALL_DNS: dns,
      SOTTO_TARBALL: sotto,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes a folder into which packages are installed, as a user would; its scripts stay off, as ours do. */
function install(folder, packages) {
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  const flags = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  run("npm", ["install", ...flags, ...packages], { cwd: folder });
  return folder;
}

function check() {
  withConsumer((packages, environment) => {
    for (const { name, tarball } of packages)
      for (const [tool, args] of LINTS)
        if (tool !== "attw" || !WITHOUT_TYPES.has(name))
          run(join(root, "node_modules", ".bin", tool), [...args, tarball]);
    run(process.execPath, [join(root, "scripts", "run-tests.mjs"), "packages"], {
      env: { ...process.env, ...environment },
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] !== "check") {
    console.error("usage: node scripts/packages.mjs check");
    process.exit(1);
  }
  check();
}
