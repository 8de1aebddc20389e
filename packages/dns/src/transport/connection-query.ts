/** A query on its way through a connection of the client, and what can become of it there. */
import type { Question } from "@sotto/dns/wire";

/** A query for a connection. The same value may go to another connection when this one fails it. */
export interface ConnectionQuery {
  /** The message without length prefix; the connection sends a copy with an id of its own. */
  readonly octets: Uint8Array;
  readonly question: Question;
  /** Monotonic milliseconds after which no reply is of use. */
  readonly deadlineMs: number;
  /** True when the message has a keepalive option. */
  readonly asksKeepalive: boolean;
  /** It has left one silent connection already, so that it is probably slow itself: it waits to the end on this one. */
  readonly isPatient?: boolean;
  /** A reply's octets are wanted as a view that is valid during `settle` only, and that may be changed. Absent: false. */
  readonly borrowsReply?: boolean;
  /** Called exactly once per connection that took the query, unless the query is cancelled. */
  settle(outcome: QueryOutcome): void;
}

/** What became of a query on one connection. */
export type QueryOutcome =
  | {
      readonly kind: "reply";
      /** The message with the connection's id; the receiver owns the octets, unless it borrows them. */
      readonly octets: Uint8Array;
      readonly sentAtMs: number;
      readonly receivedAtMs: number;
      /** True when the query was given to a connection that had already sent one. */
      readonly isReused: boolean;
    }
  /** A reply with the right id that is no readable message. */
  | { readonly kind: "malformed"; readonly problem: string }
  | { readonly kind: "timeout"; readonly wasSent: boolean }
  /** The connection ended. When `repliesServed` is not 0, a fresh one may do better (RFC 7766 §6.2.4). */
  | {
      readonly kind: "lost";
      readonly wasSent: boolean;
      readonly repliesServed: number;
      /** True when other queries were answered after this one was sent: the peer closes although queries wait. */
      readonly wasPassedOver: boolean;
      readonly problem: Error | undefined;
      /** The connection was given up because it was silent. */
      readonly wasSilent?: boolean;
    }
  /** The connection never came about. */
  | { readonly kind: "failed"; readonly problem: Error }
  /** Too many queries wait already. */
  | { readonly kind: "refused" };
