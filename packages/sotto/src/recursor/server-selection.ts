/**
 * Which server of a zone to ask next: the one that should answer soonest, with enough chance in it that unknown and
 * recovered servers get measured. One selection lives as long as one question is asked at one zone.
 */
import type { InfraCache } from "@sotto/dns/cache";
import type { Random } from "@sotto/dns/runtime";
import type { Name } from "@sotto/dns/wire";
import type { Delegation } from "./delegation.ts";
import { ADDRESS_FETCHES_PER_DELEGATION_MAX } from "./quota.ts";

export type AddressFamily = "ipv4" | "ipv6";

/** One address of one server of the zone. */
export interface Candidate {
  readonly serverName: Name;
  readonly address: string;
  /** Absent: the usual one. */
  readonly port: number | undefined;
  /** `fresh`: not asked yet; `asked`: no usable reply so far; `out`: not to be asked again for this question. */
  state: "fresh" | "asked" | "out";
  /** Monotonic milliseconds of the first query; 0 while fresh. */
  askedAtMs: number;
  /** It has been asked without EDNS because it did not answer with EDNS. */
  wasAskedPlain: boolean;
}

/** What to do next for a zone. */
export type Choice =
  | {
      readonly kind: "ask";
      readonly candidate: Candidate;
      readonly withEdns: boolean;
      readonly recursionDesired: boolean;
    }
  /** No address is left; look this server up. */
  | { readonly kind: "look up"; readonly serverName: Name }
  /** Somebody may still answer; ask again at that time (monotonic milliseconds). */
  | { readonly kind: "wait"; readonly untilMs: number }
  | { readonly kind: "exhausted" };

/** The servers of one delegation, seen by one question. */
export class ServerSelection {
  readonly delegation: Delegation;
  readonly #families: readonly AddressFamily[];
  readonly #infra: InfraCache;
  readonly #random: Random;
  readonly #avoid: ReadonlySet<string>;
  /** As many as a referral can bring, and some that were looked up. */
  readonly #candidates: Candidate[] = [];
  readonly #namesToLookUp: Name[] = [];
  readonly #added: Name[] = [];
  #lookUps = 0;

  /** `avoid` holds addresses that are not to be asked. */
  constructor(
    delegation: Delegation,
    families: readonly AddressFamily[],
    infra: InfraCache,
    random: Random,
    avoid: ReadonlySet<string>,
  ) {
    this.delegation = delegation;
    this.#families = families;
    this.#infra = infra;
    this.#random = random;
    this.#avoid = avoid;
    for (const server of delegation.servers) {
      const isKnown = this.addAddresses(server.name, server.addresses, server.port);
      // A server whose known addresses are all to be avoided may have others.
      const isAvoided =
        avoid.size > 0 &&
        server.isConfigured !== true &&
        server.addresses.every((address) => avoid.has(address));
      if (!isKnown || isAvoided) this.#namesToLookUp.push(server.name);
    }
  }

  /** Adds addresses of a server; false when none is of a usable family. */
  addAddresses(serverName: Name, addresses: readonly string[], port?: number): boolean {
    let isUsable = false;
    for (const address of addresses) {
      if (!this.#families.includes(familyOf(address))) continue;
      isUsable = true;
      if (this.#candidates.some((known) => known.address === address)) continue;
      this.#candidates.push({
        serverName,
        address,
        port,
        state: this.#avoid.has(address) ? "out" : "fresh",
        askedAtMs: 0,
        wasAskedPlain: false,
      });
    }
    return isUsable;
  }

  /** Names of the servers known so far. */
  get serverNames(): readonly Name[] {
    return [...this.delegation.servers.map(({ name }) => name), ...this.#added];
  }

  /** Adds a server whose addresses have to be looked up. */
  addServer(name: Name): void {
    this.#added.push(name);
    this.#namesToLookUp.push(name);
  }

  /** True when addresses are there that nobody asked yet. */
  get hasFresh(): boolean {
    return this.#candidates.some(({ state }) => state === "fresh");
  }

  /**
   * Fresh addresses first, then servers without known addresses, then silent ones without EDNS (some old middleboxes
   * drop OPT, RFC 6891 §6.2.2), at last those that only recurse, with RD.
   */
  choose(nowMs: number): Choice {
    const fresh = this.#soonest((candidate) => candidate.state === "fresh" && !this.#isLame(candidate));
    if (fresh !== undefined) {
      const withEdns = this.#infra.edns(fresh.address) !== "none";
      return { kind: "ask", candidate: fresh, withEdns, recursionDesired: false };
    }
    const serverName = this.#takeNameToLookUp();
    if (serverName !== undefined) return { kind: "look up", serverName };
    const silent = this.#silent();
    // When another question has learnt meanwhile that the server drops EDNS there is nothing to wait for.
    const patienceMs =
      silent !== undefined && this.#infra.edns(silent.address) === "none" ? 0 : EDNS_PATIENCE_MS;
    if (silent !== undefined && nowMs - silent.askedAtMs < patienceMs) {
      return { kind: "wait", untilMs: silent.askedAtMs + patienceMs };
    }
    if (silent !== undefined) {
      return { kind: "ask", candidate: silent, withEdns: false, recursionDesired: false };
    }
    const recursive = this.#soonest(
      (candidate) =>
        candidate.state === "fresh" &&
        this.#infra.lameness(candidate.address, this.delegation.zone) === "recursive",
    );
    if (recursive === undefined) return { kind: "exhausted" };
    const withEdns = this.#infra.edns(recursive.address) !== "none";
    return { kind: "ask", candidate: recursive, withEdns, recursionDesired: true };
  }

  /** The server that has been silent longest and is not known to understand EDNS. */
  #silent(): Candidate | undefined {
    let longest: Candidate | undefined;
    for (const candidate of this.#candidates) {
      const mayNeedPlain =
        candidate.state === "asked" &&
        !candidate.wasAskedPlain &&
        this.#infra.edns(candidate.address) !== "works";
      if (mayNeedPlain && candidate.askedAtMs < (longest?.askedAtMs ?? Number.POSITIVE_INFINITY))
        longest = candidate;
    }
    return longest;
  }

  #isLame(candidate: Candidate): boolean {
    return this.#infra.lameness(candidate.address, this.delegation.zone) !== undefined;
  }

  #takeNameToLookUp(): Name | undefined {
    if (this.#namesToLookUp.length === 0 || this.#lookUps >= ADDRESS_FETCHES_PER_DELEGATION_MAX)
      return undefined;
    this.#lookUps++;
    return this.#namesToLookUp.splice(this.#random.below(this.#namesToLookUp.length), 1)[0];
  }

  #soonest(isEligible: (candidate: Candidate) => boolean): Candidate | undefined {
    const eligible = this.#candidates.filter(isEligible);
    if (eligible.length === 0) return undefined;
    if (this.#random.below(EXPLORE_ONE_IN) === 0) return eligible[this.#random.below(eligible.length)];
    let best: Candidate | undefined;
    let bestMs = Number.POSITIVE_INFINITY;
    for (const candidate of eligible) {
      const expectedMs = this.#infra.expectedMs(candidate.address) * this.#jitter(candidate);
      if (expectedMs < bestMs) [best, bestMs] = [candidate, expectedMs];
    }
    return best;
  }

  /** Unknown servers are taken for anything up to the usual guess, so that all get measured soon. */
  #jitter(candidate: Candidate): number {
    const chance = this.#random.below(1000) / 1000;
    return this.#infra.isKnown(candidate.address) ? 0.8 + 0.4 * chance : chance;
  }
}

/** The family of an address literal. */
function familyOf(address: string): AddressFamily {
  return address.includes(":") ? "ipv6" : "ipv4";
}

/** One question in twenty measures another server, so that a better one is found within a few dozen questions. */
const EXPLORE_ONE_IN = 20;
/** Long enough for the exchange to have repeated its query, so that one lost datagram is not taken for a dislike of EDNS. */
const EDNS_PATIENCE_MS = 1300;
