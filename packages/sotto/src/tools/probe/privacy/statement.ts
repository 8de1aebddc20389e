/**
 * The skeleton of a Recursive operator Privacy Statement (RFC 8932 §6), filled with what the configuration tells. What it cannot
 * tell stands in brackets, to be filled in by people.
 */
import type { Config, ListenerConfig } from "../../../config/index.ts";
import { type Operated, queryLogText } from "./checklist.ts";

/** Markdown, ready to be edited. */
export function privacyStatement(operated: Operated): string {
  return [
    "# DNS privacy statement",
    "",
    "Outline of RFC 8932 (BCP 232) §6. Brackets are for the operator to fill in; delete what does not apply.",
    "",
    "## Policy",
    "",
    `1. **Treatment of IP addresses.** ${ADDRESSES}`,
    `2. **Data collection and sharing.** ${collection(operated)}`,
    "3. **Exceptions.** [when any of this is departed from: attacks, abuse, law; who decides; how long data is kept then]",
    "4. **Associated entities.** [who else has a part in the service, and what they see: hosting, monitoring, parent company]",
    "5. **Correlation.** [whether queries are ever joined with other data about the same people; if not, say so]",
    `6. **Result filtering.** ${filtering(operated)}`,
    "",
    "## Practice",
    "",
    "1. **Deviations.** [present departures from this policy, with dates; none: say so]",
    "2. **Client-facing capabilities.**",
    ...bullets(clientFacing(operated)),
    "3. **Upstream capabilities.**",
    ...bullets(upstream(operated)),
    "4. **Support.** [address for questions and complaints; page with the state of the service]",
    "5. **Data processing.** [operating organisation, country, applicable law, contact for rights of data subjects]",
    "",
  ].join("\n");
}

const ADDRESSES =
  "Addresses of clients are held in memory while they are served. [whether logs, captures or statistics keep them; whether they are truncated or pseudonymised, and how]";

function collection(operated: Operated): string {
  const logged = queryLogText(operated);
  return `${logged.charAt(0).toUpperCase()}${logged.slice(1)}; its own log has the level ${operated.config.log.level}. [what else is collected, why, how long it is kept, with whom it is shared]`;
}

function filtering(operated: Operated): string {
  if (operated.kind === "front")
    return "[what the rules of the front end and the backends block or change, by which lists, by whose order, and how a client can tell]";
  const { localZones, resolver, dns64, dnssec } = operated.config;
  const own = localZones.zones.length + localZones.records.length;
  const facts = [
    own === 0
      ? "Nothing is blocked or changed but special names that never leave a network."
      : `${localZones.zones.length} zones and ${localZones.records.length} records are answered locally. [which, and why]`,
    resolver.privateAddresses.prefixes.length === 0
      ? ""
      : `Private addresses (${resolver.privateAddresses.prefixes.join(", ")}) are removed from answers of others.`,
    dns64 === undefined ? "" : `IPv6 addresses are made with the prefix ${dns64.prefix} (DNS64).`,
    dnssec.validation ? "Answers that fail DNSSEC validation are not given." : "",
  ];
  return facts.filter((fact) => fact !== "").join(" ");
}

function bullets(facts: readonly string[]): string[] {
  return facts.map((fact) => `   - ${fact}`);
}

function clientFacing(operated: Operated): string[] {
  const { listeners } = operated.config;
  const isOffered = (transport: ListenerConfig["transport"]): boolean =>
    listeners.some((listener) => listener.transport === transport);
  return [
    ...WAYS.filter(([transport]) => isOffered(transport)).map(
      ([transport, words]) => `${words}: ${places(listeners, transport)}`,
    ),
    isOffered("tls") || isOffered("https")
      ? "Authentication: name [dns.example], pins [sha256:…, and a backup pin]. TLS 1.2 and 1.3, answers padded to 468 octets when queries are padded."
      : "No encryption is offered.",
    operated.kind === "resolver" && operated.config.dnssec.validation
      ? "Answers are validated with DNSSEC."
      : "[whether answers are validated with DNSSEC]",
    `DNS cookies: ${operated.config.cookies.policy}.`,
  ];
}

const WAYS = [
  ["tls", "DNS over TLS"],
  ["https", "DNS over HTTPS"],
  ["tcp", "DNS over TCP, in clear"],
  ["udp", "DNS over UDP, in clear"],
] as const;

function places(listeners: readonly ListenerConfig[], transport: ListenerConfig["transport"]): string {
  return listeners
    .filter((listener) => listener.transport === transport)
    .map(
      ({ local, path }) => `${local.address} port ${local.port}${path === undefined ? "" : `, path ${path}`}`,
    )
    .join("; ");
}

function upstream(operated: Operated): string[] {
  if (operated.kind === "front")
    return ["[which resolvers answer, who operates them, and how the way to them is protected]"];
  const { resolver, forwardZones, cache } = operated.config;
  const forwarded = forwardZones.map(({ name }) => name.toString());
  return [
    forwarded.length === 0
      ? "Names are resolved from the root."
      : `Names below ${forwarded.join(", ")} are asked of other resolvers. [which, under which policy]`,
    `QNAME minimisation (RFC 9156): ${resolver.qnameMinimisation}.`,
    "No EDNS client subnet is sent to anybody.",
    resolver.encryptsToAuthorities
      ? "Authoritative servers are asked over TLS where they can do it, without authentication (RFC 9539)."
      : "Authoritative servers are asked in clear.",
    `Denials answer for the names that they cover (RFC 8198, RFC 8020): ${yesNo(cache.aggressiveDenial && cache.nxdomainCut)}.`,
    `Expired answers are given when nothing better can be had (RFC 8767): ${yesNo(isServedStale(cache))}.`,
    `Errors are reported to the agents of zones (RFC 9567): ${yesNo(resolver.errorReporting)}.`,
  ];
}

function isServedStale({ stale }: Config["cache"]): boolean {
  return stale !== undefined;
}

function yesNo(isSo: boolean): string {
  return isSo ? "yes" : "no";
}
