/** The clients of the table: presets of `sotto probe client`, in the order of 2016, ours first. */
export interface TableClient {
  /** Of the preset. */
  readonly name: string;
  /** Debian's package; undefined: ours. */
  readonly packageName: string | undefined;
  /** Longest first, so that the whole ends early: daemons are asked slowly. */
  readonly isDaemon: boolean;
}

export const TABLE_CLIENTS: readonly TableClient[] = [
  { name: "sotto-stub-fast-open", packageName: undefined, isDaemon: true },
  { name: "sotto-query-full", packageName: undefined, isDaemon: false },
  { name: "sotto-query", packageName: undefined, isDaemon: false },
  { name: "drill", packageName: "ldnsutils", isDaemon: false },
  { name: "getdns_query", packageName: "getdns-utils", isDaemon: false },
  { name: "stubby", packageName: "stubby", isDaemon: true },
  { name: "dig", packageName: "bind9-dnsutils", isDaemon: false },
  { name: "delv", packageName: "bind9-dnsutils", isDaemon: false },
  { name: "kdig", packageName: "knot-dnsutils", isDaemon: false },
];
