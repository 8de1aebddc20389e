/** Listening sockets that speak HTTP/2 and HTTP/1.1: accepted and secured as all others, then told apart. */
import type { Socket } from "node:net";
import type { HttpListenHandlers, HttpListenOptions } from "../http.ts";
import type { StreamListener } from "../network.ts";
import type { AcceptedConnections } from "./accepted-connections.ts";
import { ClearHttpSession } from "./clear-http-session.ts";
import { Http1Server } from "./http1-session.ts";
import { NodeHttp2Session } from "./http2-session.ts";
import { openSocketListener } from "./node-listen.ts";

/** Opens a listener; rejects as `openListener` does. */
export function openHttpListener(
  options: HttpListenOptions,
  handlers: HttpListenHandlers,
  accepted?: AcceptedConnections<Socket>,
): Promise<StreamListener> {
  const limits = options.http;
  const http1 = new Http1Server(limits);
  return openSocketListener(
    options,
    handlers,
    (socket, security, ends, pending) => {
      const makeHttp2 = () => new NodeHttp2Session(socket, security, ends, limits);
      const makeHttp1 = () => http1.sessionOn(socket, security, ends);
      const session =
        security === undefined
          ? new ClearHttpSession(socket, ends, makeHttp2, makeHttp1)
          : // RFC 9113 §3.2: HTTP/2 over TLS is chosen by ALPN only.
            security.alpn === "h2"
            ? makeHttp2()
            : makeHttp1();
      handlers.onSession(session, pending);
    },
    accepted,
  );
}
