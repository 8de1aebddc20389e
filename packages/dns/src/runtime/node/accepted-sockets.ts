/**
 * Connections between accept and everything else, for programs whose threads listen on the same address: one may give away what
 * it has accepted, and another takes it as if it had accepted it itself. How a socket gets there is the program's business
 * (`postMessage` with a transfer list, Node 24.21 and later).
 */
import type { Socket } from "node:net";
import type { Endpoint } from "../network.ts";
import { endpointText } from "./system-problem.ts";

/** One for all listeners of a thread. */
export class AcceptedSockets {
  readonly #takers = new Map<string, (socket: Socket) => void>();
  readonly #give: (socket: Socket, place: string) => boolean;

  /** `give` is asked for every connection, before any octet of it is read; true: it has taken the socket away. */
  constructor(give: (socket: Socket, place: string) => boolean) {
    this.#give = give;
  }

  /** A connection that another thread has accepted at a place. False, and the socket is closed, when nobody listens there. */
  adopt(socket: Socket, place: string): boolean {
    const take = this.#takers.get(place);
    if (take === undefined) socket.destroy();
    else take(socket);
    return take !== undefined;
  }

  /** For listeners: whether the connection is somebody else's now. */
  isGiven(socket: Socket, local: Endpoint): boolean {
    return this.#give(socket, endpointText(local));
  }

  /** A listener is open. */
  opened(local: Endpoint, take: (socket: Socket) => void): void {
    this.#takers.set(endpointText(local), take);
  }

  closed(local: Endpoint): void {
    this.#takers.delete(endpointText(local));
  }
}
