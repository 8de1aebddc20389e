/** How numbers, times and long sentences look on a terminal. */

/** Columns that output keeps to. */
export const COLUMNS = 100;

/** `12.3 ms`, `8 s`, `12 min`, `3 h 5 min`, `2 d 4 h`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `1 reply`, `3 replies`, `no reply`. */
export function countText(count: number, one: string, many: string): string {
  return count === 0 ? `no ${one}` : `${count} ${count === 1 ? one : many}`;
}

export function shareText(part: number, whole: number): string {
  const percent = (100 * part) / whole;
  // What is not quite all or not quite nothing must not look like it.
  if (part > 0 && percent < 1) return "less than 1 %";
  if (part < whole && percent > 99) return "more than 99 %";
  return `${Math.round(percent)} %`;
}

/** Breaks lines between words; later lines begin at column `indent`. Words of strangers cannot steer the terminal. */
export function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of printable(text).split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.join(`\n${" ".repeat(indent)}`);
}

/** Control characters, and those that turn the direction of text, as their numbers. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}
