/**
 * A listener between a foreign client and our server that ends TLS on both sides and keeps the messages of each connection:
 * what clients say under encryption, and what they make of our answers.
 */
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import {
  EdnsOptionCode,
  FrameReader,
  type Message,
  tryDecodeMessage,
  tryReadKeepalive,
} from "@sotto/dns/wire";
import { AUTH_NAME, type OurServer } from "./our-server.ts";

/** A message as it passed. */
export interface TappedMessage {
  readonly isResponse: boolean;
  /** Without the two octets of length. */
  readonly octets: number;
  readonly message: Message;
  /** Clock of `performance.now`, milliseconds. */
  readonly atMs: number;
}

/** One connection of a client. */
export interface TappedConnection {
  readonly messages: readonly TappedMessage[];
  /** When each side ended it; waits until that side does. */
  readonly clientEndedMs: Promise<number>;
  readonly serverEndedMs: Promise<number>;
}

/** The tap: clients are told to use its port; certificate and pin are those of the server. */
export interface TlsTap {
  readonly port: number;
  readonly connections: readonly TappedConnection[];
}

/**
 * Runs as long as the test. With `hidesServerEnd` clients do not learn that the server has ended the connection: what they
 * then do about it is their own.
 */
export async function startTlsTap(
  context: TestContext,
  ours: OurServer,
  { hidesServerEnd = false }: { hidesServerEnd?: boolean } = {},
): Promise<TlsTap> {
  const connections: TappedConnection[] = [];
  const sockets = new Set<TLSSocket>();
  const identity = { cert: readFileSync(ours.certificateFile), key: readFileSync(ours.keyFile) };
  const listener = createServer({ ...identity, ALPNProtocols: ["dot"] }, (client) => {
    const server = connect({
      host: "127.0.0.1",
      port: ours.port("tls"),
      ca: readFileSync(ours.caFile),
      servername: AUTH_NAME,
      ALPNProtocols: ["dot"],
    });
    sockets.add(client).add(server);
    connections.push(tap(client, server, hidesServerEnd));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("the tap has no port");
  return { port: address.port, connections };
}

function tap(client: TLSSocket, server: TLSSocket, hidesServerEnd: boolean): TappedConnection {
  const messages: TappedMessage[] = [];
  const clientEnded = Promise.withResolvers<number>();
  const serverEnded = Promise.withResolvers<number>();
  const record = (isResponse: boolean, octets: Uint8Array): void => {
    const decoded = tryDecodeMessage(octets.slice());
    if (!decoded.ok) throw new Error(decoded.problem);
    messages.push({ isResponse, octets: octets.length, message: decoded.value, atMs: performance.now() });
  };
  for (const [from, to, ended] of [
    [client, server, clientEnded],
    [server, client, serverEnded],
  ] as const) {
    const reader = new FrameReader();
    from.on("data", (chunk: Buffer) => {
      reader.push(chunk, (octets) => {
        record(from === server, octets);
        return true;
      });
      to.write(chunk);
    });
    from.on("close", () => {
      ended.resolve(performance.now());
      if (from === client || !hidesServerEnd) to.end();
    });
    // A reset is an end like others.
    from.on("error", () => undefined);
  }
  return {
    messages,
    clientEndedMs: clientEnded.promise,
    serverEndedMs: serverEnded.promise,
  };
}

/** How many padding options a message has. */
export function paddingOptions({ message }: TappedMessage): number {
  return message.edns?.options.filter(({ code }) => code === EdnsOptionCode.Padding).length ?? 0;
}

/** The keepalive option: "none", "empty", or its timeout in milliseconds. */
export function keepaliveOf({ message }: TappedMessage): "none" | "empty" | number {
  const option = message.edns?.options.find(({ code }) => code === EdnsOptionCode.TcpKeepalive);
  if (option === undefined) return "none";
  const units = tryReadKeepalive(option.data);
  if (!units.ok) throw new Error(units.problem);
  return units.value === undefined ? "empty" : units.value * 100;
}
