/**
 * Sockets that the service manager has opened for us: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES of sd_listen_fds(3). What
 * they are bound to is looked up in /proc, so that it works without calls that Node does not have.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { DnsError, type Endpoint } from "@sotto/dns/runtime";
import { PROC_SOCKET_TABLES, type ProcSocket, parseProcSockets } from "./proc-sockets.ts";
import type { Environment } from "./program-io.ts";

/** One of them. */
export interface InheritedSocket {
  readonly fd: number;
  /** FileDescriptorName= of the socket unit; systemd gives the unit's own name when it has none. */
  readonly name: string;
  readonly layer: "udp" | "tcp";
  readonly local: Endpoint;
}

/** What was passed, and what of it is of no use, a sentence each. */
export interface InheritedSockets {
  readonly sockets: readonly InheritedSocket[];
  readonly problems: readonly string[];
}

/** How to find out what a descriptor is; another one than the system's is for tests. */
export interface DescriptorLookup {
  /** The target of `/proc/self/fd/N`, undefined when it is not open. */
  link(fd: number): string | undefined;
  table(name: (typeof PROC_SOCKET_TABLES)[number]): string;
}

/**
 * Reads the variables and removes them, so that no child of this process takes the sockets for its own. None when they are
 * for another process. Throws ERR_CONFIG when LISTEN_FDS makes no sense: serving something else than what was passed would
 * hide the mistake.
 */
export function takeInheritedSockets(
  environment: Environment,
  pid: number,
  lookup: DescriptorLookup = systemLookup,
): InheritedSockets {
  const { LISTEN_PID: forPid, LISTEN_FDS: countText, LISTEN_FDNAMES: names } = environment;
  delete environment["LISTEN_PID"];
  delete environment["LISTEN_FDS"];
  delete environment["LISTEN_FDNAMES"];
  if (countText === undefined || forPid !== String(pid)) return { sockets: [], problems: [] };
  const count = /^\d{1,4}$/.test(countText) ? Number(countText) : Number.NaN;
  if (!(count <= SOCKETS_MAX))
    throw new DnsError(
      "ERR_CONFIG",
      `LISTEN_FDS is ${JSON.stringify(countText)}: a number of at most ${SOCKETS_MAX} is expected from the service manager`,
    );
  const nameOf = names === undefined ? [] : names.split(":");
  const known =
    count === 0 ? [] : PROC_SOCKET_TABLES.flatMap((table) => parseProcSockets(table, lookup.table(table)));
  const sockets: InheritedSocket[] = [];
  const problems: string[] = [];
  for (let i = 0; i < count; i++) {
    const fd = FIRST_DESCRIPTOR + i;
    const name = nameOf[i] ?? "unknown";
    const found = lookUp(fd, known, lookup);
    if (typeof found === "string") problems.push(`descriptor ${fd} (${name}) ${found}`);
    else sockets.push({ fd, name, layer: found.layer, local: found.local });
  }
  return { sockets, problems };
}

function lookUp(fd: number, known: readonly ProcSocket[], lookup: DescriptorLookup): ProcSocket | string {
  const link = lookup.link(fd);
  if (link === undefined) return "is not open, although the service manager counts it";
  const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
  if (inode === undefined) return `is no socket but ${link}`;
  return (
    known.find((socket) => socket.inode === inode) ??
    "is no UDP socket and no listening TCP socket of this network: use ListenDatagram= and ListenStream= with IP addresses, and no Accept=yes"
  );
}

const systemLookup: DescriptorLookup = {
  link(fd) {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return undefined;
    }
  },
  table(name) {
    try {
      return readFileSync(`/proc/self/net/${name}`, "latin1");
    } catch {
      // A kernel without IPv6 has no table for it.
      return "";
    }
  },
};

/** SD_LISTEN_FDS_START. */
const FIRST_DESCRIPTOR = 3;
/** More than any resolver has addresses. */
const SOCKETS_MAX = 512;
