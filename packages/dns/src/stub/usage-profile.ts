/**
 * The usage profiles of RFC 8310 §5 as members of a pool: what must be true of the way before a query may leave. A ladder
 * of tiers: authenticated, encrypted, clear; Strict has the first rung only.
 */
import { rootAnchors, type TrustAnchor } from "@sotto/dns/dnssec";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import {
  type Exchanger,
  type PoolMember,
  type TlsPolicy,
  UNAUTHENTICATED_TLS,
  Upstream,
  UpstreamPool,
} from "@sotto/dns/transport";
import { tryParseAddress } from "@sotto/dns/wire";
import { DaneRecords } from "./dane-records.ts";
import { DaneUpstream } from "./dane-upstream.ts";
import type { UpstreamPlan } from "./upstream-spec.ts";

export type UsageProfile = "strict" | "opportunistic";

/** Rungs of the ladder, best first. */
const Tier = { Authenticated: 0, Encrypted: 1, Clear: 2 } as const;

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

/**
 * The pool members for some upstreams. Throws ERR_CONFIG for a strict profile with an upstream that could not prove who it is
 * (8310-6.6-a, 8310-6.6-b).
 */
export function profiledUpstreams(
  plans: readonly UpstreamPlan[],
  profile: UsageProfile,
  manners: UpstreamManners,
  exchanger: Exchanger,
  runtime: Runtime,
): PoolMember[] {
  if (plans.length === 0) throw new DnsError("ERR_CONFIG", "no upstream is given");
  if (profile === "strict") for (const plan of plans) requireCredentials(plan);
  const ladders = plans.map((plan) => ({ plan, ladder: rungs(plan, profile, manners.neverClear === true) }));
  const build: Build = (plan, { tier, tls }) =>
    new Upstream(
      {
        ...wayOf(plan, tls),
        tier,
        queryTimeoutMs: manners.tryTimeoutMs ?? (tier < Tier.Clear ? TRY_TIMEOUT_MS : undefined),
        hideClientSubnet: manners.hideClientSubnet ?? true,
        padBlockOctets: manners.padBlockOctets,
        keepalive: manners.keepalive,
      },
      exchanger,
      runtime,
    );
  // Who may be told the names of others: those that prove who they are without TLSA records.
  const trusted = ladders
    .filter(({ plan }) => plan.dane === undefined)
    .flatMap(({ plan, ladder }) => ladder.filter(isAuthenticated).map((rung) => build(plan, rung)));
  return ladders.flatMap(({ plan, ladder }) =>
    ladder.map((rung) => {
      const { dane } = plan;
      if (rung.tls === undefined || dane === undefined || !isAuthenticated(rung)) return build(plan, rung);
      const records = daneRecords(
        plan,
        [trusted, metaQueryWays(plan, ladder, build)],
        manners,
        exchanger,
        runtime,
      );
      const upstreamFor = (tls: TlsPolicy): Upstream => build(plan, { ...rung, tls });
      return new DaneUpstream({ mode: dane, records, tls: rung.tls, upstreamFor });
    }),
  );
}

/** Makes the pool member for one rung. */
type Build = (plan: UpstreamPlan, rung: Rung) => Upstream;

function isAuthenticated({ tier }: Rung): boolean {
  return tier === Tier.Authenticated;
}

/**
 * How an upstream itself is asked for its TLSA records, before they can tell whether it is the right one: RFC 8310 §8.2.1 allows
 * the opportunistic profile. In clear only when everything may go in clear.
 */
function metaQueryWays(plan: UpstreamPlan, ladder: readonly Rung[], build: Build): PoolMember[] {
  const encrypted = { tier: Tier.Encrypted, tls: uncheckedTls(plan) };
  return [encrypted, ...ladder.filter(({ tier }) => tier === Tier.Clear)].map((rung) => build(plan, rung));
}

function daneRecords(
  { name = "", tlsPort: port = TLS_PORT }: UpstreamPlan,
  sources: readonly (readonly PoolMember[])[],
  { trustAnchors = rootAnchors() }: UpstreamManners,
  exchanger: Exchanger,
  runtime: Runtime,
): DaneRecords {
  const pools = sources.filter(({ length }) => length > 0);
  return new DaneRecords(
    {
      name,
      port,
      sources: pools.map((upstreams) => new UpstreamPool({ upstreams }, runtime)),
      anchors: () => (typeof trustAnchors === "function" ? trustAnchors() : trustAnchors),
      networkEpoch: () => exchanger.networkEpoch,
    },
    runtime,
  );
}

interface Rung {
  readonly tier: number;
  /** Undefined: in clear. */
  readonly tls: TlsPolicy | undefined;
}

function rungs(plan: UpstreamPlan, profile: UsageProfile, isNeverClear: boolean): Rung[] {
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

/** Encrypts, whoever the server is. */
function uncheckedTls(plan: UpstreamPlan): TlsPolicy {
  return { ...UNAUTHENTICATED_TLS, serverName: serverNameOf(plan) };
}

function wayOf(
  plan: UpstreamPlan,
  tls: TlsPolicy | undefined,
): Pick<ConstructorParameters<typeof Upstream>[0], "transport" | "endpoint" | "tls"> {
  if (tls === undefined || plan.tlsPort === undefined) return plan.clear;
  return { transport: "tls", endpoint: { address: plan.address, port: plan.tlsPort }, tls };
}

/** RFC 6066 §3: an address is no server name. */
function serverNameOf({ name }: UpstreamPlan): string | undefined {
  return name === undefined || tryParseAddress(name).ok ? undefined : name;
}

export function hasCredentials({ name, pins }: UpstreamPlan): boolean {
  return name !== undefined || pins.length > 0;
}

function requireCredentials(plan: UpstreamPlan): void {
  if (plan.tlsPort === undefined)
    throw new DnsError(
      "ERR_CONFIG",
      `upstream ${plan.label} is asked in clear, which the strict profile never does`,
    );
  if (!hasCredentials(plan))
    throw new DnsError(
      "ERR_CONFIG",
      `upstream ${plan.label} has neither a name nor a pin by which the strict profile could know it; add one, such as ${plan.address}@853#NAME (RFC 8310 §6.6)`,
    );
}

/** Of five seconds, so that two servers that swallow everything leave time for the next rung. */
const TRY_TIMEOUT_MS = 2000;
/** RFC 7858 §3.1. */
const TLS_PORT = 853;
