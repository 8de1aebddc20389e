/** The process of the load: does what its parent sends, one order after the other, without letting the event loop turn in between. */
import { takeSnapshot } from "../accounting.ts";
import { runConnect } from "./connect.ts";
import { HeldConnections } from "./hold.ts";
import type { LoadOutcome, LoadRequest } from "./orders.ts";
import { runPipeline } from "./pipeline.ts";

let held: HeldConnections | undefined;

function run({ order, window, watched }: LoadRequest): LoadOutcome {
  const snapshot = () => takeSnapshot([...watched, process.pid]);
  switch (order.kind) {
    case "pipeline":
      return runPipeline(order, window, snapshot);
    case "connect":
      return runConnect(order, window, snapshot);
    case "hold":
      held = new HeldConnections();
      return held.hold(order, snapshot);
    case "release": {
      const outcome = held?.release(snapshot);
      held = undefined;
      if (outcome === undefined) throw new Error("nothing is held");
      return outcome;
    }
  }
}

process.on("message", (request: LoadRequest) => {
  try {
    process.send?.(run(request));
  } catch (problem) {
    process.send?.({
      problem: problem instanceof Error ? (problem.stack ?? problem.message) : String(problem),
    });
  }
});
process.on("disconnect", () => process.exit());
process.send?.({ isReady: true });
