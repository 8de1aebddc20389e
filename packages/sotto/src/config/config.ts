/** The configuration as the program uses it: parsed values, units in names, deeply readonly. */

import type { PublishedAnchors, SkewPolicy, TrustAnchor } from "@sotto/dns/dnssec";
import type { Endpoint } from "@sotto/dns/runtime";
import type { Discovery, UpstreamManners, UpstreamPlan, UsageProfile } from "@sotto/dns/stub";
import type {
  AdmissionLimits,
  ExchangerOptions,
  SessionLimits,
  UpstreamAddress,
  UpstreamChoice,
} from "@sotto/dns/transport";
import type { Name, ResourceRecord } from "@sotto/dns/wire";

/** One address to listen on. */
export interface ListenerConfig {
  readonly name: string;
  readonly transport: "udp" | "tcp" | "tls" | "https";
  readonly local: Endpoint;
  /** True for tls, and for https unless a proxy ends TLS. */
  readonly usesTls: boolean;
  /** Where queries are served, https only. */
  readonly path: string | undefined;
  /** Absolute paths, the first for clients that ask for no known name; empty makes a certificate at start. */
  readonly certificates: readonly { readonly certificateFile: string; readonly keyFile: string }[];
  readonly clientCertificates: ClientCertificatesConfig | undefined;
  readonly proxy:
    | { readonly from: readonly string[]; readonly place: "before tls" | "inside tls" | "http header" }
    | undefined;
  readonly fastOpen: boolean;
  readonly limits: SessionLimits;
}

/** Access by client certificate. */
export interface ClientCertificatesConfig {
  readonly authoritiesFile: string | undefined;
  readonly names: readonly string[];
  /** SPKI pins, base64. */
  readonly pins: readonly string[];
  readonly effect: "required" | "sufficient";
}

/** Names whose queries go to other servers. */
export interface ForwardZoneConfig {
  readonly name: Name;
  readonly upstreams: readonly UpstreamAddress[];
  readonly hidesClientSubnet: boolean;
  /** Authorities are asked when the upstreams fail. */
  readonly fallsBack: boolean;
  readonly choice: UpstreamChoice;
  /** The usage profile with the upstreams as it reads them (RFC 8310 §5); undefined: each is asked as it is written. */
  readonly profiled: ProfiledUpstreams | undefined;
}

export type UpstreamConnections = Pick<
  ExchangerOptions,
  "connectTimeoutMs" | "handshakeTimeoutMs" | "connection"
>;

/** What openings of captive portals are allowed. */
export interface PortalConfig {
  readonly isAllowed: boolean;
  readonly forMsMax: number;
  /** Which profile they are an exception from. */
  readonly profile: UsageProfile;
}

export interface ProfiledUpstreams {
  readonly profile: UsageProfile;
  readonly plans: readonly UpstreamPlan[];
  /** Who tells the addresses of those that are known by name only; absent: nobody. */
  readonly bootstrap?: readonly UpstreamPlan[] | undefined;
  /** Absent: off. */
  readonly discovery?: Discovery | undefined;
  /** Absolute path; absent: addresses are not kept. */
  readonly addressStateFile?: string | undefined;
  readonly manners: UpstreamManners;
}

/** How names of a local zone without records are answered; `server/middleware/local-zones` tells what each means. */
export type LocalZoneKind =
  | "static"
  | "transparent"
  | "typetransparent"
  | "redirect"
  | "refuse"
  | "null"
  | "nxdomain"
  | "nodata";

/** A zone whose servers are known. */
export interface StubZoneConfig {
  readonly name: Name;
  /** Port undefined: the resolver's. */
  readonly servers: readonly { readonly address: string; readonly port: number | undefined }[];
  /** The servers that the zone above names are asked when these fail. */
  readonly fallsBack: boolean;
}

/** When expired answers are given. */
export interface StaleConfig {
  /** Infinity: no limit. */
  readonly ttlSecondsMax: number;
  readonly replyTtlSeconds: number;
  readonly clientTimeoutMs: number;
}

/** How answers are validated. */
export interface DnssecConfig {
  readonly validation: boolean;
  readonly anchors: readonly TrustAnchor[];
  /** Anchors with dates, of which those count that are valid at start. */
  readonly published: readonly PublishedAnchors[];
  /** Absolute path; undefined: anchors stay as configured. */
  readonly anchorStateFile: string | undefined;
  readonly signalsAnchors: boolean;
  readonly negativeAnchors: readonly Name[];
  /** Seconds since 1970; undefined: the clock's. */
  readonly fixedNowSeconds: number | undefined;
  readonly skew: SkewPolicy;
  readonly sha1: boolean;
  readonly wantsEveryAlgorithm: boolean;
  readonly takesStripped: boolean;
  readonly dsa: boolean;
  readonly nsec3IterationsMax: number;
}

/** Everything `sotto serve` needs to know. */
export interface Config {
  /** Threads that serve; `auto`: as many as the machine has cores for. */
  readonly workers: "auto" | number;
  readonly listeners: readonly ListenerConfig[];
  readonly access: {
    readonly allow: readonly string[];
    readonly deny: readonly string[];
    readonly action: "refuse" | "drop";
    readonly snooping: readonly string[];
    readonly any: "full" | "minimal over udp" | "minimal" | "refuse";
  };
  readonly identity: {
    readonly id: string | undefined;
    readonly version: string | undefined;
    readonly trustAnchors: boolean;
  };
  readonly cookies: {
    readonly policy: "off" | "offer" | "require over udp";
    /** 16 octets each; empty draws one at start. */
    readonly secrets: readonly Uint8Array[];
  };
  readonly resolver: {
    /** Undefined: the public root, built in. */
    readonly rootHints: readonly { readonly name: Name; readonly address: string }[] | undefined;
    readonly port: number;
    readonly families: readonly ("ipv4" | "ipv6")[];
    readonly outgoingAddresses: readonly string[];
    readonly fastOpen: boolean;
    /** Queries to servers that are asked much share source ports. */
    readonly sharesPorts: boolean;
    readonly deadlineMs: number;
    readonly qnameMinimisation: "relaxed" | "strict" | "off";
    readonly caseRandomisation: boolean;
    readonly hardenGlue: boolean;
    readonly cookies: boolean;
    readonly ednsPayloadOctets: number;
    readonly errorReporting: boolean;
    readonly encryptsToAuthorities: boolean;
    readonly encryptionPort: number;
    /** Absolute; undefined: nothing is kept. */
    readonly encryptionStateFile: string | undefined;
    /** `prefixes` as text. */
    readonly privateAddresses: { readonly prefixes: readonly string[]; readonly except: readonly Name[] };
  };
  readonly stubZones: readonly StubZoneConfig[];
  readonly dnssec: DnssecConfig;
  readonly forwardZones: readonly ForwardZoneConfig[];
  /** How connections to upstreams are made; a stub has settings for it. */
  readonly upstreamConnections: UpstreamConnections;
  /** Undefined: not a stub, which alone has portals. */
  readonly portal: PortalConfig | undefined;
  /** What carries the listeners, and queries to servers over UDP. */
  readonly engine: "node" | "native";
  /** Absolute; undefined: no control channel. */
  readonly controlSocket: string | undefined;
  readonly dns64:
    | {
        readonly prefix: string;
        readonly exclude: readonly string[];
        readonly ignoreAaaa: readonly Name[];
        readonly clients: readonly string[] | undefined;
        readonly reverse: "alias" | "records";
      }
    | undefined;
  readonly localZones: {
    readonly builtin: boolean;
    readonly except: readonly Name[];
    readonly records: readonly ResourceRecord[];
    readonly zones: readonly { readonly name: Name; readonly kind: LocalZoneKind }[];
  };
  /** Undefined: clients are told of no listener. */
  readonly designation:
    | {
        readonly name: Name;
        /** The preferred first. */
        readonly services: readonly {
          readonly transport: "tls" | "https";
          readonly port: number;
          /** https only. */
          readonly path: string | undefined;
          readonly addresses: readonly string[];
        }[];
      }
    | undefined;
  readonly cache: {
    readonly sizeBytes: number;
    readonly maxTtlSeconds: number;
    readonly minTtlSeconds: number;
    readonly maxNegativeTtlSeconds: number;
    /** Absent: as `minTtlSeconds`. */
    readonly minNegativeTtlSeconds: number | undefined;
    readonly nxdomainCut: boolean;
    readonly aggressiveDenial: boolean;
    readonly prefetch: boolean;
    /** Undefined: nothing stale is given. */
    readonly stale: StaleConfig | undefined;
  };
  readonly limits: AdmissionLimits & { readonly drainTimeoutMs: number };
  readonly tls: {
    readonly groups: readonly string[];
    /** Absolute path; undefined draws a secret at start. */
    readonly ticketSecretFile: string | undefined;
    readonly ticketRotationMs: number;
    /** Undefined: only when told to. */
    readonly watchCertificatesMs: number | undefined;
  };
  readonly log: {
    readonly level: "error" | "warn" | "info" | "debug";
    readonly format: "auto" | "text" | "json";
  };
}
