/** Replay scenarios in the form that testbound, Deckard and Stelline share (`.rpl`), as values. */
import type { EdnsOption, Question, ResourceRecord } from "@sotto/dns/wire";
import type { ServedZone } from "../fake-internet/authority.ts";

/** One packet: what must match, how it is changed, and what it says. */
export interface ScenarioEntry {
  /** First line in the file, for messages. */
  readonly line: number;
  /** Lower-case words after MATCH. */
  readonly match: ReadonlySet<string>;
  /** Lower-case words after ADJUST. */
  readonly adjust: ReadonlySet<string>;
  /** Upper-case words after REPLY: flags and the rcode. */
  readonly reply: ReadonlySet<string>;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
  /** What the OPT record holds. */
  readonly options: readonly EdnsOption[];
  /** Octets in place of a message that a server would send; undefined for ordinary entries. */
  readonly raw: Uint8Array | undefined;
  /** Milliseconds that the reply takes longer than others. */
  readonly delayMs: number;
}

/** What servers say from one step to another. */
export interface ScenarioRange {
  readonly from: number;
  readonly to: number;
  /** Empty: any address. */
  readonly addresses: readonly string[];
  readonly entries: readonly ScenarioEntry[];
  /** What answers when no entry does: whole zones (our extension). */
  readonly zones: readonly ServedZone[];
}

export interface ScenarioStep {
  readonly number: number;
  readonly line: number;
  /** Upper case: QUERY, CHECK_ANSWER, TIME_PASSES, … */
  readonly kind: string;
  /** What stands behind the kind, such as `ELAPSE 20`. */
  readonly words: readonly string[];
  readonly entry: ScenarioEntry | undefined;
  /** The lines of the file that a step has. */
  readonly text: string;
}

/** `key: value` of the configuration part; sections such as `server:` have an empty value. */
export interface ScenarioSetting {
  readonly key: string;
  readonly value: string;
  readonly line: number;
}

export interface Scenario {
  readonly title: string;
  readonly settings: readonly ScenarioSetting[];
  readonly ranges: readonly ScenarioRange[];
  readonly steps: readonly ScenarioStep[];
  /** Anchors of zones that say so, in addition to those of the configuration part (our extension). */
  readonly anchors: readonly ResourceRecord[];
  /** Files of trust anchors that are followed: zone and text. */
  readonly anchorFiles: readonly { readonly zone: string; readonly text: string }[];
}
