/** What is kept of measurements (`docs/evidence/performance.json`): raw figures by test, each with when and of what it was taken. */
import type { Measurement } from "./measure.ts";
import type { Load } from "./tests.ts";

/** All measurements of one test in one run. */
export interface TestRecord {
  readonly key: string;
  /** Day, UTC. */
  readonly taken: string;
  /** Commit of ours. */
  readonly revision: string;
  /** Of each measurement. */
  readonly secs: number;
  /** Absent: `own`, of records that are older than the choice. Figures of different loads do not compare. */
  readonly load?: Load;
  readonly measurements: readonly Measurement[];
}

export interface BenchDocument {
  readonly environment: Environment;
  readonly tests: readonly TestRecord[];
}

/** What the figures depend on. */
export interface Environment {
  readonly node: string;
  readonly openssl: string;
  readonly kernel: string;
  readonly processor: string;
  readonly cores: number;
  /** Debian's packages with versions. */
  readonly packages: Readonly<Record<string, string>>;
}

/** New records take the place of old ones of the same test, in the order of `keys`; old ones of other tests stay. */
export function merge(
  old: BenchDocument | undefined,
  now: BenchDocument,
  keys: readonly string[],
): BenchDocument {
  const find = (key: string): TestRecord | undefined =>
    [...now.tests, ...(old?.tests ?? [])].find((record) => record.key === key);
  return { environment: now.environment, tests: keys.flatMap((key) => find(key) ?? []) };
}
