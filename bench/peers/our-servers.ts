/** Ours, from a checkout: one worker unless it says otherwise, started as operators start it. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Endpoints, endpointsOf, type Server, type Site } from "./servers.ts";
import { ZONE } from "./zone.ts";

/** This checkout. */
export const ROOT = resolve(import.meta.dirname, "../..");

export type Engine = "node" | "native";

export interface OurServerOptions {
  readonly name: string;
  readonly root: string;
  readonly engine: Engine;
  readonly workers: number;
  /** For the address. */
  readonly number: number;
}

/** Throws when the checkout has no such engine. */
export function ourServer(options: OurServerOptions): Server {
  const { name, root, engine, workers, number } = options;
  const endpoints = endpointsOf(number);
  const settings = settingsOf(root);
  if (engine === "native" && !settings.has("engine"))
    throw new Error(`${name}: this revision has no setting engine`);
  const more = [
    ...(settings.has("engine") ? [`engine: ${engine}`] : []),
    ...(settings.has("workers") ? [`workers: ${workers}`] : []),
  ];
  return {
    name,
    isOurs: true,
    endpoints,
    program: process.execPath,
    coreCount: workers,
    command: (site) => {
      const file = join(site.folder, "sotto.yaml");
      writeFileSync(file, configOf(site, endpoints, more));
      return [...programOf(root), "serve", "--config", file];
    },
  };
}

/** Whether a checkout can run several workers. */
export function hasWorkers(root: string): boolean {
  return settingsOf(root).has("workers");
}

function programOf(root: string): readonly string[] {
  return [
    process.execPath,
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    join(root, "packages/sotto/src/bin/sotto.ts"),
  ];
}

const known = new Map<string, ReadonlySet<string>>();

/** The settings that a checkout has, as its reference tells them. */
function settingsOf(root: string): ReadonlySet<string> {
  const found = known.get(root) ?? askSettings(root);
  known.set(root, found);
  return found;
}

function askSettings(root: string): ReadonlySet<string> {
  const [program = "", ...args] = programOf(root);
  const { stdout, stderr, status } = spawnSync(program, [...args, "show", "--reference"], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${root}: sotto show --reference failed: ${stderr}`);
  return new Set([...stdout.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name ?? ""));
}

function configOf(site: Site, { address, port, tlsPort }: Endpoints, more: readonly string[]): string {
  const { connectionsMax } = site;
  return `listen:
  - { transport: udp, address: ${address}, port: ${port} }
  - { transport: tcp, address: ${address}, port: ${port} }
  - { transport: tls, address: ${address}, port: ${tlsPort}, certificate: ${site.certificateFile}, key: ${site.keyFile} }
access: { allow: [127.0.0.0/8] }
resolver: { encryption: "off" }
dnssec: { validation: false, trust-anchors: [] }
cache: { size: 256MiB }
stub-zones:
  - { name: ${ZONE}., servers: ["${site.authority.address}@${site.authority.port}"] }
limits:
  connections: ${connectionsMax}
  connections-per-address: ${connectionsMax}
  connections-per-subnet: ${connectionsMax}
  queries-in-flight: 1000
  queries-in-flight-total: 20000
  idle-timeout: 10m
log: { level: warn }
${more.map((line) => `${line}\n`).join("")}`;
}
