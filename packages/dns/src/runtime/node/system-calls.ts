/**
 * System calls of Linux that Node does not have, made through its foreign function interface (Node 26 or later). The only
 * file with foreign calls. Whoever gets a descriptor from here closes it or hands it to Node, which then does; memory given
 * to a call is used by the kernel during the call only.
 */

/** The calls, with results as in C: -1 or a negative length is a failure, whose errno is not told. */
export interface SystemCalls {
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, octets: number): number;
  getsockopt(fd: number, level: number, option: number, value: Uint8Array, octets: Uint8Array): number;
  sendto(fd: number, octets: Uint8Array, flags: number, address: Uint8Array): number;
  fcntl(fd: number, command: number, argument: number): number;
  close(fd: number): number;
}

let loading: Promise<SystemCalls | string> | undefined;

/** The calls, or why they cannot be made. Loaded once, when first asked for. */
export function systemCalls(): Promise<SystemCalls | string> {
  loading ??= load();
  return loading;
}

async function load(): Promise<SystemCalls | string> {
  if (process.platform !== "linux") return `not supported on ${process.platform}`;
  try {
    const { dlopen } = await import("node:ffi");
    const { functions } = dlopen(null, {
      socket: { arguments: ["int32", "int32", "int32"], return: "int32" },
      setsockopt: { arguments: ["int32", "int32", "int32", "buffer", "uint32"], return: "int32" },
      getsockopt: { arguments: ["int32", "int32", "int32", "buffer", "buffer"], return: "int32" },
      sendto: { arguments: ["int32", "buffer", "uint64", "int32", "buffer", "uint32"], return: "int64" },
      fcntl: { arguments: ["int32", "int32", "int32"], return: "int32" },
      close: { arguments: ["int32"], return: "int32" },
    });
    return {
      socket: (domain, type, protocol) => Number(functions.socket(domain, type, protocol)),
      setsockopt: (fd, level, option, value, octets) =>
        Number(functions.setsockopt(fd, level, option, value, octets)),
      getsockopt: (fd, level, option, value, octets) =>
        Number(functions.getsockopt(fd, level, option, value, octets)),
      sendto: (fd, octets, flags, address) =>
        Number(functions.sendto(fd, octets, BigInt(octets.length), flags, address, address.length)),
      fcntl: (fd, command, argument) => Number(functions.fcntl(fd, command, argument)),
      close: (fd) => Number(functions.close(fd)),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `this Node has no foreign function interface (26 or later has): ${why}`;
  }
}

/** A descriptor of our own for the same open socket; the same one where it cannot be had, which then is ours. */
export async function duplicateDescriptor(fd: number): Promise<number> {
  const calls = await systemCalls();
  if (typeof calls === "string") return fd;
  const own = calls.fcntl(fd, F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR);
  return own < 0 ? fd : own;
}

// Constants of Linux, from its headers.
const F_DUPFD_CLOEXEC = 1030;
/** Behind standard input, output and error. */
const FIRST_DESCRIPTOR = 3;
