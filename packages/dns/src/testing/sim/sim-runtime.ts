/** One seed, one world: virtual time, chance and a network that belong together, and what was published. */
import type { Events, Runtime } from "@sotto/dns/runtime";
import { SeededRandom } from "./seeded-random.ts";
import { SimClock } from "./sim-clock.ts";
import { SimNetwork, type SimNetworkOptions } from "./sim-network.ts";

/** One published event. */
export interface RecordedEvent {
  readonly name: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Events that keeps what was published, for tests to look at. */
export class RecordedEvents implements Events {
  readonly published: RecordedEvent[] = [];

  wants(): boolean {
    return true;
  }

  publish(name: string, details: Readonly<Record<string, unknown>>): void {
    // A run that publishes more is a loop; the first events tell which.
    if (this.published.length < EVENTS_MAX) this.published.push({ name, details });
  }

  /** Details of the events with this name, in order. */
  named(name: string): Readonly<Record<string, unknown>>[] {
    return this.published.filter((event) => event.name === name).map((event) => event.details);
  }
}

/** A simulated world. */
export interface SimWorld {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly events: RecordedEvents;
  /** The runtime of a host with these addresses. */
  runtimeOf(addresses: readonly string[]): Runtime;
}

/** Builds a world: the same seed and options replay the same run. */
export function simRuntime(seed: number, options: SimNetworkOptions = {}): SimWorld {
  const clock = new SimClock();
  const random = new SeededRandom(seed);
  // The network draws from a source of its own, so that a change in the program does not change the weather.
  const network = new SimNetwork(options, clock, new SeededRandom(seed ^ 0x5eed_0000));
  const events = new RecordedEvents();
  return {
    clock,
    random,
    network,
    events,
    runtimeOf: (addresses) => ({ clock, random, network: network.host(addresses), events }),
  };
}

const EVENTS_MAX = 100_000;
