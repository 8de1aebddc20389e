/** Debian's resolvers and ours on the exposed fake internet, set up alike. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import {
  freePort,
  type PlaygroundFacts,
  type RunningPeer,
  runCommand,
  SOTTO,
  startPeer,
  startPlayground,
  temporaryFolder,
} from "./peers.ts";
import { ADDRESS, NAME } from "./playground-names.ts";

/** A resolver that walks the exposed internet. */
export interface RunningResolver {
  readonly peer: RunningPeer;
  readonly port: number;
}

interface ResolverOptions {
  readonly isValidating: boolean;
  /** Absent: denial records answer for other names, too (RFC 8198). */
  readonly isAggressive?: false;
}

/** Exposes the fake internet on loopback for as long as `run` takes. */
export async function withExposed(
  context: TestContext,
  run: (facts: PlaygroundFacts, folder: string) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder(context);
  const { facts, peer } = await startPlayground(folder, ["--expose"]);
  try {
    await run(facts, folder);
  } finally {
    await peer.stop();
  }
}

export async function startUnbound(
  folder: string,
  { exposed }: Pick<PlaygroundFacts, "exposed">,
  { isValidating, isAggressive }: ResolverOptions,
): Promise<RunningResolver> {
  if (exposed === null) throw new Error("nothing is exposed");
  const port = await freePort();
  const file = join(folder, `unbound-${port}.conf`);
  writeFileSync(
    file,
    `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  interface: 127.0.0.1@${port}
  do-ip6: no
  root-hints: "${exposed.rootHintsFile}"
  module-config: "${isValidating ? "validator iterator" : "iterator"}"
${isValidating ? `  trust-anchor-file: "${exposed.trustAnchorFile}"` : ""}
  do-not-query-localhost: no
  unblock-lan-zones: yes
  insecure-lan-zones: yes
  qname-minimisation: no
  aggressive-nsec: ${isAggressive === false ? "no" : "yes"}
  minimal-responses: yes
  incoming-num-tcp: 100
  tcp-idle-timeout: 120000
remote-control:
  control-enable: no
`,
  );
  const peer = await startPeer("/usr/sbin/unbound", ["-d", "-p", "-c", file], () => isAnswering(port));
  return { peer, port };
}

/** Knot Resolver validates whenever it has an anchor. */
export async function startKresd(
  folder: string,
  { exposed }: Pick<PlaygroundFacts, "exposed">,
): Promise<RunningResolver> {
  if (exposed === null) throw new Error("nothing is exposed");
  const port = await freePort();
  const file = join(folder, `kresd-${port}.conf`);
  const runFolder = join(folder, `kresd-${port}`);
  mkdirSync(runFolder);
  writeFileSync(
    file,
    `net.listen('127.0.0.1', ${port}, { kind = 'dns' })
net.ipv6 = false
option('ALLOW_LOCAL', true)
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
modules.unload('detect_time_skew')
modules.unload('detect_time_jump')
modules.load('hints')
hints.root_file('${exposed.rootHintsFile}')
trust_anchors.remove('.')
trust_anchors.add_file('${exposed.trustAnchorFile}', true)
cache.size = 50 * MB
`,
  );
  const args = ["-n", "-c", file, runFolder];
  const peer = await startPeer("/usr/sbin/kresd", args, () => isAnswering(port));
  return { peer, port };
}

export async function startSotto(
  folder: string,
  { exposed }: Pick<PlaygroundFacts, "exposed">,
  { isValidating, isAggressive }: ResolverOptions,
): Promise<RunningResolver> {
  if (exposed === null) throw new Error("nothing is exposed");
  const port = await freePort();
  const file = join(folder, `sotto-${port}.yaml`);
  const anchors = readFileSync(exposed.trustAnchorFile, "utf8").trim().split("\n");
  const dnssec = isValidating ? { "trust-anchors": anchors } : { validation: false };
  writeFileSync(
    file,
    `listen:
  - { transport: udp, address: 127.0.0.1, port: ${port} }
  - { transport: tcp, address: 127.0.0.1, port: ${port} }
resolver: { root-hints: "${exposed.rootHintsFile}", families: [ipv4] }
dnssec: ${JSON.stringify(dnssec)}
local-zones: { builtin: false }
cache: { aggressive-denial: ${isAggressive !== false} }
`,
  );
  const peer = await startPeer(process.execPath, [...SOTTO, "serve", "--config", file], (output) =>
    output.includes("ready"),
  );
  return { peer, port };
}

async function isAnswering(port: number): Promise<boolean> {
  return (await kdig(port, NAME, "A")).includes(ADDRESS);
}

/** What `kdig` prints for a query over UDP. */
export async function kdig(port: number, ...args: string[]): Promise<string> {
  return (await runCommand("kdig", ["@127.0.0.1", "-p", String(port), "+time=20", "+retry=0", ...args]))
    .stdout;
}
