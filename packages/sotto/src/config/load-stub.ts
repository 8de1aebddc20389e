/** The stub's upstreams as a forward zone for everything. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { DnsError, type Endpoint } from "@sotto/dns/runtime";
import {
  hasCredentials,
  lintUpstream,
  parseResolvConf,
  readUpstream,
  requireCredentials,
  requireFindable,
  type UpstreamPlan,
} from "@sotto/dns/stub";
import { Name } from "@sotto/dns/wire";
import type { ForwardZoneConfig, PortalConfig, UpstreamConnections } from "./config.ts";
import { readAuthorities } from "./load-common.ts";
import { bounded, known } from "./load-listeners.ts";
import { tryParsePin } from "./setting-types.ts";
import type { Settings } from "./settings.ts";
import { tryParseDuration } from "./units.ts";

type StubSettings = Settings["stub"];
type Report = (path: readonly PropertyKey[], message: string) => void;

/** `ourselves`: where this resolver listens. */
export function toStub(
  stub: StubSettings,
  folder: string,
  ourselves: readonly Endpoint[],
  { report, warn }: Record<"report" | "warn", Report>,
): ForwardZoneConfig {
  // RFC 8310 §5: nobody gets less than the best without having said so.
  const profile = stub.profile ?? "strict";
  const plans = stub.upstreams.flatMap((upstream, i) => {
    const plan = planOf(upstream, folder, (message) => report(["upstreams", i], message));
    for (const lint of plan === undefined ? [] : lintUpstream(plan)) warn(["upstreams", i], lint);
    return plan === undefined ? [] : [plan];
  });
  if (stub.upstreams.length === 0)
    report(["upstreams"], "names nobody to ask, such as tls://dns.example?ip=192.0.2.1");
  if (profile === "strict")
    for (const [i, plan] of plans.entries())
      if (!hasCredentials(plan) && stub.discovery === "verified")
        report(["upstreams", i], problemOf(() => requireCredentials(plan, "verified")) ?? "");
      else if (!hasCredentials(plan))
        report(
          ["upstreams", i],
          `the strict profile needs a name or a pin to know ${plan.label} by (RFC 8310 §6.6); or say profile: opportunistic`,
        );
  if (stub["never-clear"])
    for (const [i, plan] of plans.entries())
      if (plan.tlsPort === undefined)
        report(["upstreams", i], "is asked in clear, which never-clear forbids");
  for (const [i, plan] of plans.entries())
    if (isOneOf(plan, ourselves))
      report(["upstreams", i], `${plan.label} is this resolver itself, which would ask itself`);
  const bootstrap = bootstrapOf(stub, profile, plans, ourselves, report);
  if (plans.length === stub.upstreams.length && bootstrap !== undefined) {
    const problem = problemOf(() => requireFindable(plans, bootstrap));
    if (problem !== undefined) report(["upstreams"], problem);
  }
  const { "state-file": stateFile } = stub;
  return {
    name: Name.root,
    upstreams: [],
    hidesClientSubnet: stub["hide-client-subnet"],
    fallsBack: false,
    choice: stub.choice,
    profiled: {
      profile,
      plans,
      bootstrap,
      discovery: stub.discovery ?? (profile === "opportunistic" ? "verified" : "off"),
      addressStateFile: stateFile === undefined ? undefined : resolve(folder, stateFile),
      manners: {
        tryTimeoutMs: known(tryParseDuration(stub["try-timeout"])),
        outagePatienceMs: known(tryParseDuration(stub["outage-patience"])),
        hideClientSubnet: stub["hide-client-subnet"],
        padBlockOctets: stub.padding,
        neverClear: stub["never-clear"],
      },
    },
  };
}

/** Undefined when they make no sense, which has been reported then. */
function bootstrapOf(
  { bootstrap }: StubSettings,
  profile: "strict" | "opportunistic",
  plans: readonly UpstreamPlan[],
  ourselves: readonly Endpoint[],
  report: Report,
): readonly UpstreamPlan[] | undefined {
  const hasNamesOnly = plans.length > 0 && plans.every(({ address }) => address === undefined);
  const chosen = bootstrap ?? (profile === "opportunistic" && hasNamesOnly ? "system" : []);
  if (chosen === "system") return systemServers(readResolvConf(), ourselves, report);
  const servers = chosen.map(readUpstream);
  // A loop would only be noticed when nothing is found.
  const own = servers.findIndex((server) => isOneOf(server, ourselves));
  if (own < 0) return servers;
  report(["bootstrap", own], `${servers[own]?.label} is this resolver itself, which has nobody to ask then`);
  return undefined;
}

/** The servers of resolv.conf but for this resolver, which is often the only one. */
export function systemServers(
  resolvConf: string,
  ourselves: readonly Endpoint[],
  report: Report,
): readonly UpstreamPlan[] | undefined {
  const servers = parseResolvConf(resolvConf).servers.map(readUpstream);
  const others = servers.filter((server) => !isOneOf(server, ourselves));
  if (others.length > 0) return others;
  report(["bootstrap"], "resolv.conf names nobody but this resolver itself; name a server by its address");
  return undefined;
}

function readResolvConf(): string {
  try {
    return readFileSync("/etc/resolv.conf", "utf8");
  } catch {
    // Without the file the C library asks this machine.
    return "";
  }
}

function isOneOf(
  { address, tlsPort, clear, transport }: UpstreamPlan,
  ourselves: readonly Endpoint[],
): boolean {
  const ports = transport === "tls" ? [tlsPort] : [tlsPort, clear.port];
  return ourselves.some(
    (own) =>
      ports.includes(own.port) && (own.address === address || (isEverywhere(own) && isLoopback(address))),
  );
}

function isEverywhere({ address }: Endpoint): boolean {
  return address === "0.0.0.0" || address === "::";
}

function isLoopback(address: string | undefined): boolean {
  return address === "::1" || address?.startsWith("127.") === true;
}

function problemOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!DnsError.is(error)) throw error;
    return error.message;
  }
}

function planOf(
  upstream: StubSettings["upstreams"][number],
  folder: string,
  report: (message: string) => void,
): UpstreamPlan | undefined {
  try {
    if (typeof upstream === "string") return readUpstream(upstream);
    const { authorities, pins, "clear-port": clearPort, ...rest } = upstream;
    const pem = authorities === undefined ? undefined : readAuthorities(resolve(folder, authorities));
    if (pem?.ok === false) throw new DnsError("ERR_CONFIG", `authorities: ${pem.problem}`);
    const trustAnchorsPem = pem === undefined ? undefined : [pem.value];
    return readUpstream({
      ...rest,
      clearPort,
      pins: pins.map((pin) => known(tryParsePin(pin))),
      trustAnchorsPem,
    });
  } catch (error) {
    report(DnsError.is(error) || error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

export function toUpstreamConnections({ stub }: Settings): UpstreamConnections {
  if (stub.upstreams.length === 0) return {};
  return {
    connectTimeoutMs: known(tryParseDuration(stub["connect-timeout"])),
    handshakeTimeoutMs: known(tryParseDuration(stub["handshake-timeout"])),
    connection: { idleTimeoutMs: known(tryParseDuration(stub["idle-timeout"])) },
  };
}

export function toPortal({ stub }: Settings, report: (message: string) => void): PortalConfig {
  return {
    isAllowed: stub.portal.allowed,
    forMsMax: bounded(stub.portal["for-max"], PORTAL_MS_MIN, PORTAL_MS_MAX, report),
    profile: stub.profile ?? "strict",
  };
}

/** Less is no opening. */
const PORTAL_MS_MIN = 10_000;
/** Who needs longer opens again, and has been reminded by then. */
const PORTAL_MS_MAX = 15 * 60_000;
