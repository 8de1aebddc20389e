/**
 * Answers by question, with their TTLs, in a budget of bytes. What nobody has vouched for, neither the upstream by who it is nor
 * signatures, is good on the network only on which it was told.
 */
import { BudgetMap, ENTRY_OVERHEAD_BYTES } from "@sotto/dns/cache";
import type { Clock } from "@sotto/dns/runtime";
import type { Message, Name, ResourceRecord } from "@sotto/dns/wire";
import type { StubAnswer } from "./stub-answer.ts";

interface Entry {
  readonly name: Name;
  readonly answer: StubAnswer;
  readonly storedAtMs: number;
  readonly bytes: number;
  readonly expiresAtMs: number;
  /** Undefined: it is good everywhere. */
  readonly networkEpoch: number | undefined;
}

export class AnswerCache {
  readonly #entries: BudgetMap<Entry>;
  readonly #clock: Clock;
  readonly #networkEpoch: () => number;

  /** `networkEpoch` gives a number that changes with the network. */
  constructor(bytesMax: number, networkEpoch: () => number, clock: Clock) {
    this.#entries = new BudgetMap(bytesMax);
    this.#networkEpoch = networkEpoch;
    this.#clock = clock;
  }

  /** The answer with what is left of its TTLs. */
  find(key: string): StubAnswer | undefined {
    const nowMs = this.#clock.nowMs();
    const entry = this.#entries.find(key, nowMs);
    if (entry === undefined) return undefined;
    if (entry.networkEpoch !== undefined && entry.networkEpoch !== this.#networkEpoch()) return undefined;
    return aged(entry.answer, Math.floor((nowMs - entry.storedAtMs) / 1000));
  }

  /** Keeps an answer for its TTL; one of 0 is for the present question only (RFC 1035 §3.2.1). */
  store(key: string, name: Name, answer: StubAnswer): void {
    const ttlSeconds = Math.min(answer.ttlSeconds, TTL_SECONDS_MAX);
    if (ttlSeconds <= 0) return;
    const storedAtMs = this.#clock.nowMs();
    const { answers, authorities, additionals } = answer.message;
    // Records are parts of the message as it came, padding and all, which stays for as long as one of them.
    const bytes = [...answers, ...authorities, ...additionals].reduce(
      (sum, { owner, rdata }) => sum + owner.wire.length + rdata.length + RECORD_OVERHEAD_BYTES,
      ENTRY_OVERHEAD_BYTES + (answer.exchange?.replyOctets ?? 0),
    );
    const isVouchedFor = answer.protection === "authenticated" || answer.security === "secure";
    this.#entries.store(key, {
      name,
      answer: withoutChain(answer),
      networkEpoch: isVouchedFor ? undefined : this.#networkEpoch(),
      storedAtMs,
      bytes,
      expiresAtMs: storedAtMs + ttlSeconds * 1000,
    });
  }

  /** Forgets a name and everything below it; everything when none is given. */
  flush(name?: Name): void {
    if (name === undefined) this.#entries.clear();
    else this.#entries.deleteWhere((entry) => entry.name.isAtOrBelow(name));
  }
}

/** Certificates are large, and each connection has its own copy. */
function withoutChain(answer: StubAnswer): StubAnswer {
  const { exchange } = answer;
  if (exchange?.security === undefined) return answer;
  const { trustAnchor: _, ...security } = exchange.security;
  return { ...answer, exchange: { ...exchange, security: { ...security, peerChain: [] } } };
}

function aged(answer: StubAnswer, seconds: number): StubAnswer {
  const older = (records: readonly ResourceRecord[]): ResourceRecord[] =>
    records.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - seconds) }));
  const { message } = answer;
  const agedMessage: Message = {
    ...message,
    answers: older(message.answers),
    authorities: older(message.authorities),
    additionals: older(message.additionals),
  };
  return {
    ...answer,
    message: agedMessage,
    records: older(answer.records),
    ttlSeconds: answer.ttlSeconds - seconds,
    isFromCache: true,
  };
}

/** RFC 8767 §4 allows a cap; a program that runs for weeks should not be surprised for longer. */
const TTL_SECONDS_MAX = 86_400;
/** Object headers and array slots, as measured on V8 and rounded up. */
const RECORD_OVERHEAD_BYTES = 120;
