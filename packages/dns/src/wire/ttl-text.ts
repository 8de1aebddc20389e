/** TTLs as people write them in zone files: seconds (RFC 1035 §5.1) or with units as in `1h30m` (a BIND extension). */
import { type Parsed, parsed, problem } from "./parsed.ts";

/** True when a text can only be a TTL: it starts with a digit and holds digits and units only. */
export function looksLikeTtl(text: string): boolean {
  return /^[0-9][0-9smhdw]*$/i.test(text);
}

/** Seconds, 0 to 2147483647 (RFC 2181 §8). */
export function tryParseTtl(text: string): Parsed<number> {
  if (!/^(?:[0-9]{1,10}[smhdw])*(?:[0-9]{1,10})?$/i.test(text) || text === "")
    return problem(`${JSON.stringify(text)} is not a TTL, write seconds or 1h30m`);
  let seconds = 0;
  for (const [, count = "", unit = "s"] of text.toLowerCase().matchAll(/([0-9]+)([smhdw])?/g))
    seconds += Number(count) * (UNIT_SECONDS.get(unit) ?? 1);
  return seconds <= TTL_MAX ? parsed(seconds) : problem(`TTL ${text} is over ${TTL_MAX} seconds`);
}

const UNIT_SECONDS: ReadonlyMap<string, number> = new Map([
  ["s", 1],
  ["m", 60],
  ["h", 3_600],
  ["d", 86_400],
  ["w", 604_800],
]);

/** RFC 2181 §8: 31 bits. */
const TTL_MAX = 0x7fff_ffff;
