/** A worker thread of a daemon; `compose/worker-group.ts` starts it and tells it what to do. */
import type { Socket } from "node:net";
import { type AcceptedDescriptor, nativeRuntime } from "@sotto/dns/runtime/native";
import { AcceptedConnections, nodeRuntime } from "@sotto/dns/runtime/node";
import {
  type GivenConnection,
  type ToldBans,
  type WorkerCall,
  WorkerEvents,
  WorkerServer,
  type WorkerStart,
} from "../compose/index.ts";
import { logFilter, threadEnd } from "../operations/index.ts";
import { closeConnection } from "./close-connection.ts";

const thread = threadEnd();
const start = thread.start as WorkerStart; // Nobody else starts this module.
const events = new WorkerEvents(
  {
    wants: logFilter(start.logLevel),
    speaksForAll: start.index === 0,
    send: (lines, dropped) => thread.post({ kind: "events", lines, dropped }),
  },
  nodeRuntime().clock,
);
const sockets = new AcceptedConnections<Socket>({
  give: (socket, place) => server.gives({ kind: "socket", socket }, place),
  close: (socket) => closeConnection({ kind: "socket", socket }),
});
const descriptors = new AcceptedConnections<AcceptedDescriptor>({
  give: ({ fd, remote }, place) => server.gives({ kind: "descriptor", fd, remote }, place),
  close: ({ fd }) => closeConnection({ kind: "descriptor", fd }),
});
const native = start.engine === "native" ? nativeRuntime(events, sockets, descriptors) : undefined;
const server = new WorkerServer(start, {
  runtime: native ?? nodeRuntime(events, sockets),
  // The main thread has the engine, and so have the others; here there may be no descriptors left for it.
  isLikeOthers: native?.engineProblem === undefined,
  post: (message) => {
    // What led to a result stands before it in the log.
    events.flush();
    thread.post(message);
  },
  postSocket: (socket, place, receiver) => {
    try {
      const connection = { kind: "socket", socket };
      thread.post({ kind: "connection", place, connection, receiver }, [socket]);
      return true;
    } catch {
      // A Node that cannot transfer sockets: everybody keeps what comes.
      return false;
    }
  },
  adopt: (connection, place) =>
    connection.kind === "socket"
      ? // Given by another worker, which got it from its own `sockets`.
        sockets.adopt(connection.socket as Socket, place)
      : descriptors.adopt(connection, place),
  utilisation: () => thread.utilisation(),
});
// Only the supervisor speaks to its workers.
thread.onMessage((message) => server.handle(message as WorkerCall | GivenConnection | ToldBans));
