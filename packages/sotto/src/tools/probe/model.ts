/** What a probe has found: cells of a table, each with the evidence that it rests on. */

/** `released`: it works as the standard wants. `partial`: a part of it. `off`: it can be had and is switched off. `none`: it is not there. `broken`: it is there and wrong. */
export type Verdict = "released" | "partial" | "off" | "none" | "broken" | "not testable" | "not applicable";

/** `certain`: seen on the wire. `likely`: several rounds agree. `guess`: one round, or by what did not happen. */
export type Confidence = "certain" | "likely" | "guess";

/** One thing that was seen on the way to a verdict. */
export interface EvidenceStep {
  /** Milliseconds from the start of the cell's exchange. */
  readonly atMs: number;
  readonly who: "prober" | "target" | "note";
  /** For people: what was sent, received, or happened. */
  readonly what: string;
  /** The DNS message without length prefix, or other octets, hexadecimal; absent: none. */
  readonly octets?: string | undefined;
  /** How the octets went as a DNS message. Absent: they are none, or an earlier version did not tell. */
  readonly over?: "udp" | "tcp" | "tls" | undefined;
  /** Length of the message when `octets` is only its beginning. Absent: it is all. */
  readonly wholeOctets?: number | undefined;
}

/** One row of one target. */
export interface Cell {
  /** Key of the row, such as `pipelining`. */
  readonly row: string;
  readonly verdict: Verdict;
  readonly confidence: Confidence;
  /** One sentence: what was observed, with figures. */
  readonly observed: string;
  /** Requirement ids that it rests on, such as `7766-6.2.1.1-a`. */
  readonly requirements: readonly string[];
  readonly evidence: readonly EvidenceStep[];
}

/** A row of a table, as the deck of July 2016 has it or later times need it. */
export interface Row {
  readonly key: string;
  readonly title: string;
  /** What is asked, for people who do not know the standard; one sentence. */
  readonly question: string;
  /** Of the two tables of 2016; absent: a row of later times. */
  readonly deck?: "servers" | "clients" | undefined;
}

/** Everything that one probe of one target gave. */
export interface ProbeReport {
  readonly kind: "server" | "client" | "path";
  /** What was probed, as it was given: `tls://192.0.2.1`, or the command line. */
  readonly target: string;
  /** Wall time of the start, ISO 8601. */
  readonly startedAt: string;
  readonly tookMs: number;
  readonly cells: readonly Cell[];
}
