import type { Socket } from "node:net";
import type { Events } from "../events.ts";
import type { Network } from "../network.ts";
import type { Runtime } from "../runtime.ts";
import type { AcceptedConnections } from "./accepted-connections.ts";
import { openAnyDatagram } from "./any-datagram.ts";
import { ChannelEvents } from "./channel-events.ts";
import { NodeClock } from "./node-clock.ts";
import { openStream } from "./node-connect.ts";
import { openListener } from "./node-listen.ts";
import { NodeRandom } from "./node-random.ts";
import { ownAddresses } from "./own-addresses.ts";

/** Real sockets of `node:net`, `node:tls` and `node:dgram`, and HTTP of `node:http2` and `node:http`. */
function nodeNetwork(accepted: AcceptedConnections<Socket> | undefined): Network {
  return {
    connect: openStream,
    listen: (options, handlers) => openListener(options, handlers, accepted),
    // Loaded when it is wanted: few programs do, and Node's HTTP takes tens of milliseconds.
    listenHttp: async (options, handlers) =>
      (await import("./node-http-listen.ts")).openHttpListener(options, handlers, accepted),
    bindDatagram: openAnyDatagram,
    ownAddresses,
  };
}

/**
 * The real world. Events go to `diagnostics_channel` when nothing else is given. `accepted`: connections may go to other
 * threads and come from them.
 */
export function nodeRuntime(
  events: Events = new ChannelEvents(),
  accepted?: AcceptedConnections<Socket>,
): Runtime {
  return { clock: new NodeClock(), random: new NodeRandom(), network: nodeNetwork(accepted), events };
}
