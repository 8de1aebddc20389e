/** The real world with the native engine for listeners, datagrams and connections in clear, where there is one; all else is the portable engine's. */
import { closeSync } from "node:fs";
import type { Socket } from "node:net";
import type { Events } from "../events.ts";
import type { Network } from "../network.ts";
import type { AcceptedConnections } from "../node/accepted-connections.ts";
import { ChannelEvents } from "../node/channel-events.ts";
import { nodeRuntime } from "../node/node-runtime.ts";
import type { Runtime } from "../runtime.ts";
import { openNativeClientDatagram } from "./native-client-datagram.ts";
import { NativeClock } from "./native-clock.ts";
import { canConnectNatively, openNativeStream } from "./native-connect.ts";
import { openNativeDatagram } from "./native-datagram.ts";
import { type AcceptedDescriptor, openNativeListener } from "./native-listener.ts";
import { type NativeLoop, nativeLoop } from "./native-loop.ts";

/** Runtime, and which engine its listeners have. */
export interface NativeRuntime extends Runtime {
  /** Undefined with the native engine, else why the portable one was taken. */
  readonly engineProblem: string | undefined;
}

/**
 * As `nodeRuntime`, with UDP sockets, listeners and connections in clear on epoll and OpenSSL (Linux, Node 26). Anywhere else it is `nodeRuntime`, and says why:
 * by `engineProblem`, and by the event `runtime.engine-unavailable`. `sockets` and `descriptors`: connections may go to other threads and come
 * from them, those of the portable engine (HTTP is always its) and those of this one.
 */
export function nativeRuntime(
  events: Events = new ChannelEvents(),
  sockets?: AcceptedConnections<Socket>,
  descriptors?: AcceptedConnections<AcceptedDescriptor>,
): NativeRuntime {
  const portable = nodeRuntime(events, sockets);
  const loop = nativeLoop();
  if (typeof loop === "string") {
    events.publish("runtime.engine-unavailable", { engine: "node", problem: loop });
    return { ...portable, engineProblem: loop };
  }
  return {
    ...portable,
    clock: new NativeClock(loop),
    network: nativeNetwork(loop, portable.network, descriptors),
    engineProblem: undefined,
  };
}

/** Closes a connection that was on its way to a thread that does not take it any more; it must be the caller's. */
export function closeDescriptor(fd: number): void {
  const loop = nativeLoop();
  if (typeof loop !== "string") loop.sockets.close(fd);
  // A thread may be without the engine that another one has. Node closes what it did not open, too, and says so in threads.
  else closeSync(fd);
}

function nativeNetwork(
  loop: NativeLoop,
  portable: Network,
  descriptors: AcceptedConnections<AcceptedDescriptor> | undefined,
): Network {
  return {
    ...portable,
    connect: (options) =>
      canConnectNatively(options) ? openNativeStream(loop, options) : portable.connect(options),
    listen: (options, handlers) => openNativeListener(loop, options, handlers, descriptors),
    bindDatagram: (options, handlers) =>
      options.connectTo === undefined
        ? openNativeDatagram(loop, options, handlers)
        : openNativeClientDatagram(loop, options.connectTo, options, handlers),
  };
}
