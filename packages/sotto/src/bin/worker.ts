/** A worker thread of a daemon; `compose/worker-group.ts` starts it and tells it what to do. */
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type WorkerCall, WorkerEvents, WorkerServer, type WorkerStart } from "../compose/index.ts";
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
const server = new WorkerServer(start, {
  runtime: nodeRuntime(events),
  post: (message) => {
    // What led to a result stands before it in the log.
    events.flush();
    thread.post(message);
  },
  utilisation: () => thread.utilisation(),
});
// Only the supervisor speaks to its workers.
thread.onMessage((message) => server.handle(message as WorkerCall));
