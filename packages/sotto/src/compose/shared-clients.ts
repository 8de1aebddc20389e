/** What the workers of one server count of clients together, so that limits of clients hold whichever worker one comes to. */
import type { Random } from "@sotto/dns/runtime";
import type { AdmissionLimits, ClientLedger, ClientRate } from "@sotto/dns/transport";
import { type SharedBuckets, shareBuckets, TokenBuckets } from "../front/index.ts";
import { forgetThread, makeCountTable, SharedCounts, type SharedCountTable } from "./shared-counts.ts";

/** Made by the supervisor. */
export interface SharedClients {
  readonly perClient: SharedCountTable;
  readonly perSubnet: SharedCountTable;
  readonly connectionRate: SharedBuckets;
  readonly handshakeRate: SharedBuckets;
}

/** For so many workers; `limits` are those of all together. */
export function shareClients(
  count: number,
  { connectionsMax }: Pick<AdmissionLimits, "connectionsMax">,
  random: Random,
): SharedClients {
  return {
    perClient: makeCountTable(count, connectionsMax, random),
    perSubnet: makeCountTable(count, connectionsMax, random),
    connectionRate: shareBuckets(random),
    handshakeRate: shareBuckets(random),
  };
}

/** The worker has died, and its connections with it. */
export function forgetWorker({ perClient, perSubnet }: SharedClients, index: number): void {
  forgetThread(perClient, index);
  forgetThread(perSubnet, index);
}

/** As one worker counts in them. */
export function ledgerOf(shared: SharedClients, index: number, random: Random): ClientLedger {
  return {
    perClient: new SharedCounts(shared.perClient, index),
    perSubnet: new SharedCounts(shared.perSubnet, index),
    connectionRate: new SharedRate(shared.connectionRate, random),
    handshakeRate: new SharedRate(shared.handshakeRate, random),
  };
}

class SharedRate implements ClientRate {
  readonly #table: SharedBuckets;
  readonly #random: Random;
  #buckets: TokenBuckets | undefined = undefined;

  constructor(table: SharedBuckets, random: Random) {
    this.#table = table;
    this.#random = random;
  }

  set perSecondMax(perSecond: number) {
    // Less than one a second is one every so many.
    const rate = { perSecond, burst: Math.max(1, perSecond) };
    this.#buckets =
      perSecond === Number.POSITIVE_INFINITY ? undefined : new TokenBuckets(rate, this.#random, this.#table);
  }

  take(key: string, nowMs: number, factor: number): boolean {
    if (this.#buckets === undefined) return true;
    const octets = Buffer.from(key, "utf8");
    this.#buckets.key(octets, 0, octets.length * 8);
    return this.#buckets.take(nowMs, factor);
  }
}
