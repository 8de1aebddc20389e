/** System calls on sockets. Descriptors are numbers and have owners outside; memory is this file's own. */
import { getSystemErrorMap } from "node:util";
import type { Endpoint } from "../../network.ts";
import { ADDRESS_OCTETS_MAX, AF_INET, AF_INET6, decodeEndpoint, encodeEndpoint } from "../socket-address.ts";
import type { Foreign } from "./foreign.ts";
import { Block } from "./memory.ts";

/** What read and write calls give instead of a number of octets. */
export const Blocked = -1;
/** The system refused; {@link Sockets.lastProblem} says why. */
export const Failed = -2;

/** How a listening or bound socket is made. */
export interface SocketOptions {
  readonly local: Endpoint;
  readonly reusePort: boolean;
  /** It is connected next: on an IPv6 address it may have IPv4 peers, whose addresses are mapped. Default false. */
  readonly isClient?: boolean | undefined;
}

/** What all connections of a thread read into and write from: no call leaves anything there for another. */
export interface Scratch {
  readonly input: Block;
  readonly output: Block;
}

export function makeScratch(foreign: Foreign): Scratch {
  return { input: new Block(foreign, SCRATCH_OCTETS), output: new Block(foreign, SCRATCH_OCTETS) };
}

/** One per thread. */
export class Sockets {
  readonly #foreign: Foreign;
  readonly #address: Block;
  readonly #int: Block;
  readonly #input: Block;
  readonly #output: Block;
  #errno = 0;

  constructor(foreign: Foreign, { input, output }: Scratch) {
    this.#foreign = foreign;
    this.#address = new Block(foreign, ADDRESS_OCTETS_MAX + 4);
    this.#int = new Block(foreign, 8);
    this.#input = input;
    this.#output = output;
  }

  /** What {@link read} has read is here until the next call. */
  get input(): Uint8Array {
    return this.#input.octets;
  }

  /** What {@link writeOutput} is to write is put here. */
  get output(): Uint8Array {
    return this.#output.octets;
  }

  /** The last failure in this class as an error of Node. */
  lastProblem(call: string, where?: Endpoint): Error {
    return systemProblem(this.#errno, call, where);
  }

  /** True when a call failed because there are no more descriptors, or no memory for one. */
  get isOutOfDescriptors(): boolean {
    return OUT_OF_DESCRIPTORS.has(this.#errno);
  }

  #result(value: number): number {
    if (value >= 0) return value;
    this.#errno = this.#foreign.errno[0] ?? 0;
    return this.#errno === EAGAIN || this.#errno === EINTR ? Blocked : Failed;
  }

  /** A bound socket; {@link Failed} when the system refuses. */
  open(kind: "tcp" | "udp", { local, reusePort, isClient }: SocketOptions): number {
    const isIpv6 = local.address.includes(":");
    const fd = this.openUnbound(kind, isIpv6);
    if (fd < 0) return Failed;
    const isSet =
      (kind === "udp" || this.setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)) &&
      (!reusePort || this.setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
      (!isIpv6 || isClient === true || this.setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    const octets = encodeEndpoint(this.#address.view, 0, local, isIpv6);
    if (isSet && this.#result(this.#foreign.calls.bind(fd, this.#address.address, octets)) === 0) return fd;
    this.close(fd);
    return Failed;
  }

  /** A socket that gets its port when it is connected; {@link Failed} when the system refuses. */
  openUnbound(kind: "tcp" | "udp", isIpv6: boolean): number {
    const type = (kind === "tcp" ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
    return this.#result(this.#foreign.calls.socket(isIpv6 ? AF_INET6 : AF_INET, type, 0));
  }

  /** Gives a datagram socket its only peer, and begins the handshake of a TCP socket; false when the system refuses. */
  connect(fd: number, peer: Endpoint): boolean {
    const octets = encodeEndpoint(this.#address.view, 0, peer, peer.address.includes(":"));
    const result = this.#result(this.#foreign.calls.connect(fd, this.#address.address, octets));
    return result === 0 || this.#errno === EINPROGRESS;
  }

  /** What is written leaves at once, however little it is. */
  sendAtOnce(fd: number): void {
    this.setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  }

  /** Sends the acknowledgement that a connection owes, if it owes one (`runtime/node/prompt-acknowledgement.ts`). */
  acknowledge(fd: number): void {
    this.setOption(fd, IPPROTO_TCP, TCP_QUICKACK, QUICKACK_ONCE);
  }

  /** Accepted connections have TCP_NODELAY from here. */
  listen(fd: number, backlog: number): boolean {
    this.sendAtOnce(fd);
    return this.#result(this.#foreign.calls.listen(fd, backlog)) === 0;
  }

  /** A socket that somebody else has bound, which may block. */
  adopt(fd: number): boolean {
    const flags = this.#result(this.#foreign.calls.fcntl(fd, F_GETFL, 0));
    return flags >= 0 && this.#result(this.#foreign.calls.fcntl(fd, F_SETFL, flags | SOCK_NONBLOCK)) === 0;
  }

  /** True when it was set. */
  setOption(fd: number, level: number, option: number, value: number): boolean {
    this.#int.view.setInt32(0, value, true);
    const { calls } = this.#foreign;
    const [fdWord, levelWord, optionWord] = [BigInt(fd), BigInt(level), BigInt(option)];
    return this.#result(calls.setsockopt(fdWord, levelWord, optionWord, this.#int.address, INT_OCTETS)) === 0;
  }

  localOf(fd: number): Endpoint | undefined {
    this.#int.view.setUint32(0, ADDRESS_OCTETS_MAX, true);
    const { calls } = this.#foreign;
    const isTold = this.#result(calls.getsockname(fd, this.#address.address, this.#int.address)) === 0;
    return isTold ? decodeEndpoint(this.#address.view, 0) : undefined;
  }

  /** A new connection, whose peer {@link acceptedFrom} tells. */
  accept(fd: number): number {
    this.#int.view.setUint32(0, ADDRESS_OCTETS_MAX, true);
    const { calls } = this.#foreign;
    const { address } = this.#address;
    return this.#result(calls.accept4(BigInt(fd), address, this.#int.address, ACCEPT_FLAGS));
  }

  acceptedFrom(): Endpoint {
    return decodeEndpoint(this.#address.view, 0);
  }

  /** Reads into {@link input}; 0 is the end. */
  read(fd: number): number {
    return this.#result(this.#foreign.calls.read(BigInt(fd), this.#input.address, SCRATCH_WORD));
  }

  /**
   * Throws a datagram away; gives its octets, `Blocked` or `Failed`. Not into {@link input}, which a handler may be looking at
   * while it opens a socket; nobody calls others between filling and writing {@link output}.
   */
  drop(fd: number): number {
    return this.#result(this.#foreign.calls.read(BigInt(fd), this.#output.address, SCRATCH_WORD));
  }

  /** Sends a datagram; what is longer than any can be is refused by the system, as the longest ones are. */
  send(fd: number, octets: Uint8Array): number {
    const fitting = octets.length > SCRATCH_OCTETS ? octets.subarray(0, SCRATCH_OCTETS) : octets;
    this.#output.octets.set(fitting);
    return this.writeOutput(fd, fitting.length);
  }

  /** Reads at most `octets`, and leaves them with the system when `isPeek`. */
  receive(fd: number, octets: number, isPeek: boolean): number {
    const { calls } = this.#foreign;
    return this.#result(calls.recv(fd, this.#input.address, BigInt(octets), isPeek ? MSG_PEEK : 0));
  }

  /** Writes the first octets of {@link output}; gives how many the system took. */
  writeOutput(fd: number, octets: number): number {
    return this.#write(fd, octets, MSG_NOSIGNAL);
  }

  /** As {@link writeOutput}, and FIN follows at once: both may leave in one segment. */
  writeLastOutput(fd: number, octets: number): number {
    return this.#write(fd, octets, MSG_NOSIGNAL_MORE);
  }

  #write(fd: number, octets: number, flags: bigint): number {
    const { calls } = this.#foreign;
    return this.#result(calls.send(BigInt(fd), this.#output.address, BigInt(octets), flags));
  }

  /** Sends FIN. */
  shutdown(fd: number): boolean {
    return this.#result(this.#foreign.calls.shutdown(BigInt(fd), SHUT_WR)) === 0;
  }

  /** Closes; whoever owns the descriptor forgets it. */
  close(fd: number): void {
    this.#foreign.calls.close(BigInt(fd), NULL);
  }

  /** Closes with RST: SO_LINGER with no time at all. */
  reset(fd: number): void {
    this.#int.view.setInt32(0, 1, true);
    this.#int.view.setInt32(4, 0, true);
    const { calls } = this.#foreign;
    calls.setsockopt(BigInt(fd), BigInt(SOL_SOCKET), SO_LINGER, this.#int.address, LINGER_OCTETS);
    this.close(fd);
  }

  /** A failure that the system holds for the next call, undefined for none. */
  takeProblem(fd: number, call: string, where?: Endpoint): Error | undefined {
    this.#int.view.setInt32(4, 4, true);
    const { calls } = this.#foreign;
    const { address } = this.#int;
    if (calls.getsockopt(fd, SOL_SOCKET, SO_ERROR, address, this.#int.addressOf(4)) !== 0) return undefined;
    const errno = this.#int.view.getInt32(0, true);
    return errno === 0 ? undefined : systemProblem(errno, call, where);
  }
}

/** As Node words it: `bind EADDRINUSE: address already in use 127.0.0.1:53`. */
export function systemProblem(errno: number, call: string, where?: Endpoint): Error {
  const [code, words] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, "unknown problem"];
  const place = where === undefined ? "" : ` ${where.address}:${where.port}`;
  return Object.assign(new Error(`${call} ${code}: ${words}${place}`), { code });
}

/** Octets of one read, and of one write. */
export const SCRATCH_OCTETS = 65_536;
export const SCRATCH_WORD = BigInt(SCRATCH_OCTETS);

// Constants of Linux, from its headers.
const NULL = 0n;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2_000_000;
const ACCEPT_FLAGS = BigInt(SOCK_CLOEXEC | SOCK_NONBLOCK);
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_LINGER = 13n;
const SO_REUSEPORT = 15;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_QUICKACK = 12;
const QUICKACK_ONCE = 2;
/** Of an `int`, and of `struct linger`. */
const INT_OCTETS = 4n;
const LINGER_OCTETS = 8n;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const MSG_PEEK = 2;
const MSG_NOSIGNAL = 0x4000n;
const MSG_NOSIGNAL_MORE = 0xc000n;
const SHUT_WR = 1n;
const F_GETFL = 3;
const F_SETFL = 4;
const EINTR = 4;
const EAGAIN = 11;
const EINPROGRESS = 115;
/** ENOMEM, ENFILE, EMFILE, ENOBUFS. */
const OUT_OF_DESCRIPTORS: ReadonlySet<number> = new Set([12, 23, 24, 105]);
