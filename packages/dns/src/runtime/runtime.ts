import type { Clock } from "./clock.ts";
import type { Events } from "./events.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";

/** Everything the world may do to us; the last constructor argument of all that needs a part of it. */
export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly events: Events;
}
