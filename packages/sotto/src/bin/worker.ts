/** A worker thread of a daemon; `compose/worker-group.ts` starts it and tells it what to do. */
import type { Socket } from "node:net";
import { nativeRuntime } from "@sotto/dns/runtime/native";
import { AcceptedSockets, nodeRuntime } from "@sotto/dns/runtime/node";
import {
  type GivenConnection,
  type WorkerCall,
  WorkerEvents,
  WorkerServer,
  type WorkerStart,
} from "../compose/index.ts";
import { logFilter, threadEnd } from "../operations/index.ts";

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
const accepted = new AcceptedSockets((socket, place) => server.gives(socket, place));
const server = new WorkerServer(start, {
  // Connections of the native engine stay with the thread that the kernel gave them to: a descriptor cannot be transferred.
  runtime: start.engine === "native" ? nativeRuntime(events) : nodeRuntime(events, accepted),
  post: (message) => {
    // What led to a result stands before it in the log.
    events.flush();
    thread.post(message);
  },
  postConnection: (socket, place, receiver) => {
    try {
      thread.post({ kind: "connection", place, socket, receiver }, [socket]);
      return true;
    } catch {
      // A Node that cannot transfer sockets: everybody keeps what comes.
      return false;
    }
  },
  // Given by another worker, which got it from its own `AcceptedSockets`.
  adopt: (socket, place) => accepted.adopt(socket as Socket, place),
  utilisation: () => thread.utilisation(),
});
// Only the supervisor speaks to its workers.
thread.onMessage((message) => server.handle(message as WorkerCall | GivenConnection));
