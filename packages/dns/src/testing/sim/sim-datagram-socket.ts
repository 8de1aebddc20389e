/** A bound datagram socket of a simulated host. */
import type { DatagramHandlers, DatagramSocket, DnsError, Endpoint } from "@sotto/dns/runtime";
import { canonical, keyOf, unreachable } from "./sim-address.ts";

/** What a socket needs of its network. */
export interface DatagramCarrier {
  carry(octets: Uint8Array, from: SimDatagramSocket, source: Endpoint, to: Endpoint): void;
  after(delayMs: number, run: () => void): void;
  removeSocket(socket: SimDatagramSocket): void;
}

/** A bound datagram socket. */
export class SimDatagramSocket implements DatagramSocket {
  readonly local: Endpoint;
  readonly #network: DatagramCarrier;
  readonly #peer: Endpoint | undefined;
  readonly #sourceOf: (to: Endpoint) => string | undefined;
  readonly #handlers: DatagramHandlers;
  #isClosed = false;

  constructor(
    network: DatagramCarrier,
    local: Endpoint,
    peer: Endpoint | undefined,
    sourceOf: (to: Endpoint) => string | undefined,
    handlers: DatagramHandlers,
  ) {
    this.#network = network;
    this.local = local;
    this.#peer = peer;
    this.#sourceOf = sourceOf;
    this.#handlers = handlers;
  }

  send(octets: Uint8Array, to: Endpoint): void {
    if (this.#isClosed) return;
    const remote = { address: canonical(to.address), port: to.port };
    const address = this.#sourceOf(remote);
    if (address === undefined) {
      this.#network.after(0, () => this.fail(unreachable(remote, "query")));
      return;
    }
    this.#network.carry(octets, this, { address, port: this.local.port }, remote);
  }

  close(): Promise<void> {
    if (!this.#isClosed) this.#network.removeSocket(this);
    this.#isClosed = true;
    return Promise.resolve();
  }

  deliver(octets: Uint8Array, from: Endpoint): void {
    if (this.#isClosed || (this.#peer !== undefined && keyOf(this.#peer) !== keyOf(from))) return;
    this.#handlers.onMessage(octets, from, this);
  }

  /** ICMP errors are only reported on connected sockets; what happened at once, always. */
  fail(problem: DnsError): void {
    if (this.#isClosed) return;
    if (this.#peer !== undefined || problem.code !== "ERR_CONNECT_REFUSED") this.#handlers.onError(problem);
  }
}
