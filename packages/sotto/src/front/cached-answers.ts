/** What is taken from and put into the packet caches of pools. What is taken is counted here. */
import type { MessageHit } from "@sotto/dns/cache";
import type { Clock } from "@sotto/dns/runtime";
import type { QueryChannel } from "@sotto/dns/transport";
import {
  EdeCode,
  type ExtendedError,
  HeaderFlag,
  MESSAGE_OCTETS_MAX,
  type MessageView,
  Rcode,
  setUint16,
  uint16At,
} from "@sotto/dns/wire";
import { FINISH_ROOM_OCTETS, type QueryGate } from "../server/index.ts";
import type { BackendReply } from "./backend-reply.ts";
import type { FrontPool } from "./front-pool.ts";
import { finishedPassed, finishPassed } from "./passed-answer.ts";

/** See the head of this file. */
export class CachedAnswers {
  /** Of the answer that {@link take} has given: its life is nearly over. */
  isAging = false;
  readonly #gate: QueryGate;
  readonly #clock: Clock;
  readonly #buffer = new Uint8Array(MESSAGE_OCTETS_MAX + FINISH_ROOM_OCTETS);

  constructor(gate: QueryGate, clock: Clock) {
    this.#gate = gate;
    this.#clock = clock;
  }

  /** One copy and a few patched octets, valid until the next call. */
  take(pool: FrontPool, view: MessageView, channel: QueryChannel, nowMs: number): Uint8Array | undefined {
    const hit = pool.cache?.find(view, nowMs);
    if (hit === undefined) return undefined;
    const buffer = this.#buffer;
    const { replyOctets, isAging } = hit;
    if (!hit.copyInto(buffer, 0)) return undefined;
    this.isAging = isAging;
    const end = finishPassed(buffer, replyOctets, view, channel, this.#gate.cookies);
    return this.#gate.count("answered from cache", channel, buffer.subarray(0, end));
  }

  /** The same in octets of its own. */
  takeOwn({ cache }: FrontPool, view: MessageView, channel: QueryChannel): Uint8Array | undefined {
    const hit = cache?.find(view, this.#clock.nowMs());
    return hit && this.#copyOf(hit, view, channel);
  }

  /** RFC 8767 §5: an old answer, for when there is nobody who could give a new one; with {@link isStale}. */
  takeStale(
    { cache, staleSeconds }: FrontPool,
    view: MessageView,
    channel: QueryChannel,
  ): { readonly answer: Uint8Array; readonly isStale: boolean } | undefined {
    const nowMs = this.#clock.nowMs();
    // Somebody else may have been answered meanwhile.
    const isStale = cache?.find(view, nowMs) === undefined;
    const hit = cache?.find(view, nowMs, staleSeconds);
    const answer = hit && this.#copyOf(hit, view, channel, isStale);
    return answer && { answer, isStale };
  }

  #copyOf(
    hit: MessageHit,
    view: MessageView,
    channel: QueryChannel,
    isStale = false,
  ): Uint8Array | undefined {
    const base = new Uint8Array(hit.replyOctets);
    if (!hit.copyInto(base, 0, isStale ? STALE_TTL_SECONDS : 0)) return undefined;
    const answer = finishedPassed(base, view, channel, this.#gate.cookies, isStale ? STALE : undefined);
    return this.#gate.count("answered from cache", channel, answer);
  }

  /** Keeps a reply for as long as it says, which may be not at all. Its octets are changed. */
  put(
    { cache, passesAuthenticData, staleSeconds }: FrontPool,
    view: MessageView,
    { base, lifeSeconds, rcode }: Pick<BackendReply, "base" | "lifeSeconds" | "rcode">,
  ): void {
    if (cache === undefined || lifeSeconds === 0) return;
    const nowMs = this.#clock.nowMs();
    // What may have to be given while all backends are down outlives their failures.
    if (rcode === Rcode.ServFail && cache.find(view, nowMs, staleSeconds) !== undefined) return;
    // From here on it is no word of an authority (RFC 1034 §6.2.7).
    const dropped = HeaderFlag.Authoritative | (passesAuthenticData ? 0 : HeaderFlag.AuthenticData);
    setUint16(base, 2, uint16At(base, 2) & ~dropped);
    cache.store(view, base, nowMs, lifeSeconds);
  }
}

/** RFC 8767 §4. */
const STALE_TTL_SECONDS = 30;
const STALE: readonly ExtendedError[] = [{ code: EdeCode.StaleAnswer, text: "no backend answers" }];
