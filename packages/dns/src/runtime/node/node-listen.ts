/** Listening sockets, clear and TLS. */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import {
  createSecureContext,
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import { DnsError } from "../dns-error.ts";
import type {
  ChannelSecurity,
  Endpoint,
  ListenHandlers,
  ListenOptions,
  StreamListener,
  TlsServerOptions,
} from "../network.ts";
import { readPeerChain } from "./node-certificate.ts";
import { channelFacts } from "./node-connect.ts";
import { NodeStream, plainAddress } from "./node-stream.ts";
import { endpointText, toDnsError } from "./system-problem.ts";

/** Connections that wait for accept; the kernel caps it at net.core.somaxconn. */
const BACKLOG = 4096;
/** Seconds that a ticket lasts: a day (RFC 8446 §4.6.1 allows a week). */
const TICKET_LIFETIME_SECONDS = 86_400;

/** Opens a listener; rejects when the address cannot be had or certificate and key do not fit. */
export async function openListener(
  options: ListenOptions,
  handlers: ListenHandlers,
): Promise<StreamListener> {
  const { local, tls } = options;
  const server = tls === undefined ? createTcp(handlers) : createTls(options, tls, handlers);
  await new Promise<void>((resolve, reject) => {
    const onError = (problem: Error): void =>
      reject(toDnsError(problem, `listening on ${endpointText(local)}`, "listen"));
    server.once("error", onError);
    server.listen(
      {
        host: local.address,
        port: local.port,
        backlog: BACKLOG,
        reusePort: options.reusePort,
        ipv6Only: local.address.includes(":"),
      },
      () => {
        server.off("error", onError);
        resolve();
      },
    );
  });
  server.on("error", (problem) =>
    handlers.onFailure(
      undefined,
      "connect",
      toDnsError(problem, `listener on ${endpointText(local)}`, "listen"),
    ),
  );
  return new NodeListener(server, tls);
}

function createTcp(handlers: ListenHandlers): Server {
  return createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    handlers.onStream(new NodeStream(socket, undefined));
  });
}

function createTls(options: ListenOptions, tls: TlsServerOptions, handlers: ListenHandlers): TlsServer {
  checkPair(tls.certificatePem, tls.keyPem);
  const server = createTlsServer({
    cert: tls.certificatePem,
    key: tls.keyPem,
    // RFC 8310 §9: TLS 1.2 or later.
    minVersion: "TLSv1.2",
    // A client that offers only other protocols is refused; one that offers none is served (RFC 7858 knows no ALPN).
    ALPNProtocols: [...tls.alpn],
    allowHalfOpen: true,
    noDelay: true,
    handshakeTimeout: options.handshakeTimeoutMs,
    sessionTimeout: TICKET_LIFETIME_SECONDS,
    ...(tls.ticketKeys === undefined ? {} : { ticketKeys: Buffer.from(tls.ticketKeys) }),
  });
  server.on("secureConnection", (socket) => {
    socket.pause();
    handlers.onStream(new NodeStream(socket, serverSecurity(socket)));
  });
  server.on("tlsClientError", (problem, socket) => {
    handlers.onFailure(
      remoteOf(socket),
      "handshake",
      toDnsError(problem, "TLS handshake", "handshake", "ERR_TLS_HANDSHAKE"),
    );
    socket.destroy();
  });
  return server;
}

function serverSecurity(socket: TLSSocket): ChannelSecurity {
  const resumed = socket.isSessionReused();
  const serverName: unknown = "servername" in socket ? socket.servername : undefined;
  return {
    ...channelFacts(socket),
    resumed,
    serverName: typeof serverName === "string" ? serverName : undefined,
    peerChain: resumed ? [] : readPeerChain(socket),
    chainProblem: socket.authorized ? undefined : "no client certificate",
  };
}

function remoteOf(socket: Socket): Endpoint | undefined {
  return socket.remoteAddress === undefined
    ? undefined
    : { address: plainAddress(socket.remoteAddress), port: socket.remotePort ?? 0 };
}

/** Throws ERR_CONFIG when certificate and key are not a pair. */
function checkPair(certificatePem: string, keyPem: string): void {
  try {
    createSecureContext({ cert: certificatePem, key: keyPem });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DnsError("ERR_CONFIG", `certificate and key cannot be used: ${why}`, {
      cause,
      stage: "listen",
    });
  }
}

class NodeListener implements StreamListener {
  readonly local: Endpoint;
  readonly #server: Server | TlsServer;
  readonly #tls: TlsServerOptions | undefined;

  constructor(server: Server | TlsServer, tls: TlsServerOptions | undefined) {
    this.#server = server;
    this.#tls = tls;
    const address = server.address() as AddressInfo; // A listening server on an IP address has one.
    this.local = { address: address.address, port: address.port };
  }

  setCertificate(certificatePem: string, keyPem: string): void {
    if (this.#tls === undefined || !("setSecureContext" in this.#server)) {
      throw new DnsError("ERR_CONFIG", `the listener on ${endpointText(this.local)} has no TLS`, {
        stage: "listen",
      });
    }
    checkPair(certificatePem, keyPem);
    // Keys of tickets stay, so that clients resume across a new certificate.
    const ticketKeys = this.#server.getTicketKeys();
    this.#server.setSecureContext({
      cert: certificatePem,
      key: keyPem,
      minVersion: "TLSv1.2",
      ticketKeys,
      sessionTimeout: TICKET_LIFETIME_SECONDS,
    });
  }

  close(): Promise<void> {
    // Accepting ends with the call; waiting for the callback would wait for open connections, which have other owners.
    return new Promise((resolve) => {
      this.#server.close();
      resolve();
    });
  }
}
