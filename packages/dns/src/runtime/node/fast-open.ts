/**
 * TCP Fast Open on Linux (RFC 7413): the socket options that Node does not know, set through system calls. Where something is
 * missing, connections and listeners are ordinary ones and the status says why.
 */
import { readFileSync } from "node:fs";
import type { Server, Socket } from "node:net";
import { systemCalls } from "./system-calls.ts";

/** Asks for Fast Open on a server that listens, and tells what became of the wish; `queue` as in RFC 7413 §4.2. */
export async function askFastOpen(server: Server, queue: number): Promise<string> {
  const calls = await systemCalls();
  if (typeof calls === "string") return calls;
  const fd = descriptorOf(server);
  if (fd === undefined) return "this Node does not tell the descriptor of a listening socket";
  return askFastOpenOn(fd, queue);
}

/** As {@link askFastOpen}, for the descriptor of a socket that listens. */
export async function askFastOpenOn(fd: number, queue: number): Promise<string> {
  const calls = await systemCalls();
  if (typeof calls === "string") return calls;
  // Linux takes the option from listening sockets, too.
  const failed = calls.setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, int32(queue), 4) !== 0;
  return failed ? "the system refused the socket option" : kernelStatus(SERVER_BIT);
}

/** Node keeps it in an inner handle: the same from 22 to 26. Undefined where it does not, and once it is closed. */
export function descriptorOf(socket: Server | Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  const fd: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : undefined;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}

/** A descriptor that asks for Fast Open when it connects; undefined where that cannot be had. */
export async function openFastSocket(address: string): Promise<number | undefined> {
  const calls = await systemCalls();
  if (typeof calls === "string" || kernelStatus(CLIENT_BIT) !== "on") return undefined;
  const fd = calls.socket(address.includes(":") ? AF_INET6 : AF_INET, SOCKET_TYPE, 0);
  if (fd < 0) return undefined;
  // A failure leaves an ordinary socket.
  calls.setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, int32(1), 4);
  return fd;
}

/** Whether the SYN of a connected socket carried data that the peer took; undefined when the system does not tell. */
export async function synDataReader(): Promise<((fd: number) => boolean | undefined) | undefined> {
  const calls = await systemCalls();
  if (typeof calls === "string") return undefined;
  return (fd) => {
    const info = new Uint8Array(TCP_INFO_OCTETS);
    if (calls.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, int32(TCP_INFO_OCTETS)) !== 0) return undefined;
    return ((info[TCP_INFO_OPTIONS_AT] ?? 0) & TCPI_OPT_SYN_DATA) !== 0;
  };
}

/** `on`, or what the kernel's switch says. */
function kernelStatus(bit: number): string {
  try {
    const value = Number(readFileSync(KERNEL_SWITCH, "ascii").trim());
    if ((value & bit) !== 0) return "on";
    const side = bit === SERVER_BIT ? "servers" : "clients";
    return `asked for, but net.ipv4.tcp_fastopen is ${value}: the system has it off for ${side} (3 has it on for both)`;
  } catch {
    return "asked for; the system does not tell whether it is on";
  }
}

function int32(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

// Constants of Linux, from its headers.
const AF_INET = 2;
const AF_INET6 = 10;
/** SOCK_STREAM, SOCK_CLOEXEC, SOCK_NONBLOCK. */
const SOCKET_TYPE = 1 | 0o2_000_000 | 0o4000;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const TCP_FASTOPEN = 23;
const TCP_FASTOPEN_CONNECT = 30;
const TCP_INFO_OCTETS = 256;
/** Offset of `tcpi_options` in `struct tcp_info`. */
const TCP_INFO_OPTIONS_AT = 5;
const TCPI_OPT_SYN_DATA = 32;
const KERNEL_SWITCH = "/proc/sys/net/ipv4/tcp_fastopen";
const CLIENT_BIT = 1;
const SERVER_BIT = 2;
