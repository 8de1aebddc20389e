/** The words and symbols of verdicts. A word always stands beside its symbol, and neither rests on colour. */
import { stripVTControlCharacters } from "node:util";
import type { Confidence, Verdict } from "../model.ts";

/** How a verdict is shown. */
export interface VerdictWords {
  readonly symbol: string;
  readonly word: string;
  /** For the legend: one clause. */
  readonly meaning: string;
}

export const VERDICTS: Readonly<Record<Verdict, VerdictWords>> = {
  released: { symbol: "●", word: "Released", meaning: "it works as the standard wants" },
  partial: { symbol: "◐", word: "Partial", meaning: "a part of it works" },
  off: { symbol: "○", word: "Off", meaning: "it can be had and is switched off" },
  none: { symbol: "–", word: "None", meaning: "it is not there" },
  broken: { symbol: "✗", word: "Broken", meaning: "it is there and wrong" },
  "not testable": { symbol: "?", word: "Not testable", meaning: "the probe could not find out" },
  "not applicable": { symbol: "·", word: "Not applicable", meaning: "it has no meaning for this target" },
};

/** What a verdict rests on, for people. */
export const CONFIDENCES: Readonly<Record<Confidence, string>> = {
  certain: "seen on the wire",
  likely: "several rounds agree",
  guess: "one round, or judged by what did not happen",
};

/** `● Released`; a guess carries a tilde, which the legend explains. */
export function verdictText(verdict: Verdict, confidence: Confidence = "certain"): string {
  const { symbol, word } = VERDICTS[verdict];
  return `${symbol} ${word}${confidence === "guess" ? " ~" : ""}`;
}

/** Longest text of a stranger that is shown, characters as they stand there; the rest is cut off, with a sign. */
const TEXT_CHARACTERS_MAX = 2000;

/** Control characters, and characters that change the order or the look of others. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\uFFFE\uFFFF]/u;

/**
 * A text that strangers had a hand in, made harmless: hidden characters become visible escapes, so that it can steer neither a
 * terminal nor the text around it. What is shown has at most `charactersMax` characters, and the sign of what is not.
 */
export function visible(text: string, charactersMax: number = TEXT_CHARACTERS_MAX): string {
  if (text.length <= charactersMax && text.isWellFormed() && !HIDDEN.test(text)) return text;
  let shown = "";
  // No character becomes shorter: what is beyond this will not fit.
  for (const character of text.slice(0, charactersMax + 1).toWellFormed()) {
    const one = HIDDEN.test(character) ? escaped(character) : character;
    if (shown.length + one.length > charactersMax) return `${shown}…`;
    shown += one;
  }
  return shown;
}

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
}

/** Columns that a text takes on a terminal; wide characters of other scripts count as one. */
export function textWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/** Narrowest terminal that is cared for, columns; on narrower ones lines are broken by the terminal. One of unknown size says 0. */
export const WIDTH_MIN = 40;

/** Lines of at most `columns`, but of one at least, broken at spaces, and within words where there is none. */
export function wrapText(text: string, columns: number): string[] {
  const width = Math.max(columns, 1);
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (textWidth(longer) <= width) {
      line = longer;
      continue;
    }
    if (line !== "") lines.push(line);
    let rest = [...word];
    for (; rest.length > width; rest = rest.slice(width)) lines.push(rest.slice(0, width).join(""));
    line = rest.join("");
  }
  if (line !== "" || lines.length === 0) lines.push(line);
  return lines;
}
