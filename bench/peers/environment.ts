/** What figures depend on, as this machine tells it. */
import { spawnSync } from "node:child_process";
import { cpus, release } from "node:os";
import type { Environment } from "./document.ts";

/** Versions of these packages of Debian; those that are not installed are left out. */
export function environmentOf(packages: readonly string[]): Environment {
  const found = packages.flatMap((name) => {
    const { stdout, status } = spawnSync("dpkg-query", ["-W", "-f", VERSION_FORMAT, name], {
      encoding: "utf8",
    });
    return status === 0 ? [[name, stdout] as const] : [];
  });
  return {
    node: process.versions.node,
    openssl: process.versions.openssl,
    kernel: release(),
    processor: cpus()[0]?.model ?? "unknown processor",
    cores: cpus().length,
    packages: Object.fromEntries(found),
  };
}

/** The placeholder is dpkg-query's. */
const VERSION_FORMAT = "$" + "{Version}";
