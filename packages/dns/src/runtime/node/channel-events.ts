/** Events of a library in a program: they go to `diagnostics_channel`, where whoever wants them subscribes. */
import { channel } from "node:diagnostics_channel";
import type { Events } from "../events.ts";

/** Each event has a channel of its own, `sotto:` and its name, such as `sotto:transport.upstream.failing`. */
export const channelEvents: Events = {
  wants: (name) => channel(PREFIX + name).hasSubscribers,
  publish: (name, details) => channel(PREFIX + name).publish(details),
};

const PREFIX = "sotto:";
