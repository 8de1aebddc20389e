/** What is counted of a seed, and of many. */

/** Counts, and the worst cases. */
export interface SeedFigures {
  clientQueries: number;
  /** Everything but SERVFAIL and REFUSED. */
  answered: number;
  nxdomain: number;
  /** With AD. */
  authentic: number;
  stale: number;
  failed: number;
  /** Times that validation refused something. */
  bogus: number;
  /** Messages that servers got from the resolver. */
  upstreamQueries: number;
  /** Queries that servers answered over TLS. */
  encrypted: number;
  /** UDP sockets opened and messages sent over TCP: each query, and each time that one had to be asked over TCP. */
  exchanges: number;
  /** Most exchanges for one client query that was alone. */
  exchangesWorst: number;
  /** Longest time of a client query, in parts of the deadline. */
  slowestShare: number;
  /** Questions asked when all was well again, and those that had the answer that they should have. */
  afterwards: number;
  recovered: number;
  /** How often each thing was done to a reply. */
  readonly tricks: Map<string, number>;
}

export function newFigures(): SeedFigures {
  return {
    clientQueries: 0,
    answered: 0,
    nxdomain: 0,
    authentic: 0,
    stale: 0,
    failed: 0,
    bogus: 0,
    upstreamQueries: 0,
    encrypted: 0,
    exchanges: 0,
    exchangesWorst: 0,
    slowestShare: 0,
    afterwards: 0,
    recovered: 0,
    tricks: new Map(),
  };
}

const COUNTS = [
  "clientQueries",
  "answered",
  "nxdomain",
  "authentic",
  "stale",
  "failed",
  "bogus",
  "upstreamQueries",
  "encrypted",
  "exchanges",
  "afterwards",
  "recovered",
] as const;

/** Adds one to the other. */
export function addFigures(total: SeedFigures, one: SeedFigures): void {
  for (const count of COUNTS) total[count] += one[count];
  total.exchangesWorst = Math.max(total.exchangesWorst, one.exchangesWorst);
  total.slowestShare = Math.max(total.slowestShare, one.slowestShare);
  for (const [trick, count] of one.tricks) countTrick(total, trick, count);
}

export function countTrick(figures: SeedFigures, trick: string, count = 1): void {
  figures.tricks.set(trick, (figures.tricks.get(trick) ?? 0) + count);
}
