/**
 * Several ways to one upstream, such as its addresses. The one that worked last is asked alone; until one has, and when it
 * fails, the next is asked as soon as one has failed or has been silent for a moment (RFC 8305 §5), and the first reply counts.
 */
import { type Clock, DnsError, type StopSignal } from "@sotto/dns/runtime";
import type { PoolMember, Query, QueryContext, Reply } from "@sotto/dns/transport";
import { firstToSucceed } from "./attempts.ts";

export interface WaysOptions {
  /** The way that a key stands for. */
  make(key: string): PoolMember;
  /** Called with each reply. */
  onReply?(key: string, reply: Reply): void;
}

export class Ways {
  readonly #options: WaysOptions;
  readonly #clock: Clock;
  readonly #members = new Map<string, PoolMember>();
  #good: { readonly key: string; readonly networkEpoch: number } | undefined = undefined;

  constructor(options: WaysOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** True when none of these would be tried now. */
  areBackedOff(keys: readonly string[]): boolean {
    return keys.length > 0 && keys.every((key) => this.#memberFor(key).isBackedOff === true);
  }

  /** As {@link PoolMember.mayBeTried}, of whichever may. */
  mayBeTried(keys: readonly string[]): boolean | undefined {
    const each = keys.map((key) => this.#memberFor(key).mayBeTried);
    if (each.includes(true)) return true;
    return each.length === 0 || each.includes(undefined) ? undefined : false;
  }

  /** The one that worked last, else the first. */
  preferred(keys: readonly string[]): string | undefined {
    const good = this.#good?.key;
    return good !== undefined && keys.includes(good) ? good : keys[0];
  }

  /** The way of {@link preferred}, when somebody has asked for it before. */
  preferredMember(keys: readonly string[]): PoolMember | undefined {
    const key = this.preferred(keys);
    return key === undefined ? undefined : this.#members.get(key);
  }

  /** Rejects, as members do, with the failure that tells most. Other keys than these are forgotten. */
  async ask(keys: readonly string[], query: Query, context: QueryContext): Promise<Reply> {
    this.#forgetOthers(keys);
    const first = this.preferred(keys);
    if (first === undefined)
      throw new DnsError("ERR_UNREACHABLE", "there is no address", { stage: "resolve" });
    const others = keys.filter((key) => key !== first);
    const member = this.#memberFor(first);
    const isProved = this.#good?.networkEpoch === member.networkEpoch && member.isBackedOff !== true;
    if (others.length === 0 || isProved) {
      try {
        return this.#won(first, await member.respond(query, context));
      } catch (cause) {
        if (others.length === 0 || !this.#isWorthMore(cause, context)) throw cause;
        return await this.#race(others, query, context, cause);
      }
    }
    return this.#race([first, ...others], query, context, undefined);
  }

  #isWorthMore(cause: unknown, { signal, deadlineMs }: QueryContext): cause is DnsError {
    if (!DnsError.is(cause) || cause.code === "ERR_ABORTED" || cause.code === "ERR_CLOSED") return false;
    return !signal.aborted && this.#clock.nowMs() < deadlineMs;
  }

  /** Those that are backed off come last. */
  async #race(
    keys: readonly string[],
    query: Query,
    context: QueryContext,
    before: DnsError | undefined,
  ): Promise<Reply> {
    const isTired = (key: string): number => Number(this.#memberFor(key).isBackedOff === true);
    let failure = before;
    const tries = keys
      .toSorted((a, b) => isTired(a) - isTired(b))
      .map((key) => async (signal: StopSignal): Promise<Reply> => {
        return this.#won(key, await this.#memberFor(key).respond(query, { ...context, signal }));
      });
    const mayGoOn = (cause: unknown): boolean => {
      if (DnsError.is(cause)) failure = moreTelling(failure, cause);
      return this.#isWorthMore(cause, context);
    };
    const { signal } = context;
    try {
      return await firstToSucceed({ tries, patienceMs: RACE_MS, signal, mayGoOn }, this.#clock);
    } catch (cause) {
      throw DnsError.is(cause) ? (failure ?? cause) : cause;
    }
  }

  #won(key: string, reply: Reply): Reply {
    const networkEpoch = this.#memberFor(key).networkEpoch ?? 0;
    if (this.#good?.key !== key || this.#good.networkEpoch !== networkEpoch)
      this.#good = { key, networkEpoch };
    this.#options.onReply?.(key, reply);
    return reply;
  }

  #memberFor(key: string): PoolMember {
    const known = this.#members.get(key);
    if (known !== undefined) return known;
    const member = this.#options.make(key);
    this.#members.set(key, member);
    return member;
  }

  #forgetOthers(keys: readonly string[]): void {
    if (this.#members.size <= keys.length) return;
    for (const key of this.#members.keys()) if (!keys.includes(key)) this.#members.delete(key);
  }
}

/** That somebody else was found there is what people must know. */
function moreTelling(before: DnsError | undefined, now: DnsError): DnsError {
  return before?.code === "ERR_TLS_NOT_AUTHENTICATED" ? before : now;
}

/** RFC 8305 §5 recommends it as the time between attempts. */
const RACE_MS = 250;
