/** Datagrams in batches: recvmmsg(2) and sendmmsg(2) on memory that is laid out once. */
import type { Endpoint } from "../../network.ts";
import { AF_INET, decodeEndpoint, encodeEndpoint, ipv4Text, ipv6Text } from "../socket-address.ts";
import type { Foreign } from "./foreign.ts";
import { Block } from "./memory.ts";
import { Blocked, Failed, systemProblem } from "./sockets.ts";

/** The address of this machine that a datagram came to, and the interface when the address needs one. */
export interface Destination {
  readonly address: string;
  readonly octets: Uint8Array;
  readonly zone: number;
}

/** One per thread: what is received is used up before anything else is, what is to be sent belongs to one socket at a time. */
export class DatagramBatch {
  readonly #foreign: Foreign;
  readonly #in: Messages;
  readonly #out: Messages;
  #errno = 0;
  /** Datagrams to be sent. */
  count = 0;

  constructor(foreign: Foreign) {
    this.#foreign = foreign;
    this.#in = new Messages(foreign, RECEIVED_OCTETS_MAX);
    this.#out = new Messages(foreign, SENT_OCTETS_MAX);
  }

  /** Receives what is there; gives how many, `Blocked` or `Failed`. */
  receive(fd: number): number {
    this.#in.offer();
    const { calls } = this.#foreign;
    const { address } = this.#in.headers;
    return this.#result(calls.recvmmsg(BigInt(fd), address, BATCH_WORD, NO_FLAGS, NULL));
  }

  /** Whether one more call may find more. */
  isFull(received: number): boolean {
    return received === BATCH_MAX;
  }

  /** One received datagram, until the next call; cut at {@link RECEIVED_OCTETS_MAX}, so that what is longer is malformed. */
  octetsAt(index: number): Uint8Array {
    const length = this.#in.headers.view.getUint32(index * HEADER_BYTES + MESSAGE_LENGTH_AT, true);
    const start = index * RECEIVED_OCTETS_MAX;
    return this.#in.octets.octets.subarray(start, start + Math.min(length, RECEIVED_OCTETS_MAX));
  }

  senderAt(index: number): Endpoint {
    return decodeEndpoint(this.#in.names.view, index * NAME_BYTES);
  }

  /** The sender's IPv4 address as a number, undefined for IPv6: whoever keeps the texts of addresses looks there first. */
  ipv4SenderAt(index: number): number | undefined {
    const { view } = this.#in.names;
    const at = index * NAME_BYTES;
    return view.getUint16(at, true) === AF_INET ? view.getUint32(at + 4) : undefined;
  }

  senderPortAt(index: number): number {
    return this.#in.names.view.getUint16(index * NAME_BYTES + 2);
  }

  /** Where a datagram went; undefined when the system was not asked for it. */
  destinationAt(index: number): Destination | undefined {
    const { view } = this.#in.controls;
    const at = index * CONTROL_BYTES;
    if (this.#in.headers.view.getUint32(index * HEADER_BYTES + CONTROL_LENGTH_AT, true) < CMSG_HEADER_BYTES)
      return undefined;
    const level = view.getInt32(at + 8, true);
    const type = view.getInt32(at + 12, true);
    const start = at + CMSG_HEADER_BYTES;
    if (level === IPPROTO_IP && type === IP_PKTINFO) {
      // ipi_spec_dst: the local address, also of what was sent to many.
      const octets = this.#in.controls.octets.slice(start + 4, start + 8);
      return { address: ipv4Text(view.getUint32(start + 4)), octets, zone: 0 };
    }
    if (level !== IPPROTO_IPV6 || type !== IPV6_PKTINFO) return undefined;
    const octets = this.#in.controls.octets.slice(start, start + 16);
    const isLinkLocal = (view.getUint16(start) & 0xffc0) === 0xfe80;
    const zone = isLinkLocal ? view.getUint32(start + 16, true) : 0;
    return { address: ipv6Text(view, start, zone), octets, zone };
  }

  /** A number that differs for other destinations; undefined when there is none. Cheaper than {@link destinationAt}. */
  destinationKeyAt(index: number): number | undefined {
    const { view } = this.#in.controls;
    const at = index * CONTROL_BYTES;
    if (this.#in.headers.view.getUint32(index * HEADER_BYTES + CONTROL_LENGTH_AT, true) < CMSG_HEADER_BYTES)
      return undefined;
    return view.getInt32(at + 8, true) === IPPROTO_IP
      ? view.getUint32(at + CMSG_HEADER_BYTES + 4)
      : undefined;
  }

  /** Adds a datagram to those that are to be sent; false when there is no room before {@link send}. */
  add(octets: Uint8Array, isIpv6: boolean, to: Endpoint | number, source: Destination | undefined): boolean {
    const index = this.count;
    const isLarge = octets.length > SENT_OCTETS_MAX;
    // A large one takes the places of those behind it, and goes alone.
    if (index >= BATCH_MAX || (isLarge && index > 0) || this.#isTakenByLarge) return false;
    const { headers, names, vectors, octets: room } = this.#out;
    const nameAt = index * NAME_BYTES;
    let nameOctets: number;
    if (typeof to === "number") {
      const from = to * NAME_BYTES;
      names.octets.set(this.#in.names.octets.subarray(from, from + NAME_BYTES), nameAt);
      nameOctets = this.#in.headers.view.getUint32(to * HEADER_BYTES + NAME_LENGTH_AT, true);
    } else nameOctets = encodeEndpoint(names.view, nameAt, to, isIpv6);
    headers.view.setUint32(index * HEADER_BYTES + NAME_LENGTH_AT, nameOctets, true);
    const length = Math.min(octets.length, BATCH_MAX * SENT_OCTETS_MAX);
    room.octets.set(octets.subarray(0, length), index * SENT_OCTETS_MAX);
    vectors.view.setUint32(index * VECTOR_BYTES + 8, length, true);
    headers.view.setUint32(index * HEADER_BYTES + CONTROL_LENGTH_AT, this.#setSource(index, source), true);
    this.#isTakenByLarge = isLarge;
    this.count++;
    return true;
  }

  #isTakenByLarge = false;

  /** Writes where a datagram leaves from; gives the bytes of it. */
  #setSource(index: number, source: Destination | undefined): number {
    if (source === undefined) return 0;
    const { view, octets } = this.#out.controls;
    const at = index * CONTROL_BYTES;
    const start = at + CMSG_HEADER_BYTES;
    const isIpv4 = source.octets.length === 4;
    const dataBytes = isIpv4 ? IPV4_PKTINFO_BYTES : IPV6_PKTINFO_BYTES;
    view.setUint32(at, CMSG_HEADER_BYTES + dataBytes, true);
    view.setUint32(at + 4, 0);
    view.setInt32(at + 8, isIpv4 ? IPPROTO_IP : IPPROTO_IPV6, true);
    view.setInt32(at + 12, isIpv4 ? IP_PKTINFO : IPV6_PKTINFO, true);
    octets.fill(0, start, start + IPV6_PKTINFO_BYTES);
    octets.set(source.octets, isIpv4 ? start + 4 : start);
    if (!isIpv4) view.setUint32(start + 16, source.zone, true);
    return CMSG_HEADER_BYTES + ((dataBytes + 7) & ~7);
  }

  /** Sends those from `first` on; gives how many, `Blocked`, or `Failed` for the first of them. */
  send(fd: number, first: number): number {
    const { headers } = this.#out;
    const address = headers.addressOf(first * HEADER_BYTES);
    const { calls } = this.#foreign;
    return this.#result(calls.sendmmsg(BigInt(fd), address, BigInt(this.count - first), NO_FLAGS));
  }

  /** One that was not sent, as a copy. */
  unsentAt(index: number): { octets: Uint8Array; to: Endpoint } {
    const length = this.#out.vectors.view.getUint32(index * VECTOR_BYTES + 8, true);
    const start = index * SENT_OCTETS_MAX;
    const octets = this.#out.octets.octets.slice(start, start + length);
    return { octets, to: decodeEndpoint(this.#out.names.view, index * NAME_BYTES) };
  }

  /** All were sent, or are somewhere else now. */
  clear(): void {
    this.count = 0;
    this.#isTakenByLarge = false;
  }

  lastProblem(call: string): Error {
    return systemProblem(this.#errno, call);
  }

  #result(value: number): number {
    if (value >= 0) return value;
    this.#errno = this.#foreign.errno[0] ?? 0;
    return this.#errno === EAGAIN || this.#errno === EINTR ? Blocked : Failed;
  }
}

/** An array of `struct mmsghdr` and all that it points at. */
class Messages {
  readonly headers: Block;
  readonly names: Block;
  readonly vectors: Block;
  readonly controls: Block;
  readonly octets: Block;

  constructor(foreign: Foreign, octetsMax: number) {
    this.headers = new Block(foreign, BATCH_MAX * HEADER_BYTES);
    this.names = new Block(foreign, BATCH_MAX * NAME_BYTES);
    this.vectors = new Block(foreign, BATCH_MAX * VECTOR_BYTES);
    this.controls = new Block(foreign, BATCH_MAX * CONTROL_BYTES);
    this.octets = new Block(foreign, BATCH_MAX * octetsMax);
    for (let i = 0; i < BATCH_MAX; i++) {
      const at = i * HEADER_BYTES;
      this.headers.setWord(at, this.names.addressOf(i * NAME_BYTES));
      this.headers.setWord(at + 16, this.vectors.addressOf(i * VECTOR_BYTES));
      this.headers.setWord(at + 24, 1n);
      this.headers.setWord(at + 32, this.controls.addressOf(i * CONTROL_BYTES));
      this.vectors.setWord(i * VECTOR_BYTES, this.octets.addressOf(i * octetsMax));
      this.vectors.setWord(i * VECTOR_BYTES + 8, BigInt(octetsMax));
    }
  }

  /** Sets the lengths that the system changes. */
  offer(): void {
    const { view } = this.headers;
    for (let at = 0; at < BATCH_MAX * HEADER_BYTES; at += HEADER_BYTES) {
      view.setUint32(at + NAME_LENGTH_AT, NAME_BYTES, true);
      view.setUint32(at + CONTROL_LENGTH_AT, CONTROL_BYTES, true);
    }
  }
}

/** Datagrams of one call. */
const BATCH_MAX = 64;
const BATCH_WORD = BigInt(BATCH_MAX);
/** A PROXY header and a query with options; what is longer is cut, and no query of ours. */
const RECEIVED_OCTETS_MAX = 8192;
/** Replies are seldom longer than 1232 octets (RFC 9715 §3.2). */
const SENT_OCTETS_MAX = 4096;

// Layouts of 64-bit Linux: struct mmsghdr, iovec, cmsghdr, in_pktinfo, in6_pktinfo, sockaddr_in6.
const HEADER_BYTES = 64;
const NAME_LENGTH_AT = 8;
const CONTROL_LENGTH_AT = 40;
const MESSAGE_LENGTH_AT = 56;
const VECTOR_BYTES = 16;
const NAME_BYTES = 32;
const CONTROL_BYTES = 64;
const CMSG_HEADER_BYTES = 16;
const IPV4_PKTINFO_BYTES = 12;
const IPV6_PKTINFO_BYTES = 20;
const NULL = 0n;
const NO_FLAGS = 0n;
const IPPROTO_IP = 0;
const IP_PKTINFO = 8;
const IPPROTO_IPV6 = 41;
const IPV6_PKTINFO = 50;
const EINTR = 4;
const EAGAIN = 11;
