/**
 * Another revision of ours, checked out beside the repository for as long as it is needed. Its dependencies are links to those that are
 * installed here, but for the packages of the repository, which are its own.
 */
import { spawnSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compare, type Difference, median } from "../report/statistics.ts";
import { figureOf } from "./judge.ts";
import type { Measurement } from "./measure.ts";
import type { Measured } from "./session.ts";
import type { BenchTest } from "./tests.ts";

/** A revision's files. */
export interface Checkout {
  readonly root: string;
  /** Short. */
  readonly commit: string;
  /** The revision wants other dependencies than those installed here. */
  readonly hasOtherDependencies: boolean;
  /** Again: nothing. */
  remove(): void;
}

/** Throws when there is no such revision. */
export function checkOut(repository: string, revision: string): Checkout {
  const folder = mkdtempSync(join(tmpdir(), "sotto-against-"));
  const root = join(folder, "checkout");
  git(repository, "worktree", "add", "--detach", "--quiet", root, revision);
  let isThere = true;
  const remove = (): void => {
    if (!isThere) return;
    isThere = false;
    rmSync(folder, { recursive: true, force: true });
    spawnSync("git", ["-C", repository, "worktree", "prune"]);
  };
  try {
    linkDependencies(join(repository, "node_modules"), join(root, "node_modules"));
    const lock = (of: string): string => readFileSync(join(of, "package-lock.json"), "utf8");
    return {
      root,
      commit: commitOf(root),
      hasOtherDependencies: lock(root) !== lock(repository),
      remove,
    };
  } catch (problem) {
    remove();
    throw problem;
  }
}

/** The commit of a checkout, with a plus behind it when what is measured was changed since. */
export function commitOf(root: string): string {
  const isChanged = git(root, "status", "--porcelain", "packages").trim() !== "";
  return `${git(root, "rev-parse", "--short", "HEAD").trim()}${isChanged ? "+" : ""}`;
}

function git(repository: string, ...args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync("git", ["-C", repository, ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(`git ${args.join(" ")}: ${stderr.trim()}`);
  return stdout;
}

/** Relative links stay as they are, and so lead into the checkout: they are those of the workspaces. */
export function linkDependencies(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (name === ".bin" || name === ".package-lock.json") continue;
    const [source, target] = [join(from, name), join(to, name)];
    if (name.startsWith("@")) linkDependencies(source, target);
    else symlinkSync(lstatSync(source).isSymbolicLink() ? readlinkSync(source) : source, target);
  }
}

/** What a test says of two revisions. */
export interface Change {
  readonly test: BenchTest;
  readonly old: number;
  readonly now: number;
  readonly difference: Difference;
}

/** Compares two servers that took part in the same rounds. */
export function changesBetween(
  measured: Measured,
  tests: readonly BenchTest[],
  oldName: string,
  nowName: string,
): Change[] {
  return tests.flatMap((test) => {
    const of = (name: string): Measurement[] =>
      (measured.get(test.key) ?? []).filter(({ server }) => server === name);
    // A round counts when neither half of it was disturbed.
    const pairs = of(oldName).flatMap((before) => {
      const after = of(nowName).find(({ round }) => round === before.round);
      const isQuiet = before.disturbed === undefined && after?.disturbed === undefined;
      return after !== undefined && isQuiet ? [[before, after] as const] : [];
    });
    if (pairs.length === 0) return [];
    const old = pairs.map(([before]) => figureOf(before, test.figure));
    const now = pairs.map(([, after]) => figureOf(after, test.figure));
    return [{ test, old: median(old), now: median(now), difference: compare(now, old) }];
  });
}

/** For people. */
export function changesText(changes: readonly Change[], oldName: string): string {
  const rows = changes.map(({ test, old, now, difference }) => {
    const { ratio, verdict } = difference;
    const words = { better: "better", worse: "WORSE" };
    const said = verdict === undefined ? "inside the noise" : words[verdict];
    return `${test.key.padEnd(13)} ${old.toFixed(2).padStart(10)} ${now.toFixed(2).padStart(10)}   ${ratio.median.toFixed(3)} (${ratio.least.toFixed(3)} to ${ratio.most.toFixed(3)})  ${said}`;
  });
  return `test           ${oldName.slice(-10).padStart(9)}        now   ratio (of the rounds)\n${rows.join("\n")}\n`;
}
