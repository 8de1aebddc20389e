/** Cheap clients for load: raw sockets, prepared octets, no decoding. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type SecureContext } from "node:tls";
import {
  encodeMessage,
  frameMessage,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
} from "@sotto/dns/wire";

/** A framed query with EDNS. */
export function framedQuery(name: string, type: number): Buffer {
  return Buffer.from(
    frameMessage(
      encodeMessage(
        makeMessage({
          id: 1,
          recursionDesired: true,
          questions: [{ name: parseName(name), type, class: RRClass.IN }],
          edns: makeEdns(),
        }),
      ),
    ),
  );
}

/** For a name that the server answers from its local zones. */
export const QUERY = framedQuery("www.corp.example.", RRType.A);

let context: SecureContext | undefined;

/** Connects; `nth` chooses a source address, so that ports do not run out. */
export function connect(transport: "tcp" | "tls", port: number, nth = 0): Promise<Socket> {
  const localAddress = `127.0.${1 + (nth % 50)}.1`;
  const below = connectTcp({ port, host: "127.0.0.1", localAddress, noDelay: true });
  context ??= createSecureContext();
  const socket =
    transport === "tcp"
      ? below
      : connectTls({
          socket: below,
          secureContext: context,
          rejectUnauthorized: false,
          ALPNProtocols: ["dot"],
        });
  return new Promise((resolve, reject) => {
    socket.once(transport === "tcp" ? "connect" : "secureConnect", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Longer than any reply of these scenarios takes; what comes later is lost for whoever asked. */
const REPLY_TIMEOUT_MS = 5000;

/** Asks once and gives the milliseconds until the whole reply; rejects when the connection ends first, or has ended. */
export function ask(socket: Socket): Promise<number> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    if (!isOpen(socket)) {
      reject(new Error("closed before the query"));
      return;
    }
    let octets = 0;
    let wanted = Number.POSITIVE_INFINITY;
    const finish = (): void => {
      clearTimeout(timer);
      socket.off("data", onData).off("end", onClose).off("close", onClose);
    };
    const fail = (why: string): void => {
      finish();
      reject(new Error(why));
    };
    const onData = (chunk: Buffer): void => {
      if (octets === 0 && chunk.length >= 2) wanted = 2 + chunk.readUInt16BE(0);
      octets += chunk.length;
      if (octets < wanted) return;
      finish();
      resolve(performance.now() - startMs);
    };
    const onClose = (): void => fail("closed before the reply");
    const timer = setTimeout(() => fail("no reply in time"), REPLY_TIMEOUT_MS);
    socket.on("data", onData).on("end", onClose).on("close", onClose);
    socket.write(QUERY);
  });
}

function isOpen(socket: Socket): boolean {
  return !socket.destroyed && !socket.readableEnded && socket.writable;
}

/** A client that does as RFC 7766 §6.2.4 says: when its connection has gone it asks again over a new one, once. */
export class SteadyClient {
  reconnects = 0;
  #socket: Socket | undefined;
  readonly #connect: () => Promise<Socket>;

  constructor(connectAnew: () => Promise<Socket>) {
    this.#connect = connectAnew;
  }

  async open(): Promise<void> {
    this.#socket = await this.#connect();
    this.#socket.on("error", () => undefined);
  }

  /** Milliseconds until the reply, those of a new connection included; rejects when that did not help. */
  async ask(): Promise<number> {
    const startMs = performance.now();
    try {
      if (this.#socket !== undefined) return await ask(this.#socket);
    } catch {
      // The connection may have been closed as any idle one may; what counts is how long the answer takes.
    }
    this.close();
    this.reconnects++;
    await this.open();
    if (this.#socket !== undefined) await ask(this.#socket);
    return performance.now() - startMs;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}

/** Runs `count` jobs, `width` at once. */
export async function pooled(
  count: number,
  width: number,
  job: (nth: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await job(next++);
    }),
  );
}

/** What clients saw in a while. */
export interface Experience {
  readonly latenciesMs: readonly number[];
  readonly lost: number;
}

/** Lets all clients ask in turn, about `perSecond` times in all, for a while; one that loses a query asks no more. */
export async function askForAWhile(
  clients: readonly { ask(): Promise<number> }[],
  perSecond: number,
  forMs: number,
): Promise<Experience> {
  const latenciesMs: number[] = [];
  let lost = 0;
  const endMs = performance.now() + forMs;
  const pauseMs = (1000 * clients.length) / perSecond;
  await Promise.all(
    clients.map(async (client, i) => {
      await pause((pauseMs * i) / clients.length);
      while (performance.now() < endMs) {
        try {
          latenciesMs.push(await client.ask());
        } catch {
          lost++;
          return;
        }
        await pause(pauseMs * (0.5 + Math.random()));
      }
    }),
  );
  return { latenciesMs, lost };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
