/** Events of a library in a program: they go to `diagnostics_channel`, where whoever wants them subscribes. */
import { type Channel, channel } from "node:diagnostics_channel";
import type { Events } from "../events.ts";

/** Each event has a channel of its own, `sotto:` and its name, such as `sotto:transport.upstream.failing`. */
export class ChannelEvents implements Events {
  /** By event: to find them costs more than a lookup spends on events otherwise. The names of events are in our sources, and few. */
  readonly #channels = new Map<string, Channel>();

  wants(name: string): boolean {
    return this.#channel(name).hasSubscribers;
  }

  publish(name: string, details: Readonly<Record<string, unknown>>): void {
    this.#channel(name).publish(details);
  }

  #channel(name: string): Channel {
    const known = this.#channels.get(name);
    if (known !== undefined) return known;
    const found = channel(PREFIX + name);
    this.#channels.set(name, found);
    return found;
  }
}

const PREFIX = "sotto:";
