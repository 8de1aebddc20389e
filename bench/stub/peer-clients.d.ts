/** What the benchmark calls of packages that have no usable types of their own. */
declare module "dns2" {
  interface Answers {
    readonly answers: readonly { readonly address?: string }[];
  }
  type Ask = (name: string, type: string) => Promise<Answers>;
  const dns2: {
    UDPClient(options: { dns: string; port: number }): Ask;
    TCPClient(options: { dns: string; port: number; protocol: "tcp:" | "tls:" }): Ask;
  };
  export = dns2;
}

declare module "dohdec" {
  export class DNSoverTLS {
    constructor(options: { host: string; port: number; servername: string });
    lookup(
      name: string,
      options: { rrtype: string },
    ): Promise<{ readonly answers: readonly { readonly data?: unknown }[] }>;
    close(): Promise<void>;
  }
}
