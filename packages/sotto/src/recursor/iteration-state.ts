/** The states of a resolution, and what all resolutions share. */
import type { InfraCache, RRset, RRsetCache } from "@sotto/dns/cache";
import type { Runtime, SharedWaits } from "@sotto/dns/runtime";
import type { Message, Name } from "@sotto/dns/wire";
import type { ConfiguredZone, ConfiguredZones } from "./configured-zones.ts";
import type { Delegation, DelegationCache } from "./delegation.ts";
import type { DenialCache } from "./denial-cache.ts";
import type { Arrival, Attempt, Exchange, InquiryOptions } from "./inquiry.ts";
import type { Mesh } from "./mesh.ts";
import type { Outcome } from "./outcome.ts";
import type { RootServers } from "./priming.ts";
import type { MinimisationMode } from "./qname-minimisation.ts";
import type { AddressFamily } from "./server-selection.ts";
import type { ZoneWork } from "./zone-work.ts";

/** What all resolutions share. */
export interface Shared {
  readonly exchange: Exchange;
  readonly rrsets: RRsetCache;
  readonly infra: InfraCache;
  readonly delegations: DelegationCache;
  readonly roots: RootServers;
  /** RFC 8020. */
  readonly hasNxdomainCut: (name: Name) => boolean;
  /** Undefined: denial records are not used for other names. */
  readonly denials: DenialCache | undefined;
  /** Nothing is validated here, so that AD of authenticated forwarders is all there is. */
  readonly trustsForwarders: boolean;
  /** Glue from outside of the zone of a server is taken, too: for test networks only. */
  readonly trustsAllGlue: boolean;
  /** True for zones whose answers must be signed. */
  readonly isSigned: (delegation: Delegation) => boolean;
  /** Takes note of a reply of a zone's server; gives it without what must not come from outside, or the same object. */
  readonly admit: (message: Message, delegation: Delegation) => Message;
  /** The same for a forwarder's reply about a name. */
  readonly admitForwarded: (message: Message, name: Name) => Message;
  /** The addresses in a set that servers may have. */
  readonly addressesOf: (rrset: RRset) => string[];
  readonly mesh: Mesh;
  readonly minimisation: MinimisationMode;
  readonly configured: ConfiguredZones;
  readonly asking: InquiryOptions;
  /** Of all inquiries. */
  readonly patience: SharedWaits;
  readonly families: readonly AddressFamily[];
  readonly runtime: Runtime;
}

/** What is to be sent. */
export interface Sending extends Pick<Attempt, "candidate" | "withEdns" | "recursionDesired" | "transport"> {}

export type State =
  | { readonly kind: "cache" }
  | { readonly kind: "locate" }
  | { readonly kind: "forward"; readonly zone: ConfiguredZone & { readonly kind: "forward" } }
  | { readonly kind: "choose"; readonly work: ZoneWork }
  | { readonly kind: "look up"; readonly work: ZoneWork; readonly serverName: Name }
  | { readonly kind: "send"; readonly work: ZoneWork; readonly sending: Sending }
  /** `attempt` is the one whose silence is noted; undefined when only stragglers are waited for. */
  | {
      readonly kind: "wait";
      readonly work: ZoneWork;
      readonly attempt: Attempt | undefined;
      readonly patienceMs: number;
    }
  | {
      readonly kind: "waited";
      readonly work: ZoneWork;
      readonly attempt: Attempt | undefined;
      /** Undefined: nothing came in time. */
      readonly arrival: Arrival | undefined;
    }
  | { readonly kind: "read"; readonly work: ZoneWork; readonly arrival: Arrival }
  | { readonly kind: "done"; readonly outcome: Outcome };
