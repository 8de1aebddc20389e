/**
 * The usage profiles of RFC 8310 §5: what must be true of the way before a query may leave. A ladder of tiers: authenticated,
 * encrypted, clear; Strict has the first rung only.
 */
import type { TrustAnchor } from "@sotto/dns/dnssec";
import { DnsError } from "@sotto/dns/runtime";
import { type TlsPolicy, UNAUTHENTICATED_TLS } from "@sotto/dns/transport";
import { tryParseAddress } from "@sotto/dns/wire";
import type { UpstreamPlan } from "./upstream-spec.ts";

export type UsageProfile = "strict" | "opportunistic";

/** Whether designated resolvers are looked for (RFC 9462); those that are found have to be verified. */
export type Discovery = "off" | "verified";

/** Rungs of the ladder, best first. */
export const Tier = { Authenticated: 0, Encrypted: 1, Clear: 2 } as const;

/** What all upstreams share. */
export interface UpstreamManners {
  /** Milliseconds for one try with one upstream. */
  readonly tryTimeoutMs?: number | undefined;
  /**
   * How long a question waits, milliseconds, while no upstream can be reached: they are tried at least every two seconds, and the first
   * reply lets all go on. 0: it fails at once. Default: until its deadline.
   */
  readonly outagePatienceMs?: number | undefined;
  /** Asks that nobody behind the server learns of the client's address (RFC 8310 §11.1). Default true. */
  readonly hideClientSubnet?: boolean | undefined;
  /** 0: no padding. Default 128 (RFC 8467 §4.1). */
  readonly padBlockOctets?: number | undefined;
  /** Default true (RFC 7828). */
  readonly keepalive?: boolean | undefined;
  /** Opportunistic without its last rung: encrypted at least. Default false. */
  readonly neverClear?: boolean | undefined;
  /** Where trust in TLSA records begins, asked each time when a function. Default: the root's built-in anchors. */
  readonly trustAnchors?: readonly TrustAnchor[] | (() => readonly TrustAnchor[]) | undefined;
}

export interface Rung {
  readonly tier: number;
  /** Undefined: in clear. */
  readonly tls: TlsPolicy | undefined;
}

export function rungs(plan: UpstreamPlan, profile: UsageProfile, isNeverClear: boolean): Rung[] {
  const found: Rung[] = [];
  if (plan.tlsPort !== undefined) {
    const unchecked = uncheckedTls(plan);
    if (hasCredentials(plan)) {
      const { name, pins, trustAnchorsPem } = plan;
      const tls: TlsPolicy = {
        ...unchecked,
        authName: name,
        pins,
        trustAnchorsPem,
        authenticate: "required",
      };
      found.push({ tier: Tier.Authenticated, tls });
    }
    if (profile === "opportunistic") found.push({ tier: Tier.Encrypted, tls: unchecked });
  }
  if (profile === "opportunistic" && !isNeverClear) found.push({ tier: Tier.Clear, tls: undefined });
  return found;
}

/**
 * How a server is asked for addresses of upstreams (RFC 8310 §7.2: meta-queries by the opportunistic profile): as it is written. Who
 * has credentials must show them when the profile is strict, `tls` without credentials encrypts, and only what is not written as TLS
 * is asked in clear.
 */
export function bootstrapRungs(plan: UpstreamPlan, profile: UsageProfile, isNeverClear: boolean): Rung[] {
  const isTlsOnly = plan.transport === "tls" && profile === "strict";
  const all = rungs(plan, "opportunistic", isNeverClear || isTlsOnly);
  return profile === "strict" && hasCredentials(plan) ? rungs(plan, "strict", true) : all;
}

/** Encrypts, whoever the server is. */
export function uncheckedTls(plan: UpstreamPlan): TlsPolicy {
  return { ...UNAUTHENTICATED_TLS, serverName: serverNameOf(plan) };
}

/** RFC 6066 §3: an address is no server name. */
function serverNameOf({ name }: UpstreamPlan): string | undefined {
  return name === undefined || tryParseAddress(name).ok ? undefined : name;
}

export function hasCredentials({ name, pins }: UpstreamPlan): boolean {
  return name !== undefined || pins.length > 0;
}

/** Throws ERR_CONFIG for an upstream that is not asked over TLS. */
export function requireTls({ label, tlsPort }: UpstreamPlan, who: string): void {
  if (tlsPort === undefined)
    throw new DnsError("ERR_CONFIG", `upstream ${label} is asked in clear, which ${who}`);
}

/** Throws ERR_CONFIG for an upstream that could not prove who it is (8310-6.6-a, 8310-6.6-b). */
export function requireCredentials(plan: UpstreamPlan, discovery: Discovery): void {
  requireTls(plan, "the strict profile never does");
  if (hasCredentials(plan)) return;
  // RFC 8310 §7.3: what a server says of itself in clear is no secure source.
  if (discovery === "verified")
    throw new DnsError(
      "ERR_CONFIG",
      `upstream ${plan.label} would have to be asked in clear for its designated resolvers, which the strict profile never does (RFC 8310 §7.3); if its certificate is for its address, say ${plan.address}@853#${plan.address}`,
    );
  throw new DnsError(
    "ERR_CONFIG",
    `upstream ${plan.label} has neither a name nor a pin by which the strict profile could know it; add one, such as ${plan.address}@853#NAME (RFC 8310 §6.6)`,
  );
}
