/** Kinds of query (IANA "DNS OpCodes"). */
export const Opcode = { Query: 0, IQuery: 1, Status: 2, Notify: 4, Update: 5, Dso: 6 } as const;
export type Opcode = number;

const names = new Map<number, string>(
  Object.entries(Opcode).map(([name, value]) => [value, name.toUpperCase()]),
);

/** Upper-case mnemonic as dig prints it, or `OPCODE9`. */
export function opcodeToText(opcode: Opcode): string {
  return names.get(opcode) ?? `OPCODE${opcode}`;
}

/** The number of a mnemonic, without regard to case; undefined when unknown. */
export function opcodeFromText(text: string): Opcode | undefined {
  const upper = text.toUpperCase();
  for (const [value, name] of names) if (name === upper) return value;
  return undefined;
}
