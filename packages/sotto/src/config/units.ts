/** Durations and sizes as people write them in the configuration: a number with a unit, never a bare number of unclear meaning. */
import { type Parsed, parsed, problem } from "@sotto/dns/wire";

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const SIZE_BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Milliseconds of `500ms`, `10s`, `5m`, `2h`, `1d`. */
export function tryParseDuration(text: string): Parsed<number> {
  const parts = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)$/.exec(text.trim());
  const unit = DURATION_MS[parts?.[2] ?? ""];
  if (parts === null || unit === undefined) {
    return problem(`${JSON.stringify(text)} is not a duration such as 500ms, 10s, 5m, 2h or 1d`);
  }
  return parsed(Math.round(Number(parts[1]) * unit));
}

/** Bytes of `64KiB`, `16MiB`, `1GiB`, `4096B`. */
export function tryParseSize(text: string): Parsed<number> {
  const parts = /^([0-9]+(?:\.[0-9]+)?)(B|KiB|MiB|GiB)$/.exec(text.trim());
  const unit = SIZE_BYTES[parts?.[2] ?? ""];
  if (parts === null || unit === undefined) {
    return problem(`${JSON.stringify(text)} is not a size such as 64KiB, 16MiB or 1GiB`);
  }
  return parsed(Math.round(Number(parts[1]) * unit));
}

/** `20261123120000`: a moment in UTC, as seconds since 1970. */
export function tryParseMoment(text: string): Parsed<number> {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined) return problem(`${JSON.stringify(text)} is not a moment such as 20261123120000`);
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts;
  // A 31st of February would be one of March.
  const days = (Date.UTC(year, month, 1) - Date.UTC(year, month - 1, 1)) / 86_400_000;
  const isDay = month >= 1 && month <= 12 && day >= 1 && day <= days;
  if (!isDay || hour > 23 || minute > 59 || second > 59)
    return problem(`there is no moment ${text} in the calendar`);
  return parsed(Date.UTC(year, month - 1, day, hour, minute, second) / 1000);
}
