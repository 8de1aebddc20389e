/** Sockets that Node does not give away or does not have, for tests that play the part of a service manager. Linux only. */
import { dlopen } from "node:ffi";

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_CLOEXEC = 0o2_000_000;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

/** Loaded when called, so that a test file can be read on any platform. */
function load() {
  return dlopen(null, {
    socket: { arguments: ["int32", "int32", "int32"], return: "int32" },
    bind: { arguments: ["int32", "buffer", "uint32"], return: "int32" },
    listen: { arguments: ["int32", "int32"], return: "int32" },
    getsockname: { arguments: ["int32", "buffer", "buffer"], return: "int32" },
    recv: { arguments: ["int32", "buffer", "uint64", "int32"], return: "int64" },
    close: { arguments: ["int32"], return: "int32" },
  }).functions;
}

/** A descriptor that is the caller's to close. */
export interface ForeignSocket {
  readonly fd: number;
  readonly port: number;
  close(): void;
}

/** A socket as a service manager leaves it: bound to 127.0.0.1, TCP also listening, read by nobody. Port 0: any. */
export function foreignSocket(layer: "udp" | "tcp", port = 0): ForeignSocket {
  const address = Buffer.alloc(16);
  address.set(new Uint8Array(Uint16Array.of(AF_INET).buffer));
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  return bound(AF_INET, layer, address);
}

/** A UDP socket on all addresses of both families. */
export function dualStackSocket(): ForeignSocket {
  const address = Buffer.alloc(28);
  address.set(new Uint8Array(Uint16Array.of(AF_INET6).buffer));
  return bound(AF_INET6, "udp", address);
}

function bound(family: number, layer: "udp" | "tcp", address: Buffer): ForeignSocket {
  const calls = load();
  const fd = calls.socket(family, (layer === "udp" ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
  if (calls.bind(fd, address, address.length) !== 0) throw new Error(`cannot bind a ${layer} socket`);
  if (layer === "tcp" && calls.listen(fd, 16) !== 0) throw new Error("cannot listen");
  calls.getsockname(fd, address, new Uint8Array(Uint32Array.of(address.length).buffer));
  return { fd, port: address.readUInt16BE(2), close: () => void calls.close(fd) };
}

/** A service manager's end of sd_notify(3). */
export interface NotifySocket {
  /** Resolves with the first datagram that fits, of those that came and those that come. */
  until(fits: RegExp): Promise<string>;
  /** Forgets what came. */
  forget(): void;
  close(): void;
}

/** Listens at a path, or with `@` in front at an abstract name. */
export function openNotifySocket(address: string): NotifySocket {
  const calls = load();
  const fd = calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const name = Buffer.from(address.startsWith("@") ? `\0${address.slice(1)}` : `${address}\0`);
  const encoded = Buffer.concat([new Uint8Array(Uint16Array.of(AF_UNIX).buffer), name]);
  if (calls.bind(fd, encoded, encoded.length) !== 0) throw new Error(`cannot bind ${address}`);
  let received: string[] = [];
  const octets = new Uint8Array(4096);
  const receive = (): void => {
    for (;;) {
      const length = Number(calls.recv(fd, octets, BigInt(octets.length), MSG_DONTWAIT));
      if (length < 0) return;
      received.push(Buffer.from(octets.subarray(0, length)).toString("utf8"));
    }
  };
  return {
    async until(fits) {
      for (;;) {
        receive();
        const found = received.find((text) => fits.test(text));
        if (found !== undefined) return found;
        // The other side is a process of its own: real time passes.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    forget() {
      receive();
      received = [];
    },
    close: () => void calls.close(fd),
  };
}
