/** The upstreams of forward zones, by usage profile or as they are written, and what is known of them. */
import type { TrustAnchor } from "@sotto/dns/dnssec";
import type { Runtime } from "@sotto/dns/runtime";
import { type AddressStore, profiledUpstreams } from "@sotto/dns/stub";
import {
  type Exchanger,
  type PoolMember,
  Upstream,
  type UpstreamLookup,
  UpstreamPool,
  type UpstreamStanding,
  upstreamTlsPolicy,
} from "@sotto/dns/transport";
import type { Name } from "@sotto/dns/wire";
import type { Config, ForwardZoneConfig } from "../config/index.ts";
import { StateFile } from "../operations/index.ts";
import { anchorsOf } from "./anchors.ts";

/** One forward zone with its upstreams. */
export interface Forwarder {
  readonly name: Name;
  readonly responder: UpstreamPool;
  /** How long queries wait there while no upstream can be reached, milliseconds. */
  readonly patienceMs: number;
  readonly fallsBack: boolean;
  readonly config: ForwardZoneConfig;
}

/** What is told about a forward zone. */
export interface ForwardZoneStatus {
  readonly zone: string;
  /** `as written` without a profile. */
  readonly profile: "strict" | "opportunistic" | "as written";
  readonly choice: string;
  /** How the profile is kept now: what protected the latest reply; failing when nobody who was asked answers. */
  readonly state: UpstreamStatus["state"];
  readonly upstreams: readonly UpstreamStatus[];
}

/** One way to one upstream. */
export type UpstreamStatus = Omit<UpstreamStanding, "upstream"> & {
  /** The name while no address of it is known. */
  readonly address: string;
  readonly port: number;
  readonly transport: string;
  /** Of upstreams without a configured address. */
  readonly lookup: UpstreamLookup | undefined;
  /** Which rung of the profile's ladder this way is; `as written` without a profile. */
  readonly rung: "authenticated" | "encrypted" | "clear" | "as written";
};

/** `validatedFrom`: the anchors of the resolver as they are at that moment (RFC 5011). `writesState`: false where another worker does. */
export function buildForwarders(
  { forwardZones, dnssec }: Config,
  exchanger: Exchanger,
  validatedFrom: () => readonly TrustAnchor[],
  runtime: Runtime,
  writesState = true,
): Forwarder[] {
  // The TLSA records of upstreams are validated even when nothing else is.
  const trustAnchors = dnssec.validation ? validatedFrom : () => anchorsOf(dnssec, runtime);
  return forwardZones.map((config) => {
    const path = config.profiled?.addressStateFile;
    const addressStore = path === undefined ? undefined : addressFile(path, !writesState);
    const upstreams = upstreamsOf(
      config,
      { exchanger, trustAnchors, addressStore, validates: dnssec.validation },
      runtime,
    );
    const patienceMs = config.profiled?.manners.outagePatienceMs ?? 0;
    const responder = new UpstreamPool({ upstreams, choice: config.choice, patienceMs }, runtime);
    return { name: config.name, responder, patienceMs, fallsBack: config.fallsBack, config };
  });
}

interface UpstreamMeans {
  readonly exchanger: Exchanger;
  readonly trustAnchors: () => readonly TrustAnchor[];
  readonly addressStore: AddressStore | undefined;
  readonly validates: boolean;
}

function upstreamsOf(
  config: ForwardZoneConfig,
  { exchanger, trustAnchors, addressStore, validates }: UpstreamMeans,
  runtime: Runtime,
): PoolMember[] {
  if (config.profiled !== undefined) {
    const { addressStateFile: _, manners, ...profiled } = config.profiled;
    return profiledUpstreams(
      { ...profiled, manners: { ...manners, trustAnchors }, addressStore, validates },
      exchanger,
      runtime,
    );
  }
  const hideClientSubnet = config.hidesClientSubnet;
  return config.upstreams.map(
    (address) =>
      new Upstream({ ...address, tls: upstreamTlsPolicy(address), hideClientSubnet }, exchanger, runtime),
  );
}

function addressFile(path: string, isReadOnly: boolean): AddressStore {
  const file = new StateFile(path, isReadOnly);
  return { load: () => file.read(), store: (text) => file.replace(text) };
}

export function forwardZoneStatus({ name, responder, config }: Forwarder): ForwardZoneStatus {
  const standings = responder.standings();
  return {
    zone: name.toString(),
    profile: config.profiled?.profile ?? "as written",
    choice: config.choice,
    state: stateOf(standings),
    upstreams: standings.map(({ upstream, ...standing }) => ({
      address: upstream.endpoint?.address ?? upstream.lookup?.name ?? "",
      port: upstream.endpoint?.port ?? upstream.lookup?.port ?? 0,
      lookup: upstream.lookup,
      transport: upstream.transport ?? "",
      rung: config.profiled === undefined ? "as written" : (RUNGS[upstream.tier ?? 0] ?? "clear"),
      ...standing,
    })),
  };
}

function stateOf(standings: readonly UpstreamStanding[]): UpstreamStanding["state"] {
  const working = standings
    .filter(({ state }) => state !== "failing" && state !== "untried")
    .sort((a, b) => (a.lastReplyAgoMs ?? 0) - (b.lastReplyAgoMs ?? 0));
  const isFailing = standings.some(({ state }) => state === "failing");
  return working[0]?.state ?? (isFailing ? "failing" : "untried");
}

const RUNGS = ["authenticated", "encrypted", "clear"] as const;
