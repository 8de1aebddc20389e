/** What was sent and seen in one exchange, in order, as evidence. */
import type { Clock } from "@sotto/dns/runtime";
import { octetsToHex } from "@sotto/dns/wire";
import type { EvidenceStep } from "../model.ts";

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

  sent(what: string, octets?: Uint8Array): void {
    this.#add("prober", what, octets);
  }

  seen(what: string, octets?: Uint8Array): void {
    this.#add("target", what, octets);
  }

  note(what: string): void {
    this.#add("note", what, undefined);
  }

  #add(who: EvidenceStep["who"], what: string, octets: Uint8Array | undefined): void {
    if (this.#steps.length > STEPS_MAX) return;
    const atMs = Math.round((this.#clock.nowMs() - this.#startMs) * 10) / 10;
    if (this.#steps.length === STEPS_MAX) {
      this.#steps.push({ atMs, who: "note", what: `more than ${STEPS_MAX} steps: the rest is left out` });
      return;
    }
    const hex = octets === undefined ? undefined : octetsToHex(octets.subarray(0, OCTETS_MAX));
    this.#steps.push({ atMs, who, what, ...(hex === undefined ? {} : { octets: hex }) });
  }
}

/** Steps of one cell; a server could send without end. */
const STEPS_MAX = 300;
/** Octets kept of one step. */
const OCTETS_MAX = 4096;
