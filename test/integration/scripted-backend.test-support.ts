/** A backend on loopback over TCP, or TLS with a certificate, that does with each query what the test says. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { FrameReader, frameMessage, type Message, tryDecodeMessage } from "@sotto/dns/wire";

export interface ScriptedQuery {
  readonly query: Message;
  reply(octets: Uint8Array): void;
}

export class ScriptedBackend implements AsyncDisposable {
  readonly seen: readonly Message[];
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>, seen: readonly Message[], port: number) {
    this.seen = seen;
    this.#server = server;
    this.#sockets = sockets;
    this.port = port;
  }

  /** Open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  static async open(
    script: (query: ScriptedQuery) => void,
    tls?: { readonly certificatePem: string; readonly keyPem: string },
  ): Promise<ScriptedBackend> {
    const sockets = new Set<Socket>();
    const seen: Message[] = [];
    const serve = (socket: Socket): void => {
      const reader = new FrameReader();
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      // A client that goes away in the middle is a part of some tests.
      socket.on("error", () => undefined);
      socket.on("data", (octets: Buffer) =>
        reader.push(octets, (message) => {
          const query = tryDecodeMessage(message.slice());
          if (!query.ok) throw new Error(query.problem);
          seen.push(query.value);
          script({ query: query.value, reply: (reply) => socket.write(frameMessage(reply)) });
          return true;
        }),
      );
    };
    const server =
      tls === undefined
        ? createServer(serve)
        : createTlsServer({ cert: tls.certificatePem, key: tls.keyPem, ALPNProtocols: ["dot"] }, serve);
    server.on("tlsClientError", () => undefined);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return new ScriptedBackend(server, sockets, seen, address.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
