import type { Query, Reply } from "@sotto/dns/transport";
import { type ExtendedError, makeMessage, Rcode } from "@sotto/dns/wire";

/** A reply that says no, and why. */
export function refusal(query: Query, reason: ExtendedError): Reply {
  return failure(query, Rcode.Refused, reason);
}

/** A reply with a response code, no records and a reason. */
function failure(query: Query, rcode: Rcode, reason: ExtendedError): Reply {
  return {
    message: makeMessage({ isResponse: true, rcode, questions: [query.view.question] }),
    security: "indeterminate",
    protection: "local",
    extendedErrors: [reason],
  };
}
