/** A member of a pool that is asked only while something is true, and is passed over otherwise. */
import type { PoolMember, Query, QueryContext, Reply } from "@sotto/dns/transport";

export class WhileKnown implements PoolMember {
  readonly #member: PoolMember;
  readonly #isKnown: () => boolean;

  constructor(member: PoolMember, isKnown: () => boolean) {
    this.#member = member;
    this.#isKnown = isKnown;
  }

  get tier(): number {
    return this.#member.tier ?? 0;
  }

  get server(): string | undefined {
    return this.#member.server;
  }

  get networkEpoch(): number {
    return this.#member.networkEpoch ?? 0;
  }

  get isAbsent(): boolean {
    return !this.#isKnown();
  }

  get isBackedOff(): boolean {
    return this.#member.isBackedOff === true;
  }

  respond(query: Query, context: QueryContext): Promise<Reply> {
    return this.#member.respond(query, context);
  }
}
