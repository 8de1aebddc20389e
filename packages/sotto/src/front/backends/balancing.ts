/**
 * Which of several backends gets a query: pure functions over what is known of them. Each walks over all of them once and makes
 * nothing. Who is not usable, or was asked already, is passed over.
 */
import type { Random } from "@sotto/dns/runtime";
import type { Question } from "@sotto/dns/wire";

/**
 * `ordered`: the first that works. `round robin`, `weighted random`: by weight. `least outstanding`: fewest unanswered queries for its
 * weight. `fastest`: shortest mean latency, with some exploration. `hash`: always the same one for a question, so that each
 * backend's cache holds a part of the names.
 */
export type Balancing =
  | "ordered"
  | "round robin"
  | "weighted random"
  | "least outstanding"
  | "fastest"
  | "hash";

/** What choosing looks at. */
export interface Candidate {
  /** May be asked now, and was not asked for this query. */
  isUsable: boolean;
  /** Above 0; smaller while it starts slowly. */
  weight: number;
  /** Queries that it has. */
  readonly outstanding: number;
  /** Mean, milliseconds; 0: not known. */
  readonly latencyMs: number;
  /** Hash of its name. */
  readonly hash: number;
  /** Of `round robin`: what it is owed. */
  credit: number;
}

/** Gives the index of the chosen one; -1 when none is usable. */
export function choose(
  balancing: Balancing,
  candidates: readonly Candidate[],
  questionHash: number,
  random: Random,
): number {
  switch (balancing) {
    case "ordered":
      return candidates.findIndex(isUsable);
    case "round robin":
      return nextInTurn(candidates);
    case "weighted random":
      return drawn(candidates, random, undefined);
    case "least outstanding":
      return leastOutstanding(candidates, random);
    case "fastest":
      return fastest(candidates, random);
    case "hash":
      return hashed(candidates, questionHash);
  }
}

function isUsable(candidate: Candidate): boolean {
  return candidate.isUsable;
}

/** Smooth weighted round robin, as nginx has it: heavy ones are spread between the light ones. */
function nextInTurn(candidates: readonly Candidate[]): number {
  let best = -1;
  let bestCredit = Number.NEGATIVE_INFINITY;
  let total = 0;
  for (const [index, candidate] of candidates.entries()) {
    if (!candidate.isUsable) continue;
    total += candidate.weight;
    candidate.credit += candidate.weight;
    if (candidate.credit <= bestCredit) continue;
    best = index;
    bestCredit = candidate.credit;
  }
  const chosen = candidates[best];
  if (chosen !== undefined) chosen.credit -= total;
  return best;
}

/** By weight; `but` is not drawn. */
function drawn(candidates: readonly Candidate[], random: Random, but: Candidate | undefined): number {
  let total = 0;
  for (const candidate of candidates) if (candidate.isUsable && candidate !== but) total += candidate.weight;
  let left = (random.below(DRAW_STEPS) / DRAW_STEPS) * total;
  let last = -1;
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index];
    if (candidate?.isUsable !== true || candidate === but) continue;
    last = index;
    left -= candidate.weight;
    if (left < 0) return index;
  }
  return last;
}

/** Of equals one by chance: idle backends share what comes one at a time. */
function leastOutstanding(candidates: readonly Candidate[], random: Random): number {
  let best = -1;
  let bestLoad = Number.POSITIVE_INFINITY;
  let equals = 0;
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index];
    if (candidate?.isUsable !== true) continue;
    const load = (candidate.outstanding + 1) / candidate.weight;
    if (load > bestLoad) continue;
    equals = load === bestLoad ? equals + 1 : 1;
    if (equals > 1 && random.below(equals) !== 0) continue;
    best = index;
    bestLoad = load;
  }
  return best;
}

/** One query in twenty goes elsewhere, or nobody would notice that another one has become faster. */
function fastest(candidates: readonly Candidate[], random: Random): number {
  let best = -1;
  let bestMs = Number.POSITIVE_INFINITY;
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index];
    // Who is not known yet has 0, and so is asked first.
    if (candidate?.isUsable !== true || candidate.latencyMs >= bestMs) continue;
    best = index;
    bestMs = candidate.latencyMs;
  }
  if (best < 0 || random.below(EXPLORE_ONE_IN) !== 0) return best;
  const other = drawn(candidates, random, candidates[best]);
  return other < 0 ? best : other;
}

/**
 * Weighted rendezvous hashing: when a backend goes only its own questions move, and they spread over all others. Nobody gets more than
 * a quarter above its share of what is outstanding (bounded loads), because one popular name must not bury one backend.
 */
function hashed(candidates: readonly Candidate[], questionHash: number): number {
  let outstanding = 0;
  let weights = 0;
  for (const candidate of candidates) {
    if (!candidate.isUsable) continue;
    outstanding += candidate.outstanding;
    weights += candidate.weight;
  }
  const mostPerWeight = (LOAD_BOUND * (outstanding + 1)) / weights;
  let best = -1;
  let bestScore = Number.NEGATIVE_INFINITY;
  let isBestLoaded = true;
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index];
    if (candidate?.isUsable !== true) continue;
    const { weight } = candidate;
    const isLoaded = candidate.outstanding >= Math.max(LOAD_FREE, mostPerWeight * weight);
    if (isLoaded && !isBestLoaded) continue;
    const score = -weight / Math.log((mix(questionHash ^ candidate.hash) + 0.5) / 2 ** 32);
    if (score <= bestScore && isLoaded === isBestLoaded) continue;
    best = index;
    bestScore = score;
    isBestLoaded = isLoaded;
  }
  return best;
}

/** FNV-1a over the name in lower case and the type, from 0 to 2^32 - 1: the same in all workers. */
export function hashQuestion({ name, type }: Question): number {
  const { wire } = name;
  let hash = 0x811c_9dc5;
  for (let i = 0; i < wire.length; i++) {
    const octet = wire[i] ?? 0;
    const lower = octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
    hash = Math.imul(hash ^ lower, 0x0100_0193);
  }
  return mix(hash ^ type);
}

/** The same for a backend's name. */
export function hashText(text: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  return mix(hash);
}

/** The end of MurmurHash3: every bit depends on every other. */
function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const DRAW_STEPS = 2 ** 32;
const EXPLORE_ONE_IN = 20;
/** As in "Consistent Hashing with Bounded Loads" (Mirrokni, Thorup, Zadimoghaddam) and HAProxy's usual `hash-balance-factor`. */
const LOAD_BOUND = 1.25;
/** So few queries are no load, whatever the others have. */
const LOAD_FREE = 16;
