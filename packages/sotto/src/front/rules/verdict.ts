/** What the rules say about one query. */
import type { QueryOrigin } from "@sotto/dns/transport";
import type { ExtendedError, MessageView, Rcode } from "@sotto/dns/wire";
import type { LocalAnswer } from "./local-answer.ts";

/** What rules look at; one object for all queries, filled anew. */
export interface RuleSubject {
  /** Header, question, OPT. */
  readonly view: MessageView;
  readonly origin: QueryOrigin;
  /** Name of the listener. */
  readonly listener: string;
  /** Monotonic. */
  readonly nowMs: number;
  readonly wallMs: number;
}

/** Tells the state of pools. */
export interface PoolStates {
  isDown(pool: string): boolean;
  isSaturated(pool: string): boolean;
}

/** A change of the EDNS options towards the backend. `set` takes the place of all options of that code. */
export type EdnsEdit =
  | { readonly kind: "set"; readonly code: number; readonly data: Uint8Array }
  | { readonly kind: "strip"; readonly code: number };

/** `pass`: no rule ended the walk. `allow` and `pass` without `pool` go where all go. */
export type VerdictEnd = "pass" | "allow" | "refuse" | "drop" | "truncate" | "answer";

/** Valid until the next query is judged. */
export interface Verdict {
  readonly end: VerdictEnd;
  /** Name of the rule that ended the walk, or of the limit of clients that did. */
  readonly rule: string | undefined;
  /** Of `refuse` and `answer`. */
  readonly rcode: Rcode;
  readonly errors: readonly ExtendedError[];
  readonly answer: LocalAnswer | undefined;
  readonly pool: string | undefined;
  readonly delayMs: number;
  /** In the order in which they are to be made. */
  readonly edits: readonly EdnsEdit[];
  readonly tags: readonly string[];
  /** Rules that want a line. */
  readonly loggedBy: readonly string[];
  /** Pools that get a copy, whose answers nobody waits for. */
  readonly tees: readonly string[];
}

/** What `explain` tells about one rule. */
export interface RuleStep {
  readonly rule: string;
  /** `not reached`: an earlier rule had ended the walk. */
  readonly result: "ends" | "goes on" | "no match" | "not reached";
  /** One sentence a selector, up to the first that does not hold, then one an action. */
  readonly reasons: readonly string[];
}
