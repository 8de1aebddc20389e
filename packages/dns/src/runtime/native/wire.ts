/** What a stream is carried by: a socket alone, or TLS on it. */
import { Blocked, type Sockets } from "./unsafe/sockets.ts";

/** Octets in and out of one connection, through the buffers of its thread. Does not own the descriptor. */
export interface Wire {
  /** Reads into `input`: octets, 0 at the end of what the peer sends, `Blocked`, or `Failed` with {@link problem}. */
  read(): number;
  /** True when octets have been read that no event will tell of. */
  readonly hasMore: boolean;
  /** Takes the first octets of `output`: gives how many, `Blocked` or `Failed`. */
  put(octets: number): number;
  /** Hands what was taken to the system: false while some of it has to wait, or has failed. */
  push(): boolean;
  /** Octets that were taken and that the system has not. */
  readonly unsentOctets: number;
  /** Says in the protocol's own words that nothing follows; FIN comes after it. */
  sayGoodbye(): void;
  /** Why the last call failed; undefined when none did. */
  readonly problem: Error | undefined;
  /** Gives back what it holds besides the descriptor. Once. */
  free(): void;
}

/** A socket alone. */
export class ClearWire implements Wire {
  readonly #sockets: Sockets;
  readonly #fd: number;
  problem: Error | undefined = undefined;

  constructor(sockets: Sockets, fd: number) {
    this.#sockets = sockets;
    this.#fd = fd;
  }

  read(): number {
    return this.#checked(this.#sockets.read(this.#fd), "read");
  }

  get hasMore(): boolean {
    return false;
  }

  put(octets: number): number {
    return this.#checked(this.#sockets.writeOutput(this.#fd, octets), "write");
  }

  #checked(result: number, call: string): number {
    if (result < Blocked) this.problem = this.#sockets.lastProblem(call);
    return result;
  }

  push(): boolean {
    return true;
  }

  get unsentOctets(): number {
    return 0;
  }

  sayGoodbye(): void {}

  free(): void {}
}
