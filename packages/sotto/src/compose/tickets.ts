/** Ticket keys of the present epoch, changed at its end on all listeners at once. */
import type { Runtime, Timer } from "@sotto/dns/runtime";
import type { Config } from "../config/index.ts";
import { ticketEpoch, ticketKeysOf } from "../operations/index.ts";
import { readTicketSecret } from "./certificates.ts";

/** Octets of a secret that is drawn at start. */
export const TICKET_SECRET_OCTETS = 32;

/** Knows the keys of now, and tells when there are new ones. */
export class TicketKeys {
  readonly #runtime: Runtime;
  readonly #onRotation: (keys: Uint8Array) => void;
  readonly #drawn: Uint8Array;
  #secret: Uint8Array;
  #rotationMs: number;
  #timer: Timer | undefined = undefined;

  /**
   * `drawn` is used where no secret is configured: workers with the same one have the same keys, and change them at the same
   * moment. Throws ERR_CONFIG when the file of the secret cannot be used.
   */
  constructor(
    tls: Config["tls"],
    runtime: Runtime,
    onRotation: (keys: Uint8Array) => void,
    drawn = runtime.random.octets(TICKET_SECRET_OCTETS),
  ) {
    this.#runtime = runtime;
    this.#onRotation = onRotation;
    this.#drawn = drawn;
    this.#secret = this.#secretOf(tls);
    this.#rotationMs = tls.ticketRotationMs;
    this.#waitForEpoch();
  }

  get current(): Uint8Array {
    return ticketKeysOf(this.#secret, ticketEpoch(this.#runtime.clock.wallMs(), this.#rotationMs));
  }

  /** Takes over other settings; `current` changes with them. Throws ERR_CONFIG and changes nothing. */
  change(tls: Config["tls"]): void {
    this.#secret = this.#secretOf(tls);
    this.#rotationMs = tls.ticketRotationMs;
    this.#waitForEpoch();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #secretOf({ ticketSecretFile }: Config["tls"]): Uint8Array {
    return ticketSecretFile === undefined ? this.#drawn : readTicketSecret(ticketSecretFile);
  }

  #waitForEpoch(): void {
    this.#timer?.cancel();
    const { clock } = this.#runtime;
    const leftMs = this.#rotationMs - (clock.wallMs() % this.#rotationMs);
    this.#timer = clock.startTimer(
      "ticket keys",
      leftMs,
      () => {
        this.#waitForEpoch();
        this.#onRotation(this.current);
        this.#runtime.events.publish("tickets.rotated", { rotationMs: this.#rotationMs });
      },
      true,
    );
  }
}
