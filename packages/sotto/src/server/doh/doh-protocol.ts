/** DNS over HTTPS as a protocol of a {@link StreamService} (RFC 8484): HTTP/2 and HTTP/1.1, with TLS or behind a proxy that ends it. */
import {
  DnsError,
  type HttpSession,
  type ListenOptions,
  type Runtime,
  type StreamListener,
} from "@sotto/dns/runtime";
import type {
  ConnectionHandlers,
  ServedSession,
  SessionLimits,
  SessionParts,
  StreamProtocol,
} from "@sotto/dns/transport";
import { MESSAGE_OCTETS_MAX } from "@sotto/dns/wire";
import type { RefusalStatus } from "./doh-request.ts";
import { DohSession, type DohTerms } from "./doh-session.ts";

/** What a DoH listener offers in ALPN (RFC 7301, RFC 9113 §3.2). */
export const DOH_ALPN: readonly string[] = ["h2", "http/1.1"];

/** One for each listener. */
export class DohProtocol implements StreamProtocol<HttpSession>, DohTerms {
  /** Where queries are served; may change while connections are open. */
  path: string;
  readonly refusals: Partial<Record<RefusalStatus, number>> = {};

  constructor(path: string) {
    this.path = path;
  }

  transportOf(): "https" {
    return "https";
  }

  async listen(
    options: ListenOptions,
    handlers: ConnectionHandlers<HttpSession>,
    limits: SessionLimits,
    { network }: Runtime,
  ): Promise<StreamListener> {
    if (network.listenHttp === undefined)
      throw new DnsError("ERR_CONFIG", "this network carries no HTTP: take another transport than https");
    const { onConnection, onFailure, onOpened } = handlers;
    const http = {
      // Clients open no more streams than we take queries (SETTINGS_MAX_CONCURRENT_STREAMS), so that nobody has to wait.
      requestsMax: limits.inFlightMax,
      headerOctetsMax: HEADER_FIELDS_OCTETS_MAX,
      bodyOctetsMax: MESSAGE_OCTETS_MAX,
    };
    return network.listenHttp(
      { ...options, http },
      { ...(onConnection && { onConnection }), onFailure, onSession: onOpened },
    );
  }

  serve(session: HttpSession, parts: SessionParts): ServedSession {
    return new DohSession(session, parts, this);
  }

  discard(session: HttpSession): void {
    session.reset();
  }
}

/** A target of 8 KiB and as much for everything else. */
const HEADER_FIELDS_OCTETS_MAX = 16_384;
