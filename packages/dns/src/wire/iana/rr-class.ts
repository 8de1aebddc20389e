/** DNS CLASSes (IANA, RFC 6895 §3.2). */
export const RRClass = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;
export type RRClass = number;

const names = new Map<number, string>(Object.entries(RRClass).map(([name, value]) => [value, name]));
const values = new Map<string, number>(Object.entries(RRClass));

/** The mnemonic, or `CLASS7` for those without (RFC 3597 §5). */
export function rrClassToText(rrClass: RRClass): string {
  return names.get(rrClass) ?? `CLASS${rrClass}`;
}

/** The number of a mnemonic or `CLASSn`, without regard to case; undefined when unknown. */
export function rrClassFromText(text: string): RRClass | undefined {
  const upper = text.toUpperCase();
  const known = values.get(upper);
  if (known !== undefined) return known;
  const generic = /^CLASS([0-9]{1,5})$/.exec(upper);
  const value = Number(generic?.[1] ?? "65536");
  return value <= 0xffff ? value : undefined;
}
