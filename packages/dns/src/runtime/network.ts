/**
 * The wires as a parameter: byte streams (TCP, TLS) and datagrams (UDP). `runtime/node` carries them over real
 * sockets, `testing/sim` over simulated ones. Connection machines sit above and do no I/O themselves.
 */

import type { HttpListenHandlers, HttpListenOptions } from "./http.ts";

/** An IP address literal (never a host name) and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** One certificate as the peer presented it. */
export interface PresentedCertificate {
  /** DER of the whole certificate. */
  readonly der: Uint8Array;
  /** SHA-256 of the DER SubjectPublicKeyInfo, base64 (RFC 7858 §4.2). */
  readonly spkiSha256: string;
  readonly subject: string;
  readonly issuer: string;
  /** DNS-IDs and IP-IDs of subjectAltName, as `DNS:name` and `IP:address`. */
  readonly subjectAltNames: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What TLS established on a stream. */
export interface ChannelSecurity {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly protocol: string;
  readonly cipher: string;
  /** Key exchange group, undefined when the platform does not tell. */
  readonly group: string | undefined;
  /** The selected ALPN protocol, undefined when none was. */
  readonly alpn: string | undefined;
  /** True on a resumed session: the peer's certificate was then not presented again. */
  readonly resumed: boolean;
  /** Server name the client asked for (SNI), on server side; undefined when it sent none. */
  readonly serverName: string | undefined;
  /**
   * The peer's chain, leaf first, exactly as presented; empty on a resumed session and for clients without one.
   */
  readonly peerChain: readonly PresentedCertificate[];
  /**
   * Undefined when the chain leads to a trusted root (RFC 5280 path validation), otherwise why not. Does *not* cover
   * the name: that is `transport/authentication`. Meaningless when `resumed`.
   */
  readonly chainProblem: string | undefined;
  /** Where a validated path ends above what the peer presented; only told when asked for, and where it is known. */
  readonly trustAnchor?: PresentedCertificate | undefined;
}

/** Calls made by a stream. No call is made after `onClose`. */
export interface StreamHandlers {
  /** Octets arrived. They are only valid during the call: copy what must stay. */
  onData(octets: Uint8Array): void;
  /** The peer will send no more (FIN or close_notify); we still may. */
  onEnd(): void;
  /** The stream is gone. `problem` is undefined after an orderly close. */
  onClose(problem: Error | undefined): void;
  /** What `write` buffered has been handed to the system. */
  onDrain(): void;
  /** A TLS session ticket for later resumption (client side, TLS only); may come several times. */
  onSession?(session: Uint8Array): void;
}

/** An open, ordered stream of octets in both directions. */
export interface ByteStream {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Undefined on clear TCP. */
  readonly security: ChannelSecurity | undefined;
  /** Octets accepted by `write` that the system has not taken yet. */
  readonly bufferedOctets: number;
  /** Whether data travelled in the SYN (RFC 7413); undefined when nobody asked for it or the system does not tell. */
  readonly fastOpen?: "used" | "not used" | undefined;
  /** Must be called once, in the turn the stream was handed over; nothing is delivered before. */
  setHandlers(handlers: StreamHandlers): void;
  /** Queues octets, which must not be changed afterwards. False when the caller should wait for `onDrain`. */
  write(octets: Uint8Array): boolean;
  /** Sends what is queued, then close_notify and FIN. Reading goes on. */
  end(): void;
  /** Aborts at once with a reset. */
  reset(): void;
  /**
   * Tells the peer at once what has arrived, instead of when there is something to send or 40 ms have passed: it may wait with its
   * next octets until then (Nagle's algorithm). Absent where nobody asked for it, or it cannot be had.
   */
  acknowledge?(): void;
  /** Whether the process may end although the stream is open; at first it may not. Absent where there is no process. */
  setBackground?(isBackground: boolean): void;
  /** Stops reading, so that the peer's window fills. */
  pause(): void;
  resume(): void;
}

/** TLS settings of an outgoing stream. Authentication is decided above, from {@link ChannelSecurity}. */
export interface TlsClientOptions {
  /** SNI and the name for tickets; undefined sends no SNI. */
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
  /** PEM trust anchors instead of the system's. */
  readonly trustAnchorsPem: readonly string[] | undefined;
  /** A ticket from an earlier `onSession`; only give one whose connection proved what this one must prove. */
  readonly session: Uint8Array | undefined;
  /** PEM client certificate and key. */
  readonly certificatePem?: string | undefined;
  readonly keyPem?: string | undefined;
  /** Key exchange groups in order of preference, in OpenSSL's names; undefined offers the platform's. */
  readonly groups?: readonly string[] | undefined;
  /** Asks for {@link ChannelSecurity.trustAnchor}, which costs some time. Default false. */
  readonly wantsTrustAnchor?: boolean | undefined;
  /**
   * Told the secrets of this connection, a line each of an NSS key log without line end (RFC 9850 `CLIENT_RANDOM …`,
   * `CLIENT_HANDSHAKE_TRAFFIC_SECRET …`). Whoever has them and the packets reads everything: for looking at one's own traffic
   * only. Absent: they never leave TLS.
   */
  readonly onKeyLog?: ((line: string) => void) | undefined;
}

export interface ConnectOptions {
  readonly remote: Endpoint;
  /** Source address; undefined lets the system choose. */
  readonly localAddress: string | undefined;
  /** Undefined for clear TCP. */
  readonly tls: TlsClientOptions | undefined;
  /** Limit for the TCP handshake, milliseconds. */
  readonly connectTimeoutMs: number;
  /** Limit for the TLS handshake, milliseconds. */
  readonly handshakeTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Called once when the TCP handshake is done and TLS begins, so that both can be timed; not called on clear TCP. */
  readonly onConnected?: (() => void) | undefined;
  /**
   * Asks for TCP Fast Open: the first octets written, which on TLS are the ClientHello, travel in the SYN when the system
   * and the server agree (RFC 7413). Where it cannot be had the connection is an ordinary one.
   */
  readonly fastOpen?: boolean | undefined;
  /** Asks for {@link ByteStream.acknowledge}. Absent: false. */
  readonly acknowledges?: boolean | undefined;
}

/** The stage at which an outgoing stream failed; messages for people name it. */
export type ConnectStage = "connect" | "handshake";

/** PEM of a certificate chain, leaf first, and its key. */
export interface CertificatePem {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** TLS settings of a listener. */
export interface TlsServerOptions extends CertificatePem {
  readonly alpn: readonly string[];
  /** 48 octets shared by all workers; undefined lets the platform choose. */
  readonly ticketKeys: Uint8Array | undefined;
  /** Further certificates, chosen by the name that the client asks for (SNI) among their subjectAltNames. */
  readonly moreCertificates?: readonly CertificatePem[] | undefined;
  /** Key exchange groups in order of preference, in OpenSSL's names; undefined takes the platform's. */
  readonly groups?: readonly string[] | undefined;
  /**
   * Asks clients for a certificate, without demanding one, and checks its path to these PEM authorities, which may be
   * none; undefined does not ask.
   */
  readonly clientAuthoritiesPem?: readonly string[] | undefined;
}

/** Load balancers before a listener tell whom they speak for. */
export interface ProxyOptions {
  /** Peers that send a header and are believed; all others are served as they are. */
  isTrusted(address: string): boolean;
  /** Where a header of the PROXY protocol stands, or that each HTTP request has a field of its own for it. */
  readonly place: "before tls" | "inside tls" | "http header";
}

export interface ListenOptions {
  /** Port 0 lets the system choose; the listener tells which. */
  readonly local: Endpoint;
  /** Undefined for clear TCP. */
  readonly tls: TlsServerOptions | undefined;
  /** For the TLS handshake and, apart from it, for a PROXY header; milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** Lets several listeners (one per worker) share the address. */
  readonly reusePort: boolean;
  readonly proxy?: ProxyOptions | undefined;
  /** Connections that may wait with data from their SYN (RFC 7413 §4.2); undefined or 0 leaves Fast Open off. */
  readonly fastOpenQueue?: number | undefined;
  /**
   * Descriptor of a TCP socket that is bound already, as service managers pass them (sd_listen_fds(3)); `local` is then for
   * messages only, and who bound it has decided about `reusePort`. It stays open for another listener later where the
   * platform duplicates descriptors (Linux, Node 26); elsewhere it ends with the listener.
   */
  readonly inheritedFd?: number | undefined;
}

/** What may change while a listener is open. */
export type ListenerChange = Pick<ListenOptions, "tls" | "handshakeTimeoutMs" | "proxy">;

/** What the owner of a listener keeps about a connection on its way to become a stream. */
export interface PendingConnection {
  /** A proxy told whom it speaks for; false turns the connection away. */
  onProxied(client: Endpoint): boolean;
}

/** The stage at which an incoming connection failed. */
export type AcceptStage = "accept" | "proxy" | "handshake";

/** What a listener tells its owner. */
export interface ListenHandlers {
  /** A connection came, before any octet of it is looked at; undefined turns it away with a reset. Absent: all are taken. */
  onConnection?(remote: Endpoint): PendingConnection | undefined;
  onStream(stream: ByteStream, pending: PendingConnection | undefined): void;
  /** A connection that ended before it became a stream, or, without `remote`, a problem of the listener itself. */
  onFailure(
    remote: Endpoint | undefined,
    stage: AcceptStage,
    problem: Error,
    pending: PendingConnection | undefined,
  ): void;
}

export interface StreamListener {
  readonly local: Endpoint;
  /** What became of the wish for Fast Open: `on`, `off`, or why it cannot be had. */
  readonly fastOpen: string;
  /**
   * For connections that come from now on. Throws and changes nothing when certificate and key do not fit, or when TLS
   * would begin or end on this listener. Ticket keys that are not given stay.
   */
  change(options: ListenerChange): void;
  /** Replaces the keys of tickets (48 octets): tickets made with the old ones are no longer taken. */
  setTicketKeys(keys: Uint8Array): void;
  /** Stops accepting; open streams stay. */
  close(): Promise<void>;
}

/** An open UDP socket. */
export interface DatagramSocket {
  readonly local: Endpoint;
  /**
   * Sends one datagram; failures (unreachable, too large) go to the error handler. One of many may wait for the others of the
   * same turn.
   */
  send(octets: Uint8Array, to: Endpoint, isOneOfMany?: boolean): void;
  /** The machine may have other addresses now: a socket on all of them looks again. Never rejects. */
  networkChanged?(): Promise<void>;
  close(): Promise<void>;
}

export interface DatagramHandlers {
  /** One datagram; octets are only valid during the call. Answers sent by `via` come from the address that it came to. */
  onMessage(octets: Uint8Array, from: Endpoint, via: DatagramSocket): void;
  /** Something the system reported on this socket, such as an ICMP refusal on a connected one. */
  onError(problem: Error): void;
}

export interface DatagramOptions {
  readonly local: Endpoint;
  /** When set, only datagrams of this peer arrive, and ICMP errors are reported. */
  readonly connectTo: Endpoint | undefined;
  readonly reusePort: boolean;
  /** As in {@link ListenOptions}, a UDP socket; an inherited one on all addresses does not choose where answers come from. */
  readonly inheritedFd?: number | undefined;
  /** The process may end although the socket is open. Default false. */
  readonly isBackground?: boolean | undefined;
}

/** Everything that leaves or enters the machine. All promises reject with a `DnsError`. */
export interface Network {
  connect(options: ConnectOptions): Promise<ByteStream>;
  listen(options: ListenOptions, handlers: ListenHandlers): Promise<StreamListener>;
  /** HTTP/2 and HTTP/1.1. Absent: this network carries no HTTP. */
  listenHttp?(options: HttpListenOptions, handlers: HttpListenHandlers): Promise<StreamListener>;
  bindDatagram(options: DatagramOptions, handlers: DatagramHandlers): Promise<DatagramSocket>;
  /** The machine's addresses that others can reach, as a text that differs when they do. Absent: they cannot be seen. */
  ownAddresses?(): string;
}
