/** The system's own knowledge of names, services and addresses; an absent file is an empty one. */
import { getServers } from "node:dns";
import { readFileSync, statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { performance } from "node:perf_hooks";

/** The text of resolv.conf(5). */
export function systemResolvConf(): string {
  // Windows keeps its servers elsewhere; Node reads them there.
  if (process.platform === "win32")
    return getServers()
      .map((server) => `nameserver ${server}`)
      .join("\n");
  return textOf(pathOf("resolv.conf"));
}

/** The text of hosts(5). */
export function systemHosts(): string {
  return textOf(pathOf("hosts"));
}

/** A file of the system that may change while a program runs. */
export type SystemFile = "resolv.conf" | "hosts";

function pathOf(file: SystemFile): string {
  if (process.platform !== "win32") return `/etc/${file}`;
  return `${process.env["SystemRoot"] ?? "C:\\Windows"}\\System32\\drivers\\etc\\${file}`;
}

/** Differs when a file has been written or replaced; looks at it at most every {@link LOOK_MS}. */
export function systemFileStamp(file: SystemFile): string {
  const nowMs = performance.now();
  const known = stamps.get(file);
  if (known !== undefined && nowMs < known.untilMs) return known.stamp;
  const stamp = stampOf(pathOf(file));
  stamps.set(file, { stamp, untilMs: nowMs + LOOK_MS });
  return stamp;
}

function stampOf(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return "";
  }
}

const stamps = new Map<SystemFile, { readonly stamp: string; readonly untilMs: number }>();
/** A look costs as much as a cached lookup. */
const LOOK_MS = 1000;

/** The name of a TCP port in services(5), undefined without one. */
export function serviceName(port: number): string | undefined {
  services ??= readServices(textOf("/etc/services"));
  return services.get(port);
}

let services: ReadonlyMap<number, string> | undefined;

function readServices(text: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split("\n")) {
    const [, name, port] = /^([^\s#]+)\s+(\d+)\/tcp\b/.exec(line) ?? [];
    if (name !== undefined && !names.has(Number(port))) names.set(Number(port), name);
  }
  return names;
}

/** What addresses a machine has besides those of its loopback device. */
export interface MachineFamilies {
  readonly hasIpv4: boolean;
  readonly hasIpv6: boolean;
  /** One that reaches further than the link. */
  readonly reachesIpv6: boolean;
}

/** Address families as getaddrinfo's AI_ADDRCONFIG counts them, and whether IPv6 leads anywhere. */
export function machineFamilies(): MachineFamilies {
  const nowMs = performance.now();
  if (families === undefined || nowMs >= families.untilMs) {
    const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    const own = all.filter(({ internal }) => !internal);
    const ipv6 = own.filter(({ family }) => family === "IPv6");
    families = {
      hasIpv4: ipv6.length < own.length,
      hasIpv6: ipv6.length > 0,
      reachesIpv6: ipv6.some(({ address }) => !address.startsWith("fe80:")),
      untilMs: nowMs + FAMILIES_MS,
    };
  }
  return families;
}

let families: (MachineFamilies & { readonly untilMs: number }) | undefined;
/** Listing interfaces costs more than a cached lookup. */
const FAMILIES_MS = 2000;

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
