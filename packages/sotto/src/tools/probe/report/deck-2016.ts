/**
 * The two tables of July 2016, cell by cell. Source: S. Dickinson, "DNS-over-TCP/TLS Implementation", DNSOP at IETF 96,
 * Berlin, July 2016. Its legend has four steps of maturity; "None" stands for "not applicable" and for "not planned".
 */

/** The deck's four colours: dark green, light green, yellow, grey. */
export type Maturity = "released" | "patch" | "in progress" | "none";

export const MATURITIES: Readonly<
  Record<Maturity, { readonly symbol: string; readonly word: string; readonly meaning: string }>
> = {
  released: { symbol: "●", word: "Released", meaning: "the latest stable release had it" },
  patch: { symbol: "◐", word: "Patch", meaning: "there was a patch outside the release" },
  "in progress": { symbol: "○", word: "WIP", meaning: "in progress, or only with a patched dependency" },
  none: { symbol: "–", word: "None", meaning: "not applicable, or not planned yet" },
};

/** One line of a table. */
export interface DeckFeature {
  /** Key of the row of today that asks the same. */
  readonly key: string;
  readonly group: "TCP/TLS" | "TLS";
  /** As the deck has it. */
  readonly title: string;
  /** In the order of the products. */
  readonly cells: readonly Maturity[];
}

export interface DeckTable {
  readonly products: readonly DeckProduct[];
  readonly features: readonly DeckFeature[];
}

export interface DeckProduct {
  readonly name: string;
  /** Matches titles of columns of today that are the same software. */
  readonly today: RegExp;
}

export const DECK_SOURCE =
  'S. Dickinson, "DNS-over-TCP/TLS Implementation", DNSOP at IETF 96, Berlin, July 2016';

const R = "released";
const P = "patch";
const W = "in progress";
const N = "none";

/** Recursive resolvers: 8 released, 1 patch, 4 in progress, 8 none. */
const SERVERS: DeckTable = {
  products: [
    { name: "Unbound", today: /^unbound\b/i },
    { name: "BIND", today: /^(?:bind|named)\b/i },
    { name: "Knot Resolver", today: /^(?:knot[ -]res|kresd)/i },
  ],
  features: [
    { key: "fast-open", group: "TCP/TLS", title: "TCP Fast Open", cells: [P, N, R] },
    { key: "pipelining", group: "TCP/TLS", title: "Process pipelined queries", cells: [R, R, R] },
    { key: "out-of-order", group: "TCP/TLS", title: "Provide out-of-order responses", cells: [W, R, R] },
    { key: "keepalive", group: "TCP/TLS", title: "EDNS0 Keepalive", cells: [W, N, N] },
    { key: "tls", group: "TLS", title: "TLS on port 853", cells: [R, N, W] },
    { key: "certificate", group: "TLS", title: "Provide server certificate", cells: [R, N, W] },
    { key: "padding", group: "TLS", title: "EDNS0 Padding", cells: [N, N, N] },
  ],
};

/** Stubs: 19 released, 3 patches, 5 in progress, 21 none. */
const CLIENTS: DeckTable = {
  products: [
    { name: "ldns (drill)", today: /^(?:ldns|drill)\b/i },
    { name: "digit", today: /^digit\b/i },
    { name: "getdns", today: /^(?:getdns|stubby)/i },
    { name: "BIND (dig)", today: /^(?:dig|bind)\b/i },
    { name: "Go DNS", today: /^(?:go|miekg)\b/i },
    { name: "Knot (kdig)", today: /^(?:kdig|knot)\b/i },
  ],
  features: [
    { key: "fast-open", group: "TCP/TLS", title: "TCP Fast Open", cells: [P, R, R, N, N, N] },
    { key: "reuse", group: "TCP/TLS", title: "Connection reuse", cells: [P, R, R, R, R, W] },
    { key: "pipelining", group: "TCP/TLS", title: "Pipelining of queries", cells: [N, R, R, R, R, W] },
    {
      key: "out-of-order",
      group: "TCP/TLS",
      title: "Process out-of-order responses",
      cells: [N, R, R, R, W, W],
    },
    { key: "keepalive", group: "TCP/TLS", title: "EDNS0 Keepalive", cells: [N, N, R, N, N, N] },
    { key: "tls", group: "TLS", title: "TLS on port 853", cells: [P, R, R, N, R, W] },
    { key: "authentication", group: "TLS", title: "Authentication of server", cells: [N, N, R, N, N, N] },
    { key: "padding", group: "TLS", title: "EDNS0 Padding", cells: [N, N, R, N, N, N] },
  ],
};

/** The table of a kind of probe; there was none for paths. */
export function deckTable(kind: "server" | "client" | "path"): DeckTable | undefined {
  return kind === "path" ? undefined : kind === "server" ? SERVERS : CLIENTS;
}

/** What a product of 2016 had of a feature; undefined: the table says nothing of it. */
export function deckCell(table: DeckTable, key: string, product: DeckProduct): Maturity | undefined {
  return table.features.find((feature) => feature.key === key)?.cells[table.products.indexOf(product)];
}

/** `8 Released, 1 Patch, 4 WIP, 8 None`. */
export function deckTotals(table: DeckTable): string {
  const cells = table.features.flatMap((feature) => feature.cells);
  return (Object.keys(MATURITIES) as Maturity[])
    .map((one) => `${cells.filter((cell) => cell === one).length} ${MATURITIES[one].word}`)
    .join(", ");
}
