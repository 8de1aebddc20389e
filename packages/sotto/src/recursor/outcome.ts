/** What a resolution ends in; the recursor makes replies of it, other resolutions take addresses out of it. */
import type { NegativeAnswer, RRset } from "@sotto/dns/cache";
import { type ExtendedError, Name, RRType } from "@sotto/dns/wire";

/** What is looked for; the class is always IN. */
export interface Sought {
  readonly name: Name;
  readonly type: RRType;
}

/** Why nothing was found out. */
export type FailureReason =
  /** No server of a zone on the way gave a usable answer. */
  | "no reachable authority"
  /** The resolvers that are asked in place of authorities could not be reached, although they were waited for. */
  | "no reachable forwarder"
  /** The work that one client query may cause is used up. */
  | "quota"
  /** Aliases lead back to themselves or on and on. */
  | "alias loop"
  /** The time for one client query is used up. */
  | "deadline"
  /** Validation found that it is not what its owner signed. */
  | "bogus"
  /** Too many resolutions at once. */
  | "busy"
  /** The recursor is being closed. */
  | "closed";

export type Outcome =
  /** `chain` holds CNAME and DNAME sets in the order they were followed; `rrsets` more than one set only for ANY. */
  | { readonly kind: "answer"; readonly chain: readonly RRset[]; readonly rrsets: readonly RRset[] }
  /** The name at the end of `chain` does not exist or has no such type. */
  | { readonly kind: "negative"; readonly chain: readonly RRset[]; readonly answer: NegativeAnswer }
  /** The DNAME at the end of `chain` makes a name of more than 255 octets (RFC 6672 §2.2): YXDOMAIN. */
  | { readonly kind: "overflow"; readonly chain: readonly RRset[] }
  | {
      readonly kind: "failed";
      readonly reason: FailureReason;
      /** It failed because of the question it was worked on for: another client's time, quota, depth or loop. */
      readonly isCircumstantial: boolean;
      /** At least one; for the client and for people. */
      readonly extendedErrors: readonly ExtendedError[];
    };

/** The same outcome with other sets, in the same order. */
export function withSets<T extends Exclude<Outcome, { kind: "failed" }>>(
  outcome: T,
  sets: readonly RRset[],
): T {
  const chain = sets.slice(0, outcome.chain.length);
  if (outcome.kind !== "answer") return { ...outcome, chain };
  return { ...outcome, chain, rrsets: sets.slice(chain.length) };
}

/** The name that the chain of aliases leads to. */
export function lastName(sought: Sought, chain: readonly RRset[]): Name {
  const last = chain.findLast(({ type }) => type === RRType.CNAME);
  return last === undefined ? sought.name : new Name(last.rdatas[0] ?? Name.root.wire);
}

/** For maps of questions. */
export function soughtKey(sought: Sought): string {
  return String.fromCharCode(sought.type) + sought.name.key;
}

export function assertNever(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}
