/**
 * Telling a zone's servers which of its keys are trusted here (RFC 8145), so that those who roll keys see who is ready: an
 * option in queries for the zone's DNSKEY set (§4), and a query whose name tells it (§5). Both are what to send; sending
 * is the caller's.
 */
import { type EdnsOption, makeKeyTag, type Question, RRClass, RRType } from "@sotto/dns/wire";
import type { TrustAnchor, TrustAnchors } from "./trust-anchors.ts";

/** Key tags of a trust anchor, each once, in ascending order. */
export function keyTagsOf({ ds, keys }: TrustAnchor): number[] {
  const tags = new Set([...ds.map(({ keyTag }) => keyTag), ...keys.map(({ tag }) => tag)]);
  return [...tags].sort((a, b) => a - b);
}

/** The option for a query to the zone's servers; undefined for all but DNSKEY queries for a trust anchor (RFC 8145 §4.2). */
export function keyTagOption(
  question: Pick<Question, "name" | "type">,
  anchors: TrustAnchors,
): EdnsOption | undefined {
  if (question.type !== RRType.DNSKEY) return undefined;
  const anchor = anchors.at(question.name);
  const tags = anchor === undefined ? [] : keyTagsOf(anchor);
  return tags.length === 0 ? undefined : makeKeyTag(tags);
}

/**
 * The question that tells the tags in its name: `_ta-4f66-9728.` for the root (RFC 8145 §5.1). Undefined when the name
 * would be too long, or there is nothing to tell.
 */
export function keyTagQuestion(anchor: TrustAnchor): Question | undefined {
  // More do not fit into a label; the first twelve tell as much as anybody needs.
  const tags = keyTagsOf(anchor).slice(0, TAGS_PER_LABEL_MAX);
  if (tags.length === 0) return undefined;
  const label = `_ta-${tags.map((tag) => tag.toString(16).padStart(4, "0")).join("-")}`;
  const name = anchor.zone.tryPrepend(new TextEncoder().encode(label));
  return name.ok ? { name: name.value, type: RRType.NULL, class: RRClass.IN } : undefined;
}

/** Remembers what was told when: once a day for each zone, and when it changes. */
export class SignalSchedule {
  readonly #told = new Map<string, { readonly tags: string; readonly atSeconds: number }>();

  /** The question that is due for this anchor; it counts as told then. */
  take(anchor: TrustAnchor, nowSeconds: number): Question | undefined {
    const tags = keyTagsOf(anchor).join();
    const told = this.#told.get(anchor.zone.key);
    const ageSeconds = told === undefined ? 0 : nowSeconds - told.atSeconds;
    // A clock that was set back must not silence us for longer than a day either.
    if (told?.tags === tags && ageSeconds >= 0 && ageSeconds < SIGNAL_INTERVAL_SECONDS) return undefined;
    this.#told.set(anchor.zone.key, { tags, atSeconds: nowSeconds });
    return keyTagQuestion(anchor);
  }
}

/** RFC 8145 §5.1: four octets `_ta-` less one hyphen, and five for each tag, in 63. */
const TAGS_PER_LABEL_MAX = 12;
/** A day: Unbound and BIND tell as often. */
const SIGNAL_INTERVAL_SECONDS = 86_400;
