/** From messages to what is written into a stream: right frames, or frames with a defect (RFC 1035 §4.2.2, RFC 7766 §8). */
import { FRAME_PREFIX_OCTETS, frameMessage, setUint16 } from "@sotto/dns/wire";
import type { Framing } from "./behaviour.ts";

/** One write, each in a segment of its own. */
export interface WriteStep {
  readonly octets: Uint8Array;
  /** Waits so long afterwards, so that segments are not joined on their way. */
  readonly pauseMs: number;
  /** Waits for the next step or {@link HOLD_MS}, and leaves with it. */
  readonly isHeld: boolean;
}

/** What to write for the messages of one reply. */
export function writeSteps(framing: Framing | undefined, messages: readonly Uint8Array[]): WriteStep[] {
  return messages.flatMap((message) => stepsOf(framing, frameMessage(message)));
}

function stepsOf(framing: Framing | undefined, frame: Uint8Array): WriteStep[] {
  switch (framing) {
    case undefined:
      return [step(frame)];
    case "octet-by-octet":
      return octetByOctet(frame);
    case "split-length":
      return [step(frame.subarray(0, 1), SEGMENT_PAUSE_MS), step(frame.subarray(1))];
    case "empty-frame-first":
      return [step(Uint8Array.of(0, 0), SEGMENT_PAUSE_MS), step(frame)];
    case "length-too-long":
      return [step(withLength(frame, 10))];
    case "length-too-short":
      return [step(withLength(frame, -10))];
    case "half":
      return [step(frame.subarray(0, frame.length >>> 1))];
    case "with-next":
      return [{ octets: frame, pauseMs: 0, isHeld: true }];
  }
}

function step(octets: Uint8Array, pauseMs = 0): WriteStep {
  return { octets, pauseMs, isHeld: false };
}

/** Long messages would take minutes: what comes after the first octets is one segment. */
function octetByOctet(frame: Uint8Array): WriteStep[] {
  const single = Math.min(frame.length, SINGLE_OCTETS_MAX);
  const steps = Array.from({ length: single }, (_, i) => step(frame.subarray(i, i + 1), SEGMENT_PAUSE_MS));
  return single === frame.length ? steps : [...steps, step(frame.subarray(single))];
}

function withLength(frame: Uint8Array, more: number): Uint8Array {
  const copy = frame.slice();
  setUint16(copy, 0, Math.max(0, frame.length - FRAME_PREFIX_OCTETS + more));
  return copy;
}

/** Long enough for a reader on the same machine to see each segment alone, most of the time. */
const SEGMENT_PAUSE_MS = 1;
const SINGLE_OCTETS_MAX = 512;
/** How long a held reply waits for the next one. */
export const HOLD_MS = 200;
