/** A query on its way to a pool of backends, and what becomes of it. */
import type { DnsError, Endpoint } from "@sotto/dns/runtime";
import type { Question } from "@sotto/dns/wire";

/** A query that may be asked more than once without harm (opcode QUERY). */
export interface ForwardQuery {
  /**
   * The message without length prefix, unchanged until it is settled. Backends get copies with ids of their own. Keepalive and
   * padding are the backends' business: what the client said of them has been taken out.
   */
  readonly octets: Uint8Array;
  readonly question: Question;
  /** Monotonic milliseconds after which no reply is of use. */
  readonly deadlineMs: number;
  /** For the PROXY protocol; undefined for queries of our own. */
  readonly client: Endpoint | undefined;
  readonly local: Endpoint | undefined;
  /**
   * What makes a reply useless, in a few words: another backend is asked then. When it has nothing against a reply, that one is the outcome,
   * octets and all, in the same turn; it may change them. Absent: all can be used.
   */
  refuses?(octets: Uint8Array, backend: string): string | undefined;
  /** Called exactly once, perhaps within {@link BackendPool.forward}. */
  settle(outcome: ForwardOutcome): void;
}

/** The only outcomes there are. */
export type ForwardOutcome =
  | {
      readonly kind: "reply";
      /** Valid during the call, in which they may be changed; any id; the question is the query's. */
      readonly octets: Uint8Array;
      readonly backend: string;
      /** Milliseconds from `forward` on. */
      readonly tookMs: number;
      /** Backends that were asked. */
      readonly tries: number;
    }
  | { readonly kind: "failed"; readonly problem: DnsError; readonly tries: number };
