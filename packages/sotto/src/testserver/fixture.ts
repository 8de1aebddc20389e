/** One entry of the catalogue. */
import type { Behaviour } from "./behaviour.ts";

export type Transport = "udp" | "tcp" | "tls";

/** How a fixture is chosen: by the port that was asked, by a label of the qname, or through the control API. */
export type SwitchedBy = "port" | "name" | "control";

export interface Fixture {
  /** Kebab-case; unique. Where `name` is among the switches it is the label that switches the fixture on. */
  readonly name: string;
  readonly group: FixtureGroup;
  /** What is right or wrong with it, one sentence. */
  readonly about: string;
  /** Requirements that it is there to test, as `RFC-section-letter`. */
  readonly requirements: readonly string[];
  readonly transports: readonly Transport[];
  readonly switchedBy: readonly SwitchedBy[];
  readonly behaviour: Behaviour;
  /** What to ask to see it, qname and qtype; absent: any name under `test.`. */
  readonly question?: string;
  /** Whether a client that authenticates has reason to be content. Absent on fixtures without TLS: nothing to authenticate. */
  readonly authenticates?: boolean;
}

export type FixtureGroup =
  | "right"
  | "answers"
  | "keepalive"
  | "padding"
  | "EDNS"
  | "messages"
  | "framing"
  | "order"
  | "closing"
  | "TLS"
  | "certificates"
  | "DNSSEC";
