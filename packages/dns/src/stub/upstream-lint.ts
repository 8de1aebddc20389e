/** What is allowed in an upstream and will hurt one day, in words for whoever configured it. */

/** Sentences that go on after the upstream's name; empty when there is nothing to say. */
export function lintUpstream({ pins }: { readonly pins: readonly string[] }): string[] {
  // RFC 7858 §4.2: a backup pin beside the primary one.
  return new Set(pins).size === 1
    ? [
        "has one pin: when the server changes its key it is authenticated no more until this pin is changed, too; add the pin of its backup key, or of an authority in its chain (RFC 7858 §4.2)",
      ]
    : [];
}
