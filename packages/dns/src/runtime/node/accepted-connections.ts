/**
 * Connections between accept and everything else, for programs whose threads listen on the same address: one may give away what
 * it has accepted, and another takes it as if it had accepted it itself. How a connection gets there is the program's business:
 * a socket of Node by `postMessage` with a transfer list (Node 24.21 and later), a descriptor as a number, because threads share them.
 */
import type { Endpoint } from "../network.ts";
import { endpointText } from "./system-problem.ts";

/** What a program does with them. */
export interface AcceptedHandlers<Connection> {
  /** Asked for every connection, before any octet of it is read; true: it has been taken away. */
  give(connection: Connection, place: string): boolean;
  /** Nobody listens any more where it came in. */
  close(connection: Connection): void;
}

/** One for all listeners of a thread that have the same kind of connections. */
export class AcceptedConnections<Connection> {
  /** By place; the latest takes. */
  readonly #takers = new Map<string, readonly ((connection: Connection) => void)[]>();
  readonly #handlers: AcceptedHandlers<Connection>;

  constructor(handlers: AcceptedHandlers<Connection>) {
    this.#handlers = handlers;
  }

  /** A connection that another thread has accepted at a place. False, and it is closed, when nobody listens there. */
  adopt(connection: Connection, place: string): boolean {
    const take = this.#takers.get(place)?.at(-1);
    if (take === undefined) this.#handlers.close(connection);
    else take(connection);
    return take !== undefined;
  }

  /** For listeners: whether the connection is somebody else's now. */
  isGiven(connection: Connection, local: Endpoint): boolean {
    return this.#handlers.give(connection, endpointText(local));
  }

  /** A listener is open; gives what tells that it is not any more, which may be called again. Of several at a place the latest takes. */
  opened(local: Endpoint, take: (connection: Connection) => void): () => void {
    const place = endpointText(local);
    this.#takers.set(place, [...(this.#takers.get(place) ?? []), take]);
    return () => {
      // A reload opens a new one before the old one goes, or closes the new one again.
      const others = this.#takers.get(place)?.filter((other) => other !== take) ?? [];
      if (others.length > 0) this.#takers.set(place, others);
      else this.#takers.delete(place);
    };
  }
}
