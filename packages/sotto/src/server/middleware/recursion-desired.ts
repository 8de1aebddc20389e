/** Queries without RD ask what the cache knows. Telling would let anyone look at what others asked, so they are refused. */
import type { Middleware } from "@sotto/dns/transport";
import { EdeCode } from "@sotto/dns/wire";
import { refusal } from "../refusal.ts";
import { AccessList } from "./access-list.ts";

/** Refuses queries without RD but from the prefixes in `snooping`. */
export function recursionDesired(snooping: readonly string[]): Middleware {
  const mayLook = new AccessList({ allow: snooping, deny: [], action: "refuse" });
  return (next) => ({
    respond: (query, context) => {
      const { remote } = query.origin;
      const isAllowed =
        query.view.recursionDesired || (remote !== undefined && mayLook.allows(remote.address));
      if (isAllowed) return next.respond(query, context);
      // RFC 8914 §4.21: not authoritative, and recursion was not asked for.
      return Promise.resolve(
        refusal(query, { code: EdeCode.NotAuthoritative, text: "recursion was not desired" }),
      );
    },
  });
}
