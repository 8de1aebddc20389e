/** Outgoing streams: TCP, then TLS when asked for, each with its own deadline. */
import { constants } from "node:crypto";
import { Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { DnsError } from "../dns-error.ts";
import type {
  ByteStream,
  ChannelSecurity,
  ConnectOptions,
  ConnectStage,
  Endpoint,
  TlsClientOptions,
} from "../network.ts";
import { attemptText, gaveUp, tookTooLong } from "./connect-problem.ts";
import { openFastSocket, synDataReader } from "./fast-open.ts";
import { readPeerChain, readTrustAnchor } from "./node-certificate.ts";
import { NodeStream, type StreamTools } from "./node-stream.ts";
import { promptAcknowledgement } from "./prompt-acknowledgement.ts";
import { endpointText, toDnsError, unreadable } from "./system-problem.ts";
import { TLS_SUITES } from "./tls-suites.ts";

/** Opens a stream; rejects with the stage that failed. */
export async function openStream(options: ConnectOptions): Promise<ByteStream> {
  const { remote, signal, tls } = options;
  if (signal?.aborted === true) throw gaveUp("connect", remote);
  const fast = options.fastOpen === true ? await openFastSocket(remote.address) : undefined;
  const tcp = new Socket({
    // After our FIN the peer may still answer, and after its FIN we may still ask nothing but read (RFC 7766 §6.2.4).
    allowHalfOpen: true,
    ...(fast === undefined ? {} : { fd: fast, readable: true, writable: true }),
  });
  const tools: StreamTools = {
    readFastOpen: fast === undefined ? undefined : await fastOpenReader(fast, tcp),
    acknowledge: options.acknowledges === true ? await promptAcknowledgement() : undefined,
  };
  tcp.connect({
    host: remote.address,
    port: remote.port,
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
  });
  tcp.setNoDelay(true);
  tcp.pause();
  await settled(tcp, "connect", "connect", remote, options.connectTimeoutMs, signal);
  if (tls === undefined) return new NodeStream(tcp, undefined, undefined, tools);
  options.onConnected?.();
  return secure(tcp, tls, options, tools);
}

/** Tells whether data went with the SYN, as long as the descriptor is this socket's. */
async function fastOpenReader(fd: number, socket: Socket): Promise<() => boolean | undefined> {
  const read = await synDataReader();
  return () => (socket.destroyed ? undefined : read?.(fd));
}

async function secure(
  tcp: Socket,
  tls: TlsClientOptions,
  options: ConnectOptions,
  tools: StreamTools,
): Promise<ByteStream> {
  // A ClientHello with the post-quantum hybrid does not fit into one SYN.
  const groups = tls.groups ?? (tools.readFastOpen === undefined ? undefined : CLASSICAL_GROUPS);
  let socket: TLSSocket;
  try {
    socket = connectTls({
      socket: tcp,
      // RFC 8310 §9: TLS 1.2 or later.
      minVersion: "TLSv1.2",
      // Who the peer is, is looked at once: in TLS 1.2 it could present another certificate later (RFC 9325 §3.5).
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      ciphers: TLS_SUITES,
      ALPNProtocols: [...tls.alpn],
      // Who the peer is, is decided above from ChannelSecurity; nothing is sent before.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      // Without a list Node's own store is used, with NODE_EXTRA_CA_CERTS and --use-system-ca as users know them. It is shared:
      // a list of the same certificates would be read again for every connection, which takes 11 ms.
      ...(tls.trustAnchorsPem === undefined ? {} : { ca: [...tls.trustAnchorsPem] }),
      ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
      ...(groups === undefined ? {} : { ecdhCurve: groups.join(":") }),
      ...(tls.session === undefined ? {} : { session: Buffer.from(tls.session) }),
      ...(tls.certificatePem === undefined ? {} : { cert: tls.certificatePem }),
      ...(tls.keyPem === undefined ? {} : { key: tls.keyPem }),
    });
  } catch (cause) {
    tcp.destroy();
    throw toDnsError(cause, `TLS with ${endpointText(options.remote)}`, "handshake", "ERR_CONFIG");
  }
  const { onKeyLog } = tls;
  // OpenSSL only hands out secrets when somebody listens.
  if (onKeyLog !== undefined)
    socket.on("keylog", (line: Buffer) => onKeyLog(line.toString("latin1").trimEnd()));
  socket.pause();
  // Tickets of TLS 1.3 may arrive with the end of the handshake.
  const sessions: Buffer[] = [];
  const keep = (session: Buffer): void => {
    sessions.push(session);
  };
  socket.on("session", keep);
  await settled(
    socket,
    "secureConnect",
    "handshake",
    options.remote,
    options.handshakeTimeoutMs,
    options.signal,
  );
  socket.off("session", keep);
  // Without this, Node joins writes that wait for an earlier one into one TLS record. What is written at once by our
  // clients must stay a record of its own: NSD 4.6 takes one message per record and leaves the others unanswered.
  Reflect.set(socket, "_writev", null);
  const stream = new NodeStream(socket, readSecurity(socket, tls, options.remote), undefined, tools);
  for (const session of sessions) socket.emit("session", session);
  return stream;
}

/** Offered with TCP Fast Open: 365 octets of ClientHello instead of 1599. */
const CLASSICAL_GROUPS: readonly string[] = ["X25519", "P-256"];

/** As {@link clientSecurity}; whatever Node cannot read of a certificate is the peer's doing, and ends the connection. */
function readSecurity(socket: TLSSocket, tls: TlsClientOptions, remote: Endpoint): ChannelSecurity {
  try {
    return clientSecurity(socket, tls);
  } catch (cause) {
    // Later errors of a socket that nobody waits for any more.
    socket.on("error", () => undefined);
    socket.destroy();
    throw unreadable(`TLS handshake with ${endpointText(remote)}`, cause);
  }
}

/** What the handshake established, seen from the client. */
function clientSecurity(socket: TLSSocket, { wantsTrustAnchor }: TlsClientOptions): ChannelSecurity {
  const resumed = socket.isSessionReused();
  const peerChain = resumed ? [] : readPeerChain(socket);
  const tellsAnchor = wantsTrustAnchor === true && socket.authorized && peerChain.length > 0;
  return {
    ...channelFacts(socket),
    resumed,
    serverName: undefined,
    peerChain,
    ...(tellsAnchor ? { trustAnchor: readTrustAnchor(socket, peerChain) } : {}),
    chainProblem: resumed || socket.authorized ? undefined : String(socket.authorizationError),
  };
}

/** The facts that both sides can read off a socket. */
function channelFacts(socket: TLSSocket): Pick<ChannelSecurity, "protocol" | "cipher" | "group" | "alpn"> {
  const key: object | null = socket.getEphemeralKeyInfo();
  const group =
    key !== null && "name" in key
      ? String(key.name)
      : key !== null && "TLSGroup" in key
        ? String(key.TLSGroup)
        : undefined;
  return {
    protocol: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher().standardName,
    group,
    alpn: typeof socket.alpnProtocol === "string" ? socket.alpnProtocol : undefined,
  };
}

/** Resolves at `event`; rejects at an error, an early end, the deadline or the signal, and then destroys the socket. */
function settled(
  socket: Socket,
  event: "connect" | "secureConnect",
  stage: ConnectStage,
  remote: Endpoint,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const what = attemptText(stage, remote);
  return new Promise((resolve, reject) => {
    const fail = (problem: DnsError): void => {
      finish();
      // Later errors of a socket that nobody waits for any more.
      socket.on("error", () => undefined);
      socket.destroy();
      reject(problem);
    };
    const onError = (problem: Error): void =>
      fail(toDnsError(problem, what, stage, stage === "connect" ? "ERR_SYSTEM" : "ERR_TLS_HANDSHAKE"));
    const onEnd = (): void =>
      fail(
        new DnsError(
          stage === "connect" ? "ERR_CONNECTION_LOST" : "ERR_TLS_HANDSHAKE",
          `${what}: the peer closed the connection`,
          { stage },
        ),
      );
    const onAbort = (): void => fail(gaveUp(stage, remote));
    const timer = setTimeout(() => fail(tookTooLong(stage, remote, timeoutMs)), timeoutMs);
    const done = (): void => {
      finish();
      resolve();
    };
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      socket.off(event, done).off("error", onError).off("close", onEnd).off("end", onEnd);
    };
    socket.once(event, done).once("error", onError).once("close", onEnd).once("end", onEnd);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
  });
}
