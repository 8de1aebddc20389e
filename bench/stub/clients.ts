/** The clients that are compared: each asks one question for an A record and checks the answer. */
import { Resolver } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { connect as connectTcp, createServer } from "node:net";
import { join } from "node:path";
import { createDns, type NodeDns } from "@sotto/dns/node-dns";
import { StubResolver, type StubResolverOptions } from "@sotto/dns/stub";
import { ADDRESS, SERVER_NAME, type ServerFacts } from "./server.ts";
import { askOnce } from "./wire-client.ts";

/** Asks; rejects when the answer is not the one that the server gives. */
export type Ask = (name: string) => Promise<void>;

export interface BenchClient {
  readonly key: string;
  readonly title: string;
  readonly group: Group;
  readonly isOurs: boolean;
  /** What the others of its group are measured by. Default false. */
  readonly isYardstick?: boolean;
  /** Names come again, so that caches answer. Default false. */
  readonly repeats?: boolean;
  /** Lookups until it is as fast as it gets, where that is not as long as for the others. */
  readonly warmUpLookups?: number;
  readonly make: (facts: ServerFacts) => Promise<Ask> | Ask;
}

/** What is compared with what. */
export type Group = "UDP" | "DoT" | "DoH" | "cached" | "net.connect by name";

const uncached = { cacheBytesMax: 0, hosts: "none" } as const;

function udp({ port }: ServerFacts): StubResolverOptions {
  return { upstreams: [`udp://127.0.0.1:${port}`] };
}

function tls({ tlsPort, authorityPem }: ServerFacts): StubResolverOptions {
  return {
    upstreams: [
      {
        transport: "tls",
        address: "127.0.0.1",
        port: tlsPort,
        name: SERVER_NAME,
        trustAnchorsPem: [authorityPem],
      },
    ],
  };
}

function askingStub(options: StubResolverOptions): Ask {
  const stub = new StubResolver(options);
  return async (name) => {
    const { records } = await stub.query(name, "A");
    check(records.length === 1 && records[0]?.rdata[3] === 1);
  };
}

function askingResolve4(dns: Pick<NodeDns, "promises"> | { readonly promises: Resolver }): Ask {
  return async (name) => {
    const [address] = await dns.promises.resolve4(name);
    check(address === ADDRESS);
  };
}

function askingLookup(dns: NodeDns): Ask {
  return async (name) => {
    const { address } = await dns.promises.lookup(name, { family: 4 });
    check(address === ADDRESS);
  };
}

function cares({ port }: ServerFacts): { readonly promises: Resolver } {
  const promises = new Resolver();
  promises.setServers([`127.0.0.1:${port}`]);
  return { promises };
}

function check(isRight: boolean): void {
  if (!isRight) throw new Error("another answer than the server gives");
}

/** A connection to a server of this process, by a name that `lookup` must find. */
async function connecting(lookup: NodeDns["lookup"] | undefined): Promise<Ask> {
  const server = createServer((socket) => socket.on("error", () => undefined).end());
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, resolve));
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return (name) =>
    new Promise((resolve, reject) => {
      const host = lookup === undefined ? "127.0.0.1" : name;
      const socket = connectTcp({ host, port, family: 4, ...(lookup === undefined ? {} : { lookup }) });
      // Resets leave no port behind in TIME_WAIT.
      socket.on("connect", () => socket.resetAndDestroy());
      socket.on("error", reject).on("close", () => resolve());
    });
}

function versionOf(name: string): string {
  const file = join(import.meta.dirname, "../../node_modules", name, "package.json");
  // A package has a version.
  return `${name} ${(JSON.parse(readFileSync(file, "utf8")) as { version: string }).version}`;
}

/** A sentence. */
export const BENCH_VERSIONS = `Compared are c-ares ${process.versions.ares}, ${["dns2", "dohdec", "tangerine"].map(versionOf).join(", ")} with ${versionOf("undici")}.`;

export const CLIENTS: readonly BenchClient[] = [
  {
    key: "cares",
    title: "node:dns (c-ares) resolve4",
    group: "UDP",
    isOurs: false,
    isYardstick: true,
    make: (facts) => askingResolve4(cares(facts)),
  },
  {
    key: "stub-udp",
    title: "StubResolver.query",
    group: "UDP",
    isOurs: true,
    make: (facts) => askingStub({ ...udp(facts), ...uncached }),
  },
  {
    key: "resolve4-udp",
    title: "@sotto/dns/node-dns resolve4",
    group: "UDP",
    isOurs: true,
    make: (facts) => askingResolve4(createDns({ ...udp(facts), ...uncached })),
  },
  {
    key: "lookup-udp",
    title: "@sotto/dns/node-dns lookup",
    group: "UDP",
    isOurs: true,
    make: (facts) => askingLookup(createDns({ ...udp(facts), ...uncached })),
  },
  {
    key: "dns2-udp",
    title: "dns2 UDPClient",
    group: "UDP",
    isOurs: false,
    make: async ({ port }) => {
      const { default: dns2 } = await import("dns2");
      const ask = dns2.UDPClient({ dns: "127.0.0.1", port });
      return async (name) => check((await ask(name, "A")).answers[0]?.address === ADDRESS);
    },
  },
  {
    key: "stub-dot",
    title: "StubResolver.query",
    group: "DoT",
    isOurs: true,
    make: (facts) => askingStub({ ...tls(facts), ...uncached }),
  },
  {
    key: "resolve4-dot",
    title: "@sotto/dns/node-dns resolve4",
    group: "DoT",
    isOurs: true,
    make: (facts) => askingResolve4(createDns({ ...tls(facts), ...uncached })),
  },
  {
    key: "lookup-dot",
    title: "@sotto/dns/node-dns lookup",
    group: "DoT",
    isOurs: true,
    make: (facts) => askingLookup(createDns({ ...tls(facts), ...uncached })),
  },
  {
    key: "dohdec-dot",
    title: "dohdec DNSoverTLS (one connection)",
    group: "DoT",
    isOurs: false,
    // It becomes slower with all that it was ever asked.
    warmUpLookups: 5000,
    isYardstick: true,
    make: async ({ tlsPort }) => {
      const { DNSoverTLS } = await import("dohdec");
      const client = new DNSoverTLS({ host: "127.0.0.1", port: tlsPort, servername: SERVER_NAME });
      return async (name) => check((await client.lookup(name, { rrtype: "A" })).answers[0]?.data === ADDRESS);
    },
  },
  {
    key: "dns2-dot",
    title: "dns2 TCPClient tls: (a connection per query)",
    group: "DoT",
    isOurs: false,
    make: async ({ tlsPort }) => {
      const { default: dns2 } = await import("dns2");
      // It takes the address for the server name, too, which TLS does not allow: only a name works.
      const ask = dns2.TCPClient({ dns: "localhost", port: tlsPort, protocol: "tls:" });
      return async (name) => check((await ask(name, "A")).answers[0]?.address === ADDRESS);
    },
  },
  {
    key: "plain-dot",
    title: "node:tls and dns-packet by hand (a connection per query)",
    group: "DoT",
    isOurs: false,
    make:
      ({ tlsPort }) =>
      async (name) =>
        check((await askOnce(name, tlsPort, SERVER_NAME)).length === 1),
  },
  {
    key: "tangerine",
    title: "tangerine resolve4 (undici, HTTP/1.1)",
    group: "DoH",
    isOurs: false,
    make: async ({ httpsPort }) => {
      const imported: unknown = (await import("tangerine")).default;
      // Its types are those of a module with a default export, and it is none.
      const Tangerine = imported as new (options: object) => Resolver;
      const promises = new Tangerine({ servers: new Set([`127.0.0.1:${httpsPort}`]), cache: false });
      return askingResolve4({ promises });
    },
  },
  {
    key: "stub-cached",
    title: "StubResolver.query",
    group: "cached",
    isOurs: true,
    repeats: true,
    make: (facts) => askingStub(tls(facts)),
  },
  {
    key: "resolve4-cached",
    title: "@sotto/dns/node-dns resolve4",
    group: "cached",
    isOurs: true,
    repeats: true,
    make: (facts) => askingResolve4(createDns(tls(facts))),
  },
  {
    key: "net-literal",
    title: "an address, no lookup",
    group: "net.connect by name",
    isOurs: false,
    make: () => connecting(undefined),
  },
  {
    key: "net-node",
    title: "node:dns lookup (getaddrinfo of localhost)",
    group: "net.connect by name",
    isOurs: false,
    isYardstick: true,
    make: async () => {
      const { lookup } = await import("node:dns");
      const given = ((_name: string, ...rest: never[]) =>
        Reflect.apply(lookup, undefined, ["localhost", ...rest])) as typeof lookup;
      return connecting(given);
    },
  },
  {
    key: "net-cached",
    title: "@sotto/dns/node-dns lookup, cached",
    group: "net.connect by name",
    isOurs: true,
    repeats: true,
    make: (facts) => connecting(createDns(tls(facts)).lookup),
  },
  {
    key: "net-dot",
    title: "@sotto/dns/node-dns lookup, over DoT",
    group: "net.connect by name",
    isOurs: true,
    make: (facts) => connecting(createDns({ ...tls(facts), ...uncached }).lookup),
  },
];
