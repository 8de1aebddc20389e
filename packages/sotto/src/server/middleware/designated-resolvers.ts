/**
 * What this resolver is called where it speaks TLS and HTTPS (RFC 9462): clients that know only its address ask for
 * `_dns.resolver.arpa` SVCB. Answered from here, like all of resolver.arpa (§6.1). Not done: `_dns` below its own name (§5), which
 * belongs to whoever has that zone.
 */
import type { Middleware } from "@sotto/dns/transport";
import { type Name, parseName, parseRecord, Rcode, type ResourceRecord, RRType } from "@sotto/dns/wire";
import { localReply, soaOf } from "./local-zones.ts";

/** One port on which it can be asked in private. */
export interface DesignatedService {
  readonly transport: "tls" | "https";
  readonly port: number;
  /** Of the URI, https only. */
  readonly path: string | undefined;
  /** As text; empty: clients look up the name. */
  readonly addresses: readonly string[];
}

export interface Designation {
  /** On the certificate of all services. */
  readonly name: Name;
  /** The preferred first. */
  readonly services: readonly DesignatedService[];
}

/** Names the services to who asks; without a designation nothing changes. */
export function designatedResolvers(designation: Designation | undefined): Middleware {
  if (designation === undefined) return (next) => next;
  const { name, services } = designation;
  const answers = services.map((service, i) => serviceRecord(name, service, i + 1));
  const additionals = [...new Set(services.flatMap(({ addresses }) => addresses))].map((address) =>
    parseRecord(`${name.toString()} ${TTL_SECONDS} IN ${address.includes(":") ? "AAAA" : "A"} ${address}`),
  );
  const soa = soaOf(ZONE);
  return (next) => ({
    respond(query, context) {
      const { qname, qtype } = query.view;
      if (!qname.isAtOrBelow(ZONE)) return next.respond(query, context);
      const isAsked = qname.equals(OWNER) && (qtype === RRType.SVCB || qtype === RRType.ANY);
      // RFC 9462 §6.1: any other type, and any other name, is NODATA.
      if (!isAsked) return Promise.resolve(localReply(query, Rcode.NoError, [], [soa]));
      const reply = localReply(query, Rcode.NoError, answers, []);
      // RFC 9462 §4: with the addresses, so that nobody has to ask for them in clear.
      return Promise.resolve({ ...reply, message: { ...reply.message, additionals } });
    },
  });
}

/** RFC 9461 §4: what is spoken, the port where it is not the usual one, and the URI. */
function serviceRecord(name: Name, service: DesignatedService, priority: number): ResourceRecord {
  const { transport, port, path, addresses } = service;
  const isTls = transport === "tls";
  const hints = (key: string, isWanted: (address: string) => boolean): string[] => {
    const wanted = addresses.filter(isWanted);
    return wanted.length === 0 ? [] : [`${key}=${wanted.join(",")}`];
  };
  const parameters = [
    `alpn=${isTls ? "dot" : "h2"}`,
    ...(port === (isTls ? 853 : 443) ? [] : [`port=${port}`]),
    ...hints("ipv4hint", (address) => !address.includes(":")),
    ...hints("ipv6hint", (address) => address.includes(":")),
    ...(isTls ? [] : [`dohpath="${path ?? ""}{?dns}"`]),
  ];
  return parseRecord(
    `${OWNER.toString()} ${TTL_SECONDS} IN SVCB ${priority} ${name.toString()} ${parameters.join(" ")}`,
  );
}

const ZONE = parseName("resolver.arpa.");
const OWNER = parseName("_dns.resolver.arpa.");
/** Clients keep to a designation as long: a listener that is taken away is missed for that time at most. */
const TTL_SECONDS = 300;
