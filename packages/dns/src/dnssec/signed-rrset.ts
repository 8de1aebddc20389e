/** What the validator looks at: a record set with the signatures over it. The cache's sets have this shape. */
import type { Name, RRType } from "@sotto/dns/wire";

export interface SignedRRset {
  readonly owner: Name;
  readonly type: RRType;
  /** Seconds. */
  readonly ttlSeconds: number;
  readonly rdatas: readonly Uint8Array[];
  /** Rdata of the RRSIG records that cover this set. */
  readonly signatures: readonly Uint8Array[];
}
