/** A host's view of a simulated network: connecting, listening, binding. */
import {
  type ByteStream,
  type Clock,
  type ConnectOptions,
  type DatagramHandlers,
  type DatagramOptions,
  type DatagramSocket,
  DnsError,
  type Endpoint,
  type ListenHandlers,
  type ListenOptions,
  type Network,
  type StreamListener,
} from "@sotto/dns/runtime";
import { canonical, isWildcard, notOurs, refused, tooLate, unreachable } from "./sim-address.ts";
import { type DatagramCarrier, SimDatagramSocket } from "./sim-datagram-socket.ts";
import { type HandshakeOutcome, SimListener, shakeHands } from "./sim-listener.ts";
import type { StreamWeather } from "./sim-stream.ts";

/** How an address behaves, whatever is behind it. */
export type Reachability = "normal" | "silent" | "unreachable";

/** What a host needs of its network. */
export interface HostNetwork extends DatagramCarrier {
  readonly clock: Clock;
  readonly weather: StreamWeather;
  freePort(address: string): number;
  reachabilityOf(address: string): Reachability;
  findListener(to: Endpoint): SimListener | undefined;
  addListener(listener: SimListener): void;
  removeListener(listener: SimListener): void;
  addSocket(socket: SimDatagramSocket): void;
  isTicketOf(ticket: Uint8Array, listener: SimListener): boolean;
  join(
    clientEnd: Endpoint,
    listener: SimListener,
    serverEnd: Endpoint,
    security: HandshakeOutcome | undefined,
  ): ByteStream;
}

/** A host with some addresses. */
export class SimHost implements Network {
  readonly #network: HostNetwork;
  readonly #addresses: readonly string[];

  constructor(network: HostNetwork, addresses: readonly string[]) {
    this.#network = network;
    this.#addresses = addresses;
  }

  #sourceFor(to: Endpoint, wanted: string | undefined): string | undefined {
    if (wanted !== undefined && !isWildcard(wanted)) {
      const address = canonical(wanted);
      return this.#addresses.includes(address) ? address : undefined;
    }
    const isIpv6 = to.address.includes(":");
    return this.#addresses.find((address) => address.includes(":") === isIpv6);
  }

  connect(options: ConnectOptions): Promise<ByteStream> {
    const network = this.#network;
    const remote = { address: canonical(options.remote.address), port: options.remote.port };
    const source = this.#sourceFor(remote, options.localAddress);
    if (source === undefined) return Promise.reject(unreachable(remote, "connect"));
    const clientEnd = { address: source, port: network.freePort(source) };
    const { promise, resolve, reject } = Promise.withResolvers<ByteStream>();
    let isSettled = false;
    const settle = (run: () => void): void => {
      if (isSettled) return;
      isSettled = true;
      limit.cancel();
      options.signal?.removeEventListener("abort", abort);
      run();
    };
    const abort = (): void => settle(() => reject(new DnsError("ERR_ABORTED", "connecting was given up")));
    let stage: "connect" | "handshake" = "connect";
    const timeOut = (): void => settle(() => reject(tooLate(remote, stage)));
    let limit = network.clock.startTimer("sim connect limit", options.connectTimeoutMs, timeOut);
    options.signal?.addEventListener("abort", abort);
    if (options.signal?.aborted === true) {
      abort();
      return promise;
    }
    const roundTripMs = network.weather.delayMs() + network.weather.delayMs();
    const reachability = network.reachabilityOf(remote.address);
    if (reachability === "unreachable")
      network.after(roundTripMs, () => settle(() => reject(unreachable(remote, "connect"))));
    if (reachability !== "normal") return promise;
    network.after(roundTripMs, () => {
      if (isSettled) return;
      const listener = network.findListener(remote);
      if (listener === undefined) {
        settle(() => reject(refused(remote, "connect")));
        return;
      }
      if (options.tls === undefined && listener.tls === undefined) {
        settle(() => resolve(network.join(clientEnd, listener, remote, undefined)));
        return;
      }
      if (options.tls === undefined) {
        // A TLS server closes when the first octets are not a ClientHello.
        const problem = new DnsError("ERR_TLS_HANDSHAKE", "not a ClientHello", { stage: "handshake" });
        listener.handlers.onFailure(clientEnd, "handshake", problem, undefined);
        settle(() =>
          reject(new DnsError("ERR_CONNECTION_LOST", "the peer speaks TLS only", { stage: "connect" })),
        );
        return;
      }
      stage = "handshake";
      options.onConnected?.();
      limit.cancel();
      limit = network.clock.startTimer("sim handshake limit", options.handshakeTimeoutMs, timeOut);
      network.after(roundTripMs, () => {
        if (isSettled) return;
        const shaken = shakeHands(options, listener, clientEnd, network, network.clock.wallMs());
        if (typeof shaken === "string")
          settle(() =>
            reject(
              new DnsError(
                "ERR_TLS_HANDSHAKE",
                `TLS handshake with ${remote.address} port ${remote.port} failed: ${shaken}`,
                { stage: "handshake" },
              ),
            ),
          );
        else settle(() => resolve(network.join(clientEnd, listener, remote, shaken)));
      });
    });
    return promise;
  }

  listen(options: ListenOptions, handlers: ListenHandlers): Promise<StreamListener> {
    const local = this.#localEnd(options.local);
    if (local === undefined) return Promise.reject(notOurs(options.local));
    const listener = new SimListener(local, options, handlers, (closed) =>
      this.#network.removeListener(closed),
    );
    try {
      this.#network.addListener(listener);
    } catch (problem) {
      return Promise.reject(problem);
    }
    return Promise.resolve(listener);
  }

  bindDatagram(options: DatagramOptions, handlers: DatagramHandlers): Promise<DatagramSocket> {
    const peer =
      options.connectTo === undefined
        ? undefined
        : { address: canonical(options.connectTo.address), port: options.connectTo.port };
    // Connecting a socket that is bound to every address settles its source address.
    const wanted = peer === undefined ? options.local.address : this.#sourceFor(peer, options.local.address);
    if (wanted === undefined && peer !== undefined) return Promise.reject(unreachable(peer, "query"));
    const local = this.#localEnd({ address: wanted ?? options.local.address, port: options.local.port });
    if (local === undefined) return Promise.reject(notOurs(options.local));
    const sourceOf = (to: Endpoint): string | undefined => this.#sourceFor(to, local.address);
    const socket = new SimDatagramSocket(this.#network, local, peer, sourceOf, handlers);
    try {
      this.#network.addSocket(socket);
    } catch (problem) {
      return Promise.reject(problem);
    }
    return Promise.resolve(socket);
  }

  #localEnd(wanted: Endpoint): Endpoint | undefined {
    const address = canonical(wanted.address);
    if (!isWildcard(address) && !this.#addresses.includes(address)) return undefined;
    return { address, port: wanted.port === 0 ? this.#network.freePort(address) : wanted.port };
  }
}
