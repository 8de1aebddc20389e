/** Upstreams as members of a pool, by a usage profile, with everything that is found out about them: addresses, TLSA records. */
import { rootAnchors, type TrustAnchor, TrustAnchors, Validator } from "@sotto/dns/dnssec";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import {
  type Exchanger,
  identityOf,
  type PoolMember,
  type TlsPolicy,
  UNAUTHENTICATED_TLS,
  Upstream,
  UpstreamPool,
} from "@sotto/dns/transport";
import { AddressMemory, type AddressStore } from "./address-memory.ts";
import { DaneRecords } from "./dane-records.ts";
import { DaneUpstream } from "./dane-upstream.ts";
import { DesignatedUpstream } from "./designated-upstream.ts";
import { isPublicAddress } from "./designation.ts";
import { type DesignatedEndpoint, Designations } from "./designations.ts";
import { NamedUpstream } from "./named-upstream.ts";
import { type AddressSource, UpstreamAddresses } from "./upstream-addresses.ts";
import { type PlacedPlan, requireFindable, type UpstreamPlan } from "./upstream-spec.ts";
import {
  bootstrapRungs,
  type Discovery,
  hasCredentials,
  type Rung,
  requireCredentials,
  requireTls,
  rungs,
  Tier,
  type UpstreamManners,
  type UsageProfile,
  uncheckedTls,
} from "./usage-profile.ts";
import { WhileKnown } from "./while-known.ts";

export interface ProfiledUpstreamsOptions {
  readonly plans: readonly UpstreamPlan[];
  readonly profile: UsageProfile;
  readonly manners: UpstreamManners;
  /** Who may be asked for the addresses of upstreams that are known by name only; each with an address. */
  readonly bootstrap?: readonly UpstreamPlan[] | undefined;
  readonly addressStore?: AddressStore | undefined;
  /** `verified`: designated resolvers of upstreams that are known by address only are found (RFC 9462). Default `off`. */
  readonly discovery?: Discovery | undefined;
  /** Addresses of upstreams are validated as other answers are (RFC 8310 §7.2). */
  readonly validates?: boolean | undefined;
}

/**
 * The pool members for some upstreams. Throws ERR_CONFIG for a strict profile with an upstream that could not prove who it is
 * (8310-6.6-a, 8310-6.6-b), and for an upstream whose address nobody can be asked for.
 */
export function profiledUpstreams(
  options: ProfiledUpstreamsOptions,
  exchanger: Exchanger,
  runtime: Runtime,
): PoolMember[] {
  return new ProfiledUpstreams(options, exchanger, runtime).members();
}

/** One upstream and its rungs. */
interface Ladder {
  readonly plan: UpstreamPlan;
  readonly rungs: readonly Rung[];
}

class ProfiledUpstreams {
  readonly #options: ProfiledUpstreamsOptions;
  readonly #exchanger: Exchanger;
  readonly #runtime: Runtime;
  readonly #ladders: readonly Ladder[];
  readonly #memory: AddressMemory;
  /** By name: upstreams that differ in ports or pins share them. */
  readonly #addresses = new Map<string, UpstreamAddresses>();

  constructor(options: ProfiledUpstreamsOptions, exchanger: Exchanger, runtime: Runtime) {
    const { plans, profile, manners, addressStore, discovery = "off" } = options;
    if (plans.length === 0) throw new DnsError("ERR_CONFIG", "no upstream is given");
    if (profile === "strict") for (const plan of plans) requireCredentials(plan, discovery);
    if (manners.neverClear === true) for (const plan of plans) requireTls(plan, "never-clear does not allow");
    requireFindable(plans, options.bootstrap ?? []);
    this.#options = options;
    this.#exchanger = exchanger;
    this.#runtime = runtime;
    this.#ladders = plans.map((plan) => ({ plan, rungs: rungs(plan, profile, manners.neverClear === true) }));
    const names = plans.flatMap(({ name, address }) => (address === undefined ? (name ?? []) : []));
    this.#memory = new AddressMemory(addressStore, names, runtime);
  }

  members(): PoolMember[] {
    return this.#ladders.flatMap((ladder) => [
      ...this.#designated(ladder),
      ...ladder.rungs.map((rung) => this.#member(ladder, rung)),
    ]);
  }

  #member(ladder: Ladder, rung: Rung): PoolMember {
    const { plan } = ladder;
    const { tls } = rung;
    if (tls === undefined || plan.dane === undefined || !isAuthenticated(rung))
      return this.#build(plan, rung);
    const upstreamFor = (policy: TlsPolicy): PoolMember => this.#build(plan, { ...rung, tls: policy });
    return new DaneUpstream({ mode: plan.dane, records: this.#daneRecords(ladder), tls, upstreamFor });
  }

  /** The rungs above a resolver of which nothing but its address is known. */
  #designated({ plan, rungs: ladder }: Ladder): DesignatedUpstream[] {
    if (this.#options.discovery !== "verified" || !mayDesignate(plan)) return [];
    const networkEpoch = (): number => this.#exchanger.networkEpoch;
    const { address, trustAnchorsPem } = plan;
    const sources = ladder.map((rung) => this.#build(plan, rung));
    const designations = new Designations({ address, sources, networkEpoch }, this.#runtime);
    const rungOf = (tier: number, tls: TlsPolicy, isUsable: (at: DesignatedEndpoint) => boolean) => {
      const memberAt = (at: DesignatedEndpoint): PoolMember =>
        this.#buildAt({ ...plan, address: at.address, tlsPort: at.port }, { tier, tls });
      const isVerified = tier === Tier.Authenticated;
      return new DesignatedUpstream(
        {
          address,
          designations,
          tier,
          identity: identityOf(tls),
          isVerified,
          memberAt,
          isUsable,
          networkEpoch,
        },
        this.#runtime,
      );
    };
    // RFC 9462 §6.3: no server name, and the certificate has to be for the address.
    const verified: TlsPolicy = {
      ...UNAUTHENTICATED_TLS,
      authName: address,
      trustAnchorsPem,
      authenticate: "required",
    };
    const found = [rungOf(Tier.Authenticated, verified, () => true)];
    // On its own port TLS is tried in any case.
    const isElsewhere = (at: DesignatedEndpoint): boolean =>
      at.address === address && at.port !== plan.tlsPort;
    if (!isPublicAddress(address)) found.push(rungOf(Tier.Encrypted, UNAUTHENTICATED_TLS, isElsewhere));
    return found;
  }

  /** The way to an upstream, at the address it has or at those that its name has. */
  #build(plan: UpstreamPlan, rung: Rung): PoolMember {
    if (hasAddress(plan)) return this.#buildAt(plan, rung);
    const { name = "" } = plan;
    const { transport, port } = wayOf(plan, rung.tls);
    return new NamedUpstream(
      {
        name,
        port,
        transport,
        ...rung,
        addresses: this.#addressesOf(name),
        memberAt: (address) => this.#buildAt({ ...plan, address }, rung),
        networkEpoch: () => this.#exchanger.networkEpoch,
        onAuthenticated: (address) => this.#memory.noteGood(name, address),
      },
      this.#runtime,
    );
  }

  #buildAt(plan: PlacedPlan, { tier, tls }: Rung): Upstream {
    const { manners } = this.#options;
    const { transport, port } = wayOf(plan, tls);
    return new Upstream(
      {
        transport,
        endpoint: { address: plan.address, port },
        tls,
        tier,
        queryTimeoutMs: manners.tryTimeoutMs ?? (tier < Tier.Clear ? TRY_TIMEOUT_MS : undefined),
        hideClientSubnet: manners.hideClientSubnet ?? true,
        padBlockOctets: manners.padBlockOctets,
        keepalive: manners.keepalive,
      },
      this.#exchanger,
      this.#runtime,
    );
  }

  #addressesOf(name: string): UpstreamAddresses {
    const known = this.#addresses.get(name);
    if (known !== undefined) return known;
    // Sources may be named upstreams, too, and then lead back here.
    const sources: AddressSource[] = [];
    const addresses = new UpstreamAddresses(
      {
        name,
        sources,
        memory: this.#memory,
        validator: () => (this.#options.validates === true ? this.#validator() : undefined),
        networkEpoch: () => this.#exchanger.networkEpoch,
      },
      this.#runtime,
    );
    this.#addresses.set(name, addresses);
    sources.push(...this.#addressSources());
    return addresses;
  }

  /** Upstreams first, which see nothing new; then those that were given for this one purpose. */
  #addressSources(): AddressSource[] {
    const { bootstrap = [], profile, manners } = this.#options;
    const placed = this.#ladders.filter(({ plan }) => plan.address !== undefined);
    const servers = bootstrap.flatMap((plan) =>
      bootstrapRungs(plan, profile, manners.neverClear === true).map((rung) => this.#build(plan, rung)),
    );
    const upstreams = [
      ...placed.flatMap((ladder) => ladder.rungs.map((rung) => this.#member(ladder, rung))),
      ...this.#ladders
        .filter(({ plan }) => plan.address === undefined)
        .flatMap((ladder) => this.#whileKnown(ladder)),
    ];
    return [
      { label: "upstreams", responder: this.#poolOf(upstreams) },
      ...(servers.length === 0 ? [] : [{ label: "bootstrap", responder: this.#poolOf(servers) }]),
    ];
  }

  /** Upstreams by name may tell of each other, and of themselves, once they are found; none waits for another. */
  #whileKnown(ladder: Ladder): PoolMember[] {
    const { name = "" } = ladder.plan;
    const addresses = this.#addressesOf(name);
    return ladder.rungs
      .filter(isAuthenticated)
      .map((rung) => new WhileKnown(this.#member(ladder, rung), () => addresses.told.length > 0));
  }

  #poolOf(upstreams: readonly PoolMember[]): UpstreamPool {
    return new UpstreamPool({ upstreams }, this.#runtime);
  }

  /**
   * TLSA records come from upstreams that prove who they are without, then from the upstream itself, before they can tell whether it
   * is the right one: RFC 8310 §8.2.1 allows the opportunistic profile. In clear only when everything may go in clear.
   */
  #daneRecords({ plan, rungs: ladder }: Ladder): DaneRecords {
    const trusted = this.#ladders
      .filter(({ plan: other }) => other.dane === undefined && other.address !== undefined)
      .flatMap((other) => other.rungs.filter(isAuthenticated).map((rung) => this.#build(other.plan, rung)));
    const itself = [
      { tier: Tier.Encrypted, tls: uncheckedTls(plan) },
      ...ladder.filter(({ tier }) => tier === Tier.Clear),
    ].map((rung) => this.#build(plan, rung));
    const sources = [trusted, itself].filter(({ length }) => length > 0);
    return new DaneRecords(
      {
        name: plan.name ?? "",
        port: plan.tlsPort ?? TLS_PORT,
        sources: sources.map((upstreams) => this.#poolOf(upstreams)),
        anchors: () => this.#anchors(),
        networkEpoch: () => this.#exchanger.networkEpoch,
      },
      this.#runtime,
    );
  }

  #anchors(): readonly TrustAnchor[] {
    const { trustAnchors = rootAnchors() } = this.#options.manners;
    return typeof trustAnchors === "function" ? trustAnchors() : trustAnchors;
  }

  /** A new one each time: the anchors may be others now, and it is not often. */
  #validator(): Validator {
    const { clock } = this.#runtime;
    return new Validator({
      anchors: new TrustAnchors(this.#anchors(), []),
      nowSeconds: () => Math.floor(clock.wallMs() / 1000),
      uptimeSeconds: () => clock.nowMs() / 1000,
    });
  }
}

function isAuthenticated({ tier }: Rung): boolean {
  return tier === Tier.Authenticated;
}

/** Nothing but an address was given, and nothing was said of how to ask there. */
function mayDesignate(plan: UpstreamPlan): plan is PlacedPlan {
  return plan.transport === "auto" && !hasCredentials(plan) && hasAddress(plan);
}

function hasAddress(plan: UpstreamPlan): plan is PlacedPlan {
  return plan.address !== undefined;
}

function wayOf(
  { tlsPort, clear }: UpstreamPlan,
  tls: TlsPolicy | undefined,
): { readonly transport: "udp" | "tcp" | "tls"; readonly port: number } {
  return tls === undefined || tlsPort === undefined ? clear : { transport: "tls", port: tlsPort };
}

/** Of five seconds, so that two servers that swallow everything leave time for the next rung. */
const TRY_TIMEOUT_MS = 2000;
/** RFC 7858 §3.1. */
const TLS_PORT = 853;
