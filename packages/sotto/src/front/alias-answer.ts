/**
 * Answers of rules that are an alias: clients want what it leads to, and stubs do not ask for that themselves (RFC 1034 §5.3.1), so a backend
 * is asked for the target, and the client gets both as one answer.
 */
import type { QueryChannel } from "@sotto/dns/transport";
import {
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
} from "@sotto/dns/wire";
import { isPersonal } from "./backend-query.ts";
import type { FrontPool } from "./front-pool.ts";
import type { PassedQueryParts } from "./passed-query.ts";
import type { LocalAnswer, Verdict } from "./rules/index.ts";

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

/** The alias and what its target's answer says, to be finished for the client; AD would be about one half of it. */
export function joinAnswers(
  view: MessageView,
  alias: LocalAnswer,
  targetAnswer: Uint8Array | undefined,
): Parsed<Uint8Array> {
  const reply = targetAnswer === undefined ? problem("no answer") : tryDecodeMessage(targetAnswer);
  if (!reply.ok) return reply;
  const { rcode, answers, authorities, isTruncated } = reply.value;
  if (rcode !== Rcode.NoError && rcode !== Rcode.NXDomain) return problem(`response code ${rcode}`);
  // Two messages that fit may make one that does not.
  if (isTruncated || (targetAnswer?.length ?? 0) > TARGET_OCTETS_MAX)
    return problem("the answer is too large");
  return parsed(
    encodeMessage(
      makeMessage({
        isResponse: true,
        rcode,
        questions: [view.question],
        answers: [...alias.answers, ...answers],
        authorities: [...alias.authorities, ...authorities],
      }),
    ),
  );
}

/** Over it the query for a target comes: from nobody, and whatever its size the answer has room. */
const TARGET_CHANNEL: QueryChannel = {
  origin: { transport: "internal", remote: undefined, local: undefined, security: undefined },
  keepaliveUnits: () => undefined,
};

/** Names that were compressed to one of the message may have to be written out. */
const TARGET_OCTETS_MAX = 32_768;
