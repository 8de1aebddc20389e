/** What one look at a target gave, and how looks over several transports become one cell. */
import type { Confidence, Verdict } from "../model.ts";
import type { ProbeTransport } from "./probe-options.ts";

export interface Finding {
  readonly verdict: Verdict;
  readonly confidence: Confidence;
  /** One sentence without full stop. */
  readonly observed: string;
}

/** Seen on the wire, unless something else is said. */
export function found(verdict: Verdict, observed: string, confidence: Confidence = "certain"): Finding {
  return { verdict, observed, confidence };
}

/** What cannot be known, and why. */
export function notTestable(observed: string): Finding {
  return found("not testable", observed);
}

/** Of a look that threw: it says nothing of the target. */
export function proberFailed(error: unknown): Finding {
  const why = error instanceof Error ? error.message : String(error);
  return found("not testable", `the prober failed: ${why}`, "guess");
}

/**
 * One verdict for all transports: what is broken on one is broken; what works on one only is partial. Transports that could
 * not be tested do not count beside others that could.
 */
export function combineFindings(findings: readonly (readonly [ProbeTransport, Finding])[]): Finding {
  const known = findings.filter(([, { verdict }]) => !UNKNOWN.has(verdict));
  const counted = known.length > 0 ? known : findings;
  const verdicts = new Set(counted.map(([, { verdict }]) => verdict));
  const [only] = verdicts;
  const verdict: Verdict =
    verdicts.size === 1 && only !== undefined
      ? only
      : verdicts.has("broken")
        ? "broken"
        : verdicts.size === 0
          ? "not applicable"
          : known.length > 0
            ? "partial"
            : "not testable";
  const confidence = counted.reduce<Confidence>(
    (lowest, [, one]) => (RANK[one.confidence] < RANK[lowest] ? one.confidence : lowest),
    "certain",
  );
  return { verdict, confidence, observed: observedOf(findings) };
}

/** The same sentence is not said twice. */
function observedOf(findings: readonly (readonly [ProbeTransport, Finding])[]): string {
  const transportsOf = new Map<string, string[]>();
  for (const [transport, { observed }] of findings) {
    const names = transportsOf.get(observed) ?? [];
    names.push(transport.toUpperCase());
    transportsOf.set(observed, names);
  }
  return [...transportsOf].map(([observed, names]) => `${names.join(" and ")}: ${observed}`).join("; ");
}

const UNKNOWN: ReadonlySet<Verdict> = new Set(["not testable", "not applicable"]);
const RANK: Readonly<Record<Confidence, number>> = { guess: 0, likely: 1, certain: 2 };
