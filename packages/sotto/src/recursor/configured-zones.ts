/** Zones whose servers the configuration gives: authoritative ones (stub zones) or resolvers (forward zones). */
import type { Query, Responder } from "@sotto/dns/transport";
import { encodeMessage, MessageView, makeEdns, makeMessage, type Name, RRClass } from "@sotto/dns/wire";
import type { Delegation } from "./delegation.ts";
import type { Sought } from "./outcome.ts";

/** Authoritative servers of a zone. */
export interface StubZone {
  readonly name: Name;
  readonly servers: readonly { readonly address: string; readonly port: number | undefined }[];
}

/** Everything at and below the name is asked of others. */
export interface ForwardedZone {
  readonly name: Name;
  readonly responder: Responder;
}

export type ConfiguredZone =
  | { readonly kind: "stub"; readonly name: Name; readonly delegation: Delegation }
  | { readonly kind: "forward"; readonly name: Name; readonly responder: Responder };

export class ConfiguredZones {
  readonly #zones = new Map<string, ConfiguredZone>();

  constructor(stubs: readonly StubZone[], forwards: readonly ForwardedZone[]) {
    for (const { name, servers } of stubs) {
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
      this.#zones.set(name.key, { kind: "stub", name, delegation });
    }
    for (const { name, responder } of forwards)
      this.#zones.set(name.key, { kind: "forward", name, responder });
  }

  /** The zone that counts for a name: the longest. */
  closest(name: Name): ConfiguredZone | undefined {
    if (this.#zones.size === 0) return undefined;
    for (let zone = name; ; zone = zone.parent()) {
      const found = this.#zones.get(zone.key);
      if (found !== undefined || zone.isRoot) return found;
    }
  }
}

/** RD, because a resolver is asked; DO and CD, because we validate ourselves (RFC 6840 §5.9). */
export function forwardedQuery({ name, type }: Sought): Query {
  const octets = encodeMessage(
    makeMessage({
      recursionDesired: true,
      checkingDisabled: true,
      questions: [{ name, type, class: RRClass.IN }],
      edns: makeEdns({ dnssecOk: true }),
    }),
  );
  const view = new MessageView();
  view.reset(octets);
  const origin = { transport: "internal", remote: undefined, local: undefined, security: undefined } as const;
  return { octets, view, origin };
}
