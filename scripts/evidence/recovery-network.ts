/**
 * A client, a router and servers in network namespaces, with ways to disturb what lies between them. Runs inside namespaces of its
 * own (network, mount, process), so that names cannot clash with anybody's and everything ends with the process.
 */
import { spawnSync } from "node:child_process";

/** Where the client is, before and after it moved, and where servers are. */
export const SERVER_ADDRESSES: readonly string[] = ["198.51.100.2", "198.51.100.3", "198.51.100.4"];
const HOME = { client: "192.0.2.2/24", router: "192.0.2.1" };
const ELSEWHERE = { client: "203.0.113.2/24", router: "203.0.113.1" };

/** Runs a command that must succeed; gives what it printed. */
export function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** `ip` commands, one a line, `router:` or `server:` before those of other namespaces. */
function ip(script: string): void {
  for (const line of script.split("\n")) {
    const [, where, command = ""] = /^\s*(?:(router|server): )?(.*)$/.exec(line) ?? [];
    if (command === "") continue;
    run("ip", ...(where === undefined ? [] : ["-n", where]), ...command.split(" "));
  }
}

/** The client's namespace is that of this process. */
export function buildNetwork(): void {
  run("mkdir", "-p", "/run/netns");
  run("mount", "-t", "tmpfs", "none", "/run/netns");
  ip(`netns add router
    netns add server
    link set lo up
    router: link set lo up
    server: link set lo up
    link add c0 type veth peer name r0 netns router
    router: link add r1 type veth peer name s0 netns server
    router: addr add ${HOME.router}/24 dev r0
    router: addr add ${ELSEWHERE.router}/24 dev r0
    router: addr add 198.51.100.1/24 dev r1
    router: link set r0 up
    router: link set r1 up
    server: link set s0 up
    server: route add default via 198.51.100.1 dev s0 onlink`);
  for (const address of SERVER_ADDRESSES) ip(`server: addr add ${address}/24 dev s0`);
  inRouter("echo 1 > /proc/sys/net/ipv4/ip_forward");
  joinNetwork(HOME);
}

/** A program's command line in the servers' namespace; its process keeps its id. */
export function onServer(command: readonly [string, ...string[]]): readonly [string, ...string[]] {
  return ["ip", "netns", "exec", "server", ...command];
}

function inRouter(command: string): void {
  run("ip", "netns", "exec", "router", "sh", "-c", command);
}

function joinNetwork({ client, router }: typeof HOME): void {
  ip(`addr add ${client} dev c0
    link set c0 up
    route replace default via ${router} dev c0 onlink`);
}

/** The cable is pulled out: addresses and routes are gone. */
export function pullCable(): void {
  ip(`link set c0 down
    addr flush dev c0`);
}

export function plugIn(): void {
  joinNetwork(HOME);
}

/** Another network: another address, the old one is gone. */
export function moveElsewhere(): void {
  ip("addr flush dev c0");
  joinNetwork(ELSEWHERE);
}

export function moveBack(): void {
  ip("addr flush dev c0");
  joinNetwork(HOME);
}

/** Everything to a server and back is swallowed, without a word. */
export function swallow(address: string): void {
  ip(`router: rule add pref 10 to ${address} blackhole
    router: rule add pref 10 from ${address} blackhole`);
}

export function letThrough(address: string): void {
  ip(`router: rule del pref 10 to ${address} blackhole
    router: rule del pref 10 from ${address} blackhole`);
}

/** A middlebox forgets the connections that are open now: their packets are swallowed, new ones pass. */
export function forgetFlows(): void {
  const lines = run("ss", "-tnH", "state", "established", "state", "syn-sent", "dport", "=", ":853");
  const ports = new Set([...lines.matchAll(/:(\d+)\s+198\.51\.100\.\d+:853/g)].map(([, port]) => port));
  for (const port of ports)
    ip(`router: rule add pref 20 ipproto tcp sport ${port} blackhole
      router: rule add pref 20 ipproto tcp dport ${port} blackhole`);
}

/** Forgets what {@link forgetFlows} did, before the ports are used again. */
export function rememberFlows(): void {
  for (const line of run("ip", "-n", "router", "rule", "show").split("\n"))
    if (line.startsWith("20:")) run("ip", "-n", "router", "rule", "del", "pref", "20");
}
