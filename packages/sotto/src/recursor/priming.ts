/**
 * Who serves the root. Hints are only good for asking that: the answer replaces them for its TTL (RFC 9609, formerly
 * RFC 8109). When nobody answers, the hints are used as they are.
 */
import type { Clock } from "@sotto/dns/runtime";
import { Name, RRType } from "@sotto/dns/wire";
import type { Delegation, NameServer } from "./delegation.ts";
import type { Sought } from "./outcome.ts";
import type { RootHint } from "./root-hints.ts";

/** The priming question (RFC 9609 §3.1). */
export const primingQuestion: Sought = { name: Name.root, type: RRType.NS };

export class RootServers {
  /** The root as configured. */
  readonly hints: Delegation;
  readonly #clock: Clock;
  #primed: { readonly delegation: Delegation; readonly untilMs: number } | undefined = undefined;

  constructor(hints: readonly RootHint[], clock: Clock) {
    this.#clock = clock;
    const servers = new Map<string, { name: Name; addresses: string[] }>();
    for (const { name, address } of hints) {
      const server = servers.get(name.key) ?? { name, addresses: [] };
      server.addresses.push(address);
      servers.set(name.key, server);
    }
    this.hints = { zone: Name.root, servers: [...servers.values()] };
  }

  /** What priming found; undefined when it is time to prime. */
  get primed(): Delegation | undefined {
    return this.#primed !== undefined && this.#primed.untilMs > this.#clock.nowMs()
      ? this.#primed.delegation
      : undefined;
  }

  /**
   * Takes the root's own NS set with the addresses that came along. Addresses that did not fit into the reply are those
   * of the hints for the same name (RFC 9609 §4.1); without any address at all the hints stay.
   */
  learn(servers: readonly NameServer[], ttlSeconds: number): void {
    const complete = servers.map((server) =>
      server.addresses.length > 0 ? server : { ...server, addresses: this.#hinted(server.name) },
    );
    if (complete.every((server) => server.addresses.length === 0)) return;
    const lifeMs = Math.min(Math.max(ttlSeconds, PRIMED_SECONDS_MIN), PRIMED_SECONDS_MAX) * 1000;
    this.#primed = {
      delegation: { zone: Name.root, servers: complete },
      untilMs: this.#clock.nowMs() + lifeMs,
    };
  }

  /** Primes again at the next question. */
  forget(): void {
    this.#primed = undefined;
  }

  #hinted(name: Name): readonly string[] {
    return this.hints.servers.find((server) => server.name.equals(name))?.addresses ?? [];
  }
}

/** The public root gives six days; a shorter time than this would prime with every query. */
const PRIMED_SECONDS_MIN = 60;
/** As for all other data: a day. */
const PRIMED_SECONDS_MAX = 86_400;
