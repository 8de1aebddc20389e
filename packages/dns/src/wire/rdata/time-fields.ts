/** Fields that tell a time: moments of signatures (RFC 4034 §3.2) and the periods of SOA. */
import { tryParseTtl } from "../ttl-text.ts";
import { type Field, uint32 } from "./field.ts";

/** Seconds, printed as such; units as in `1h30m` are understood (a BIND extension). */
export const period: Field<number> = {
  ...uint32,
  parse(tokens, what) {
    const text = tokens.peek()?.text ?? "";
    if (/^[0-9]*$/.test(text)) return uint32.parse(tokens, what);
    const seconds = tryParseTtl(text);
    if (!seconds.ok) tokens.fail(`${what} ${JSON.stringify(text)} is not a period, write seconds or 1h30m`);
    else tokens.next(what);
    return seconds.ok ? seconds.value : 0;
  },
};

/** Seconds since 1970 as `YYYYMMDDHHmmSS` (RFC 4034 §3.2); plain numbers are understood too. */
export const timestamp: Field<number> = {
  ...uint32,
  toText: timestampToText,
  parse(tokens, what) {
    const text = tokens.peek()?.text ?? "";
    if (!/^[0-9]{14}$/.test(text)) return uint32.parse(tokens, what);
    tokens.next(what);
    const [year, month, day, hour, minute, second] = [0, 4, 6, 8, 10, 12].map((at) =>
      Number(text.slice(at, at === 0 ? 4 : at + 2)),
    );
    const days = daysBefore(year ?? 0, month ?? 0) + (day ?? 0) - 1;
    const seconds = ((days * 24 + (hour ?? 0)) * 60 + (minute ?? 0)) * 60 + (second ?? 0);
    // RFC 4034 §3.1.5: serial number arithmetic, so times wrap at 2^32.
    if (timestampToText(seconds % 2 ** 32) !== text && seconds < 2 ** 32)
      tokens.fail(`${what} ${text} is not a time`);
    return seconds % 2 ** 32;
  },
};

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

/** Days from 1970-01-01 to the first of a month. */
function daysBefore(year: number, month: number): number {
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 477;
  const thisYear = (DAYS_BEFORE_MONTH[month - 1] ?? 0) + (month > 2 && isLeap(year) ? 1 : 0);
  return (year - 1970) * 365 + leapDays + thisYear;
}

/** Seconds since 1970 as `YYYYMMDDHHmmSS` in UTC. */
export function timestampToText(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  let year = 1970 + Math.floor(days / 366);
  while (daysBefore(year + 1, 1) <= days) year++;
  let month = 1;
  while (month < 12 && daysBefore(year, month + 1) <= days) month++;
  const day = days - daysBefore(year, month) + 1;
  const rest = seconds % 86_400;
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${year}${two(month)}${two(day)}${two(Math.floor(rest / 3600))}${two(Math.floor(rest / 60) % 60)}${two(rest % 60)}`;
}
