/** Wall times as reports have them. */

/** ISO 8601, from milliseconds since 1970; asks no clock. */
export function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
