/** The zone that all servers answer from: about ten thousand names of several kinds, and the order in which they are asked. */
import { RRType } from "@sotto/dns/wire";

export const ZONE = "bench.example";
/** A name of it, for looking whether a server is there. */
export const FIRST_NAME = `www00000.${ZONE}`;

/** What is asked. */
export interface Question {
  readonly name: string;
  readonly type: number;
}

/** The zone in master file form. Everything below `cold` exists. */
export function zoneText(authority: string): string {
  const head = `$ORIGIN ${ZONE}.
$TTL 86400
@ IN SOA ns hostmaster 1 7200 3600 1209600 86400
@ IN NS ns
ns IN A ${authority}
*.cold IN A 192.0.2.77
`;
  const lines = [
    ...numbered(ADDRESSES, (i, n) => `www${n} IN A 192.0.2.${(i % 254) + 1}`),
    ...numbered(ADDRESSES_6, (i, n) => `six${n} IN AAAA 2001:db8::${(i + 1).toString(16)}`),
    ...numbered(TEXTS, (_, n) => `txt${n} IN TXT "v=bench1 include:policy.${ZONE} item=${n} ~all"`),
    ...numbered(ALIASES, (i, n) => `also${n} IN CNAME www${padded(i * 7)}`),
  ];
  return `${head}${lines.join("\n")}\n`;
}

/** All of it that is asked, and some names that are not there, in an order that is always the same. */
export function questions(): Question[] {
  const all = [
    ...numbered(ADDRESSES, (_, n) => ({ name: `www${n}.${ZONE}`, type: RRType.A })),
    ...numbered(ADDRESSES_6, (_, n) => ({ name: `six${n}.${ZONE}`, type: RRType.AAAA })),
    ...numbered(TEXTS, (_, n) => ({ name: `txt${n}.${ZONE}`, type: RRType.TXT })),
    ...numbered(ALIASES, (_, n) => ({ name: `also${n}.${ZONE}`, type: RRType.A })),
    ...numbered(ABSENT, (_, n) => ({ name: `none${n}.${ZONE}`, type: RRType.A })),
  ];
  // Fisher and Yates, with a generator of Park and Miller.
  let state = 42;
  for (let i = all.length - 1; i > 0; i--) {
    state = (state * 48_271) % 2_147_483_647;
    const j = state % (i + 1);
    const [one, other] = [all[i], all[j]];
    if (one !== undefined && other !== undefined) [all[i], all[j]] = [other, one];
  }
  return all;
}

function numbered<T>(count: number, make: (i: number, digits: string) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i, padded(i)));
}

function padded(i: number): string {
  return String(i).padStart(5, "0");
}

const ADDRESSES = 5000;
const ADDRESSES_6 = 4000;
const TEXTS = 400;
const ALIASES = 300;
const ABSENT = 300;
