/** What fills one row of the table, and what it works with. */
import type { Cell } from "../model.ts";
import { cellOf, type Finding, find, judgeBoth } from "./cell.ts";
import { type ClientPlan, streamUseOf, tlsUseOf, type Use } from "./client-plan.ts";
import type { Exercise, Run, Runner } from "./run.ts";

export interface ProbeContext {
  readonly runner: Runner;
  readonly plan: ClientPlan;
  /** `on`, or why Fast Open cannot be had on this system. */
  readonly fastOpen: string;
  /** Also what takes long. */
  readonly isThorough: boolean;
}

export interface RowProbe {
  readonly row: string;
  readonly requirements: readonly string[];
  /** Servers of the catalogue that its runs want, beside `good`. */
  readonly fixtures: readonly string[];
  probe(context: ProbeContext): Promise<Cell>;
}

/** What a use shows, from one run with everything switched on and perhaps one without. */
interface SimpleProbe {
  readonly row: string;
  readonly requirements: readonly string[];
  /** Default `good`. */
  readonly fixture?: string;
  readonly use: (plan: ClientPlan) => Use | undefined;
  readonly exercise: Omit<Exercise, "fixture" | "use">;
  readonly judge: (run: Run, plan: ClientPlan) => Finding;
}

/** A row that one judge decides. */
export function simpleProbe(probe: SimpleProbe): RowProbe {
  const { row, requirements, fixture = "good" } = probe;
  return {
    row,
    requirements,
    fixtures: fixture === "good" ? [] : [fixture],
    probe: async ({ runner, plan }) => {
      const use = probe.use(plan);
      if (use === undefined) return cellOf(row, requirements, withoutUse(plan), []);
      const exercise = { ...probe.exercise, fixture, use };
      const hasPlain = plan.uses[use]?.plain !== undefined;
      const { finding, runs } = await judgeBoth(runner, exercise, hasPlain, (run) => probe.judge(run, plan));
      return cellOf(row, requirements, finding, runs);
    },
  };
}

/** A client without the use that a row needs. */
export function withoutUse({ isComplete }: ClientPlan, what = "over that transport"): Finding {
  return isComplete
    ? find("none", `it has no way to ask ${what}`, "likely")
    : find("not testable", `the command line does not ask ${what}`);
}

/** Nothing came that could be judged. */
export function nothingCame(what: string): Finding {
  return find("not testable", `nothing came ${what}`);
}

/** One question where several would be needed. */
export function oneQuestion({ isComplete }: ClientPlan): Finding {
  return isComplete
    ? find("none", "it asks one question and ends")
    : find("not testable", "the command has one {qname} only, where several questions are needed");
}

/** Over TCP or TLS, the most private first. */
export const overStream = (plan: ClientPlan): Use | undefined => streamUseOf(plan);
/** Over TLS. */
export const overTls = (plan: ClientPlan): Use | undefined => tlsUseOf(plan);
/** Over UDP, where there is that use. */
export const overUdp = ({ uses }: ClientPlan): Use | undefined =>
  uses.udp === undefined ? undefined : "udp";
/** Over TLS with the name of the server, which every use but `pinned` has. */
export const overNamedTls = ({ uses }: ClientPlan): Use | undefined =>
  (["strict", "tls"] as const).find((use) => uses[use] !== undefined);
