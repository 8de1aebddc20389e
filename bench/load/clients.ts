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

/** One framed query for a name that the server answers from its local zones. */
export const QUERY = Buffer.from(
  frameMessage(
    encodeMessage(
      makeMessage({
        id: 1,
        recursionDesired: true,
        questions: [{ name: parseName("www.corp.example."), type: RRType.A, class: RRClass.IN }],
        edns: makeEdns(),
      }),
    ),
  ),
);

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

/** Asks once and gives the milliseconds until the whole reply; rejects when the connection ends first. */
export function ask(socket: Socket): Promise<number> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    let octets = 0;
    let wanted = Number.POSITIVE_INFINITY;
    const finish = (): void => {
      socket.off("data", onData).off("close", onClose);
    };
    const onData = (chunk: Buffer): void => {
      if (octets === 0 && chunk.length >= 2) wanted = 2 + chunk.readUInt16BE(0);
      octets += chunk.length;
      if (octets < wanted) return;
      finish();
      resolve(performance.now() - startMs);
    };
    const onClose = (): void => {
      finish();
      reject(new Error("closed before the reply"));
    };
    socket.on("data", onData).on("close", onClose);
    socket.write(QUERY);
  });
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

/** Asks over all sockets in turn, about `perSecond` times in all, for a while; gives latencies and losses. */
export async function askForAWhile(
  sockets: readonly Socket[],
  perSecond: number,
  forMs: number,
): Promise<{ latenciesMs: number[]; lost: number }> {
  const latenciesMs: number[] = [];
  let lost = 0;
  const endMs = performance.now() + forMs;
  const pauseMs = (1000 * sockets.length) / perSecond;
  await Promise.all(
    sockets.map(async (socket, i) => {
      await pause((pauseMs * i) / sockets.length);
      while (performance.now() < endMs) {
        try {
          latenciesMs.push(await ask(socket));
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
