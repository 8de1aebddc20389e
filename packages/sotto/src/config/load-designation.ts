/** The `ddr` section: which listeners clients are told of, under which name (RFC 9462). */
import { addressToText, parseName, tryParseAddress, tryParseRecord } from "@sotto/dns/wire";
import type { Config, ListenerConfig } from "./config.ts";
import { known } from "./load-listeners.ts";
import type { Settings } from "./settings.ts";

type Report = (path: readonly PropertyKey[], message: string) => void;
type Service = NonNullable<Config["designation"]>["services"][number];

/** Undefined: nobody is told anything. */
export function toDesignation(
  { ddr, "local-zones": { data } }: Settings,
  listeners: readonly ListenerConfig[],
  { report, warn }: Record<"report" | "warn", Report>,
): Config["designation"] {
  if (ddr.name === undefined) {
    if (ddr.addresses !== undefined) report(["ddr", "addresses"], "are those of ddr.name, which is missing");
    return undefined;
  }
  const name = parseName(ddr.name);
  // RFC 9462 §4: who asked for resolver.arpa cannot mean it.
  if (name.isRoot) report(["ddr", "name"], "is the root, which is nobody's certificate");
  const covered = data
    .map((text) => known(tryParseRecord(text)).owner)
    .find((owner) => owner.isAtOrBelow(RESOLVER_ARPA));
  if (covered !== undefined)
    report(["ddr", "name"], `is told in place of ${covered} in local-zones.data: take one of both`);
  const given = ddr.addresses?.map((text) => addressToText(known(tryParseAddress(text))));
  const services = servicesOf(listeners.filter(isForAll), given);
  if (services.length === 0)
    report(
      ["ddr", "name"],
      "needs a listener for tls, or for https with TLS, with a certificate, a port that is not 0, and without required client certificates",
    );
  if (services.some(({ addresses }) => addresses.length === 0))
    warn(["ddr", "name"], "is told without addresses, as a listener is on all of them: give ddr.addresses");
  return { name, services };
}

/** Certificates made at start are known to nobody, and a port that the system chooses is another one next time. */
function isForAll({ usesTls, certificates, local, clientCertificates }: ListenerConfig): boolean {
  return usesTls && certificates.length > 0 && local.port !== 0 && clientCertificates?.effect !== "required";
}

/** One for each port and path, DNS over TLS first: less of a client is told there (RFC 8484 §8.1). */
function servicesOf(listeners: readonly ListenerConfig[], given: readonly string[] | undefined): Service[] {
  const services = new Map<string, Service>();
  for (const transport of ["tls", "https"] as const)
    for (const listener of listeners.filter((one) => one.transport === transport)) {
      const { local, path } = listener;
      const key = `${transport} ${local.port} ${path}`;
      const before = services.get(key)?.addresses ?? [];
      const addresses = given ?? [...before, ...(isEverywhere(local.address) ? [] : [local.address])];
      services.set(key, { transport, port: local.port, path, addresses });
    }
  return [...services.values()];
}

function isEverywhere(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** All of it is answered by who designates (RFC 9462 §6.1). */
const RESOLVER_ARPA = parseName("resolver.arpa.");
