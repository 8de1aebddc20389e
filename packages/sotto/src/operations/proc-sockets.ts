/** Who has which UDP or TCP port, as Linux tells it in `/proc/net/udp`, `udp6`, `tcp` and `tcp6` (proc(5)). */
import { endianness } from "node:os";
import type { Endpoint } from "@sotto/dns/runtime";
import { addressToText } from "@sotto/dns/wire";

/** A socket that others may send or connect to. */
export interface ProcSocket {
  readonly layer: "udp" | "tcp";
  readonly local: Endpoint;
  /** Number of the open socket, as in the link `socket:[123]` of a descriptor. */
  readonly inode: string;
}

/** The tables to read, by their names in `/proc/net`. */
export const PROC_SOCKET_TABLES = ["udp", "udp6", "tcp", "tcp6"] as const;

/**
 * The bound UDP and listening TCP sockets of one table; lines that are not understood are left out. Sockets that are
 * connected, clients and accepted ones, are not told: nobody can take their place.
 */
export function parseProcSockets(table: (typeof PROC_SOCKET_TABLES)[number], text: string): ProcSocket[] {
  const layer = table.startsWith("udp") ? "udp" : "tcp";
  return text.split("\n").flatMap((line) => {
    const found = SOCKET_LINE.exec(line);
    if (found === null) return [];
    const [, address = "", port = "", state = "", inode = ""] = found;
    if (state !== (layer === "udp" ? UDP_UNCONNECTED : TCP_LISTEN)) return [];
    return [{ layer, local: { address: addressOf(address), port: Number.parseInt(port, 16) }, inode }];
  });
}

/** Words of 32 bits in the machine's order. */
function addressOf(hex: string): string {
  const octets = Buffer.from(hex, "hex");
  return addressToText(endianness() === "LE" ? octets.swap32() : octets);
}

/** Slot, local address and port, remote ones, state, queues, timer, retransmits, owner, timeout, inode. */
const SOCKET_LINE =
  /^ *\d+: ((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) \S+ \S+ \S+ +\d+ +\d+ (\d+) /;
/** TCP_CLOSE, which the kernel uses for UDP sockets without a peer. */
const UDP_UNCONNECTED = "07";
const TCP_LISTEN = "0A";
