import type { Events } from "../events.ts";
import type { Network } from "../network.ts";
import type { Runtime } from "../runtime.ts";
import { openAnyDatagram } from "./any-datagram.ts";
import { ChannelEvents } from "./channel-events.ts";
import { NodeClock } from "./node-clock.ts";
import { openStream } from "./node-connect.ts";
import { openListener } from "./node-listen.ts";
import { NodeRandom } from "./node-random.ts";
import { ownAddresses } from "./own-addresses.ts";

/** Real sockets of `node:net`, `node:tls` and `node:dgram`. */
const nodeNetwork: Network = {
  connect: openStream,
  listen: openListener,
  bindDatagram: openAnyDatagram,
  ownAddresses,
};

/** The real world. Events go to `diagnostics_channel` when nothing else is given. */
export function nodeRuntime(events: Events = new ChannelEvents()): Runtime {
  return { clock: new NodeClock(), random: new NodeRandom(), network: nodeNetwork, events };
}
