/**
 * UDP sockets as the program asks for them: one socket each, but for listeners on all addresses (0.0.0.0, ::). Those have
 * a socket for every address of the machine besides the common one, because an answer must come from the address that was
 * asked (RFC 2181 §4.1), and Node can neither tell nor choose it on a common socket. What comes to addresses that only
 * the routing table knows, or by an inherited socket, is still answered, from the address that the system prefers.
 */
import { networkInterfaces } from "node:os";
import type { DatagramHandlers, DatagramOptions, DatagramSocket, Endpoint } from "../network.ts";
import { openDatagram } from "./node-datagram.ts";

/** The machine's own addresses of one family, link-local ones with their zone. */
type OwnAddresses = (family: "IPv4" | "IPv6") => readonly string[];

/** Binds; `ownAddresses` are other ones than the system's in tests. */
export async function openAnyDatagram(
  options: DatagramOptions,
  handlers: DatagramHandlers,
  ownAddresses: OwnAddresses = systemAddresses,
): Promise<DatagramSocket> {
  const { address } = options.local;
  const isOwn = options.connectTo === undefined && options.inheritedFd === undefined;
  const isForAll = isOwn && (address === "0.0.0.0" || address === "::");
  if (!isForAll) return openDatagram(options, handlers);
  // Shared ports hide that somebody else has this one: the first try does not share.
  const { port } = options.reusePort ? options.local : await tryPort(options);
  const local = { address, port };
  let common: DatagramSocket;
  try {
    common = await openDatagram({ ...options, local, reusePort: true }, handlers);
  } catch {
    // Not on this system: one socket, as long as the port can be had at all.
    return openDatagram({ ...options, local }, handlers);
  }
  const sockets = new SocketPerAddress(common, handlers, () =>
    ownAddresses(address === "::" ? "IPv6" : "IPv4").slice(0, OWN_ADDRESSES_MAX),
  );
  await sockets.networkChanged();
  return sockets;
}

async function tryPort(options: DatagramOptions): Promise<Endpoint> {
  const socket = await openDatagram(options, { onMessage: () => undefined, onError: () => undefined });
  await socket.close();
  return socket.local;
}

/** The kernel hands a datagram to the socket that is bound to its destination, and all others to the common one. */
class SocketPerAddress implements DatagramSocket {
  readonly local: Endpoint;
  readonly #common: DatagramSocket;
  readonly #handlers: DatagramHandlers;
  readonly #wanted: () => readonly string[];
  readonly #own = new Map<string, DatagramSocket>();
  #lastUpdate: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined = undefined;
  #isClosed = false;

  constructor(common: DatagramSocket, handlers: DatagramHandlers, wanted: () => readonly string[]) {
    this.local = common.local;
    this.#common = common;
    this.#handlers = handlers;
    this.#wanted = wanted;
  }

  send(octets: Uint8Array, to: Endpoint): void {
    this.#common.send(octets, to);
  }

  /** Opens sockets for new addresses, closes those of gone ones. */
  networkChanged(): Promise<void> {
    this.#lastUpdate = this.#lastUpdate.then(() => this.#update());
    return this.#lastUpdate;
  }

  async #update(): Promise<void> {
    if (this.#isClosed) return;
    const wanted = this.#wanted();
    for (const [address, socket] of this.#own) {
      if (wanted.includes(address)) continue;
      this.#own.delete(address);
      await socket.close();
    }
    for (const address of wanted) if (!this.#own.has(address)) await this.#open(address);
    clearTimeout(this.#retry);
    if (wanted.every((address) => this.#own.has(address))) return;
    // unref: nobody's end waits for it.
    this.#retry = setTimeout(() => void this.networkChanged(), RETRY_MS).unref();
  }

  async #open(address: string): Promise<void> {
    try {
      const local = { address, port: this.local.port };
      const options = { local, connectTo: undefined, reusePort: true };
      this.#own.set(address, await openDatagram(options, this.#handlers));
    } catch {
      // An address that is not ready (IPv6 checks for duplicates first) or already gone: the common socket
      // answers for it until the next try.
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#lastUpdate;
    clearTimeout(this.#retry);
    const own = [...this.#own.values()];
    this.#own.clear();
    await Promise.all([this.#common, ...own].map((socket) => socket.close()));
  }
}

function systemAddresses(family: "IPv4" | "IPv6"): readonly string[] {
  return Object.entries(networkInterfaces()).flatMap(([zone, addresses]) =>
    (addresses ?? [])
      .filter((one) => one.family === family)
      .map(({ address }) => (address.startsWith("fe80:") ? `${address}%${zone}` : address)),
  );
}

/** Checking an IPv6 address for duplicates takes a second or two (RFC 4862 §5.4). */
const RETRY_MS = 3000;
/** More than any machine has that is not a test; further addresses share the common socket. */
const OWN_ADDRESSES_MAX = 256;
