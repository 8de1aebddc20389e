/** TLS of every kind on a TCP connection: a server of Node for each, because only so is each failure known to be whose. */
import type { Socket } from "node:net";
import { createSecureContext, createServer, type TLSSocket, type TlsOptions } from "node:tls";
import type { Random } from "@sotto/dns/runtime";
import type { TlsBehaviour } from "./behaviour.ts";
import type { Credentials } from "./certificates.ts";
import { CLIENT_HELLO_OCTETS_MAX, tryReadClientHello } from "./client-hello.ts";
import { HandshakeGate } from "./handshake-gate.ts";
import type { Observed } from "./observations.ts";

/** What all TLS fixtures of a server share. */
export interface TlsShared {
  readonly credentials: Credentials;
  /** 48 octets, for fixtures that take their tickets back. */
  readonly ticketKeys: Buffer;
  readonly random: Random;
}

/** Starts TLS on an accepted connection; `onSession` gets it after the handshake, if there is an after. */
export function startTls(
  socket: Socket,
  behaviour: TlsBehaviour,
  shared: TlsShared,
  observed: Observed,
  onSession: (session: TLSSocket, gate: HandshakeGate) => void,
): void {
  const hello = new HelloReader(observed);
  let isDone = false;
  const gate = new HandshakeGate(socket, behaviour.stop, {
    onTraffic: (direction, octets) => {
      if (isDone) return;
      observed.note(direction, "handshake", octets.length);
      if (direction === "in") hello.push(octets);
    },
    onHalt: (what) => {
      observed.note("own", `stops: ${what}`);
      if (behaviour.stop?.how !== "silence") observed.end("server");
    },
  });
  const server = createServer(tlsOptions(behaviour, shared));
  server.on("secureConnection", (session) => {
    // The server's last flight is written in this turn, after this call.
    setImmediate(() => {
      isDone = true;
    });
    const subject = session.getPeerX509Certificate()?.subject;
    observed.noteHandshake({
      version: session.getProtocol() ?? "?",
      cipher: session.getCipher().standardName,
      alpn: typeof session.alpnProtocol === "string" ? session.alpnProtocol : undefined,
      isResumed: session.isSessionReused(),
      clientCertificate: subject,
    });
    // One that stops says nothing afterwards.
    if (behaviour.stop === undefined) onSession(session, gate);
    else session.on("error", () => undefined).resume();
  });
  server.on("tlsClientError", (error) => {
    observed.noteHandshakeFailure(reasonOf(error));
    // OpenSSL's alert has to leave before the connection does.
    socket.end();
    observed.end("error");
  });
  server.emit("connection", gate);
}

function reasonOf(error: Error): string {
  const { code, reason } = error as Error & { code?: unknown; reason?: unknown };
  return typeof reason === "string" ? reason : typeof code === "string" ? code : error.message;
}

function tlsOptions(behaviour: TlsBehaviour, { credentials, ticketKeys, random }: TlsShared): TlsOptions {
  const { versions = ["TLSv1.2", "TLSv1.3"], certificate = "good", alpn = ["dot"], tickets } = behaviour;
  const { certificatePem, keyPem } = credentials.servers[certificate];
  const identity = { cert: certificatePem, key: keyPem };
  const [minVersion, maxVersion] = versions;
  const isOld = minVersion === "TLSv1" || minVersion === "TLSv1.1";
  const isWeak = isOld || certificate === "sha1" || certificate === "rsa-1024";
  const common: TlsOptions = {
    minVersion,
    maxVersion,
    ticketKeys: tickets === "refused" ? Buffer.from(random.octets(48)) : ticketKeys,
    ...(tickets === "none" ? { secureOptions: SSL_OP_NO_TICKET } : {}),
    ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
    // OpenSSL's default level refuses what these fixtures are there for.
    ...(isWeak ? { ciphers: "DEFAULT:@SECLEVEL=0" } : {}),
  };
  if (behaviour.needsServerName === true)
    return {
      ...common,
      // Without a certificate of its own it can shake hands only where SNI brings one.
      SNICallback: (_name, done) => done(null, createSecureContext(identity)),
    };
  if (behaviour.wantsClientCertificate !== true) return { ...common, ...identity };
  return {
    ...common,
    ...identity,
    requestCert: true,
    rejectUnauthorized: true,
    ca: credentials.authorityPem,
  };
}

/** Collects the first octets until they are a ClientHello, or are not. */
class HelloReader {
  readonly #observed: Observed;
  #octets: Buffer | undefined = Buffer.alloc(0);

  constructor(observed: Observed) {
    this.#observed = observed;
  }

  push(octets: Uint8Array): void {
    if (this.#octets === undefined) return;
    this.#octets = Buffer.concat([this.#octets, octets]);
    const hello = tryReadClientHello(this.#octets);
    if (hello === undefined) {
      if (this.#octets.length > CLIENT_HELLO_OCTETS_MAX) this.#octets = undefined;
      return;
    }
    this.#octets = undefined;
    if (hello.ok) this.#observed.hello = hello.value;
    else this.#observed.note("own", hello.problem);
  }
}

/** From OpenSSL's headers: TLS 1.2 hands out no tickets. */
const SSL_OP_NO_TICKET = 0x4000;
