/** Access control of the front as values: what `front-rules-load.ts` makes, and what the front's rules take. */
import type { ExtendedError, Rcode } from "@sotto/dns/wire";

export interface FrontRulesConfig {
  readonly sets: readonly FrontSetConfig[];
  readonly rules: readonly RuleConfig[];
  readonly clients: ClientLimitsConfig;
}

/** A set; it has a file or entries. */
export interface FrontSetConfig {
  readonly name: string;
  readonly kind: "addresses" | "names";
  /** Absolute path. */
  readonly file: string | undefined;
  readonly entries: readonly string[];
  readonly format: "domains" | "hosts" | "rpz";
  readonly reach: "exact" | "suffix" | undefined;
}

export interface RuleConfig {
  readonly name: string;
  readonly when: readonly SelectorConfig[];
  readonly actions: readonly ActionConfig[];
}

export interface MasksConfig {
  readonly ipv4Bits: number;
  readonly ipv6Bits: number;
  readonly exceptions: readonly {
    readonly prefix: string;
    readonly bits: number | undefined;
    readonly factor: number | undefined;
  }[];
}

export type OverLimitConfig = "refuse" | "drop" | "truncate";

/** Limits of each client; Infinity: none. */
export interface ClientLimitsConfig {
  readonly masks: MasksConfig;
  readonly queriesPerSecond: number;
  readonly burst: number;
  readonly overLimit: OverLimitConfig;
  readonly banAfter: number;
  readonly ban: { readonly forMs: number; readonly maxMs: number };
  readonly banned: "refuse" | "drop";
}

/** The words are those of `front/rules/rule.ts`, which says what each means. */
export type SelectorConfig =
  | { readonly kind: "client"; readonly prefixes: readonly string[]; readonly sets: readonly string[] }
  | {
      readonly kind: "certificate";
      readonly names: readonly string[];
      readonly pins: readonly string[];
      readonly verdict: "allowed" | "denied" | "none" | undefined;
    }
  | { readonly kind: "listener"; readonly names: readonly string[] }
  | { readonly kind: "transport"; readonly transports: readonly string[] }
  | { readonly kind: "tls-version"; readonly versions: readonly string[] }
  | { readonly kind: "alpn"; readonly protocols: readonly string[] }
  | {
      readonly kind: "names";
      readonly sets: readonly string[];
      readonly exact: readonly string[];
      readonly suffixes: readonly string[];
    }
  | { readonly kind: "qtype"; readonly types: readonly number[] }
  | { readonly kind: "qclass"; readonly classes: readonly number[] }
  | { readonly kind: "opcode"; readonly opcodes: readonly number[] }
  | {
      readonly kind: "flags";
      readonly recursionDesired: boolean | undefined;
      readonly checkingDisabled: boolean | undefined;
      readonly authenticData: boolean | undefined;
      readonly dnssecOk: boolean | undefined;
    }
  | {
      readonly kind: "edns";
      readonly isPresent: boolean | undefined;
      readonly options: readonly number[];
      readonly payloadAtLeast: number;
      readonly payloadAtMost: number;
    }
  | {
      readonly kind: "client-rate";
      readonly perSecond: number;
      readonly burst: number;
      readonly masks: MasksConfig;
    }
  | {
      readonly kind: "name-rate";
      readonly perSecond: number;
      readonly burst: number;
      readonly labels: number;
    }
  | { readonly kind: "pool"; readonly pool: string; readonly state: "down" | "saturated" }
  | {
      readonly kind: "time";
      readonly days: readonly number[];
      readonly fromMinute: number;
      readonly toMinute: number;
      readonly utcOffsetMinutes: number;
      readonly afterMs: number | undefined;
      readonly beforeMs: number | undefined;
    }
  | { readonly kind: "tag"; readonly tags: readonly string[] }
  | { readonly kind: "name-octets" | "name-labels"; readonly atLeast: number; readonly atMost: number }
  | { readonly kind: "chance"; readonly probability: number }
  | { readonly kind: "not"; readonly selectors: readonly SelectorConfig[] }
  | { readonly kind: "any"; readonly choices: readonly (readonly SelectorConfig[])[] };

/** See {@link SelectorConfig}. */
export type ActionConfig =
  | { readonly kind: "allow" | "drop" | "truncate" | "log" }
  | { readonly kind: "refuse"; readonly rcode: Rcode; readonly error: ExtendedError | undefined }
  | {
      readonly kind: "answer";
      readonly rcode: Rcode;
      readonly records: readonly string[];
      readonly ttl: number;
      readonly error: ExtendedError | undefined;
    }
  | { readonly kind: "policy"; readonly error: ExtendedError | undefined }
  | { readonly kind: "route" | "tee"; readonly pool: string }
  | {
      readonly kind: "rate-limit";
      readonly perSecond: number;
      readonly burst: number;
      readonly masks: MasksConfig;
      readonly overLimit: OverLimitConfig;
    }
  | { readonly kind: "delay"; readonly delayMs: number }
  | { readonly kind: "set-option"; readonly code: number; readonly data: Uint8Array }
  | { readonly kind: "strip-option"; readonly codes: readonly number[] }
  | { readonly kind: "set-subnet"; readonly prefix: string }
  | { readonly kind: "client-subnet"; readonly ipv4Bits: number; readonly ipv6Bits: number }
  | { readonly kind: "tag"; readonly tags: readonly string[] }
  | {
      readonly kind: "ban";
      readonly terms: { readonly forMs: number; readonly maxMs: number };
      readonly masks: MasksConfig;
    };
