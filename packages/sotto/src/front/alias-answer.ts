/**
 * Answers of rules that are an alias: clients want what it leads to, and stubs do not ask for that themselves (RFC 1034 §5.3.1), so a backend
 * is asked for the target, and the client gets both as one answer.
 */
import type { LaterAnswer, QueryChannel } from "@sotto/dns/transport";
import {
  type EdnsOption,
  EdnsOptionCode,
  type ExtendedError,
  encodeMessage,
  MessageView,
  makeEdns,
  makeMessage,
  type Name,
  type Parsed,
  parsed,
  problem,
  Rcode,
  tryDecodeMessage,
  tryReadExtendedError,
} from "@sotto/dns/wire";
import type { QueryGate } from "../server/index.ts";
import { isPersonal } from "./backend-query.ts";
import type { FrontFailures } from "./front-failures.ts";
import type { FrontPool } from "./front-pool.ts";
import { finishedPassed } from "./passed-answer.ts";
import type { PassedQueryParts } from "./passed-query.ts";
import type { LocalAnswer, Verdict } from "./rules/index.ts";

/** For whom what is joined. */
interface AliasParts {
  /** The client's query, in octets of its own. */
  readonly view: MessageView;
  readonly channel: QueryChannel;
  readonly alias: LocalAnswer;
  readonly errors: readonly ExtendedError[];
}

/** The answer that is there when its target's is. */
export class AliasAnswer implements LaterAnswer {
  readonly #parts: AliasParts;
  readonly #target: LaterAnswer;
  readonly #gate: QueryGate;
  readonly #failures: FrontFailures;

  constructor(parts: AliasParts, target: LaterAnswer, gate: QueryGate, failures: FrontFailures) {
    this.#parts = parts;
    this.#target = target;
    this.#gate = gate;
    this.#failures = failures;
  }

  // biome-ignore lint/suspicious/noThenProperty: listeners take promises, and this does for them what one would.
  then(call: (answer: Answer) => void): void {
    this.#target.then((answer) => call(this.#join(answer)));
  }

  #join(targetAnswer: Answer): Answer {
    const { view, channel, alias, errors } = this.#parts;
    try {
      const joined = joinAnswers(view, alias, targetAnswer);
      if (!joined.ok) return this.#failures.noTarget(view, channel);
      const { base, targetErrors } = joined.value;
      const all = [...errors, ...targetErrors];
      return this.#gate.count(
        "answered",
        channel,
        finishedPassed(base, view, channel, this.#gate.cookies, all),
      );
    } catch (error) {
      return this.#failures.bug("alias of a rule", error, view, channel);
    }
  }
}

type Answer = Uint8Array | undefined;

interface JoinedAnswer {
  /** To be finished for the client. */
  readonly base: Uint8Array;
  /** What the target's answer says of itself: that it is stale, say. */
  readonly targetErrors: readonly ExtendedError[];
}

/** The alias and what its target's answer says; AD would be about one half of it. */
function joinAnswers(view: MessageView, alias: LocalAnswer, targetAnswer: Answer): Parsed<JoinedAnswer> {
  const reply = targetAnswer === undefined ? problem("no answer") : tryDecodeMessage(targetAnswer);
  if (!reply.ok) return reply;
  const { rcode, answers, authorities, isTruncated, recursionAvailable, edns } = reply.value;
  if (rcode !== Rcode.NoError && rcode !== Rcode.NXDomain) return problem(`response code ${rcode}`);
  // Two messages that fit may make one that does not.
  if (isTruncated || (targetAnswer?.length ?? 0) > TARGET_OCTETS_MAX)
    return problem("the answer is too large");
  const base = encodeMessage(
    makeMessage({
      isResponse: true,
      recursionAvailable,
      rcode,
      questions: [view.question],
      answers: [...alias.answers, ...answers],
      authorities: [...alias.authorities, ...authorities],
    }),
  );
  const targetErrors = edns?.options.flatMap(errorOf) ?? [];
  return parsed({ base, targetErrors });
}

function errorOf({ code, data }: EdnsOption): readonly ExtendedError[] {
  const error = code === EdnsOptionCode.ExtendedError ? tryReadExtendedError(data) : undefined;
  return error?.ok === true ? [error.value] : [];
}

/** A query for the target in the place of the client's. Its answer is for all, but for what rules have set. */
export function targetQueryParts(
  view: MessageView,
  target: Name,
  pool: FrontPool,
  edits: Verdict["edits"],
): Omit<PassedQueryParts, "delayMs"> {
  const query = makeTargetQuery(view, target);
  const mayShare = !isPersonal(query, edits, pool.passedOptions);
  return { pool, view: query, channel: TARGET_CHANNEL, edits, mayShare };
}

/** In octets of its own, as if a client had sent it that wants no more than the answer. */
function makeTargetQuery(view: MessageView, target: Name): MessageView {
  const { recursionDesired, checkingDisabled, dnssecOk, qtype, qclass } = view;
  const query = new MessageView();
  query.reset(
    encodeMessage(
      makeMessage({
        recursionDesired,
        checkingDisabled,
        questions: [{ name: target, type: qtype, class: qclass }],
        edns: makeEdns({ dnssecOk }),
      }),
    ),
  );
  return query;
}

/** Over it the query for a target comes: from nobody, and whatever its size the answer has room. */
const TARGET_CHANNEL: QueryChannel = {
  origin: { transport: "internal", remote: undefined, local: undefined, security: undefined },
  keepaliveUnits: () => undefined,
};

/** Names that were compressed to one of the message may have to be written out. */
const TARGET_OCTETS_MAX = 32_768;
