/** Which socket of the service manager is for which listener. */
import type { ListenerConfig } from "../config/index.ts";
import type { InheritedSocket } from "../operations/index.ts";

export interface SocketPlaces {
  readonly of: ReadonlyMap<ListenerConfig, InheritedSocket>;
  /** Listeners that have to open a socket of their own, although sockets were passed. */
  readonly without: readonly ListenerConfig[];
  readonly unused: readonly InheritedSocket[];
}

/**
 * A socket belongs to the listener with its address, port and layer; one that has no such listener and is named after a
 * transport (`FileDescriptorName=tls`) to the first listener of that transport that would be without. The same listeners
 * get the same sockets, whenever they ask.
 */
export function placeSockets(
  listeners: readonly ListenerConfig[],
  sockets: readonly InheritedSocket[],
): SocketPlaces {
  const of = new Map<ListenerConfig, InheritedSocket>();
  const left = new Set(sockets);
  const place = (listener: ListenerConfig, fits: (socket: InheritedSocket) => boolean): void => {
    if (of.has(listener)) return;
    const layer = layerOf(listener);
    const socket = [...left].find((one) => one.layer === layer && fits(one));
    if (socket === undefined) return;
    of.set(listener, socket);
    left.delete(socket);
  };
  for (const listener of listeners)
    place(
      listener,
      ({ local }) => local.address === listener.local.address && local.port === listener.local.port,
    );
  for (const listener of listeners) place(listener, ({ name }) => name === listener.transport);
  const without = sockets.length === 0 ? [] : listeners.filter((listener) => !of.has(listener));
  return { of, without, unused: [...left] };
}

/** The directive of a socket unit that gives this listener a socket. */
export function socketDirective(listener: ListenerConfig): string {
  const { address, port } = listener.local;
  const place = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  return `${layerOf(listener) === "udp" ? "ListenDatagram" : "ListenStream"}=${place}`;
}

function layerOf({ transport }: ListenerConfig): "udp" | "tcp" {
  return transport === "udp" ? "udp" : "tcp";
}
