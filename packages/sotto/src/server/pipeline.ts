/**
 * The order in which a query passes the members of a server, written once. Configuration switches members on and sets
 * their options, and never reorders them.
 *
 *     access list        query-service, synchronous, before everything        RFC 5358
 *     cache hit          query-service → fast-path, synchronous               architecture §5, §6
 *     server identity    class CH, so that all others see class IN only       RFC 4892
 *     captive portal     names that an operator opened go to their server     RFC 8310 §6.6
 *     designated resolvers   resolver.arpa, when there are any to tell of     RFC 9462
 *     DNS64 reverse      names of made addresses, which local zones may cover      RFC 6147 §5.3.1
 *     local zones        answered whether or not recursion is desired         RFC 6303, 6761
 *     recursion desired  refuses queries without RD                           cache snooping
 *     ANY                one HINFO or set in place of everything, by policy   RFC 8482
 *     DNS64              makes AAAA of A                                      RFC 6147
 *     private addresses  removes them from what comes from outside            rebinding
 *     forward zones      the longest zone's upstreams
 *     answer source      recursor or upstream
 *     store              query-service, by cache-policy                       RFC 2308, 9520
 *
 * Rate limits and cookies come between access list and cache, rules before local zones, when they are built. A cached
 * reply is one that went through the whole pipeline, which is why the cache may stand in front of it; local answers are
 * not cached, and queries without RD never reach the cache.
 */
import type { Middleware, Responder } from "@sotto/dns/transport";
import { type AnyPolicy, anyQueries } from "./middleware/any-queries.ts";
import { type Designation, designatedResolvers } from "./middleware/designated-resolvers.ts";
import { type Dns64Options, dns64, dns64Pointers } from "./middleware/dns64.ts";
import { type ForwardZonesOptions, forwardZones } from "./middleware/forward-zones.ts";
import { type LocalZonesOptions, localZones } from "./middleware/local-zones.ts";
import { type PrivateAddressesOptions, privateAddresses } from "./middleware/private-addresses.ts";
import { recursionDesired } from "./middleware/recursion-desired.ts";
import { type ServerIdentity, serverIdentity } from "./middleware/server-identity.ts";

/** The members that a configuration chooses. */
export interface PipelineParts {
  /** Absent: nothing is told. */
  readonly identity?: ServerIdentity | undefined;
  /** Absent: there is none. */
  readonly portal?: Middleware | undefined;
  /** Absent: clients are told of no port with TLS. */
  readonly designation?: Designation | undefined;
  /** Prefixes that may ask without RD. */
  readonly snooping?: readonly string[] | undefined;
  readonly localZones: LocalZonesOptions;
  readonly forwardZones: ForwardZonesOptions;
  /** Absent: `full`. */
  readonly any?: AnyPolicy | undefined;
  readonly dns64?: Dns64Options | undefined;
  /** Absent: addresses are given whatever they are. */
  readonly privateAddresses?: PrivateAddressesOptions | undefined;
  /** Answers what nobody before it did. */
  readonly source: Responder;
}

/** Everything between the cache and the world as one responder. */
export function buildPipeline(parts: PipelineParts): Responder {
  const members = [
    serverIdentity(parts.identity ?? {}),
    ...(parts.portal === undefined ? [] : [parts.portal]),
    designatedResolvers(parts.designation),
    dns64Pointers(parts.dns64),
    localZones(parts.localZones),
    recursionDesired(parts.snooping ?? []),
    anyQueries(parts.any ?? "full"),
    dns64(parts.dns64),
    privateAddresses(parts.privateAddresses ?? { prefixes: [], except: [] }),
    forwardZones(parts.forwardZones),
  ];
  return members.reduceRight<Responder>((next, member) => member(next), parts.source);
}
