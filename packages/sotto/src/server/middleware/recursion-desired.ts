/** Queries without RD ask what the cache knows. Telling would let anyone look at what others asked, so they are refused. */
import type { Middleware } from "@sotto/dns/transport";
import { EdeCode } from "@sotto/dns/wire";
import { refusal } from "../refusal.ts";

/** Refuses queries without RD. */
export function recursionDesired(): Middleware {
  return (next) => ({
    respond: (query, context) =>
      query.view.recursionDesired
        ? next.respond(query, context)
        : // RFC 8914 §4.21: not authoritative, and recursion was not asked for.
          Promise.resolve(
            refusal(query, { code: EdeCode.NotAuthoritative, text: "recursion was not desired" }),
          ),
  });
}
