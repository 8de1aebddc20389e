/** The stub's upstreams as a forward zone for everything. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { DnsError } from "@sotto/dns/runtime";
import { hasCredentials, lintUpstream, readUpstream, type UpstreamPlan } from "@sotto/dns/stub";
import { Name } from "@sotto/dns/wire";
import type { ForwardZoneConfig, PortalConfig, UpstreamConnections } from "./config.ts";
import { bounded, known } from "./load-listeners.ts";
import { tryParsePin } from "./setting-types.ts";
import type { Settings } from "./settings.ts";
import { tryParseDuration } from "./units.ts";

type StubSettings = Settings["stub"];
type Report = (path: readonly PropertyKey[], message: string) => void;

export function toStub(stub: StubSettings, folder: string, report: Report, warn: Report): ForwardZoneConfig {
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
      if (!hasCredentials(plan))
        report(
          ["upstreams", i],
          `the strict profile needs a name or a pin to know ${plan.label} by (RFC 8310 §6.6); or say profile: opportunistic`,
        );
  return {
    name: Name.root,
    upstreams: [],
    hidesClientSubnet: stub["hide-client-subnet"],
    fallsBack: false,
    choice: stub.choice,
    profiled: {
      profile,
      plans,
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

function planOf(
  upstream: StubSettings["upstreams"][number],
  folder: string,
  report: (message: string) => void,
): UpstreamPlan | undefined {
  try {
    if (typeof upstream === "string") return readUpstream(upstream);
    const { authorities, pins, "clear-port": clearPort, ...rest } = upstream;
    const trustAnchorsPem =
      authorities === undefined ? undefined : [readAuthorities(resolve(folder, authorities))];
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

/** Without a certificate in it nobody could ever be authenticated. */
function readAuthorities(file: string): string {
  const pem = readFileSync(file, "utf8");
  if (!/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(pem))
    throw new DnsError("ERR_CONFIG", `authorities: ${file} holds no certificate in PEM`);
  return pem;
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
