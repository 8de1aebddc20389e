/** Datagrams to Unix sockets, which Node cannot send: service managers are told by them how a program does (sd_notify(3)). */
import { systemCalls } from "./system-calls.ts";

/**
 * Sends one datagram to a path, or with `@` in front to an abstract name. Undefined when the system took it, otherwise why
 * not. Does not wait: a receiver whose queue is full is a failure.
 */
export async function sendUnixDatagram(address: string, octets: Uint8Array): Promise<string | undefined> {
  const encoded = unixAddress(address);
  if (encoded === undefined) return `${JSON.stringify(address)} is no address of a Unix socket`;
  const calls = await systemCalls();
  if (typeof calls === "string") return calls;
  const fd = calls.socket(AF_UNIX, SOCKET_TYPE, 0);
  if (fd < 0) return "the system gave no socket";
  try {
    const sent = calls.sendto(fd, octets, SEND_FLAGS, encoded);
    return sent === octets.length ? undefined : `the system did not send to ${address}`;
  } finally {
    calls.close(fd);
  }
}

/** `struct sockaddr_un`; undefined when the text is neither an absolute path nor an abstract name, or too long. */
function unixAddress(text: string): Uint8Array | undefined {
  const isAbstract = text.startsWith("@");
  if (!isAbstract && !text.startsWith("/")) return undefined;
  const path = Buffer.from(isAbstract ? text.slice(1) : text, "utf8");
  // A name of the abstract space begins with a zero octet, a path ends with one (unix(7)).
  if (path.length === 0 || path.length > PATH_OCTETS_MAX || path.includes(0)) return undefined;
  const family = Buffer.from(Uint16Array.of(AF_UNIX).buffer);
  const zero = Uint8Array.of(0);
  return Buffer.concat(isAbstract ? [family, zero, path] : [family, path, zero]);
}

// Constants of Linux, from its headers.
const AF_UNIX = 1;
/** SOCK_DGRAM, SOCK_CLOEXEC. */
const SOCKET_TYPE = 2 | 0o2_000_000;
/** MSG_DONTWAIT, MSG_NOSIGNAL. */
const SEND_FLAGS = 0x40 | 0x4000;
/** `sun_path` has 108 octets, one of which is the zero. */
const PATH_OCTETS_MAX = 107;
