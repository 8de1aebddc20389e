/** The system's own files about names; an absent file is an empty one. */
import { readFileSync } from "node:fs";

/** The text of resolv.conf(5). */
export function systemResolvConf(): string {
  return textOf("/etc/resolv.conf");
}

/** The text of hosts(5). */
export function systemHosts(): string {
  const root = process.env["SystemRoot"] ?? "C:\\Windows";
  return textOf(process.platform === "win32" ? `${root}\\System32\\drivers\\etc\\hosts` : "/etc/hosts");
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
