/**
 * What a backend has answered, finished for a client as all answers are, but for RA: that is for the server to say that has answered
 * (RFC 1035 §4.1.1), since before authoritative ones there is no recursion.
 */
import type { QueryChannel } from "@sotto/dns/transport";
import { type EdnsOption, type ExtendedError, HeaderFlag, type MessageView } from "@sotto/dns/wire";
import { finishedResponse, finishResponse, type QueryGate } from "../server/index.ts";

/** See `finishResponse`. */
export function finishPassed(
  buffer: Uint8Array,
  end: number,
  view: MessageView,
  channel: QueryChannel,
  cookies: QueryGate["cookies"],
): number {
  const offersRecursion = hasRecursion(buffer);
  const finishedEnd = finishResponse(buffer, end, view, channel, 0, NO_ERRORS, cookies);
  if (!offersRecursion) takeRecursion(buffer);
  return finishedEnd;
}

/** The same for a reply in memory of its own, in octets of its own. */
export function finishedPassed(
  base: Uint8Array,
  view: MessageView,
  channel: QueryChannel,
  cookies: QueryGate["cookies"],
  errors: readonly ExtendedError[] = NO_ERRORS,
  options: readonly EdnsOption[] = NO_OPTIONS,
): Uint8Array {
  const answer = finishedResponse(base, view, channel, 0, errors, cookies, options);
  if (!hasRecursion(base)) takeRecursion(answer);
  return answer;
}

function hasRecursion(message: Uint8Array): boolean {
  return ((message[3] ?? 0) & HeaderFlag.RecursionAvailable) !== 0;
}

function takeRecursion(message: Uint8Array): void {
  message[3] = (message[3] ?? 0) & ~HeaderFlag.RecursionAvailable;
}

const NO_ERRORS: readonly ExtendedError[] = [];
const NO_OPTIONS: readonly EdnsOption[] = [];
