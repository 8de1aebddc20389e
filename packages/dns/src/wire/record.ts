/** Resource records with packed rdata (RFC 1035 §3.2.1). Typed values are made on demand by `rdata/`. */
import type { RRClass } from "./iana/rr-class.ts";
import type { RRType } from "./iana/rr-type.ts";
import type { Name } from "./name.ts";

/** What is asked: one entry of the question section. */
export interface Question {
  readonly name: Name;
  readonly type: RRType;
  readonly class: RRClass;
}

/** One record. `rdata` is in wire form with all names uncompressed, and well-formed for the types we know. */
export interface ResourceRecord {
  readonly owner: Name;
  readonly type: RRType;
  readonly class: RRClass;
  /** Seconds. Values with the top bit set count as 0 (RFC 2181 §8) and never appear here. */
  readonly ttl: number;
  readonly rdata: Uint8Array;
}
