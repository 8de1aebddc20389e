/** Notices that the machine is on another network: its addresses are other ones than at the last look. */
import { networkInterfaces } from "node:os";
import type { Clock, Timer } from "@sotto/dns/runtime";

/** A laptop that changes networks waits no longer than this, and a look costs less than a tenth of a millisecond. */
const INTERVAL_MS = 5000;

/** Looks now and then. */
export class NetworkWatch {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #look: () => string;
  #seen: string;
  #timer: Timer | undefined = undefined;

  /** `look` gives a text that differs between networks; other ones than the default are for tests. */
  constructor(clock: Clock, onChange: () => void, look: () => string = ownAddresses) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.#look = look;
    this.#seen = look();
    this.#wait();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #wait(): void {
    this.#timer = this.#clock.startTimer(
      "network watch",
      INTERVAL_MS,
      () => {
        const now = this.#look();
        const hasChanged = now !== this.#seen;
        this.#seen = now;
        this.#wait();
        if (hasChanged) this.#onChange();
      },
      true,
    );
  }
}

/** All addresses, also those that services have on loopback, in an order that does not depend on the system's. */
function ownAddresses(): string {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address, scopeid }) => `${address}%${scopeid ?? ""}`)
    .sort()
    .join(" ");
}
