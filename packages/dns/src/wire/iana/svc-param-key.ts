/** Keys of service parameters (IANA "DNS Service Bindings", 2026-08). Numbers stay numbers; names are for people. */
export const SvcParamKey = {
  mandatory: 0,
  alpn: 1,
  "no-default-alpn": 2,
  port: 3,
  ipv4hint: 4,
  ech: 5,
  ipv6hint: 6,
  dohpath: 7,
  ohttp: 8,
  "tls-supported-groups": 9,
} as const;

const names = new Map<number, string>(Object.entries(SvcParamKey).map(([name, key]) => [key, name]));

/** The name, or `key667` for those without (RFC 9460 §2.1). */
export function svcParamKeyToText(key: number): string {
  return names.get(key) ?? `key${key}`;
}

/** The number of a name or of `keyN` without leading zeros; names are in lower case. Undefined when unknown. */
export function svcParamKeyFromText(text: string): number | undefined {
  for (const [key, name] of names) if (name === text) return key;
  const generic = /^key(0|[1-9][0-9]{0,4})$/.exec(text);
  const key = Number(generic?.[1] ?? "65536");
  return key <= 0xffff ? key : undefined;
}
