/** Two ways to reach a client: a TCP socket, and a TLS session over a gate. Both end in every way that {@link End} knows. */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { End } from "./behaviour.ts";
import type { HandshakeGate } from "./handshake-gate.ts";

/** What a session needs of its connection. */
export interface Wire {
  write(octets: Uint8Array): void;
  end(how: End): void;
  /** Octets that the client has not taken yet. */
  readonly waitingOctets: number;
}

/** A wire of plain TCP. */
export function tcpWire(socket: Socket): Wire {
  return {
    write: (octets) => void socket.write(octets),
    end(how) {
      if (how === "rst") socket.resetAndDestroy();
      else if (how !== "silence" && how !== "close-notify-only") socket.end();
    },
    get waitingOctets() {
      return socket.writableLength;
    },
  };
}

/** A wire of TLS. */
export function tlsWire(session: TLSSocket, gate: HandshakeGate): Wire {
  return {
    write: (octets) => void session.write(octets),
    end(how) {
      switch (how) {
        case "fin":
          session.end();
          break;
        case "rst":
          gate.halt("rst");
          break;
        case "fin-without-close-notify":
          gate.halt("fin");
          break;
        case "close-notify-only":
          gate.keepOpen();
          session.end();
          break;
        case "silence":
          break;
      }
    },
    get waitingOctets() {
      return session.writableLength + gate.waitingOctets;
    },
  };
}
