/** What listeners do with messages: the seam between transport and whoever answers. */
import type { QueryOrigin } from "./responder.ts";

/** The way a message came: as it is now, for as long as an answer is owed. */
export interface QueryChannel {
  readonly origin: QueryOrigin;
  /** The session's real idle timeout right now in units of 100 ms, 0 while draining (RFC 7828 §3.3.2); undefined on UDP. */
  keepaliveUnits(): number | undefined;
  /** Absent where an answer is one message, as on UDP. */
  readonly parts?: AnswerParts | undefined;
}

/** Sends the messages of an answer that come before its last one: those of a zone transfer (RFC 5936 §2.2). */
export interface AnswerParts {
  /** Sends one message, with the id of its query. False: no more before {@link whenRoom} has called. */
  sendPart(octets: Uint8Array): boolean;
  /** Calls once, when there is room, or with false when the client has gone. */
  whenRoom(call: (isThere: boolean) => void): void;
}

/**
 * An answer that is still to come, in octets of its own: a promise, or something simpler that calls as soon as it knows, perhaps within
 * `then`, and not in a microtask. Whoever waits calls `then` once.
 */
export interface LaterAnswer {
  then(call: (answer: Uint8Array | undefined) => void): unknown;
}

/** Answers messages; implemented by the server and by fakes. */
export interface MessageHandler {
  /**
   * Takes one message without length prefix, valid during the call only. Octets answer at once and may be a view that is
   * valid until the next call; undefined means no answer; what is to come answers later. Never throws, never rejects.
   */
  answer(octets: Uint8Array, channel: QueryChannel): Uint8Array | undefined | LaterAnswer;
}
