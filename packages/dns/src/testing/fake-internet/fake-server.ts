/** Puts an authority or a misbehaviour on a network: UDP and TCP on each of its addresses, and TLS where it is wanted. */
import type {
  ByteStream,
  Clock,
  DatagramSocket,
  Endpoint,
  Network,
  StreamListener,
  Timer,
  TlsServerOptions,
} from "@sotto/dns/runtime";
import { FrameReader, frameMessage } from "@sotto/dns/wire";
import { answerQuery, type ServedZone } from "./authority.ts";
import { type Action, BEHAVIOURS, type BehaviourName } from "./misbehaviour.ts";

export interface FakeServerOptions {
  readonly addresses: readonly string[];
  readonly port: number;
  /** Undefined: no TLS. */
  readonly tls: FakeTls | undefined;
  readonly zones: readonly ServedZone[];
  readonly behaviour: BehaviourName;
  /** Changes what the server was going to do. */
  readonly tamper: ((heard: HeardQuery, action: Action) => Action) | undefined;
}

/** Where and as whom a server speaks TLS. */
export interface FakeTls extends Pick<TlsServerOptions, "certificatePem" | "keyPem"> {
  readonly port: number;
}

/** A query as a server got it. */
export interface HeardQuery {
  readonly octets: Uint8Array;
  readonly transport: "udp" | "tcp";
  /** It came over TLS. */
  readonly isEncrypted: boolean;
  /** Where it came from; undefined over TCP. */
  readonly from: Endpoint | undefined;
}

/** A running server. */
export class FakeServer {
  readonly #options: FakeServerOptions;
  readonly #clock: Clock;
  readonly #sockets: DatagramSocket[] = [];
  readonly #listeners: StreamListener[] = [];
  readonly #streams = new Set<ByteStream>();
  readonly #timers = new Set<Timer>();

  private constructor(options: FakeServerOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Opens all addresses; rejects, with everything closed again, when one cannot be had. */
  static async start(options: FakeServerOptions, network: Network, clock: Clock): Promise<FakeServer> {
    const server = new FakeServer(options, clock);
    try {
      for (const address of options.addresses) await server.#open(address, network);
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  async #open(address: string, network: Network): Promise<void> {
    const local = { address, port: this.#options.port };
    const socket: DatagramSocket = await network.bindDatagram(
      { local, connectTo: undefined, reusePort: false },
      {
        onMessage: (octets, from) => {
          const action = this.#act({ octets: octets.slice(), transport: "udp", isEncrypted: false, from });
          this.#later(action.delayMs, () => {
            for (const reply of action.replies) socket.send(reply, from);
          });
        },
        onError: () => undefined,
      },
    );
    this.#sockets.push(socket);
    await this.#listen(network, local, undefined);
    const { tls } = this.#options;
    if (tls === undefined) return;
    const { certificatePem, keyPem } = tls;
    const options = { certificatePem, keyPem, alpn: ["dot"], ticketKeys: undefined };
    await this.#listen(network, { address, port: tls.port }, options);
  }

  async #listen(network: Network, local: Endpoint, tls: TlsServerOptions | undefined): Promise<void> {
    this.#listeners.push(
      await network.listen(
        { local, tls, handshakeTimeoutMs: 5000, reusePort: false },
        { onStream: (stream) => this.#serve(stream, tls !== undefined), onFailure: () => undefined },
      ),
    );
  }

  #act(heard: HeardQuery): Action {
    const { octets, transport } = heard;
    const { behaviour, tamper, zones } = this.#options;
    const action = BEHAVIOURS[behaviour](octets, transport, answerQuery(zones, octets, transport));
    return tamper === undefined ? action : tamper(heard, action);
  }

  #serve(stream: ByteStream, isEncrypted: boolean): void {
    this.#streams.add(stream);
    const frames = new FrameReader();
    stream.setHandlers({
      onData: (octets) => {
        frames.push(octets, (message) => {
          const octets = message.slice();
          const action = this.#act({ octets, transport: "tcp", isEncrypted, from: undefined });
          this.#later(action.delayMs, () => {
            for (const reply of action.replies) stream.write(frameMessage(reply));
            if (action.closes) stream.end();
          });
          return true;
        });
      },
      onEnd: () => stream.end(),
      onClose: () => void this.#streams.delete(stream),
      onDrain: () => undefined,
    });
  }

  #later(delayMs: number, run: () => void): void {
    if (delayMs === 0) {
      run();
      return;
    }
    const timer = this.#clock.startTimer(
      "fake-server",
      delayMs,
      () => {
        this.#timers.delete(timer);
        run();
      },
      true,
    );
    this.#timers.add(timer);
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    for (const stream of [...this.#streams]) stream.reset();
    await Promise.all([
      ...this.#sockets.map((socket) => socket.close()),
      ...this.#listeners.map((listener) => listener.close()),
    ]);
  }
}
