/** What calls of `node:dns` come to, so that two modules can be compared. */
import { inspect } from "node:util";

/** What a call comes to, in a form that can be compared: also which errors are thrown and which given. */
export type Outcome = readonly ["value" | "rejected" | "thrown", unknown];

function errorOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const told: Record<string, unknown> = { name: error.name, message: error.message };
  for (const key of ["code", "errno", "syscall", "hostname"])
    if (key in error) told[key] = Reflect.get(error, key);
  return told;
}

export async function outcome(call: () => unknown): Promise<Outcome> {
  let promise: unknown;
  try {
    promise = call();
  } catch (error) {
    return ["thrown", errorOf(error)];
  }
  try {
    return ["value", await promise];
  } catch (error) {
    return ["rejected", errorOf(error)];
  }
}

/** A call with a callback as a promise; what it throws is thrown. */
export function called(
  take: (callback: (error: Error | null, ...results: unknown[]) => void) => unknown,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  take((error, ...results) => (error === null ? resolve(results) : reject(error)));
  return promise;
}

export const brief = (one: unknown): string =>
  inspect(one, { depth: 6, breakLength: Number.POSITIVE_INFINITY });

/** A difference that only older Nodes have: those before a version, `major.minor`. Ours is as Node 26 is on all of them. */
export interface OldDifference {
  readonly before: string;
  readonly why: string;
  readonly calls: readonly string[];
}

/** The calls that this Node answers in its older way. */
export function oldWays(differences: readonly OldDifference[]): ReadonlySet<string> {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const isBefore = (version: string): boolean => {
    const [otherMajor = 0, otherMinor = 0] = version.split(".").map(Number);
    return major < otherMajor || (major === otherMajor && minor < otherMinor);
  };
  return new Set(differences.flatMap(({ before, calls }) => (isBefore(before) ? calls : [])));
}

/** Node gives some values a property `type` that is undefined. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]) =>
      key === "type" && one === undefined ? [] : [[key, plain(one)]],
    ),
  );
}
