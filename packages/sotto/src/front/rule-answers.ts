/** How rules end a query by themselves: a refusal, records, a call to come over TCP, or nothing. */
import type { QueryChannel } from "@sotto/dns/transport";
import {
  encodeMessage,
  HeaderFlag,
  type MessageView,
  makeMessage,
  Rcode,
  setUint16,
  uint16At,
} from "@sotto/dns/wire";
import { finishedResponse, OPEN, type QueryGate } from "../server/index.ts";
import type { Verdict } from "./rules/index.ts";

/** See the head of this file. */
export class RuleAnswers {
  readonly #gate: QueryGate;

  constructor(gate: QueryGate) {
    this.#gate = gate;
  }

  /** What a rule answers, counted; {@link OPEN} when the query goes on. */
  end(verdict: Verdict, view: MessageView, channel: QueryChannel): Uint8Array | undefined | typeof OPEN {
    switch (verdict.end) {
      case "pass":
      case "allow":
        return OPEN;
      case "drop":
        return this.#gate.count("dropped", channel, undefined);
      case "truncate":
        return channel.origin.transport === "udp" ? this.#truncate(view, channel) : OPEN;
      case "refuse":
        return this.#gate.refuse("refused", view, channel, verdict.rcode, verdict.errors);
      case "answer":
        return this.#answer(verdict, view, channel);
      default:
        // The type has no other.
        return OPEN;
    }
  }

  /** Header and question with TC: whoever is really there comes again over TCP. */
  #truncate(view: MessageView, channel: QueryChannel): Uint8Array {
    const octets = this.#gate.refuse("refused", view, channel, Rcode.NoError);
    setUint16(octets, 2, uint16At(octets, 2) | HeaderFlag.Truncated);
    return octets;
  }

  #answer({ answer, errors }: Verdict, view: MessageView, channel: QueryChannel): Uint8Array {
    const base = encodeMessage(
      makeMessage({
        isResponse: true,
        rcode: answer?.rcode ?? Rcode.NoError,
        questions: [view.question],
        answers: answer?.answers ?? [],
        authorities: answer?.authorities ?? [],
      }),
    );
    return this.#gate.count(
      "answered",
      channel,
      finishedResponse(base, view, channel, 0, errors, this.#gate.cookies),
    );
  }
}
