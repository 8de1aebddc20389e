/** What was sent and seen in one exchange, in order, as evidence. */
import type { Clock } from "@sotto/dns/runtime";
import { octetsToHex } from "@sotto/dns/wire";
import type { EvidenceStep } from "../model.ts";
import type { ProbeTransport } from "./probe-options.ts";

export class Transcript {
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #steps: EvidenceStep[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startMs = clock.nowMs();
  }

  get steps(): readonly EvidenceStep[] {
    return this.#steps;
  }

  /** `over`: the octets are a DNS message that went so; without it they are something else. */
  sent(what: string, octets?: Uint8Array, over?: ProbeTransport): void {
    this.#add("prober", what, octets, over);
  }

  /** As {@link sent}. */
  seen(what: string, octets?: Uint8Array, over?: ProbeTransport): void {
    this.#add("target", what, octets, over);
  }

  note(what: string): void {
    this.#add("note", what);
  }

  #add(who: EvidenceStep["who"], what: string, octets?: Uint8Array, over?: ProbeTransport): void {
    if (this.#steps.length > STEPS_MAX) return;
    const atMs = Math.round((this.#clock.nowMs() - this.#startMs) * 10) / 10;
    if (this.#steps.length === STEPS_MAX) {
      this.#steps.push({ atMs, who: "note", what: `more than ${STEPS_MAX} steps: the rest is left out` });
      return;
    }
    if (octets === undefined) {
      this.#steps.push({ atMs, who, what });
      return;
    }
    this.#steps.push({
      atMs,
      who,
      what,
      octets: octetsToHex(octets.subarray(0, OCTETS_MAX)),
      ...(over === undefined ? {} : { over }),
      ...(octets.length > OCTETS_MAX ? { wholeOctets: octets.length } : {}),
    });
  }
}

/** Steps of one cell; a server could send without end. */
const STEPS_MAX = 300;
/** Octets kept of one step. */
const OCTETS_MAX = 4096;
