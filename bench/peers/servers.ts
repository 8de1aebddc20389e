/** Whom we are compared with: Debian's servers, one thread each, forwarding the zone to the authority, with warm caches. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dnsdistConfig, kresdConfig, namedConfig, nsdConfig, pdnsConfig, unboundConfig } from "./configs.ts";

/** Where a server listens. */
export interface Endpoints {
  readonly address: string;
  /** UDP and TCP. */
  readonly port: number;
  /** Undefined: it has no DNS over TLS. */
  readonly tlsPort: number | undefined;
}

/** What a server needs to be started. */
export interface Site {
  /** For this server alone. */
  readonly folder: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly authority: { readonly address: string; readonly port: number };
  /** Connections that it has to hold; `only` is the one transport that is then used. */
  readonly connectionsMax: number;
  readonly only: "tls" | undefined;
}

/** A server that can take part. */
export interface Server {
  readonly name: string;
  readonly isOurs: boolean;
  readonly endpoints: Endpoints;
  /** Debian's package, for the report. */
  readonly packageName?: string;
  /** The program that must be there. */
  readonly program: string;
  /** Passes queries on and resolves nothing itself. */
  readonly isForwarder?: boolean;
  /** Cores that it runs on while it is measured. Default: one. */
  readonly coreCount?: number;
  /** Writes what it needs and gives its command, to run in the foreground. */
  command(site: Site): readonly string[];
}

export const AUTHORITY = { address: "127.0.61.1", port: 15_300 } as const;

/** Address and ports of server number `n`. */
export function endpointsOf(n: number): Endpoints {
  return { address: `127.0.61.${n}`, port: 15_310, tlsPort: 15_311 };
}

function configured(site: Site, name: string, text: string): string {
  const file = join(site.folder, name);
  writeFileSync(file, text);
  return file;
}

const unbound: Server = {
  name: "unbound",
  isOurs: false,
  endpoints: endpointsOf(11),
  packageName: "unbound",
  program: "/usr/sbin/unbound",
  command(site) {
    const file = configured(site, "unbound.conf", unboundConfig(site, this.endpoints));
    return [this.program, "-d", "-p", "-c", file];
  },
};

const named: Server = {
  name: "named",
  isOurs: false,
  // It listens on addresses that interfaces have, of 127.0.0.0/8 this one only.
  endpoints: { address: "127.0.0.1", port: 15_312, tlsPort: 15_313 },
  packageName: "bind9",
  program: "/usr/sbin/named",
  command(site) {
    const file = configured(site, "named.conf", namedConfig(site, this.endpoints));
    return [this.program, "-f", "-4", "-n", "1", "-c", file];
  },
};

const kresd: Server = {
  name: "kresd",
  isOurs: false,
  endpoints: endpointsOf(13),
  packageName: "knot-resolver",
  program: "/usr/sbin/kresd",
  command(site) {
    const file = configured(site, "kresd.conf", kresdConfig(site, this.endpoints));
    const cache = join(site.folder, "cache");
    rmSync(cache, { recursive: true, force: true });
    mkdirSync(cache);
    return [this.program, "-n", "-c", file, cache];
  },
};

const pdns: Server = {
  name: "pdns",
  isOurs: false,
  // Debian's version has no DNS over TLS for clients.
  endpoints: { ...endpointsOf(14), tlsPort: undefined },
  packageName: "pdns-recursor",
  program: "/usr/sbin/pdns_recursor",
  command(site) {
    configured(site, "recursor.conf", pdnsConfig(site, this.endpoints));
    return [this.program, `--config-dir=${site.folder}`];
  },
};

const dnsdist: Server = {
  name: "dnsdist",
  isOurs: false,
  endpoints: endpointsOf(15),
  packageName: "dnsdist",
  program: "/usr/bin/dnsdist",
  isForwarder: true,
  command(site) {
    const file = configured(site, "dnsdist.conf", dnsdistConfig(site, this.endpoints));
    return [this.program, "--supervised", "--disable-syslog", "-C", file];
  },
};

/** In the order of tables. */
export const PEERS: readonly Server[] = [unbound, named, kresd, pdns, dnsdist];

/** Who answers those that ask on; shares the core of the load. */
export const authority: Server = {
  name: "nsd",
  isOurs: false,
  endpoints: { ...AUTHORITY, tlsPort: undefined },
  packageName: "nsd",
  program: "/usr/sbin/nsd",
  command(site) {
    return [this.program, "-d", "-c", configured(site, "nsd.conf", nsdConfig(site, this.endpoints))];
  },
};
