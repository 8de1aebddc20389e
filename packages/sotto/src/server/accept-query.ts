/**
 * What a message deserves by its header, question and OPT alone, before anybody spends work on it (RFC 8906, RFC 9619,
 * RFC 6891). Unknown types and options, reserved flags and further additional records (TSIG, say) are no offence.
 */
import type { Transport } from "@sotto/dns/transport";
import {
  EdeCode,
  EdnsOptionCode,
  type ExtendedError,
  type FormatProblem,
  HEADER_OCTETS,
  isMetaType,
  type MessageView,
  Opcode,
  Rcode,
  RRClass,
  RRType,
  uint16At,
} from "@sotto/dns/wire";
import { hasBadCookie } from "./server-cookies.ts";

/** `serve`: go on. `drop`: no answer. `reject`: answer with this response code and no records. */
export type Acceptance =
  | { readonly kind: "serve" }
  | { readonly kind: "drop" }
  | { readonly kind: "reject"; readonly rcode: Rcode; readonly errors: readonly ExtendedError[] };

/** `problem` is what `view.reset` said about the message. Decisions are shared objects: hostile messages make no garbage. */
export function acceptQuery(
  view: MessageView,
  problem: FormatProblem | undefined,
  transport: Transport,
  takesTransfers = false,
): Acceptance {
  // Too short for an id, or a response: whoever answers those can be made to talk to itself.
  if (view.octets.length < HEADER_OCTETS || view.isResponse) return DROP;
  // NOTIFY, UPDATE, DSO and the rest (RFC 8906 §3.1.4, RFC 8490 §5.1.1), whatever the rest of the message looks like.
  if (view.opcode !== Opcode.Query) return NOT_IMPLEMENTED;
  // RFC 9619 §4: a query has exactly one question.
  if (problem !== undefined || view.questionCount !== 1)
    return problem === undefined && isCookieQuery(view) ? COOKIE_ONLY : MALFORMED;
  // RFC 6891 §6.1.1: more than one OPT, or one that cannot be read.
  if (view.ednsProblem !== undefined) return MALFORMED;
  // RFC 6891 §6.1.3.
  if (view.ednsVersion !== 0) return BAD_VERSION;
  if (hasBadKeepalive(view, transport) || hasBadCookie(view)) return MALFORMED;
  return acceptQuestion(view, takesTransfers);
}

/** RFC 7873 §5.4: a message without a question that only asks for a cookie. */
function isCookieQuery(view: MessageView): boolean {
  return (
    view.questionCount === 0 &&
    view.answerCount + view.authorityCount === 0 &&
    view.ednsProblem === undefined &&
    view.ednsVersion === 0 &&
    view.hasEdns &&
    view.optionOffset(EdnsOptionCode.Cookie) >= 0 &&
    !hasBadCookie(view)
  );
}

/** RFC 7828 §3.3.1: ignored on UDP; elsewhere its length is 0, or 2 as in a response (§3.1). */
function hasBadKeepalive(view: MessageView, transport: Transport): boolean {
  if (transport === "udp") return false;
  const at = view.optionOffset(EdnsOptionCode.TcpKeepalive);
  if (at < 0) return false;
  const octets = uint16At(view.octets, at - 2);
  return octets !== 0 && octets !== 2;
}

/** Zone transfers, whose answers have many messages (RFC 5936, RFC 1995). */
export function isTransfer({ qtype }: MessageView): boolean {
  return qtype === RRType.AXFR || qtype === RRType.IXFR;
}

function acceptQuestion(view: MessageView, takesTransfers: boolean): Acceptance {
  const { qtype, qclass } = view;
  // Before the sections: an IXFR query has a SOA in its authority section (RFC 1995 §3).
  if (isTransfer(view)) return takesTransfers ? SERVE : NO_TRANSFERS;
  // Records in these sections mean nothing in a query. Unbound and BIND answer FORMERR too.
  if (view.answerCount + view.authorityCount > 0) return MALFORMED;
  // Any class will do, and IN is the one there is (RFC 1034 §3.7.1).
  if (qclass !== RRClass.IN && qclass !== RRClass.ANY) {
    const asksForIdentity = qclass === RRClass.CH && (qtype === RRType.TXT || qtype === RRType.ANY);
    return asksForIdentity ? SERVE : NO_SUCH_CLASS;
  }
  if (!isMetaType(qtype) || qtype === RRType.ANY) return SERVE;
  // RFC 9824 §3.5: NXNAME only stands in bitmaps; the others belong to messages or to nothing.
  return MESSAGE_TYPES.has(qtype) ? NO_QUESTION_TYPE : NO_SUCH_META_TYPE;
}

const SERVE: Acceptance = { kind: "serve" };
const DROP: Acceptance = { kind: "drop" };
const NOT_IMPLEMENTED = reject(Rcode.NotImp);
const COOKIE_ONLY = reject(Rcode.NoError);
const MALFORMED = reject(Rcode.FormErr);
const BAD_VERSION = reject(Rcode.BadVers);
const NO_TRANSFERS = reject(Rcode.Refused, { code: EdeCode.NotSupported, text: "no zone transfers here" });
const NO_SUCH_CLASS = reject(Rcode.Refused, {
  code: EdeCode.NotSupported,
  text: "only class IN is resolved",
});
const NO_QUESTION_TYPE = reject(Rcode.FormErr, { code: EdeCode.InvalidQueryType, text: "" });
/** MAILA, MAILB and unassigned question types ask for a kind of query that we do not know (RFC 1035 §4.1.1). */
const NO_SUCH_META_TYPE = reject(Rcode.NotImp, { code: EdeCode.InvalidQueryType, text: "" });
const MESSAGE_TYPES: ReadonlySet<number> = new Set([0, RRType.OPT, RRType.NXNAME, RRType.TKEY, RRType.TSIG]);

function reject(rcode: Rcode, ...errors: readonly ExtendedError[]): Acceptance {
  return { kind: "reject", rcode, errors };
}
