/** Response codes with the upper eight bits of the OPT record (IANA "DNS RCODEs", RFC 6891 §6.1.3). */
export const Rcode = {
  NoError: 0,
  FormErr: 1,
  ServFail: 2,
  NXDomain: 3,
  NotImp: 4,
  Refused: 5,
  YXDomain: 6,
  YXRRSet: 7,
  NXRRSet: 8,
  NotAuth: 9,
  NotZone: 10,
  DsoTypeNI: 11,
  BadVers: 16,
  BadKey: 17,
  BadTime: 18,
  BadMode: 19,
  BadName: 20,
  BadAlg: 21,
  BadTrunc: 22,
  BadCookie: 23,
} as const;
export type Rcode = number;

const names = new Map<number, string>(
  Object.entries(Rcode).map(([name, value]) => [value, name.toUpperCase()]),
);

/** Upper-case mnemonic as dig prints it, or `RCODE24`. */
export function rcodeToText(rcode: Rcode): string {
  return names.get(rcode) ?? `RCODE${rcode}`;
}

/** The number of a mnemonic, without regard to case; undefined when unknown. */
export function rcodeFromText(text: string): Rcode | undefined {
  const upper = text.toUpperCase();
  for (const [value, name] of names) if (name === upper) return value;
  return undefined;
}
