/** What only shows when the sets of a front end are read: whether they can be, and which of their lines mean nothing. */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { FrontConfig } from "../config/index.ts";
import { loadSet } from "./front-sets.ts";

export interface CheckedSets {
  /** Sets with which no front end would start. */
  readonly problems: readonly string[];
  /** Lines that are left out, the first few of each set. */
  readonly warnings: readonly string[];
}

/** Reads one set after the other, and keeps none. */
export async function checkFrontSets(config: FrontConfig, runtime: Runtime): Promise<CheckedSets> {
  const problems: string[] = [];
  const warnings: string[] = [];
  for (const set of config.sets) {
    try {
      const { report } = await loadSet(set, runtime);
      warnings.push(...report.problems);
      const left = report.bad + ("unsupported" in report ? report.unsupported : 0) - report.problems.length;
      if (left > 0) warnings.push(`${report.source}: ${left} more lines are left out`);
    } catch (error) {
      problems.push(DnsError.is(error) ? error.message : String(error));
    }
  }
  return { problems, warnings };
}
