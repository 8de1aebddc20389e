/** What listeners do with messages: the seam between transport and whoever answers. */
import type { QueryOrigin } from "./responder.ts";

/** The way a message came: as it is now, for as long as an answer is owed. */
export interface QueryChannel {
  readonly origin: QueryOrigin;
  /** The session's real idle timeout right now in units of 100 ms, 0 while draining (RFC 7828 §3.3.2); undefined on UDP. */
  keepaliveUnits(): number | undefined;
}

/** Answers messages; implemented by the server and by fakes. */
export interface MessageHandler {
  /**
   * Takes one message without length prefix, valid during the call only. Octets answer at once and may be a view that is
   * valid until the next call; undefined means no answer; a promise answers later. Never throws, never rejects.
   */
  answer(octets: Uint8Array, channel: QueryChannel): Uint8Array | undefined | Promise<Uint8Array | undefined>;
}
