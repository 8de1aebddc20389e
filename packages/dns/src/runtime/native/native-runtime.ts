/** The real world with the native engine for listeners and datagrams, where there is one; all else is the portable engine's. */
import type { Events } from "../events.ts";
import type { Network } from "../network.ts";
import { ChannelEvents } from "../node/channel-events.ts";
import { nodeRuntime } from "../node/node-runtime.ts";
import type { Runtime } from "../runtime.ts";
import { openNativeClientDatagram } from "./native-client-datagram.ts";
import { openNativeDatagram } from "./native-datagram.ts";
import { openNativeListener } from "./native-listener.ts";
import { type NativeLoop, nativeLoop } from "./native-loop.ts";

/** Runtime, and which engine its listeners have. */
export interface NativeRuntime extends Runtime {
  /** Undefined with the native engine, else why the portable one was taken. */
  readonly engineProblem: string | undefined;
}

/**
 * As `nodeRuntime`, with UDP sockets and listeners on epoll and OpenSSL (Linux, Node 26). Anywhere else it is `nodeRuntime`, and says why:
 * by `engineProblem`, and by the event `runtime.engine-unavailable`.
 */
export function nativeRuntime(events: Events = new ChannelEvents()): NativeRuntime {
  const portable = nodeRuntime(events);
  const loop = nativeLoop();
  if (typeof loop === "string") {
    events.publish("runtime.engine-unavailable", { engine: "native", problem: loop });
    return { ...portable, engineProblem: loop };
  }
  return { ...portable, network: nativeNetwork(loop, portable.network), engineProblem: undefined };
}

function nativeNetwork(loop: NativeLoop, portable: Network): Network {
  return {
    ...portable,
    listen: (options, handlers) => openNativeListener(loop, options, handlers),
    bindDatagram: (options, handlers) =>
      options.connectTo === undefined
        ? openNativeDatagram(loop, options, handlers)
        : openNativeClientDatagram(loop, options.connectTo, options, handlers),
  };
}
