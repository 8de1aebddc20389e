/** Requirement ids as references and as words. */
import { REQUIREMENTS } from "./requirement-texts.ts";
import { visible } from "./words.ts";

/** `RFC 7766 §6.2.1.1 a`; an id that is no RFC's stays as it is. */
export function requirementReference(id: string): string {
  const [, rfc, section, letter] = /^(\d{4,5})-(.+?)(?:-([a-z]+))?$/.exec(id) ?? [];
  if (rfc === undefined || section === undefined) return visible(id);
  const place = /^\d|^[A-Z]\b/.test(section) ? `§${section}` : section;
  return visible(`RFC ${rfc} ${place}${letter === undefined ? "" : ` (${letter})`}`);
}

/** What it demands in our words; undefined: the id is not in our tables. */
export function requirementWords(id: string): string | undefined {
  return REQUIREMENTS.get(id);
}

/** `RFC 7766 §6.2.1.1 (a): Pipeline: …`. */
export function requirementText(id: string): string {
  const words = requirementWords(id);
  return words === undefined ? requirementReference(id) : `${requirementReference(id)}: ${words}`;
}
