/** How servers and zones of the fake internet are written down. */
import type { Nsec3Plan } from "./denial-chain.ts";
import type { BehaviourName } from "./misbehaviour.ts";
import type { SigningFlawName } from "./signing-flaws.ts";
import type { AnswerFlaw } from "./zone.ts";
import type { DsPlan, KeyPlan } from "./zone-key.ts";

/** One server: its addresses, what it serves and how. */
export interface ServerText {
  /** Its host name, for people. */
  readonly name: string;
  readonly addresses: readonly string[];
  readonly zones: readonly string[];
  readonly behaviour: BehaviourName;
  /** Nothing is opened at its addresses: connections are refused. */
  readonly isAbsent?: boolean;
  readonly about: string;
}

/** One zone as a master file without `$ORIGIN`; SOA and `$TTL` are added. */
export interface ZoneText {
  readonly origin: string;
  readonly text: string;
  /** Absent: unsigned. */
  readonly signing?: SigningText;
  /** What the zone above has. Default: SHA-256 digests of the keys that are meant to have DS; none for unsigned zones. */
  readonly ds?: readonly DsPlan[];
  readonly answerFlaw?: AnswerFlaw;
}

export interface SigningText {
  readonly keys: readonly KeyPlan[];
  readonly denial: "nsec" | Nsec3Plan;
  readonly flaw?: SigningFlawName;
}

/** One key that signs everything. */
export function csk(algorithm: number): readonly KeyPlan[] {
  return [{ algorithm, role: "csk" }];
}
