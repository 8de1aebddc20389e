/**
 * Turns the outcome of a resolution into the reply for one client. Sections are minimal: answers, and below negative
 * answers the SOA; DNSSEC records only for clients that set DO (RFC 4035 §3.2.1). AD is never set here: nothing is
 * validated.
 */
import type { RRset } from "@sotto/dns/cache";
import type { Reply, SecurityStatus } from "@sotto/dns/transport";
import {
  EdeCode,
  type ExtendedError,
  type Message,
  type MessageView,
  makeMessage,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { assertNever } from "./outcome.ts";
import { BLOCKED_REASON } from "./scrubber.ts";
import type { JudgedOutcome } from "./validated-answers.ts";

/** The reply to the client whose query is `view`. */
export function replyOf(
  { outcome, security, extendedErrors, referral }: JudgedOutcome,
  view: MessageView,
): Reply {
  const writer = new SectionWriter(view);
  const make = (
    rcode: Rcode,
    answers: readonly ResourceRecord[],
    authorities: readonly ResourceRecord[],
  ): Reply => makeReply(view, rcode, answers, authorities, extendedErrors, security);
  switch (outcome.kind) {
    case "answer": {
      const answers = [...outcome.chain, ...outcome.rrsets];
      const proofs = answers.flatMap((rrset) => rrset.proofs);
      return make(Rcode.NoError, writer.records(answers), writer.proofs(proofs));
    }
    case "negative": {
      const { kind, soa, proofs } = outcome.answer;
      const rcode = kind === "nxdomain" ? Rcode.NXDomain : Rcode.NoError;
      const denials = [...outcome.chain.flatMap((rrset) => rrset.proofs), ...proofs];
      const said = [soa, referral].filter((rrset) => rrset !== undefined);
      const authorities = [...writer.records(said), ...writer.proofs(denials)];
      const blocked = outcome.answer.isBlocked === true ? [BLOCKED] : [];
      const errors = [...extendedErrors, ...blocked];
      return makeReply(view, rcode, writer.records(outcome.chain), authorities, errors, security);
    }
    case "overflow":
      return make(Rcode.YXDomain, writer.records(outcome.chain), []);
    case "failed":
      return makeReply(view, Rcode.ServFail, [], [], outcome.extendedErrors, security);
    default:
      return assertNever(outcome);
  }
}

/** RFC 8914 §4.16. */
const BLOCKED: ExtendedError = { code: EdeCode.Blocked, text: BLOCKED_REASON };

/** A reply without records. */
export function emptyReply(view: MessageView, rcode: Rcode, extendedErrors: readonly ExtendedError[]): Reply {
  return makeReply(view, rcode, [], [], extendedErrors);
}

function makeReply(
  view: MessageView,
  rcode: Rcode,
  answers: readonly ResourceRecord[],
  authorities: readonly ResourceRecord[],
  extendedErrors: readonly ExtendedError[],
  security: SecurityStatus = "indeterminate",
): Reply {
  const message: Message = makeMessage({
    id: view.id,
    isResponse: true,
    opcode: view.opcode,
    recursionDesired: view.recursionDesired,
    recursionAvailable: true,
    checkingDisabled: view.checkingDisabled,
    rcode,
    questions: [view.question],
    answers,
    authorities,
  });
  return { message, security, protection: "clear", extendedErrors };
}

/** Sets as records, as this client wants them. */
class SectionWriter {
  readonly #view: MessageView;
  readonly #wantsDnssec: boolean;

  constructor(view: MessageView) {
    this.#view = view;
    // ANY means any: signatures that are there belong to it, as in Unbound.
    this.#wantsDnssec = view.dnssecOk || view.qtype === RRType.ANY;
  }

  records(rrsets: readonly RRset[]): ResourceRecord[] {
    const records: ResourceRecord[] = [];
    for (const rrset of rrsets) {
      // The client sees its own spelling of the name it asked for.
      const owner = rrset.owner.equals(this.#view.qname) ? this.#view.qname : rrset.owner;
      const add = (type: RRType, rdata: Uint8Array): void => {
        records.push({ owner, type, class: RRClass.IN, ttl: rrset.ttlSeconds, rdata });
      };
      for (const rdata of rrset.rdatas) add(rrset.type, rdata);
      if (this.#wantsDnssec) for (const signature of rrset.signatures) add(RRType.RRSIG, signature);
    }
    return records;
  }

  /** Each proof once, and only with DO. */
  proofs(rrsets: readonly RRset[]): ResourceRecord[] {
    if (!this.#view.dnssecOk) return [];
    const once = new Map(rrsets.map((rrset) => [`${rrset.type} ${rrset.owner.key}`, rrset]));
    return this.records([...once.values()]);
  }
}
