/** Rules as plain data: what a configuration says, in parsed values. Nothing here does anything. */
import type { ExtendedError, Rcode } from "@sotto/dns/wire";
import type { BanTerms } from "./client-bans.ts";
import type { OverLimit } from "./client-guard.ts";
import type { ClientMasks } from "./client-prefix.ts";

/** One rule: when all selectors hold, all actions are done. */
export interface Rule {
  /** Unique, for people and counters. */
  readonly name: string;
  /** All must hold; none means always. */
  readonly when: readonly Selector[];
  /** At most one of them ends the walk. */
  readonly actions: readonly Action[];
}

/** What a rule looks at. Lists mean one of. */
export type Selector =
  /** Address in one of the prefixes (as text) or address sets. */
  | { readonly kind: "client"; readonly prefixes: readonly string[]; readonly sets: readonly string[] }
  | CertificateSelector
  | { readonly kind: "listener"; readonly names: readonly string[] }
  /** `udp`, `tcp`, `tls`, `https`. */
  | { readonly kind: "transport"; readonly transports: readonly string[] }
  /** `TLSv1.2`, `TLSv1.3`. */
  | { readonly kind: "tls-version"; readonly versions: readonly string[] }
  | { readonly kind: "alpn"; readonly protocols: readonly string[] }
  | NamesSelector
  | { readonly kind: "qtype"; readonly types: readonly number[] }
  | { readonly kind: "qclass"; readonly classes: readonly number[] }
  | { readonly kind: "opcode"; readonly opcodes: readonly number[] }
  /** Those that are given must be as given. */
  | {
      readonly kind: "flags";
      readonly recursionDesired?: boolean | undefined;
      readonly checkingDisabled?: boolean | undefined;
      readonly authenticData?: boolean | undefined;
      readonly dnssecOk?: boolean | undefined;
    }
  | EdnsSelector
  | ClientRateSelector
  | NameRateSelector
  | { readonly kind: "pool"; readonly pool: string; readonly state: "down" | "saturated" }
  | TimeSelector
  /** Set by an earlier rule. */
  | { readonly kind: "tag"; readonly tags: readonly string[] }
  /** Octets on the wire without the root, and labels without it. */
  | { readonly kind: "name-octets"; readonly atLeast: number; readonly atMost: number }
  | { readonly kind: "name-labels"; readonly atLeast: number; readonly atMost: number }
  /** 0 to 1. */
  | { readonly kind: "chance"; readonly probability: number }
  | { readonly kind: "not"; readonly selectors: readonly Selector[] }
  /** One of several lists of selectors, all of which must hold. */
  | { readonly kind: "any"; readonly choices: readonly (readonly Selector[])[] };

/** A resumed TLS session presents no certificate again: there only `verdict` is known. */
export interface CertificateSelector {
  readonly kind: "certificate";
  /** DNS names or addresses, one of which a certificate with a good path must have; empty: any. */
  readonly names: readonly string[];
  /** SPKI pins, base64, one of which it must have; empty: any. */
  readonly pins: readonly string[];
  /** What access control made of it; `none`: there is none, or it does not matter there. */
  readonly verdict?: "allowed" | "denied" | "none" | undefined;
}

/** The name is in a set, or one of these (as text), or at or below one of those. */
export interface NamesSelector {
  readonly kind: "names";
  readonly sets: readonly string[];
  readonly exact: readonly string[];
  readonly suffixes: readonly string[];
}

export interface EdnsSelector {
  readonly kind: "edns";
  readonly isPresent?: boolean | undefined;
  /** One of these options is there. */
  readonly options: readonly number[];
  /** UDP payload size in octets; 512 without EDNS. */
  readonly payloadAtLeast: number;
  readonly payloadAtMost: number;
}

/** Holds while the client asks more than that. It counts queries for which the selectors of its list before it hold. */
export interface ClientRateSelector {
  readonly kind: "client-rate";
  readonly perSecond: number;
  readonly burst: number;
  readonly masks: ClientMasks;
}

/** Holds while the name is asked for more often than that, by whomever. */
export interface NameRateSelector {
  readonly kind: "name-rate";
  readonly perSecond: number;
  readonly burst: number;
  /** Labels from the right that are counted together; 0: the whole name. */
  readonly labels: number;
}

/** All that is given must hold. Days and times of day are those of a fixed distance from UTC. */
export interface TimeSelector {
  readonly kind: "time";
  /** 0 is Sunday; empty: all. */
  readonly days: readonly number[];
  /** Minutes from midnight, from included, to not; to before from means over midnight. Equal: all day. */
  readonly fromMinute: number;
  readonly toMinute: number;
  readonly utcOffsetMinutes: number;
  /** Wall milliseconds since 1970; undefined: no limit. */
  readonly afterMs?: number | undefined;
  readonly beforeMs?: number | undefined;
}

/** What a rule does. */
export type Action =
  // These end the walk.
  | { readonly kind: "allow" }
  | { readonly kind: "refuse"; readonly rcode: Rcode; readonly error?: ExtendedError | undefined }
  | { readonly kind: "drop" }
  /** TC over UDP; over streams the walk goes on. */
  | { readonly kind: "truncate" }
  /** Records in zone file form with owner `@`; `ttl` seconds for those without one and for negative answers. */
  | {
      readonly kind: "answer";
      readonly rcode: Rcode;
      readonly records: readonly string[];
      readonly ttl: number;
      readonly error?: ExtendedError | undefined;
    }
  /** What the list in which the name was found says (RPZ); names that are only listed are NXDOMAIN. */
  | { readonly kind: "policy"; readonly error?: ExtendedError | undefined }
  | { readonly kind: "route"; readonly pool: string }
  /** Ends the walk for clients that ask more than that. */
  | {
      readonly kind: "rate-limit";
      readonly perSecond: number;
      readonly burst: number;
      readonly masks: ClientMasks;
      readonly overLimit: OverLimit;
    }
  // After these it goes on.
  | { readonly kind: "delay"; readonly delayMs: number }
  | { readonly kind: "set-option"; readonly code: number; readonly data: Uint8Array }
  | { readonly kind: "strip-option"; readonly codes: readonly number[] }
  /** Client subnet: a fixed prefix (as text), or so many bits of the client's address. */
  | { readonly kind: "set-subnet"; readonly prefix: string }
  | { readonly kind: "client-subnet"; readonly ipv4Bits: number; readonly ipv6Bits: number }
  | { readonly kind: "tag"; readonly tags: readonly string[] }
  | { readonly kind: "log" }
  /** The pool gets a copy, whose answer nobody waits for. */
  | { readonly kind: "tee"; readonly pool: string }
  | { readonly kind: "ban"; readonly terms: BanTerms; readonly masks: ClientMasks };

/** Whether a rule with such an action can end the walk. */
export function canEnd(action: Action): boolean {
  return ENDING.has(action.kind);
}

const ENDING: ReadonlySet<Action["kind"]> = new Set([
  "allow",
  "refuse",
  "drop",
  "truncate",
  "answer",
  "policy",
  "route",
  "rate-limit",
]);
