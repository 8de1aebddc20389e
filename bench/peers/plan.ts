/** Who is measured when: all servers close together in each round, every other round backwards. */
import type { Server } from "./servers.ts";
import { type BenchTest, PEAK_TEST, takesPart } from "./tests.ts";

/** One measurement to be taken. */
export interface Step {
  readonly test: BenchTest;
  readonly server: Server;
  /** From 0. */
  readonly round: number;
}

/**
 * The steps of all tests, one test after the other, so that a server is compared with what was measured seconds before. The peak
 * comes before the test that depends on it, and is added where it is missing. Memory comes last, because servers are started anew for it.
 */
export function planOf(tests: readonly BenchTest[], servers: readonly Server[], rounds: number): Step[] {
  const steps: Step[] = [];
  for (const test of inOrder(tests)) {
    const taking = servers.filter((server) => takesPart(server, test));
    const count = roundsOf(test, rounds);
    // Nothing to compare with.
    if (test.figure === "scaling" && taking.length < 2) continue;
    for (let round = 0; round < count; round++)
      for (const server of round % 2 === 0 ? taking : taking.toReversed())
        steps.push({ test, server, round });
  }
  return steps;
}

/** Memory takes long and differs little: a third of the rounds. */
function roundsOf({ figure }: BenchTest, rounds: number): number {
  return figure === "memoryKib" ? Math.ceil(rounds / 3) : rounds;
}

function inOrder(tests: readonly BenchTest[]): BenchTest[] {
  const rank = ({ key, figure }: BenchTest): number =>
    key === PEAK_TEST ? 0 : figure === "memoryKib" ? 2 : 1;
  return tests.toSorted((a, b) => rank(a) - rank(b));
}

/** Whether the peak has to be measured although nobody asked for it. */
export function needsPeak(tests: readonly BenchTest[]): boolean {
  return tests.some(({ key }) => key === "p99") && !tests.some(({ key }) => key === PEAK_TEST);
}
