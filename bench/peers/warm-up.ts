/** What comes before all that is measured: caches are filled, and code is compiled. */
import { setTimeout as pause } from "node:timers/promises";
import type { LoadOutcome, LoadTarget, LoadWindow, PipelineOrder } from "./generator/orders.ts";
import { questions, ZONE } from "./zone.ts";

/** Who is asked for what. */
export interface WarmUp {
  /** For people. */
  readonly name: string;
  readonly target: LoadTarget;
  readonly kind: "cached" | "padded";
}

type Run = (order: PipelineOrder, window: LoadWindow) => Promise<{ readonly outcome: LoadOutcome }>;

/** Asks all names until all answers come, and are right: from then on they are in the cache. */
export async function warmUp({ name, target, kind }: WarmUp, run: Run): Promise<void> {
  const answersMax = questions().length;
  for (let pass = 1; pass <= PASSES_MAX; pass++) {
    const { outcome } = await run(
      { kind: "pipeline", target, connections: 1, outstanding: 100, names: { kind }, answersMax },
      { leadMs: 0, windowMs: 0 },
    );
    if (pass >= PASSES && outcome.wrong + outcome.lost === 0 && outcome.answers >= answersMax) return;
    if (outcome.answers === 0) await pause(500);
  }
  throw new Error(`${name} does not answer all of ${ZONE} over ${target.transport}`);
}

/** Passes over all names: the first fills caches, the second is for code that is compiled while it runs. */
const PASSES = 2;
const PASSES_MAX = 8;
