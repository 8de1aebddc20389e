/**
 * Questions of class CH about the server itself: `version.bind`, `version.server`, `hostname.bind` and `id.server` TXT
 * (RFC 4892), and `trustanchor.unbound`, by which monitors learn which keys a resolver trusts. What is not configured is refused: strangers need not know.
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
  /** A text per zone with a trust anchor: its name and the tags of its keys. Absent: refused. */
  readonly trustAnchors?: (() => readonly string[]) | undefined;
}

/** Answers class CH, passes on the rest. */
export function serverIdentity(identity: ServerIdentity): Middleware {
  const version = oneText(identity.version);
  const id = oneText(identity.id);
  const texts = new Map([
    [parseName("version.bind.").key, version],
    [parseName("version.server.").key, version],
    [parseName("hostname.bind.").key, id],
    [parseName("id.server.").key, id],
    [parseName("trustanchor.unbound.").key, identity.trustAnchors],
  ]);
  return (next) => ({
    respond: (query, context) => {
      if (query.view.qclass !== RRClass.CH) return next.respond(query, context);
      const told = texts.get(query.view.qname.key);
      return Promise.resolve(
        told === undefined
          ? refusal(query, { code: EdeCode.NotSupported, text: "only class IN is resolved" })
          : identityReply(query, told()),
      );
    },
  });
}

function oneText(text: string | undefined): (() => readonly string[]) | undefined {
  return text === undefined ? undefined : () => [text];
}

/** TTL 0: it is about this very server (RFC 4892 §3). */
function identityReply(query: Query, texts: readonly string[]): Reply {
  const owner = query.view.qname;
  const answers = texts
    .slice(0, TEXTS_MAX)
    .map((text) => ({ owner, type: RRType.TXT, class: RRClass.CH, ttl: 0, rdata: characterString(text) }));
  return {
    message: makeMessage({
      isResponse: true,
      rcode: Rcode.NoError,
      questions: [query.view.question],
      answers,
    }),
    security: "insecure",
    protection: "local",
    extendedErrors: [],
  };
}

function characterString(text: string): Uint8Array {
  const octets = new TextEncoder().encode(text).subarray(0, TEXT_OCTETS_MAX);
  const rdata = new Uint8Array(octets.length + 1);
  rdata[0] = octets.length;
  rdata.set(octets, 1);
  return rdata;
}

/** A resolver with more islands of trust does not tell of all. */
const TEXTS_MAX = 64;
/** One character string (RFC 1035 §3.3). */
const TEXT_OCTETS_MAX = 255;
