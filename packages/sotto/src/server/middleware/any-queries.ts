/** ANY is how amplification is done and how people look for what a resolver happens to know; both can be spared them. */
import type { Middleware } from "@sotto/dns/transport";
import { encodeRdataOf, makeMessage, Rcode, RRClass, RRType } from "@sotto/dns/wire";

/** `full`: whatever there is. `minimal over udp`: over TCP and TLS clients are known to be there. */
export type AnyPolicy = "full" | "minimal over udp" | "minimal";

/** Answers ANY with one HINFO that says why (RFC 8482 §4.2), as far as the policy goes. */
export function anyQueries(policy: AnyPolicy): Middleware {
  if (policy === "full") return (next) => next;
  return (next) => ({
    respond: (query, context) => {
      const { view, origin } = query;
      const isSpared = policy === "minimal over udp" && origin.transport !== "udp";
      if (view.qtype !== RRType.ANY || isSpared) return next.respond(query, context);
      const answer = {
        owner: view.qname,
        type: RRType.HINFO,
        class: RRClass.IN,
        ttl: HINFO_TTL_SECONDS,
        rdata: HINFO_RDATA,
      };
      return Promise.resolve({
        message: makeMessage({
          isResponse: true,
          rcode: Rcode.NoError,
          questions: [view.question],
          answers: [answer],
        }),
        security: "indeterminate",
        protection: "local",
        extendedErrors: [],
      });
    },
  });
}

/** RFC 8482 §4.2, §7: the CPU says which RFC, the OS nothing. */
const HINFO_RDATA = hinfo();
/** Long enough that nobody asks again soon (RFC 8482 §4.2). */
const HINFO_TTL_SECONDS = 3600;

function hinfo(): Uint8Array {
  const text = new TextEncoder().encode("RFC8482");
  const rdata = encodeRdataOf("HINFO", { cpu: text, os: new Uint8Array() });
  if (!rdata.ok) throw new RangeError(rdata.problem);
  return rdata.value;
}
