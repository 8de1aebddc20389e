/** DNSSEC algorithms (IANA "DNS Security Algorithm Numbers", 2026-08). Numbers stay numbers; names are for people. */
export const DnssecAlgorithm = {
  RSAMD5: 1,
  DH: 2,
  DSA: 3,
  RSASHA1: 5,
  "DSA-NSEC3-SHA1": 6,
  "RSASHA1-NSEC3-SHA1": 7,
  RSASHA256: 8,
  RSASHA512: 10,
  "ECC-GOST": 12,
  ECDSAP256SHA256: 13,
  ECDSAP384SHA384: 14,
  ED25519: 15,
  ED448: 16,
  SM2SM3: 17,
  "ECC-GOST12": 23,
  INDIRECT: 252,
  PRIVATEDNS: 253,
  PRIVATEOID: 254,
} as const;

/** Other spellings that BIND writes. */
const OTHER_SPELLINGS = { NSEC3DSA: 6, NSEC3RSASHA1: 7, ECCGOST: 12 } as const;

const values = new Map<string, number>(Object.entries({ ...DnssecAlgorithm, ...OTHER_SPELLINGS }));

/** Algorithms whose name all of BIND, Knot and ldns read; they do not agree on the names of the others. */
const printedNames = new Map<number, string>(
  Object.entries(DnssecAlgorithm).flatMap(([name, value]) =>
    value < 17 && !name.includes("-") ? [[value, name]] : value > 250 ? [[value, name]] : [],
  ),
);

/** The number of a mnemonic, without regard to case; undefined when unknown. */
export function dnssecAlgorithmFromText(text: string): number | undefined {
  return values.get(text.toUpperCase());
}

/** The mnemonic where everybody reads it, the number otherwise. */
export function dnssecAlgorithmToText(algorithm: number): string {
  return printedNames.get(algorithm) ?? String(algorithm);
}
