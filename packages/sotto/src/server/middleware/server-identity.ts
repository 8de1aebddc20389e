/**
 * Questions of class CH about the server itself: `version.bind`, `version.server`, `hostname.bind` and `id.server` TXT
 * (RFC 4892). What is not configured is refused: strangers need not know.
 */
import type { Middleware, Query, Reply } from "@sotto/dns/transport";
import { EdeCode, makeMessage, parseName, Rcode, RRClass, RRType } from "@sotto/dns/wire";
import { refusal } from "../refusal.ts";

/** What the server tells about itself. */
export interface ServerIdentity {
  /** Absent: refused. */
  readonly version?: string | undefined;
  /** Absent: refused. */
  readonly id?: string | undefined;
}

/** Answers class CH, passes on the rest. */
export function serverIdentity(identity: ServerIdentity): Middleware {
  const texts = new Map<string, string | undefined>([
    [parseName("version.bind.").key, identity.version],
    [parseName("version.server.").key, identity.version],
    [parseName("hostname.bind.").key, identity.id],
    [parseName("id.server.").key, identity.id],
  ]);
  return (next) => ({
    respond: (query, context) => {
      if (query.view.qclass !== RRClass.CH) return next.respond(query, context);
      const text = texts.get(query.view.qname.key);
      return Promise.resolve(
        text === undefined
          ? refusal(query, { code: EdeCode.NotSupported, text: "only class IN is resolved" })
          : identityReply(query, text),
      );
    },
  });
}

/** TTL 0: it is about this very server (RFC 4892 §3). */
function identityReply(query: Query, text: string): Reply {
  const octets = new TextEncoder().encode(text).subarray(0, TEXT_OCTETS_MAX);
  const rdata = new Uint8Array(octets.length + 1);
  rdata[0] = octets.length;
  rdata.set(octets, 1);
  const { qname } = query.view;
  return {
    message: makeMessage({
      isResponse: true,
      rcode: Rcode.NoError,
      questions: [query.view.question],
      answers: [{ owner: qname, type: RRType.TXT, class: RRClass.CH, ttl: 0, rdata }],
    }),
    security: "insecure",
    protection: "local",
    extendedErrors: [],
  };
}

/** One character string (RFC 1035 §3.3). */
const TEXT_OCTETS_MAX = 255;
