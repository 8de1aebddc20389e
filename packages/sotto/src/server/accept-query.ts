/** What a message deserves by its header, question and OPT alone, before anybody spends work on it (RFC 8906, RFC 9619, RFC 6891). */
import {
  type FormatProblem,
  HEADER_OCTETS,
  isMetaType,
  type MessageView,
  Opcode,
  Rcode,
  RRClass,
  RRType,
} from "@sotto/dns/wire";

/** `serve`: go on. `drop`: no answer. `reject`: answer with this response code and nothing else. */
export type Acceptance =
  | { readonly kind: "serve" }
  | { readonly kind: "drop" }
  | { readonly kind: "reject"; readonly rcode: Rcode };

const SERVE: Acceptance = { kind: "serve" };
const DROP: Acceptance = { kind: "drop" };
const REJECTIONS = new Map<Rcode, Acceptance>();

/** Decisions are shared objects: hostile messages make no garbage. */
function reject(rcode: Rcode): Acceptance {
  let rejection = REJECTIONS.get(rcode);
  if (rejection === undefined) {
    rejection = { kind: "reject", rcode };
    REJECTIONS.set(rcode, rejection);
  }
  return rejection;
}

/** `problem` is what `view.reset` said about the message. */
export function acceptQuery(view: MessageView, problem: FormatProblem | undefined): Acceptance {
  // Too short for an id, or a response: whoever answers those can be made to talk to itself.
  if (view.octets.length < HEADER_OCTETS || view.isResponse) return DROP;
  // NOTIFY, UPDATE, DSO and the rest (RFC 8906 §3.1.4, RFC 8490 §5.1.1), whatever the rest of the message looks like.
  if (view.opcode !== Opcode.Query) return reject(Rcode.NotImp);
  // RFC 9619 §4: exactly one question in a query.
  if (problem !== undefined || view.questionCount !== 1) return reject(Rcode.FormErr);
  // RFC 6891 §6.1.1: more than one OPT, or one that cannot be read.
  if (view.ednsProblem !== undefined) return reject(Rcode.FormErr);
  // RFC 6891 §6.1.3.
  if (view.ednsVersion !== 0) return reject(Rcode.BadVers);
  // Records in the answer or authority section of a query mean nothing here; a real client sends none.
  if (view.answerCount + view.authorityCount > 0) return reject(Rcode.FormErr);
  if (view.qtype === RRType.AXFR || view.qtype === RRType.IXFR) return reject(Rcode.Refused);
  if (view.qclass !== RRClass.IN) return reject(Rcode.Refused);
  // Question types that no record can have; ANY is the exception (RFC 8482).
  if (view.qtype === RRType.OPT || view.qtype === RRType.TSIG || view.qtype === RRType.TKEY)
    return reject(Rcode.FormErr);
  if (isMetaType(view.qtype) && view.qtype !== RRType.ANY && view.qtype !== RRType.NXNAME)
    return reject(Rcode.NotImp);
  return SERVE;
}
