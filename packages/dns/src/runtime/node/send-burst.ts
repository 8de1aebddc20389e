/**
 * Datagrams that leave together at the end of the turn. Each that leaves alone wakes a peer that sleeps, which on virtual machines
 * costs as much as the rest of sending; of those that leave together only the first one does.
 */

/** What a socket has to send in this turn. */
export class SendBurst {
  readonly #sendNow: (octets: Uint8Array) => void;
  #waiting: Uint8Array[] = [];
  #turnEnd: NodeJS.Immediate | undefined = undefined;

  constructor(sendNow: (octets: Uint8Array) => void) {
    this.#sendNow = sendNow;
  }

  add(octets: Uint8Array): void {
    this.#waiting.push(octets);
    if (this.#waiting.length >= BURST_MAX) this.flush();
    else this.#turnEnd ??= setImmediate(() => this.flush());
  }

  /** Sends all that waits. */
  flush(): void {
    clearImmediate(this.#turnEnd);
    this.#turnEnd = undefined;
    const all = this.#waiting;
    this.#waiting = [];
    for (const octets of all) this.#sendNow(octets);
  }
}

/** As many small datagrams as the least send buffer of a system takes. */
const BURST_MAX = 64;
