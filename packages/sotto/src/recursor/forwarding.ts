/** One question to a forwarder: a resolver that is asked in place of authorities. */
import { DnsError } from "@sotto/dns/runtime";
import type { Query, QueryContext, Reply } from "@sotto/dns/transport";
import {
  type ExtendedError,
  encodeMessage,
  MessageView,
  makeEdns,
  makeMessage,
  type Name,
  RRClass,
} from "@sotto/dns/wire";
import type { ConfiguredZone } from "./configured-zones.ts";
import type { Shared } from "./iteration-state.ts";
import type { Sought } from "./outcome.ts";
import { asSecure, type Scrubbed, scrub } from "./scrubber.ts";

/** What came back. */
export type ForwarderSaid =
  | {
      readonly kind: "reply";
      readonly scrubbed: Scrubbed;
      readonly extendedErrors: readonly ExtendedError[];
    }
  | { readonly kind: "failed"; readonly problem: string };

/** Never rejects for what the network does. */
export async function askForwarder(
  { name: zone, responder }: ConfiguredZone & { kind: "forward" },
  sought: Sought,
  context: QueryContext,
  { trustsForwarders, admitForwarded }: Pick<Shared, "trustsForwarders" | "admitForwarded">,
): Promise<ForwarderSaid> {
  let reply: Reply;
  try {
    reply = await responder.respond(forwardedQuery(sought), context);
  } catch (cause) {
    if (!DnsError.is(cause)) throw cause;
    return { kind: "failed", problem: cause.message };
  }
  const { protection, extendedErrors } = reply;
  const message = admitForwarded(reply.message, sought.name);
  const isCurtailed = message !== reply.message;
  const scrubbed = scrub(message, { sought, zone, recursionDesired: true, isForwarder: true, isCurtailed });
  // An authenticated forwarder's AD counts (RFC 4035 §4.9.3).
  const isSecure = trustsForwarders && protection === "authenticated" && message.authenticData;
  return { kind: "reply", scrubbed: isSecure ? asSecure(scrubbed) : shown(scrubbed, zone), extendedErrors };
}

/** A resolver that refers elsewhere, or says nothing, has no answer. */
function shown(scrubbed: Scrubbed, fromZone: Name): Scrubbed {
  if (scrubbed.kind !== "referral") return scrubbed;
  const proofs = scrubbed.referral.delegation.noDs ?? [];
  return { kind: "empty", answer: { kind: "nodata", soa: undefined, proofs, fromZone } };
}

/** RD, because a resolver is asked; DO and CD, because we validate ourselves (RFC 6840 §5.9). */
function forwardedQuery({ name, type }: Sought): Query {
  const octets = encodeMessage(
    makeMessage({
      recursionDesired: true,
      checkingDisabled: true,
      questions: [{ name, type, class: RRClass.IN }],
      edns: makeEdns({ dnssecOk: true }),
    }),
  );
  const view = new MessageView();
  view.reset(octets);
  const origin = { transport: "internal", remote: undefined, local: undefined, security: undefined } as const;
  return { octets, view, origin };
}
