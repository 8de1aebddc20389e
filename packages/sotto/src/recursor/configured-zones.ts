/** Zones whose servers the configuration gives: authoritative ones (stub zones) or resolvers (forward zones). */
import type { Responder } from "@sotto/dns/transport";
import { type Name, NamesAbove } from "@sotto/dns/wire";
import type { Delegation } from "./delegation.ts";

/** Authoritative servers of a zone. */
export interface StubZone {
  readonly name: Name;
  readonly servers: readonly { readonly address: string; readonly port: number | undefined }[];
  /** When they all fail, whoever the zones above name is asked. */
  readonly fallsBack?: boolean;
}

/** Everything at and below the name is asked of others. */
export interface ForwardedZone {
  readonly name: Name;
  readonly responder: Responder;
  /** When it fails, authorities are asked. */
  readonly fallsBack?: boolean;
  /** How long it lets queries wait while it reaches nobody, milliseconds. Default 0. */
  readonly patienceMs?: number;
}

export type ConfiguredZone =
  | {
      readonly kind: "stub";
      readonly name: Name;
      readonly delegation: Delegation;
      readonly fallsBack: boolean;
    }
  | {
      readonly kind: "forward";
      readonly name: Name;
      readonly responder: Responder;
      readonly fallsBack: boolean;
      readonly patienceMs: number;
    };

export class ConfiguredZones {
  readonly #zones = new NamesAbove<ConfiguredZone>();

  constructor(stubs: readonly StubZone[], forwards: readonly ForwardedZone[]) {
    for (const { name, servers, fallsBack = false } of stubs) {
      // One server entry an address: they need no names, and may have ports of their own.
      const delegation: Delegation = {
        zone: name,
        servers: servers.map(({ address, port }) => ({
          name,
          addresses: [address],
          port,
          isConfigured: true,
        })),
      };
      this.#zones.set(name, { kind: "stub", name, delegation, fallsBack });
    }
    for (const { name, responder, fallsBack = false, patienceMs = 0 } of forwards)
      this.#zones.set(name, { kind: "forward", name, responder, fallsBack, patienceMs });
  }

  /** The zone that counts for a name: the longest that is not among the failed ones. */
  closest(name: Name, failed: ReadonlySet<ConfiguredZone>): ConfiguredZone | undefined {
    if (this.#zones.size === 0) return undefined;
    return this.#zones.closest(name, failed.size === 0 ? undefined : (zone) => !failed.has(zone));
  }
}
