/** UDP sockets. */
import { createSocket, type Socket } from "node:dgram";
import type { DatagramHandlers, DatagramOptions, DatagramSocket, Endpoint } from "../network.ts";
import { plainAddress } from "./node-stream.ts";
import { SendBurst } from "./send-burst.ts";
import { duplicateDescriptor } from "./system-calls.ts";
import { endpointText, toDnsError } from "./system-problem.ts";

/** Room in the kernel for bursts; the system may grant less. */
export const RECEIVE_BUFFER_OCTETS = 1024 * 1024;

/**
 * Of a socket for all peers every so many sends are watched for problems, the first among them: asking costs a turn's work
 * each, and what stands in the way of answers (a firewall, a missing route) does not stand there once.
 */
const SENDS_PER_WATCH = 64;
/** Turns of the event loop that a socket stays open for datagrams that the system has not taken. */
const CLOSE_TURNS_MAX = 1000;

/** Binds, and connects when asked to. Rejects with a `DnsError`. */
export async function openDatagram(
  options: DatagramOptions,
  handlers: DatagramHandlers,
): Promise<DatagramSocket> {
  const { connectTo, local } = options;
  const isIpv6 = local.address.includes(":");
  const isClient = connectTo !== undefined;
  const socket = createSocket({
    type: isIpv6 ? "udp6" : "udp4",
    reusePort: options.reusePort,
    ipv6Only: isIpv6,
    // Endpoints have addresses: Node would look each up again, and send in a later turn.
    lookup: isIpv6 ? asAddress6 : asAddress4,
    ...(isClient ? {} : { recvBufferSize: RECEIVE_BUFFER_OCTETS }),
  });
  const what = isClient
    ? `UDP socket to ${endpointText(connectTo)}`
    : `listening on ${endpointText(local)} (UDP)`;
  await bind(socket, options).catch((problem: unknown) => {
    socket.close();
    throw toDnsError(problem, what, isClient ? "connect" : "listen");
  });
  if (options.isBackground === true) socket.unref();
  const address = socket.address();
  // An inherited IPv6 socket may speak IPv4, too, and then wants its addresses mapped (RFC 4291 §2.5.5.2).
  const addressFor = (address: string): string =>
    isIpv6 && !address.includes(":") ? `::ffff:${address}` : address;
  let isClosed = false;
  const onError = (problem: Error): void => {
    if (!isClosed) handlers.onError(toDnsError(problem, what, "query"));
  };
  socket.on("error", onError);
  let sends = 0;
  let watched = 0;
  let whenWatchedSent: (() => void) | undefined;
  const afterSend = (problem: Error | null): void => {
    watched--;
    if (watched === 0) whenWatchedSent?.();
    if (problem !== null) onError(problem);
  };
  const burst = new SendBurst((octets) => socket.send(octets, afterSend));
  const opened: DatagramSocket = {
    local: { address: address.address, port: address.port },
    send(octets: Uint8Array, to: Endpoint, isOneOfMany = false) {
      if (isClosed) return;
      if (connectTo === undefined && sends++ % SENDS_PER_WATCH !== 0) {
        socket.send(octets, to.port, addressFor(to.address));
        return;
      }
      watched++;
      if (connectTo === undefined) socket.send(octets, to.port, addressFor(to.address), afterSend);
      else if (isOneOfMany) burst.add(octets);
      else socket.send(octets, afterSend);
    },
    close() {
      if (isClosed) return Promise.resolve();
      burst.flush();
      isClosed = true;
      return new Promise((resolve) => {
        const closeNow = (): void => void closeWhenSent(socket, CLOSE_TURNS_MAX, resolve);
        // Node drops what it has not sent when the socket is closed.
        if (watched === 0) closeNow();
        else whenWatchedSent = closeNow;
      });
    },
  };
  socket.on("message", (octets, from) => {
    const { address, port } = from;
    // A connected socket may still have what came between binding and connecting, from anybody.
    const isPeer = port === connectTo?.port && address === connectTo.address;
    const plain = isIpv6 ? plainAddress(address) : address;
    // What Node made for this datagram will do as an endpoint.
    const sender = plain === address ? from : { address: plain, port };
    handlers.onMessage(octets, isPeer ? connectTo : sender, opened);
  });
  return opened;
}

/** The system takes datagrams within the call of `send` unless its buffer is full; those few wait in a queue. */
function closeWhenSent(socket: Socket, turns: number, closed: () => void): void {
  if (turns > 0 && socket.getSendQueueCount() > 0)
    setImmediate(() => closeWhenSent(socket, turns - 1, closed));
  else socket.close(closed);
}

type FoundAddress = (problem: Error | null, address: string, family: number) => void;

function asAddress4(address: string, _options: unknown, found: FoundAddress): void {
  found(null, address, 4);
}

function asAddress6(address: string, _options: unknown, found: FoundAddress): void {
  found(null, address, 6);
}

/** Binds and connects. */
async function bind(socket: Socket, { local, connectTo, inheritedFd }: DatagramOptions): Promise<void> {
  const { address, port } = local;
  if (connectTo !== undefined && "bindSync" in socket) {
    // Since Node 24. Most of what a socket costs is waiting for what the system does at once.
    socket.bindSync({ address, port });
    socket.connectSync(connectTo.port, connectTo.address);
    return;
  }
  const place =
    inheritedFd === undefined ? { address, port } : { fd: await duplicateDescriptor(inheritedFd) };
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    const done = (): void => {
      socket.off("error", reject);
      resolve();
    };
    socket.bind({ ...place, exclusive: true }, () => {
      if (connectTo === undefined) done();
      // Node reports a failed connect to the callback, not as an event.
      else
        socket.connect(connectTo.port, connectTo.address, (problem?: Error) =>
          problem === undefined || problem === null ? done() : reject(problem),
        );
    });
  });
}
