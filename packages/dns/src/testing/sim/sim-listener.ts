/** A listening port of a simulated host, and the handshake at it. */
import type {
  ChannelSecurity,
  ConnectOptions,
  Endpoint,
  ListenerChange,
  ListenHandlers,
  ListenOptions,
  StreamListener,
} from "@sotto/dns/runtime";
import { DnsError } from "@sotto/dns/runtime";
import { fakeChainProblem, presentFakeCertificate } from "./sim-identity.ts";

/** A listening port. */
export class SimListener implements StreamListener {
  readonly local: Endpoint;
  readonly tls: ListenOptions["tls"];
  readonly handlers: ListenHandlers;
  readonly #onClosed: (listener: SimListener) => void;
  certificatePem: string;
  readonly fastOpen = "off";
  isClosed = false;

  constructor(
    local: Endpoint,
    options: ListenOptions,
    handlers: ListenHandlers,
    onClosed: (listener: SimListener) => void,
  ) {
    this.#onClosed = onClosed;
    this.local = local;
    this.tls = options.tls;
    this.handlers = handlers;
    this.certificatePem = options.tls?.certificatePem ?? "";
    if (options.tls !== undefined) presentFakeCertificate(options.tls.certificatePem);
  }

  change({ tls }: ListenerChange): void {
    if (tls === undefined) return;
    presentFakeCertificate(tls.certificatePem);
    this.certificatePem = tls.certificatePem;
  }

  /** Tickets of this network have no keys. */
  setTicketKeys(): void {}

  close(): Promise<void> {
    if (!this.isClosed) this.#onClosed(this);
    this.isClosed = true;
    return Promise.resolve();
  }
}

/** Who knows which tickets are good. */
interface Tickets {
  isTicketOf(ticket: Uint8Array, listener: SimListener): boolean;
}

/** Both ends' view of a TLS session. */
export interface HandshakeOutcome {
  readonly client: ChannelSecurity;
  readonly server: ChannelSecurity;
}

/** Both ends' view of a new TLS session, or why there is none. */
export function shakeHands(
  options: ConnectOptions,
  listener: SimListener,
  clientEnd: Endpoint,
  tickets: Tickets,
  wallMs: number,
): HandshakeOutcome | string {
  const { tls } = options;
  if (tls === undefined || listener.tls === undefined) return "the peer does not speak TLS";
  const alpn = listener.tls.alpn.find((protocol) => tls.alpn.includes(protocol));
  if (alpn === undefined && tls.alpn.length > 0 && listener.tls.alpn.length > 0) {
    const problem = new DnsError("ERR_TLS_HANDSHAKE", "no application protocol in common", {
      stage: "handshake",
    });
    listener.handlers.onFailure(clientEnd, "handshake", problem, undefined);
    return "no application protocol in common";
  }
  const resumed = tls.session !== undefined && tickets.isTicketOf(tls.session, listener);
  const certificate = presentFakeCertificate(listener.certificatePem);
  const common = {
    protocol: "TLSv1.3",
    cipher: "TLS_AES_256_GCM_SHA384",
    group: "X25519",
    alpn,
    resumed,
  };
  return {
    client: {
      ...common,
      serverName: undefined,
      peerChain: resumed ? [] : [certificate],
      chainProblem: resumed ? undefined : fakeChainProblem(certificate, tls.trustAnchorsPem, wallMs),
    },
    server: { ...common, serverName: tls.serverName, peerChain: [], chainProblem: undefined },
  };
}
