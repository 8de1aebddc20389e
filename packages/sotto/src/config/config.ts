/** The configuration as the program uses it: parsed values, units in names, deeply readonly. */

import type { Endpoint } from "@sotto/dns/runtime";
import type { UpstreamAddress } from "@sotto/dns/transport";
import type { Name, ResourceRecord } from "@sotto/dns/wire";

/** One address to listen on. */
export interface ListenerConfig {
  readonly transport: "udp" | "tcp" | "tls";
  readonly local: Endpoint;
  /** Absolute path; undefined makes a certificate at start. Always together with `keyFile`. */
  readonly certificateFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** Names whose queries go to other servers. */
export interface ForwardZoneConfig {
  readonly name: Name;
  readonly upstreams: readonly UpstreamAddress[];
}

/** Everything `sotto serve` needs to know. */
export interface Config {
  readonly listeners: readonly ListenerConfig[];
  readonly access: {
    readonly allow: readonly string[];
    readonly deny: readonly string[];
    readonly action: "refuse" | "drop";
  };
  readonly resolver: {
    /** Undefined: the public root, built in. */
    readonly rootHints: readonly { readonly name: Name; readonly address: string }[] | undefined;
    readonly port: number;
    readonly families: readonly ("ipv4" | "ipv6")[];
    readonly outgoingAddresses: readonly string[];
    readonly deadlineMs: number;
  };
  readonly forwardZones: readonly ForwardZoneConfig[];
  readonly localZones: {
    readonly builtin: boolean;
    readonly except: readonly Name[];
    readonly records: readonly ResourceRecord[];
  };
  readonly cache: {
    readonly sizeBytes: number;
    readonly maxTtlSeconds: number;
    readonly minTtlSeconds: number;
    readonly maxNegativeTtlSeconds: number;
  };
  readonly limits: {
    readonly connectionsMax: number;
    readonly connectionsPerAddressMax: number;
    readonly inFlightMax: number;
    readonly idleTimeoutMs: number;
  };
  readonly log: {
    readonly level: "error" | "warn" | "info" | "debug";
    readonly format: "auto" | "text" | "json";
  };
}
