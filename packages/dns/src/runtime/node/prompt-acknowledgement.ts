/**
 * Acknowledging what has arrived at once (TCP_QUICKACK on Linux), which Node does not know. A server that answers each query with a
 * small write of its own and leaves Nagle's algorithm on (Unbound, BIND) sends the first answer and keeps all others until that one
 * is acknowledged, and the system waits 40 ms with that in the hope of octets that could carry it (RFC 9293 §3.8.6.3).
 */
import type { Socket } from "node:net";
import { descriptorOf } from "./fast-open.ts";
import { systemCalls } from "./system-calls.ts";

/** Sends the acknowledgement that a socket owes, if it owes one. */
export type Acknowledge = (socket: Socket) => void;

/** Undefined where the system or this Node has no way to ask for it: then acknowledgements go when the system likes. */
export async function promptAcknowledgement(): Promise<Acknowledge | undefined> {
  const calls = await systemCalls();
  if (typeof calls === "string") return undefined;
  return (socket) => {
    const fd = descriptorOf(socket);
    // A failure leaves it to the system.
    if (fd !== undefined) calls.setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, ONCE, ONCE.length);
  };
}

// Constants of Linux, from its headers.
const IPPROTO_TCP = 6;
const TCP_QUICKACK = 12;
/** Now, and no longer: an odd number would be answered with one for each read until the kernel sees us answer again. */
const ONCE = new Uint8Array(Int32Array.of(2).buffer);
