/** Answers from the message cache in the call: one copy, a few patched octets, no promise, no decoded record. */
import type { MessageCache } from "@sotto/dns/cache";
import type { Clock } from "@sotto/dns/runtime";
import type { QueryChannel } from "@sotto/dns/transport";
import { type ExtendedError, MESSAGE_OCTETS_MAX, type MessageView } from "@sotto/dns/wire";
import { FINISH_ROOM_OCTETS, finishResponse } from "./finish-response.ts";
import type { ServerCookies } from "./server-cookies.ts";

/** One buffer for all answers. */
export class FastPath {
  readonly #cache: MessageCache;
  readonly #clock: Clock;
  readonly #buffer = new Uint8Array(MESSAGE_OCTETS_MAX + FINISH_ROOM_OCTETS);

  readonly #cookies: ServerCookies | undefined;
  /** The last answer came from an entry that is about to end; true once for an entry. */
  wasAging = false;

  constructor(cache: MessageCache, clock: Clock, cookies: ServerCookies | undefined) {
    this.#cache = cache;
    this.#cookies = cookies;
    this.#clock = clock;
  }

  /** The answer as a view that is valid until the next call; undefined when the cache has none. */
  answer(view: MessageView, channel: QueryChannel): Uint8Array | undefined {
    // Without RD a client would learn what others asked; such queries are the pipeline's to refuse.
    if (!view.recursionDesired) return undefined;
    const hit = this.#cache.find(view, this.#clock.nowMs());
    if (hit === undefined) return undefined;
    this.wasAging = hit.isAging;
    const buffer = this.#buffer;
    if (!hit.copyInto(buffer, 0)) return undefined;
    return buffer.subarray(
      0,
      finishResponse(buffer, hit.replyOctets, view, channel, 0, NO_ERRORS, this.#cookies),
    );
  }
}

const NO_ERRORS: readonly ExtendedError[] = [];
